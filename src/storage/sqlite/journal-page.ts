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
];

/** A page of a namespace's journal, newest first. */
export function readJournal(
  db: Connection,
  namespace: number,
  page: {
    readonly limit: number;
    readonly cursor?: string | undefined;
    readonly memoryId?: string | undefined;
  },
): JournalPage {
  const [before] = page.cursor === undefined ? [never] : decodeCursor("journal", page.cursor, 1);
  const memory = page.memoryId === undefined ? "" : "and memory_id = ?";
  const rows = db.all<Columns>(
    `select id, run, at, kind, memory_id, document, from_tier, to_tier, reason from journal
     where namespace = ? and id < ? ${memory} order by id desc limit ?`,
    namespace,
    before!,
    ...(page.memoryId === undefined ? [] : [page.memoryId]),
    page.limit + 1,
  );
  const shown = rows.slice(0, page.limit);
  return {
    entries: shown.map(toEntry),
    ...(rows.length > page.limit ? { cursor: encodeCursor("journal", [shown.at(-1)![0]]) } : {}),
  };
}

function toEntry([, run, at, kind, id, document, from, to, reason]: Columns): JournalEntry {
  return {
    run,
    at,
    kind: journalKinds[kind]!,
    id,
    document: document === 1,
    from: tiers[from]!,
    ...(to === null ? {} : { to: tiers[to]! }),
    reason,
  };
}
