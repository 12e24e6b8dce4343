import type { Command } from "commander";
import { withDocumentUri } from "../document-names.ts";
import { addFilterFlags, type FilterFlags, filterOf } from "../filter-flags.ts";
import { addExamples, numberFlag } from "../flag-values.ts";
import { formatHits } from "../format-hits.ts";
import { recallJson } from "../json-shapes.ts";
import { noteNothingFound } from "../nothing-found.ts";
import { textOf } from "../read-input.ts";
import type { Session } from "../session.ts";

interface Flags extends FilterFlags {
  readonly limit?: number;
  readonly explain?: boolean;
  readonly cache?: boolean;
  readonly full?: boolean;
}

export function declare(command: Command, session: Session): void {
  command
    .description("Find the memories that hold the words themselves: all of them first, then some.")
    .argument("<words...>", 'words, "quoted phrases" and beginnings of words*; "-" alone reads them')
    .option("--limit <count>", "most hits: 1 to 1,000 (default: 10)", numberFlag)
    .option("--explain", "tell why each hit stands where it stands")
    .option("--full", "print whole texts, not their beginnings")
    .option("--no-cache", "look anew, whatever was answered before");
  addFilterFlags(command).action((words: string[], flags: Flags) => search(words, flags, session));
  addExamples(command, [
    ["strata search rotate keys", "both words first"],
    ["strata search '\"write-ahead log\"'", "a phrase"],
    ["strata search 'migrat*' --document docs/guide.md", "in one document"],
  ]);
}

async function search(words: readonly string[], flags: Flags, session: Session): Promise<void> {
  const { io, output, signal } = session;
  const text = await textOf(words, session);
  await using memory = await session.openExisting({ preload: true });
  const { limit, explain, cache, full } = flags;
  const answer = await memory.search(text, {
    ...(await withDocumentUri(filterOf(flags), memory, io.cwd)),
    limit,
    explain,
    cache,
    signal,
  });
  const layout = { width: output.width, full: full === true, style: output.style, cwd: io.cwd };
  output.result(recallJson(answer), () => formatHits(answer, layout));
  if (answer.hits.length === 0) await noteNothingFound(memory, output);
}
