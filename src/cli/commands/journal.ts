import type { Command } from "commander";
import { StrataError } from "../../contract/errors.ts";
import type { JournalEntry, JournalKind } from "../../contract/memory-store.ts";
import { addExamples, numberFlag } from "../flag-values.ts";
import { countKinds, countsLine, journalKinds } from "../format-runs.ts";
import { journalEntryJson } from "../json-shapes.ts";
import type { Style } from "../output.ts";
import type { Session } from "../session.ts";
import { oneLine } from "../terminal-text.ts";
import { formatTime } from "../units.ts";

interface Flags {
  readonly memory?: string;
  readonly run?: string;
  readonly kind?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

/** Pages read in search of a kind before the rest is left to the next call. */
const pagesAtMost = 50;

export function declare(command: Command, session: Session): void {
  command
    .description("Show what happened to memories and why, run by run, the latest first.")
    .option("--memory <id>", "only what happened to this memory")
    .option("--run <run>", "only this run")
    .option("--kind <kind>", `only one of ${journalKinds.join(", ")}`)
    .option("--limit <count>", "most rows: 1 to 1,000 (default: 100)", numberFlag)
    .option("--cursor <cursor>", "the page after the one that printed it")
    .action((flags: Flags) => journal(flags, session));
  addExamples(command, [
    ["strata journal --limit 20", ""],
    ["strata journal --kind evict", "what had no room?"],
    ["strata journal --memory ID", "where did it go?"],
  ]);
}

async function journal(flags: Flags, session: Session): Promise<void> {
  const { output } = session;
  const { entries, cursor } = await page(flags, session);
  const next = cursor !== undefined && { cursor };
  output.result({ entries: entries.map(journalEntryJson), ...next }, () =>
    runsOf(entries)
      .map((run) => formatRun(run, output.style))
      .join("\n\n"),
  );
  if (cursor !== undefined) output.note(`There are more: repeat with --cursor ${cursor}`);
  if (entries.length === 0) output.note("Nothing was moved, merged, evicted, expired or forgotten.");
}

/** A page of the rows that the flags ask for; those of a kind are looked for over some pages of all. */
async function page(
  { memory: memoryId, run, kind, limit, cursor }: Flags,
  session: Session,
): Promise<{ entries: readonly JournalEntry[]; cursor?: string }> {
  const wanted = kind === undefined ? undefined : checkKind(kind);
  await using memory = await session.openExisting();
  const found: JournalEntry[] = [];
  let at = cursor;
  for (let read = 0; read < pagesAtMost; read++) {
    const { entries, cursor: next } = await memory.journal({
      memoryId,
      run,
      limit,
      cursor: at,
      signal: session.signal,
    });
    found.push(...entries.filter((entry) => wanted === undefined || entry.kind === wanted));
    at = next;
    if (wanted === undefined || found.length > 0 || at === undefined) break;
  }
  return { entries: found, ...(at !== undefined && { cursor: at }) };
}

function checkKind(kind: string): JournalKind {
  const known = journalKinds.find((each) => each === kind);
  if (known) return known;
  throw new StrataError("INVALID_ARGUMENT", `Expected --kind as one of ${journalKinds.join(", ")}.`, {
    details: { argument: "kind" },
  });
}

/** Rows that follow each other in one run. */
function runsOf(entries: readonly JournalEntry[]): JournalEntry[][] {
  const runs: JournalEntry[][] = [];
  for (const entry of entries) {
    const last = runs.at(-1);
    if (last?.[0]?.run === entry.run) last.push(entry);
    else runs.push([entry]);
  }
  return runs;
}

function formatRun(entries: readonly JournalEntry[], style: Style): string {
  const { at, run } = entries[0]!;
  const undoable = entries.some((entry) => entry.undoable) ? "" : ", taken back, or not to be";
  const head = `${formatTime(at)}  ${countsLine(countKinds(entries))}`;
  const rows = entries.map(({ kind, document, from, to, into, id, reason }) => {
    const where = to === undefined ? from : `${from} → ${to}`;
    const target = into === undefined ? "" : ` into ${oneLine(into)}`;
    return `  ${document ? `${kind} document` : kind}  ${where}  ${oneLine(id)}${target}  ${oneLine(reason)}`;
  });
  return [`${style.bold(head)}  ${style.dim(`run ${run}${undoable}`)}`, ...rows].join("\n");
}
