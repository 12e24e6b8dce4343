import type { JournalEntry, JournalPage } from "../../contract/memory-store.ts";
import { tiers } from "../../contract/tier.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import type { Connection } from "./connection.ts";
import { journalKinds, never } from "./write-step.ts";

type Columns = readonly [
  id: number,
  run: string,
  at: number,
  kind: number,
  memoryId: string,
  document: number,
  from: number,
  to: number | null,
  reason: string,
  into: string | null,
  undoable: number,
];

/** A page of a namespace's journal, newest first. */
export function readJournal(
  db: Connection,
  namespace: number,
  page: {
    readonly limit: number;
    readonly cursor?: string | undefined;
    readonly memoryId?: string | undefined;
    readonly run?: string | undefined;
  },
): JournalPage {
  const [before] = page.cursor === undefined ? [never] : decodeCursor("journal", page.cursor, 1);
  // A memory's life holds what it took in too.
  const memory = page.memoryId === undefined ? "" : "and (memory_id = ? or into_id = ?)";
  const run = page.run === undefined ? "" : "and run = ?";
  const rows = db.all<Columns>(
    `select id, run, at, kind, memory_id, document, from_tier, to_tier, reason, into_id,
       before is not null and undone is null from journal
     where namespace = ? and id < ? ${memory} ${run} order by id desc limit ?`,
    namespace,
    before!,
    ...(page.memoryId === undefined ? [] : [page.memoryId, page.memoryId]),
    ...(page.run === undefined ? [] : [page.run]),
    page.limit + 1,
  );
  const shown = rows.slice(0, page.limit);
  return {
    entries: shown.map(toEntry),
    ...(rows.length > page.limit ? { cursor: encodeCursor("journal", [shown.at(-1)![0]]) } : {}),
  };
}

function toEntry(columns: Columns): JournalEntry {
  const [, run, at, kind, id, document, from, to, reason, into, undoable] = columns;
  return {
    run,
    at,
    kind: journalKinds[kind]!,
    id,
    document: document === 1,
    from: tiers[from]!,
    ...(to === null ? {} : { to: tiers[to]! }),
    ...(into === null ? {} : { into }),
    undoable: undoable === 1,
    reason,
  };
}
