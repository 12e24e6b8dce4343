import type { RowFacts } from "../../contract/memory-store.ts";
import { tiers } from "../../contract/tier.ts";
import type { Connection } from "./connection.ts";
import { joinEntry, parseTags, type Writable } from "./memory-rows.ts";

// Made once: a text put together for each call would be hashed each time, to find its statement.
const selectFacts = `select m.row, e.importance, e.access_count, e.last_used_at, m.created_at, m.at, e.tier, m.speaker,
  coalesce(d.tags, m.tags)
  from json_each(?) j cross join memory m on m.row = j.value ${joinEntry}
  where m.namespace = ? and e.expires_at > ?`;

/** What ranking needs of visible rows. */
export function readFacts(
  db: Connection,
  namespace: number,
  rows: readonly number[],
  now: number,
): RowFacts[] {
  return db
    .all<[number, number, number, number, number, number | null, number, string | null, string | null]>(
      selectFacts,
      JSON.stringify(rows),
      namespace,
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
        tier: tiers[cells[6]]!,
        tags: parseTags(cells[8]),
      };
      if (cells[5] !== null) facts.at = cells[5];
      if (cells[7] !== null) facts.speaker = cells[7];
      return facts;
    });
}
