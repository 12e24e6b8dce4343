import type { Command } from "commander";
import { addExamples, numberFlag } from "../flag-values.ts";
import { journalEntryJson } from "../json-shapes.ts";
import type { Session } from "../session.ts";
import { formatTable } from "../table.ts";
import { oneLine } from "../terminal-text.ts";
import { formatTime } from "../units.ts";

interface Flags {
  readonly memory?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

const columns = [
  { head: "when" },
  { head: "what" },
  { head: "from" },
  { head: "to" },
  { head: "id" },
  { head: "why" },
];

export function declare(command: Command, session: Session): void {
  command
    .description("Show what left a tier and why, the latest first.")
    .option("--memory <id>", "only what happened to this memory")
    .option("--limit <count>", "most rows: 1 to 1,000 (default: 100)", numberFlag)
    .option("--cursor <cursor>", "the page after the one that printed it")
    .action((flags: Flags) => journal(flags, session));
  addExamples(command, [
    ["strata journal --limit 20", ""],
    ["strata journal --memory ID", "where did it go?"],
  ]);
}

async function journal(flags: Flags, session: Session): Promise<void> {
  const { output, signal } = session;
  await using memory = await session.openExisting();
  const { memory: memoryId, limit, cursor } = flags;
  const page = await memory.journal({ memoryId, limit, cursor, signal });
  const next = page.cursor !== undefined && { cursor: page.cursor };
  output.result({ entries: page.entries.map(journalEntryJson), ...next }, () => {
    if (page.entries.length === 0) return "";
    const rows = page.entries.map(({ at, kind, document, from, to, id, reason }) => [
      formatTime(at),
      document ? `${kind} document` : kind,
      from,
      to ?? "",
      oneLine(id),
      oneLine(reason),
    ]);
    return formatTable(columns, rows, output.style.dim);
  });
  if (page.cursor !== undefined) output.note(`There are more: repeat with --cursor ${page.cursor}`);
  if (page.entries.length === 0) output.note("Nothing was evicted, expired or forgotten.");
}
