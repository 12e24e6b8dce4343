import type { Command } from "commander";
import { StrataError } from "../../contract/errors.ts";
import type { Metadata } from "../../contract/memory.ts";
import type { Tier } from "../../contract/tier.ts";
import type { UpdatePatch } from "../../engine/store-options.ts";
import { addExamples, listFlag, metadataFlag, numberFlag } from "../flag-values.ts";
import { evictionWarning, formatMemory } from "../format-memory.ts";
import { memoryJson } from "../json-shapes.ts";
import { textOf } from "../read-input.ts";
import type { Session } from "../session.ts";
import { hygieneJson, tellHygiene } from "../tell-hygiene.ts";

interface Flags {
  readonly content?: string;
  readonly tier?: string;
  readonly importance?: number;
  readonly tags?: readonly string[];
  readonly metadata?: Metadata;
  readonly thread?: string;
  readonly speaker?: string;
  readonly at?: string;
  readonly unset?: readonly string[];
  readonly ifVersion?: number;
  readonly onSecret?: "flag" | "refuse" | "off";
}

/** Fields that can be taken away, with what stands for "none". */
const none: UpdatePatch = { tags: [], metadata: {}, thread: null, speaker: null, at: null };

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Change a memory; what no flag names stays. A chunk's tier and importance are its document's.",
    )
    .argument("<id>")
    .option("--content <text>", 'new text; "-" reads it from standard input')
    .option("--tier <tier>", "move it: working, short_term, episodic, long_term or semantic")
    .option("--importance <share>", "0 to 1", numberFlag)
    .option("--tags <tags>", "all its tags, between commas", listFlag)
    .option("--metadata <key=value>", "all its metadata; repeatable", metadataFlag)
    .option("--thread <name>", "conversation the text is a turn of")
    .option("--speaker <name>", "who said it")
    .option("--at <time>", "when it happened")
    .option("--unset <fields>", `take away: ${Object.keys(none).join(", ")}`, listFlag)
    .option("--if-version <number>", "only if it still has this version", numberFlag)
    .option("--on-secret <what>", "for what looks like a credential: flag (default), refuse or off")
    .action((id: string, flags: Flags) => update(id, flags, session));
  addExamples(command, [
    ["strata update ID --importance 0.9 --tags ada,preferences", ""],
    ['strata update ID --content "Ada prefers coffee" --if-version 1', "unless someone was faster"],
    ["strata update ID --unset speaker,at", ""],
  ]);
}

async function update(id: string, flags: Flags, session: Session): Promise<void> {
  const { output, signal } = session;
  const patch = await patchOf(flags, session);
  await using memory = await session.openExisting();
  const { ifVersion, onSecret } = flags;
  const changed = await memory.update(id, patch, { ifVersion, onSecret, signal });
  const noticed = hygieneJson(changed);
  output.result({ memory: memoryJson(changed.memory), evicted: changed.evicted, ...noticed }, () =>
    formatMemory(changed.memory, output.style),
  );
  tellHygiene(noticed, output);
  const warning = evictionWarning(changed.evicted);
  if (warning !== undefined) output.warn(warning);
}

async function patchOf(flags: Flags, session: Session): Promise<UpdatePatch> {
  const { content, tier, unset = [], ifVersion: _, onSecret: __, ...fields } = flags;
  const removed = unset.map((field) => {
    if (Object.hasOwn(none, field)) return [field, none[field as keyof UpdatePatch]] as const;
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Expected --unset with some of ${Object.keys(none).join(", ")}.`,
    );
  });
  const patch: UpdatePatch = {
    ...fields,
    ...Object.fromEntries(removed),
    ...(tier !== undefined && { tier: tier as Tier }),
    ...(content !== undefined && { content: await textOf([content], session) }),
  };
  if (Object.keys(patch).length > 0) return patch;
  throw new StrataError(
    "INVALID_ARGUMENT",
    "Expected something to change, such as --content or --importance.",
  );
}
