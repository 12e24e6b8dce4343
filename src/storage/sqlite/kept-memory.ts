import type { KeptState } from "../kept-state.ts";
import { deleteTags, insertTags, type Life, updateEntry } from "./entry-rows.ts";
import { listCell, type MemoryRow, objectCell, parseMetadata, parseTags } from "./memory-rows.ts";
import type { WriteStep } from "./write-step.ts";

export function keptState(row: MemoryRow): KeptState<number> {
  return {
    version: row[12],
    updatedAt: row[6],
    tier: row[18],
    tags: parseTags(row[10]),
    metadata: parseMetadata(row[11]),
    importance: row[19],
    accessCount: row[20],
    lastUsedAt: row[21],
    expiresAt: row[22],
  };
}

/** Makes a memory what it shall be; its tier stays. */
export function writeKeptState(step: WriteStep, row: MemoryRow, state: KeptState<number>): void {
  const [number, entry] = row;
  const life: Life = { ...state, tier: row[18], pinned: row[23] === 1 };
  step.db.run(
    "update memory set tags = ?, metadata = ?, version = ?, updated_at = ?, seq = ? where row = ?",
    listCell(state.tags),
    objectCell(state.metadata),
    state.version,
    state.updatedAt,
    step.seq,
    number,
  );
  deleteTags(step, entry, parseTags(row[10]));
  insertTags(step, entry, state.tags);
  updateEntry(step, entry, life, state.expiresAt);
}
