import type { Command } from "commander";
import { withDocumentUri } from "../document-names.ts";
import { addFilterFlags, type FilterFlags, filterOf } from "../filter-flags.ts";
import { addExamples, numberFlag } from "../flag-values.ts";
import { memoryLine } from "../format-memory.ts";
import { memoryJson } from "../json-shapes.ts";
import { noteNothingFound } from "../nothing-found.ts";
import type { Session } from "../session.ts";

interface Flags extends FilterFlags {
  readonly limit?: number;
  readonly cursor?: string;
}

export function declare(command: Command, session: Session): void {
  command
    .description("List memories, the last stored first.")
    .option("--limit <count>", "most memories: 1 to 1,000 (default: 100)", numberFlag)
    .option("--cursor <cursor>", "the page after the one that printed it");
  addFilterFlags(command).action((flags: Flags) => list(flags, session));
  addExamples(command, [
    ["strata list --limit 20", ""],
    ["strata list --tier working,short_term", "what will not stay long"],
    ["strata list --thread trip --json", ""],
  ]);
}

async function list(flags: Flags, session: Session): Promise<void> {
  const { io, output, signal } = session;
  await using memory = await session.openExisting();
  const { limit, cursor } = flags;
  const filter = await withDocumentUri(filterOf(flags), memory, io.cwd);
  const page = await memory.list({ ...filter, limit, cursor, signal });
  const next = page.cursor !== undefined && { cursor: page.cursor };
  output.result({ memories: page.memories.map(memoryJson), ...next }, () =>
    page.memories.map((each) => memoryLine(each, output.width, output.style)).join("\n"),
  );
  if (page.cursor !== undefined) output.note(`There are more: repeat with --cursor ${page.cursor}`);
  if (page.memories.length === 0) await noteNothingFound(memory, output);
}
