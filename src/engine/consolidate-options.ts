import type { NextMove } from "../consolidation/next-moves.ts";
import type { Memory } from "../contract/memory.ts";
import type { JournalEntry } from "../contract/memory-store.ts";
import type { CallOptions } from "./verb-options.ts";

export interface ConsolidateOptions extends CallOptions {
  /** Only tell what would be done. Default false. */
  readonly dryRun?: boolean | undefined;
}

/** A memory's life as far as it is known. */
export interface MemoryLife {
  readonly id: string;
  /** As it is; absent when it is gone. */
  readonly memory?: Memory;
  /** What happened to it, or to its document, the latest first; at most 1,000. */
  readonly journal: readonly JournalEntry[];
  /** Of a memory that is there. */
  readonly relevance?: MemoryRelevance;
  /** What would happen to it and when, by ascending time; empty when it is gone. */
  readonly next: readonly NextMove[];
}

/** Relevance today, and what it is the sum of. */
export interface MemoryRelevance {
  readonly value: number;
  /** Half of the importance. */
  readonly importance: number;
  /** At most .3, on the day of a use; none after ten days without one, at the default rate. */
  readonly recency: number;
  /** At most .2, at ten uses. */
  readonly uses: number;
}
