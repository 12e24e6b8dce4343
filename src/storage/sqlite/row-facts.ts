import type { RowFacts } from "../../contract/memory-store.ts";
import { tiers } from "../../contract/tier.ts";
import type { Connection } from "./connection.ts";
import { joinEntry, parseTags } from "./memory-rows.ts";

/** What ranking needs of visible rows. */
export function readFacts(
  db: Connection,
  namespace: number,
  rows: readonly number[],
  now: number,
): RowFacts[] {
  return db
    .all<[number, number, number, number, number, number | null, number, string | null, string | null]>(
      `select m.row, e.importance, e.access_count, e.last_used_at, m.created_at, m.at, e.tier, m.speaker,
         coalesce(d.tags, m.tags)
       from json_each(?) j cross join memory m on m.row = j.value ${joinEntry}
       where m.namespace = ? and e.expires_at > ?`,
      JSON.stringify(rows),
      namespace,
      now,
    )
    .map(([row, importance, accessCount, lastUsedAt, createdAt, at, tier, speaker, tags]) => ({
      row,
      importance,
      accessCount,
      lastUsedAt,
      createdAt,
      ...(at === null ? {} : { at }),
      tier: tiers[tier]!,
      ...(speaker === null ? {} : { speaker }),
      tags: parseTags(tags),
    }));
}
