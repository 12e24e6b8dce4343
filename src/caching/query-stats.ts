import type { PrefetchStats } from "./prefetcher.ts";

/** Figures of a `QueryOptimizer` since it was made. */
export interface QueryStats {
  readonly totalQueries: number;
  /** Given from the cache, fresh or stale. */
  readonly hits: number;
  /** Of these, given after their time while they were computed again. */
  readonly staleHits: number;
  /** Computed. */
  readonly misses: number;
  /** Of these, with a kept result that a write had made worthless. */
  readonly outdated: number;
  /** Waited for the same query already under way. */
  readonly joins: number;
  /** Computed for callers who wanted no cache; in the total, not in the hit rate. */
  readonly bypassed: number;
  /** Share 0..1 of queries that cost no computation of their own: (hits + joins) / (hits + joins + misses). */
  readonly hitRate: number;
  readonly cacheSize: number;
  readonly maxEntries: number;
  readonly cacheBytes: number;
  readonly maxBytes: number;
  /** Milliseconds of computations that succeeded. */
  readonly computedMs: number;
  /** Under way, with callers or behind them. */
  readonly inFlight: number;
  /** Results that left for want of room. */
  readonly evictions: number;
  /** Results computed but not kept: invalidated meanwhile, larger than the cache, or neither frozen nor copied. */
  readonly notKept: number;
  /** Computations behind a hit, and prefetches: begun, failed, and left undone for want of a slot. */
  readonly background: { readonly begun: number; readonly failed: number; readonly leftUndone: number };
  /** Present when the optimizer fetches ahead. */
  readonly prefetch?: PrefetchStats;
}

/** What is counted as it happens. */
export interface QueryCounts {
  total: number;
  hits: number;
  stale: number;
  misses: number;
  outdated: number;
  joins: number;
  bypassed: number;
  notKept: number;
  begun: number;
  failed: number;
  leftUndone: number;
  computedMs: number;
}

export function noCounts(): QueryCounts {
  return {
    total: 0,
    hits: 0,
    stale: 0,
    misses: 0,
    outdated: 0,
    joins: 0,
    bypassed: 0,
    notKept: 0,
    begun: 0,
    failed: 0,
    leftUndone: 0,
    computedMs: 0,
  };
}
