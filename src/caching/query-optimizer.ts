import { LRUCache } from "lru-cache";
import { type Clock, systemClock } from "../contract/clock.ts";
import { StrataError } from "../contract/errors.ts";
import { Flight } from "./flight.ts";
import { type SharedValue, shareValue } from "./shared-value.ts";

/** How a {@link QueryOptimizer} keeps results. All of it is bounded. */
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
  /** Compute again behind a hit when less than this share 0..1 of its time is left. Default 0: never. */
  readonly refreshAhead?: number | undefined;
  /** How long an empty result (undefined, null, []) is fresh. Default: as any other. */
  readonly emptyTtlMs?: number | undefined;
  /** How long a failure is given again instead of tried again. Default 0: never. */
  readonly errorTtlMs?: number | undefined;
  /** Computations at once that nobody waits for: refreshes and prefetches. Default 2; more are left undone. */
  readonly maxBackground?: number | undefined;
  /** For tests. Default: the machine's time. */
  readonly clock?: Clock | undefined;
  /** Uniform in 0..1. For tests. Default Math.random. */
  readonly random?: (() => number) | undefined;
}

/** How one query is executed. */
export interface QueryOptions<T> {
  /** Whose query it is: equal keys of two namespaces are two queries. Default "". */
  readonly namespace?: string | undefined;
  /** By which `invalidateCache` can find it. */
  readonly tags?: readonly string[] | undefined;
  /** Instead of the optimizer's own. */
  readonly ttlMs?: number | undefined;
  /** When the result at hand stops being true, in milliseconds since 1970; its time ends there at the latest. */
  readonly expiresAt?: ((result: T) => number | undefined) | undefined;
  /** Aborting it takes this caller away; the work ends with its last caller. */
  readonly signal?: AbortSignal | undefined;
}

/** The work of a query; `signal` is aborted when nobody waits for it any more. */
export type QueryFunction<T> = (signal: AbortSignal) => Promise<T> | T;

/** Which results to drop: every given field must match. */
export interface CacheSelector {
  readonly namespace?: string | undefined;
  readonly prefix?: string | undefined;
  readonly tag?: string | undefined;
}

export interface QueryStats {
  readonly totalQueries: number;
  /** Given from the cache, fresh or stale. */
  readonly hits: number;
  /** Of these, given after their time while they were computed again. */
  readonly staleHits: number;
  /** Computed. */
  readonly misses: number;
  /** Waited for the same query already under way. */
  readonly joins: number;
  /** Share 0..1 of queries that cost no computation of their own: (hits + joins) / total; 0 before the first. */
  readonly hitRate: number;
  readonly cacheSize: number;
  readonly cacheBytes: number;
  readonly maxBytes: number;
  readonly inFlight: number;
  /** Results that left for want of room. */
  readonly evictions: number;
  /** Results computed but not kept: invalidated meanwhile, or larger than the cache. */
  readonly notKept: number;
  /** Computations behind a hit, and prefetches, begun and left undone for want of a slot. */
  readonly background: { readonly begun: number; readonly failed: number; readonly leftUndone: number };
}

interface Entry {
  readonly shared: SharedValue;
  readonly failed: boolean;
  readonly namespace: string;
  readonly key: string;
  readonly tags: readonly string[];
  /** On the monotonic clock. */
  readonly keptAt: number;
  readonly freshUntil: number;
  readonly staleUntil: number;
}

interface OpenFlight {
  readonly flight: Flight<SharedValue>;
  readonly namespace: string;
  readonly key: string;
  readonly tags: readonly string[];
}

/** Bytes of an entry beside its value and key: the entry, its place in the cache and in its namespace. */
const entryBytes = 200;

type Settings = { readonly [K in keyof QueryOptimizerOptions]-?: NonNullable<QueryOptimizerOptions[K]> };

