import type { RowFacts } from "../../contract/memory-store.ts";
import type { Connection } from "./connection.ts";
import type { Writable } from "./memory-rows.ts";

// Made once: a text put together for each call would be hashed each time, to find its statement. One statement, since
// each one opens and closes a read of its own.
const selectFacts = `select m.row, e.importance, e.access_count, e.last_used_at, m.created_at, m.at
  from json_each(?) j cross join memory m on m.row = j.value cross join entry e on e.id = m.entry
  where m.namespace = (select id from namespace where name = ?) and e.expires_at > ?`;

/** What ranking needs of visible rows. */
export function readFacts(db: Connection, name: string, rows: readonly number[], now: number): RowFacts[] {
  return db
    .all<[number, number, number, number, number, number | null]>(
      selectFacts,
      JSON.stringify(rows),
      name,
      now,
    )
    .map((cells) => {
      // By their places: to take a row apart by a pattern allocates as much as the row.
      const facts: Writable<RowFacts> = {
        row: cells[0],
        importance: cells[1],
        accessCount: cells[2],
        lastUsedAt: cells[3],
        createdAt: cells[4],
      };
      if (cells[5] !== null) facts.at = cells[5];
      return facts;
    });
}
