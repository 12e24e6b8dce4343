import type { Memory, StoredVector } from "./memory.ts";
import type { MemoryFilter } from "./scope.ts";

/** A named state of some of a namespace's memories, kept in the store beside them. */
export interface SnapshotInfo {
  readonly name: string;
  readonly createdAt: number;
  /** What was chosen; empty: everything. */
  readonly filter: MemoryFilter;
  readonly memories: number;
  /** Bytes of what it keeps: texts, vectors and all other fields. */
  readonly bytes: number;
}

/** One memory as it was when the snapshot was saved. */
export interface SnapshotItem {
  readonly memory: Memory;
  readonly vector: StoredVector | null;
}

export interface SnapshotPage {
  readonly items: readonly SnapshotItem[];
  /** For the next page; absent on the last. */
  readonly cursor?: string;
}

/** Most snapshots a namespace has; one more is refused. */
export const snapshotBound = 1_000;