function atLeast(value: number, minimum: number, name: string): number {
  if (!(value >= minimum))
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Expected ${name} as a number of at least ${minimum}, got ${value}.`,
      { details: { argument: name } },
    );
  return value;
}

function share(value: number, name: string): number {
  if (!(value >= 0 && value <= 1))
    throw new StrataError("INVALID_ARGUMENT", `Expected ${name} as a number from 0 to 1, got ${value}.`, {
      details: { argument: name },
    });
  return value;
}

function checkSettings(options: QueryOptimizerOptions): Settings {
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
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  };
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0);
}

/**
 * Makes a repeated query cost nothing: results are kept, least recently used ones leave first; equal queries at once
 * are computed once; what a caller gets it cannot change for the others.
 *
 * @example
 * ```ts
 * const queries = new QueryOptimizer({ ttlMs: 60_000 });
 * const user = await queries.executeQuery("user:7", async () => ({ id: 7, name: "Ada" }));
 * queries.invalidateCache("user:7");
 * await queries.close();
 * ```
 */
export class QueryOptimizer {
  readonly #settings: Settings;
  readonly #entries: LRUCache<string, Entry>;
  readonly #flights = new Map<string, OpenFlight>();
  /** Full keys by namespace, so that a namespace's invalidation costs what it holds. */
  readonly #byNamespace = new Map<string, Set<string>>();
  #background = 0;
  #closed = false;
  readonly #counts = {
    total: 0,
    hits: 0,
    stale: 0,
    misses: 0,
    joins: 0,
    evictions: 0,
    notKept: 0,
    begun: 0,
    failed: 0,
    leftUndone: 0,
  };

  /** @throws INVALID_ARGUMENT */
  constructor(options: QueryOptimizerOptions = {}) {
    this.#settings = checkSettings(options);
    this.#entries = new LRUCache<string, Entry>({
      max: Math.floor(this.#settings.maxEntries),
      maxSize: Math.floor(this.#settings.maxBytes),
      sizeCalculation: (entry, fullKey) => entryBytes + 2 * fullKey.length + entry.shared.bytes,
      dispose: (entry, fullKey, reason) => this.#removed(entry, fullKey, reason),
    });
  }

  /**
   * The result of the query: kept, waited for, or computed by `work`.
   * @param key Everything the result depends on beside its namespace.
   * @throws what `work` throws, to every caller that waits for it; the signal's reason; CLOSED
   */
  executeQuery<T>(key: string, work: QueryFunction<T>, options: QueryOptions<T> = {}): Promise<T> {
    if (this.#closed) return Promise.reject(new StrataError("CLOSED", "This query optimizer was closed."));
    if (options.signal?.aborted) return Promise.reject(options.signal.reason);
    this.#counts.total += 1;
    const fullKey = `${options.namespace ?? ""}\0${key}`;
    const entry = this.#entries.get(fullKey);
    if (entry) {
      const now = this.#settings.clock.monotonic();
      if (now < entry.freshUntil) return this.#hit(entry, fullKey, now, work, options);
      if (now < entry.staleUntil) {
        this.#counts.stale += 1;
        this.#computeBehind(fullKey, key, work, options);
        return this.#give(entry);
      }
      this.#entries.delete(fullKey);
    }
    const open = this.#flights.get(fullKey);
    if (open && !open.flight.abandoned) {
      this.#counts.joins += 1;
      return open.flight.join(options.signal).then((shared) => shared.give() as T);
    }
    this.#counts.misses += 1;
    const flight = this.#begin(fullKey, key, work, options);
    return flight.join(options.signal).then((shared) => shared.give() as T);
  }

  /** Computes a query that somebody will probably ask, unless it is there, under way, or no background slot is free. */
  prefetch<T>(key: string, work: QueryFunction<T>, options: QueryOptions<T> = {}): boolean {
    const fullKey = `${options.namespace ?? ""}\0${key}`;
    const entry = this.#entries.peek(fullKey);
    if (this.#closed || (entry && this.#settings.clock.monotonic() < entry.freshUntil)) return false;
    return this.#computeBehind(fullKey, key, work, options);
  }

  /**
   * Drops kept results, and keeps those under way from being kept. Without an argument all of them; a string is one
   * key of the namespace "".
   * @returns How many kept results were dropped.
   */
  invalidateCache(which?: string | CacheSelector): number {
    const matches = matcher(which);
    for (const [fullKey, open] of this.#flights) {
      if (!matches(open)) continue;
      open.flight.invalidate();
      this.#flights.delete(fullKey);
    }
    const namespace = typeof which === "object" ? which.namespace : undefined;
    const candidates =
      namespace === undefined ? [...this.#entries.keys()] : [...(this.#byNamespace.get(namespace) ?? [])];
    const dropped = candidates.filter((fullKey) => matches(this.#entries.peek(fullKey)!));
    for (const fullKey of dropped) this.#entries.delete(fullKey);
    return dropped.length;
  }

  getStats(): QueryStats {
    const { total, hits, stale, misses, joins, evictions, notKept, begun, failed, leftUndone } = this.#counts;
    return {
      totalQueries: total,
      hits: hits + stale,
      staleHits: stale,
      misses,
      joins,
      hitRate: total === 0 ? 0 : (hits + stale + joins) / total,
      cacheSize: this.#entries.size,
      cacheBytes: this.#entries.calculatedSize,
      maxBytes: this.#settings.maxBytes,
      inFlight: this.#flights.size,
      evictions,
      notKept,
      background: { begun, failed, leftUndone },
    };
  }

  /** Rejects everyone who waits, with CLOSED, aborts their work and drops all results. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    const reason = new StrataError("CLOSED", "The query optimizer was closed while the query was under way.");
    for (const { flight } of this.#flights.values()) flight.abort(reason);
    this.#flights.clear();
    this.#entries.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #hit<T>(
    entry: Entry,
    fullKey: string,
    now: number,
    work: QueryFunction<T>,
    options: QueryOptions<T>,
  ): Promise<T> {
    this.#counts.hits += 1;
    const { refreshAhead } = this.#settings;
    const left = (entry.freshUntil - now) / (entry.freshUntil - entry.keptAt);
    if (refreshAhead > 0 && left < refreshAhead) this.#computeBehind(fullKey, entry.key, work, options);
    return this.#give(entry);
  }

  #give<T>(entry: Entry): Promise<T> {
    return entry.failed ? Promise.reject(entry.shared.give()) : Promise.resolve(entry.shared.give() as T);
  }

  #computeBehind<T>(fullKey: string, key: string, work: QueryFunction<T>, options: QueryOptions<T>): boolean {
    if (this.#flights.has(fullKey)) return false;
    if (this.#background >= this.#settings.maxBackground) {
      this.#counts.leftUndone += 1;
      return false;
    }
    this.#background += 1;
    this.#counts.begun += 1;
    const flight = this.#begin(fullKey, key, work, { ...options, signal: undefined });
    const failed = (): void => {
      this.#counts.failed += 1;
    };
    flight
      .join(undefined)
      .then(undefined, failed)
      .finally(() => {
        this.#background -= 1;
      });
    return true;
  }

  #begin<T>(
    fullKey: string,
    key: string,
    work: QueryFunction<T>,
    options: QueryOptions<T>,
  ): Flight<SharedValue> {
    const namespace = options.namespace ?? "";
    const tags = options.tags ?? [];
    const flight: Flight<SharedValue> = new Flight(async (signal) => {
      try {
        // Even work that throws at once must land after its flight is open.
        const value = await (async () => work(signal))();
        const shared = shareValue(value);
        const times = this.#times(value, options);
        this.#land(fullKey, flight, { shared, failed: false, namespace, key, tags }, times);
        return shared;
      } catch (error) {
        const shared: SharedValue = { give: () => error, bytes: entryBytes };
        this.#land(
          fullKey,
          flight,
          { shared, failed: true, namespace, key, tags },
          { ttlMs: this.#settings.errorTtlMs, staleMs: 0 },
        );
        throw error;
      }
    });
    this.#flights.set(fullKey, { flight, namespace, key, tags });
    return flight;
  }

  /** How long a result is fresh, and how long it is given at all. */
  #times<T>(value: T, options: QueryOptions<T>): { ttlMs: number; staleMs: number } {
    const { ttlMs, emptyTtlMs, ttlJitter, staleMs, clock, random } = this.#settings;
    const full = options.ttlMs ?? (isEmpty(value) ? emptyTtlMs : ttlMs);
    const jittered = full * (1 - ttlJitter * random());
    const expiresAt = options.expiresAt?.(value);
    const truthMs = expiresAt === undefined ? Number.POSITIVE_INFINITY : expiresAt - clock.now();
    return {
      ttlMs: Math.min(jittered, truthMs),
      staleMs: Math.max(0, Math.min(staleMs, truthMs - jittered)),
    };
  }

  /** Ends a flight: its result is kept unless something made it worthless meanwhile. */
  #land(
    fullKey: string,
    flight: Flight<SharedValue>,
    result: Pick<Entry, "shared" | "failed" | "namespace" | "key" | "tags">,
    { ttlMs, staleMs }: { ttlMs: number; staleMs: number },
  ): void {
    if (this.#flights.get(fullKey)?.flight === flight) this.#flights.delete(fullKey);
    const kept = !flight.invalidated && !flight.abandoned && !this.#closed;
    if (!kept || !(ttlMs > 0)) {
      if (!result.failed) this.#counts.notKept += 1;
      return;
    }
    const keptAt = this.#settings.clock.monotonic();
    const freshUntil = keptAt + ttlMs;
    const staleUntil = freshUntil + staleMs;
    this.#entries.set(fullKey, { ...result, keptAt, freshUntil, staleUntil });
    if (!this.#entries.has(fullKey)) {
      this.#counts.notKept += 1;
      return;
    }
    const keys = this.#byNamespace.get(result.namespace) ?? new Set();
    this.#byNamespace.set(result.namespace, keys.add(fullKey));
  }

  #removed(entry: Entry, fullKey: string, reason: string): void {
    if (reason === "evict") this.#counts.evictions += 1;
    const keys = this.#byNamespace.get(entry.namespace);
    keys?.delete(fullKey);
    if (keys?.size === 0) this.#byNamespace.delete(entry.namespace);
  }
}

function matcher(
  which: string | CacheSelector | undefined,
): (query: Pick<Entry, "namespace" | "key" | "tags">) => boolean {
  if (which === undefined) return () => true;
  if (typeof which === "string") return ({ namespace, key }) => namespace === "" && key === which;
  const { namespace, prefix, tag } = which;
  return (query) =>
    (namespace === undefined || query.namespace === namespace) &&
    (prefix === undefined || query.key.startsWith(prefix)) &&
    (tag === undefined || query.tags.includes(tag));
}
