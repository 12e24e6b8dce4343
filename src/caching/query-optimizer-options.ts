import { type Clock, systemClock } from "../contract/clock.ts";
import { StrataError } from "../contract/errors.ts";
import type { PrefetcherOptions } from "./prefetcher.ts";

/** How a `QueryOptimizer` keeps results. All of it is bounded. */
export interface QueryOptimizerOptions {
  /** Most results kept. At least 1, default 1,000. */
  readonly maxEntries?: number | undefined;
  /** Most bytes kept, estimated. At least 1, default 64 MiB; a larger single result is not kept. */
  readonly maxBytes?: number | undefined;
  /** How long a result is fresh. Default 300,000. */
  readonly ttlMs?: number | undefined;
  /** Share 0..1 by which each result's time is shortened at random, so that many do not expire together. Default .1. */
  readonly ttlJitter?: number | undefined;
  /** How long after its time a result is still given, while it is computed again behind. Default 0. */
  readonly staleMs?: number | undefined;
  /**
   * Compute again behind a hit when less than this share 0..1 of the result's time is left, if it was given before: a
   * result given once is not yet a popular one. Default 0: never.
   */
  readonly refreshAhead?: number | undefined;
  /** How long an empty result (undefined, null, []) is fresh. Default: as any other. */
  readonly emptyTtlMs?: number | undefined;
  /** How long a failure is given again instead of tried again. Default 0: never. */
  readonly errorTtlMs?: number | undefined;
  /** Computations at once that nobody waits for: refreshes and prefetches. Default 2; more are left undone. */
  readonly maxBackground?: number | undefined;
  /** Fetch ahead what probably comes next. Default: nothing. */
  readonly prefetch?: PrefetchOptions | undefined;
  /** For tests. Default: the machine's time. */
  readonly clock?: Clock | undefined;
  /** Uniform in 0..1. For tests. Default Math.random. */
  readonly random?: (() => number) | undefined;
}

/** How queries are fetched ahead. */
export interface PrefetchOptions extends PrefetcherOptions {
  /** How a query that probably comes next is computed; undefined: it cannot be. */
  readonly prepare: (query: PredictedQuery) => PreparedQuery<unknown> | undefined;
}

/** A query that somebody asked before. */
export interface PredictedQuery {
  readonly namespace: string;
  readonly key: string;
}

/** A query ready to be computed. */
export interface PreparedQuery<T> extends Pick<QueryOptions<T>, "tags" | "ttlMs"> {
  readonly work: QueryFunction<T>;
  // A method, so that what is prepared may be of any one type.
  expiresAt?(result: T): number | undefined;
}

/** How one query is executed. */
export interface QueryOptions<T> {
  /** Whose query it is: equal keys of two namespaces are two queries. Default "". */
  readonly namespace?: string | undefined;
  /**
   * Names the state of what the result depends on, such as a number that grows with each write; read it before the
   * call. A result kept or under way of another state is neither given nor waited for.
   */
  readonly generation?: string | undefined;
  /** By which `invalidateCache` can find it. */
  readonly tags?: readonly string[] | undefined;
  /** Instead of the optimizer's own. */
  readonly ttlMs?: number | undefined;
  /** When the result at hand stops being true, in milliseconds since 1970; its time ends there at the latest. */
  readonly expiresAt?: ((result: T) => number | undefined) | undefined;
  /** False: compute for this caller alone, and keep nothing. Default true. */
  readonly cache?: boolean | undefined;
  /** The clock's monotonic time, of a caller who has read it already: against it a result is fresh. */
  readonly now?: number | undefined;
  /** Whose sequence of queries this one continues, for prediction. Default "". */
  readonly session?: string | undefined;
  /** Aborting it takes this caller away; the work ends with its last caller. */
  readonly signal?: AbortSignal | undefined;
  /** Told once, before the call returns, how the result comes about. */
  readonly onPath?: ((path: QueryPath) => void) | undefined;
}

/**
 * How a result comes about: kept; kept but past its time; waited for with others; computed; computed for one caller
 * who wanted no cache.
 */
export type QueryPath = "hit" | "stale" | "joined" | "miss" | "off";

/** The work of a query; `signal` is aborted when nobody waits for it any more. */
export type QueryFunction<T> = (signal: AbortSignal) => Promise<T> | T;

/** Options with their defaults. */
export type Settings = {
  readonly [K in Exclude<keyof QueryOptimizerOptions, "prefetch">]-?: NonNullable<QueryOptimizerOptions[K]>;
} & Pick<QueryOptimizerOptions, "prefetch">;

function atLeast(value: number, minimum: number, name: string): number {
  if (value >= minimum) return value;
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Expected ${name} as a number of at least ${minimum}, got ${value}.`,
    { details: { argument: name } },
  );
}

function share(value: number, name: string): number {
  if (value >= 0 && value <= 1) return value;
  throw new StrataError("INVALID_ARGUMENT", `Expected ${name} as a number from 0 to 1, got ${value}.`, {
    details: { argument: name },
  });
}

/** @throws INVALID_ARGUMENT */
export function checkSettings(options: QueryOptimizerOptions): Settings {
  const ttlMs = atLeast(options.ttlMs ?? 300_000, 0, "ttlMs");
  return {
    maxEntries: atLeast(options.maxEntries ?? 1_000, 1, "maxEntries"),
    maxBytes: atLeast(options.maxBytes ?? 64 * 2 ** 20, 1, "maxBytes"),
    ttlMs,
    ttlJitter: share(options.ttlJitter ?? 0.1, "ttlJitter"),
    staleMs: atLeast(options.staleMs ?? 0, 0, "staleMs"),
    refreshAhead: share(options.refreshAhead ?? 0, "refreshAhead"),
    emptyTtlMs: atLeast(options.emptyTtlMs ?? ttlMs, 0, "emptyTtlMs"),
    errorTtlMs: atLeast(options.errorTtlMs ?? 0, 0, "errorTtlMs"),
    maxBackground: atLeast(options.maxBackground ?? 2, 0, "maxBackground"),
    prefetch: options.prefetch,
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  };
}
