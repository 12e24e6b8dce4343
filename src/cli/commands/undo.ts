import type { Command } from "commander";
import { StrataError } from "../../contract/errors.ts";
import type { JournalEntry } from "../../contract/memory-store.ts";
import type { Strata } from "../../engine/strata.ts";
import { addExamples } from "../flag-values.ts";
import { countKinds, countsLine } from "../format-runs.ts";
import type { Session } from "../session.ts";
import { oneLine } from "../terminal-text.ts";
import { formatTime, plural } from "../units.ts";

/** What an undo without a name takes back; another undo, or what a full tier let go, only by name. */
const undoneByItself: ReadonlySet<string> = new Set(["promote", "demote", "merge", "forget", "restore"]);

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Take back a run of the journal: a consolidation, what was forgotten, or another undo. Without RUN the latest one of the namespace.",
    )
    .argument("[run]", "as consolidate, forget and journal print it")
    .action((run: string | undefined) => undo(run, session));
  addExamples(command, [
    ["strata undo", "the latest"],
    ["strata journal", "names them all"],
  ]);
}

async function undo(named: string | undefined, session: Session): Promise<void> {
  const { output, signal } = session;
  await using memory = await session.openExisting();
  const run = named ?? (await latestRun(memory, session));
  const { undone, skipped, evicted, run: own } = await memory.undo(run, { signal });
  output.result({ undone: run, run: own, restored: undone, skipped, evicted }, () => {
    const left = skipped.map(({ id, reason }) => `  ${oneLine(id)}: ${reason}`);
    const head = `Took back ${plural(undone, "move")}`;
    return [head, ...(left.length === 0 ? [] : [`${left.length} left as they are:`, ...left])].join("\n");
  });
  if (evicted.length > 0)
    output.warn(`${plural(evicted.length, "entry", "entries")} left again, because a tier was full.`);
  output.note(`To take that back in turn: strata undo ${own}`);
}

/** Finds the latest run, and tells what it did before it is taken back. */
async function latestRun(memory: Strata, { output, signal }: Session): Promise<string> {
  let cursor: string | undefined;
  do {
    const page = await memory.journal({ limit: 1_000, cursor, signal });
    const latest = page.entries.find(({ undoable, kind }) => undoable && undoneByItself.has(kind));
    if (latest) {
      output.note(`Taking back ${await told(memory, latest, signal)}`);
      return latest.run;
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  throw new StrataError(
    "NOT_FOUND",
    `The journal of the namespace "${memory.namespace}" holds nothing that can be taken back.`,
  );
}

async function told(memory: Strata, { run, at }: JournalEntry, signal: AbortSignal): Promise<string> {
  const { entries, cursor } = await memory.journal({ run, limit: 1_000, signal });
  const more = cursor === undefined ? "" : " and more";
  return `${run} of ${formatTime(at)}: ${countsLine(countKinds(entries))}${more}`;
}
