import type { MovedRow } from "../../contract/memory-store.ts";
import { tiers } from "../../contract/tier.ts";
import type { Connection } from "./connection.ts";

/** Moves told at once. */
const movesAtOnce = 4_096;

/** What the journal tells of moves after one of its rows. */
export interface Moves {
  /** Rows of what moved, with their tiers now; undefined when the journal no longer reaches back. */
  readonly moved: readonly MovedRow[] | undefined;
  /** The last row of the journal that was looked at. */
  readonly upTo: number;
  readonly more: boolean;
}

/** Number of the last row that the journal was given. */
export function lastJournaled(db: Connection): number {
  return db.get<[number]>("select seq from sqlite_sequence where name = 'journal'")?.[0] ?? 0;
}

/**
 * What moved to another tier: every move is journaled in its own transaction, and rows leave the journal from its old
 * end, or with the memory they tell of.
 * @param last Number of the last row that the journal was given.
 */
export function movesAfter(db: Connection, namespace: number, after: number, last: number): Moves {
  if (last <= after) return { moved: [], upTo: after, more: false };
  const [first] = db.get<[number | null]>("select min(id) from journal")!;
  if (first === null || first > after + 1) return { moved: undefined, upTo: last, more: false };
  const rows = db.all<[id: number, memory: string, document: number]>(
    `select id, memory_id, document from journal
     where namespace = ? and id > ? and to_tier <> from_tier order by id limit ?`,
    namespace,
    after,
    movesAtOnce,
  );
  const more = rows.length === movesAtOnce;
  const ids = (document: number): string =>
    JSON.stringify([...new Set(rows.flatMap((row) => (row[2] === document ? [row[1]] : [])))]);
  const found =
    rows.length === 0
      ? []
      : db.all<[row: number, tier: number]>(
          `select m.row, e.tier from json_each(?) j
             cross join memory m indexed by memory_id on m.namespace = ? and m.id = j.value and m.chunk is null
             cross join entry e on e.id = m.entry
           union all
           select m.row, e.tier from json_each(?) j
             cross join document d indexed by document_id on d.namespace = ? and d.id = j.value
             cross join entry e on e.id = d.entry
             cross join chunk_range r on r.revision = d.entry
             cross join memory m on m.row between r.first and r.last`,
          ids(0),
          namespace,
          ids(1),
          namespace,
        );
  return {
    moved: found.map(([row, tier]) => ({ row, tier: tiers[tier]! })),
    upTo: more ? rows.at(-1)![0] : last,
    more,
  };
}
