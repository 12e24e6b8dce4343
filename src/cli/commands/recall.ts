import type { Command } from "commander";
import type { RecallMode } from "../../contract/recall.ts";
import { withDocumentUri } from "../document-names.ts";
import { addFilterFlags, type FilterFlags, filterOf } from "../filter-flags.ts";
import { addExamples, numberFlag } from "../flag-values.ts";
import { formatHits } from "../format-hits.ts";
import { recallJson } from "../json-shapes.ts";
import { noteSkipped } from "../note-skipped.ts";
import { noteNothingFound } from "../nothing-found.ts";
import { textOf } from "../read-input.ts";
import type { Session } from "../session.ts";

interface Flags extends FilterFlags {
  readonly limit?: number;
  readonly minScore?: number;
  readonly mode?: string;
  readonly context?: number;
  readonly fold?: boolean;
  readonly maxTokens?: number;
  readonly cache?: boolean;
  readonly explain?: boolean;
  readonly full?: boolean;
}

export function declare(command: Command, session: Session): void {
  command
    .description("Find the memories that answer a question, by meaning and by words, best first.")
    .argument("<question...>", 'the question; "-" alone reads it from standard input')
    .option("--limit <count>", "most hits: 1 to 1,000 (default: 10)", numberFlag)
    .option("--explain", "tell why each hit stands where it stands, and how the answer came about")
    .option("--full", "print whole texts, not their beginnings")
    .option("--min-score <share>", "leave out what neither means nor says enough of it: 0 to 1", numberFlag)
    .option("--mode <mode>", "hybrid (default), vector (meaning alone) or keyword (words alone)")
    .option("--context <chunks>", "join each chunk with so many before and after it: 0 to 10", numberFlag)
    .option("--fold", "fold memories that say the same into one")
    .option("--max-tokens <count>", "print a text for a prompt, of at most so many tokens", numberFlag)
    .option("--no-cache", "look anew, whatever was answered before");
  addFilterFlags(command).action((words: string[], flags: Flags) => recall(words, flags, session));
  addExamples(command, [
    ['strata recall "how do I rotate keys?"', ""],
    ["strata recall what does Ada drink --explain --limit 3", "why each hit was found"],
    ['strata recall "deadlines" --tags work --after 2026-01-01', "only some memories"],
    ['strata recall "how are keys rotated?" --context 1', "chunks with their neighbours"],
    ['strata recall "what is planned?" --max-tokens 800', "memories, fenced and cited, for a prompt"],
    ['strata recall "rotate keys" --json | jq -r ".hits[].memory.content"', "for programs"],
  ]);
}

async function recall(words: readonly string[], flags: Flags, session: Session): Promise<void> {
  const { io, output, signal } = session;
  const question = await textOf(words, session);
  await using memory = await session.openExisting({ preload: true });
  const { limit, minScore, mode, explain, context, fold, maxTokens, cache, full } = flags;
  const answer = await memory.recall(question, {
    ...(await withDocumentUri(filterOf(flags), memory, io.cwd)),
    limit,
    minScore,
    mode: mode as RecallMode | undefined,
    explain,
    context,
    fold,
    maxTokens,
    cache,
    signal,
  });
  const layout = { width: output.width, full: full === true, style: output.style, cwd: io.cwd };
  output.result(recallJson(answer), () => answer.packed?.text ?? formatHits(answer, layout));
  if (answer.hits.length === 0) await noteNothingFound(memory, output);
  noteSkipped(answer, output);
}
