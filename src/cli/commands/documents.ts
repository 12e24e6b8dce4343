import type { Command } from "commander";
import { shownDocument } from "../document-names.ts";
import { addExamples, numberFlag } from "../flag-values.ts";
import { documentJson } from "../json-shapes.ts";
import { noteNothingFound } from "../nothing-found.ts";
import type { Session } from "../session.ts";
import { formatTable } from "../table.ts";
import { formatCount, formatTime } from "../units.ts";

interface Flags {
  readonly limit?: number;
  readonly cursor?: string;
}

export function declare(command: Command, session: Session): void {
  command
    .description("List ingested documents by name.")
    .option("--limit <count>", "most documents: 1 to 1,000 (default: 100)", numberFlag)
    .option("--cursor <cursor>", "the page after the one that printed it")
    .action((flags: Flags) => documents(flags, session));
  addExamples(command, [
    ["strata documents", ""],
    ['strata documents --json | jq -r ".documents[].uri"', "names only"],
  ]);
}

const columns = [
  { head: "chunks", right: true },
  { head: "characters", right: true },
  { head: "tier" },
  { head: "changed" },
  { head: "document" },
];

async function documents(flags: Flags, session: Session): Promise<void> {
  const { io, output, signal } = session;
  await using memory = await session.openExisting();
  const page = await memory.documents({ ...flags, signal });
  const next = page.cursor !== undefined && { cursor: page.cursor };
  output.result({ documents: page.documents.map(documentJson), ...next }, () => {
    if (page.documents.length === 0) return "";
    const rows = page.documents.map((document) => [
      formatCount(document.chunks),
      formatCount(document.characters),
      document.tier,
      formatTime(document.updatedAt),
      shownDocument(document.uri, io.cwd),
    ]);
    return formatTable(columns, rows, output.style.dim);
  });
  if (page.cursor !== undefined) output.note(`There are more: repeat with --cursor ${page.cursor}`);
  if (page.documents.length === 0) await noteNothingFound(memory, output);
}
