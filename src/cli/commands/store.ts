import type { Command } from "commander";
import type { Metadata } from "../../contract/memory.ts";
import type { Tier } from "../../contract/tier.ts";
import { addExamples, listFlag, metadataFlag, numberFlag } from "../flag-values.ts";
import { evictionWarning } from "../format-memory.ts";
import { memoryJson } from "../json-shapes.ts";
import { textOf } from "../read-input.ts";
import type { Session } from "../session.ts";
import { hygieneJson, tellHygiene } from "../tell-hygiene.ts";

interface Flags {
  readonly id?: string;
  readonly tier?: string;
  readonly importance?: number;
  readonly tags?: readonly string[];
  readonly metadata?: Metadata;
  readonly thread?: string;
  readonly speaker?: string;
  readonly at?: string;
  readonly pinned?: boolean;
  readonly idempotencyKey?: string;
  readonly onDuplicate?: "return" | "store";
  readonly onSimilar?: "store" | "flag" | "return";
  readonly similarity?: number;
  readonly onSecret?: "flag" | "refuse" | "off";
}

export function declare(command: Command, session: Session): void {
  command
    .description('Store one memory and print its id. "-" alone reads the text from standard input.')
    .argument("<text...>", "the text, of at most 65,536 characters")
    .option("--tier <tier>", "working, short_term, episodic, long_term (default) or semantic")
    .option("--importance <share>", "0 to 1 (default: 0.5)", numberFlag)
    .option("--tags <tags>", "names between commas", listFlag)
    .option("--metadata <key=value>", "your own data; repeatable", metadataFlag)
    .option("--thread <name>", "conversation the text is a turn of")
    .option("--speaker <name>", "who said it")
    .option("--at <time>", "when it happened: 2026-01-31, 2026-01-31T08:00")
    .option("--pinned", "never evict it")
    .option("--id <id>", "its id (default: a new one)")
    .option("--idempotency-key <key>", "storing again with the same key stores nothing")
    .option("--on-duplicate <what>", "for the same text again: return that memory (default) or store another")
    .option("--on-similar <what>", "for the same in another form: store (default), flag or return")
    .option("--similarity <share>", "least cosine for --on-similar (default: 0.9)", numberFlag)
    .option("--on-secret <what>", "for what looks like a credential: flag (default), refuse or off")
    .action((words: string[], flags: Flags) => store(words, flags, session));
  addExamples(command, [
    ['strata store "Ada prefers tea" --tags ada --importance 0.8', ""],
    ['strata store "Booked for the 7th." --thread trip --speaker Ada --at 2026-05-08', ""],
    ["git log -1 --format=%B | strata store - --tags release", ""],
  ]);
}

async function store(words: readonly string[], flags: Flags, session: Session): Promise<void> {
  const { output, signal } = session;
  const text = await textOf(words, session);
  await using memory = await session.openOrCreate();
  const { tier, ...fields } = flags;
  const options = { ...fields, tier: tier as Tier, signal };
  const stored = await memory.store(text, options);
  const { outcome, evicted } = stored;
  const noticed = hygieneJson(stored);
  output.result({ memory: memoryJson(stored), outcome, evicted, ...noticed }, () => stored.id);
  const where = `${stored.tier}, namespace ${stored.namespace}`;
  output.note(outcome === "stored" ? `Stored in ${where}.` : `It was there already, in ${where}.`);
  tellHygiene(noticed, output);
  const warning = evictionWarning(evicted);
  if (warning !== undefined) output.warn(warning);
}
