import { StrataError } from "../contract/errors.ts";
import type { GhostDepths } from "../contract/ghost-stack.ts";
import { Flight } from "./flight.ts";
import { Prefetcher } from "./prefetcher.ts";
import {
  checkSettings,
  type PredictedQuery,
  type PreparedQuery,
  type QueryFunction,
  type QueryOptimizerOptions,
  type QueryOptions,
  type Settings,
} from "./query-optimizer-options.ts";
import { noCounts, type QueryCounts, type QueryStats } from "./query-stats.ts";
import {
  type CacheSelector,
  type KeptResult,
  matches,
  nameOf,
  type QueryName,
  ResultCache,
} from "./result-cache.ts";
import { type SharedValue, shareValue } from "./shared-value.ts";

/** A query under way, that others may join. */
interface OpenFlight extends QueryName {
  readonly name: string;
  readonly generation: string | undefined;
  readonly flight: Flight<SharedValue>;
  /** What it works on changed meanwhile: its callers get the result, but nobody may keep it. */
  invalidated: boolean;
}

/** A query that will probably be asked, waiting for a moment when nobody waits. */
interface Wanted {
  readonly namespace: string;
  readonly key: string;
  readonly generation: string | undefined;
}

/** Predicted queries that wait; the oldest of more is given up. */
const maxWanted = 16;

/**
 * Makes a repeated query cost nothing: results are kept, least recently used ones leave first; equal queries at once
 * are computed once; what a caller gets it cannot change for the others: plain data is frozen, maps, sets, dates and
 * binary data are copied for each caller, and what can be neither is never kept.
 *
 * @example
 * ```ts
 * const queries = new QueryOptimizer({ ttlMs: 60_000 });
 * const answer = await queries.executeQuery("greeting:7", async () => ({ text: "hello" }));
 * console.log(answer.text, queries.getStats().hitRate);
 * queries.invalidateCache({ prefix: "greeting:" });
 * await queries.close();
 * ```
 */
export class QueryOptimizer {
  readonly #settings: Settings;
  readonly #results: ResultCache;
  readonly #prefetcher: Prefetcher | undefined;
  /** The newest flight of each name. */
  readonly #flights = new Map<string, OpenFlight>();
  /** All that are under way, those of callers who wanted no cache and those overtaken by a write included. */
  readonly #underWay = new Set<{ abort(reason: unknown): void }>();
  readonly #wanted = new Map<string, Wanted>();
  readonly #counts: QueryCounts = noCounts();
  #background = 0;
  #closed = false;

  /** @throws INVALID_ARGUMENT */
  constructor(options: QueryOptimizerOptions = {}) {
    this.#settings = checkSettings(options);
    const { maxEntries, maxBytes, prefetch } = this.#settings;
    this.#prefetcher = prefetch && new Prefetcher(prefetch);
    this.#results = new ResultCache(maxEntries, maxBytes, (name) => this.#prefetcher?.settle(name, "wasted"));
  }

  /**
   * The result of the query: kept, waited for, or computed by `work`.
   * @param key Everything the result depends on beside its namespace and generation.
   * @throws what `work` throws, to every caller that waits for it; the signal's reason; CLOSED
   */
  executeQuery<T>(key: string, work: QueryFunction<T>, options: QueryOptions<T> = {}): Promise<T> {
    if (this.#closed) return Promise.reject(new StrataError("CLOSED", "This query optimizer was closed."));
    if (options.signal?.aborted) return Promise.reject(options.signal.reason);
    this.#counts.total += 1;
    if (options.cache === false) return this.#bypass(work, options);
    const name = nameOf(options.namespace ?? "", key);
    const answer =
      this.#fromKept(name, key, work, options) ??
      this.#fromFlight<T>(name, options) ??
      this.#compute(name, key, work, options);
    if (this.#prefetcher) this.#lookAhead(this.#prefetcher, name, options);
    return answer;
  }

  /**
   * Computes a query that somebody will probably ask.
   * @returns False when it is there, or under way, or no background slot is free.
   */
  prefetch<T>(key: string, work: QueryFunction<T>, options: QueryOptions<T> = {}): boolean {
    if (this.#closed) return false;
    const name = nameOf(options.namespace ?? "", key);
    const kept = this.#results.peek(name);
    if (kept && kept.generation === options.generation && this.#isFresh(kept)) return false;
    return this.#computeBehind(name, key, work, options);
  }

  /**
   * Drops kept results, and keeps those under way from being kept. Without an argument all of them; a string is one
   * key of the namespace "".
   * @returns How many kept results were dropped.
   */
  invalidateCache(which: string | CacheSelector = {}): number {
    const selector = typeof which === "string" ? { namespace: "", key: which } : which;
    for (const open of this.#flights.values()) {
      if (!matches(selector, open)) continue;
      open.invalidated = true;
      this.#flights.delete(open.name);
    }
    return this.#results.deleteMatching(selector);
  }

  getStats(): QueryStats {
    const { total, hits, stale, misses, outdated, joins, bypassed, notKept, begun, failed, leftUndone } =
      this.#counts;
    const asked = hits + stale + joins + misses;
    return {
      totalQueries: total,
      hits: hits + stale,
      staleHits: stale,
      misses,
      outdated,
      joins,
      bypassed,
      hitRate: asked === 0 ? 0 : (hits + stale + joins) / asked,
      cacheSize: this.#results.size,
      maxEntries: this.#settings.maxEntries,
      cacheBytes: this.#results.bytes,
      maxBytes: this.#results.maxBytes,
      computedMs: this.#counts.computedMs,
      inFlight: this.#underWay.size,
      evictions: this.#results.evictions,
      notKept,
      background: { begun, failed, leftUndone },
      ...(this.#prefetcher && { prefetch: this.#prefetcher.getStats() }),
    };
  }

  /** Keeps to another bound on bytes from now on; what is too much leaves at once. @throws INVALID_ARGUMENT */
  resize(maxBytes: number): void {
    this.#results.resize(checkSettings({ maxBytes }).maxBytes);
  }

  /** From now on {@link takeDepths} tells which sizes of up to so many bytes would have answered. */
  watchDepths(maxBytes: number): void {
    this.#results.watchDepths(maxBytes);
  }

  /** Look-ups since the last call, by the size of a cache that would have answered; undefined while nobody watches. */
  takeDepths(): GhostDepths | undefined {
    return this.#results.takeDepths();
  }

  /** Rejects everyone who waits, with CLOSED, aborts their work and drops all results. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    const reason = new StrataError("CLOSED", "The query optimizer was closed while the query was under way.");
    for (const flight of this.#underWay) flight.abort(reason);
    this.#flights.clear();
    this.#wanted.clear();
    this.#results.deleteMatching({});
    this.#prefetcher?.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #fromKept<T>(
    name: string,
    key: string,
    work: QueryFunction<T>,
    options: QueryOptions<T>,
  ): Promise<T> | undefined {
    const kept = this.#results.get(name);
    if (!kept) return undefined;
    const { refreshAhead, clock } = this.#settings;
    const now = options.now ?? clock.monotonic();
    const isCurrent = kept.generation === options.generation && this.#isTrue(kept) && now < kept.staleUntil;
    if (!isCurrent) {
      if (kept.generation !== options.generation) this.#counts.outdated += 1;
      this.#results.delete(name);
      return undefined;
    }
    const isFresh = now < kept.freshUntil;
    if (isFresh) this.#counts.hits += 1;
    else this.#counts.stale += 1;
    const left = (kept.freshUntil - now) / (kept.freshUntil - kept.keptAt);
    const isPopular = kept.uses > 0;
    if (!isFresh || (refreshAhead > 0 && left < refreshAhead && isPopular))
      this.#computeBehind(name, key, work, options);
    kept.uses += 1;
    this.#results.answered(kept);
    this.#prefetcher?.settle(name, "used");
    options.onPath?.(isFresh ? "hit" : "stale");
    return kept.failed ? Promise.reject(kept.shared.give()) : Promise.resolve(kept.shared.give() as T);
  }

  #fromFlight<T>(name: string, options: QueryOptions<T>): Promise<T> | undefined {
    const open = this.#flights.get(name);
    if (!open) return undefined;
    if (open.generation !== options.generation) {
      // Begun on an older state, or on a newer one: the caller at hand knows only that it is not its own.
      open.invalidated = true;
      this.#flights.delete(name);
      return undefined;
    }
    this.#counts.joins += 1;
    this.#prefetcher?.settle(name, "used");
    options.onPath?.("joined");
    return given<T>(open.flight, options.signal);
  }

  #compute<T>(name: string, key: string, work: QueryFunction<T>, options: QueryOptions<T>): Promise<T> {
    this.#counts.misses += 1;
    options.onPath?.("miss");
    return given<T>(this.#begin(name, key, work, options), options.signal);
  }

  /** Computes for one caller alone: nobody joins, nothing is kept or frozen. */
  #bypass<T>(work: QueryFunction<T>, { signal, onPath }: QueryOptions<T>): Promise<T> {
    this.#counts.bypassed += 1;
    onPath?.("off");
    const flight: Flight<T> = new Flight(
      async (aborted) => {
        try {
          return await (async () => work(aborted))();
        } finally {
          this.#underWay.delete(flight);
        }
      },
      () => this.#underWay.delete(flight),
    );
    this.#underWay.add(flight);
    return flight.join(signal);
  }

  /** Asked for by nobody: in a slot of the background, and never a caller's failure. */
  #computeBehind<T>(name: string, key: string, work: QueryFunction<T>, options: QueryOptions<T>): boolean {
    const open = this.#flights.get(name);
    if (open && open.generation === options.generation) return false;
    if (this.#background >= this.#settings.maxBackground) {
      this.#counts.leftUndone += 1;
      return false;
    }
    this.#background += 1;
    this.#counts.begun += 1;
    const ended = (): void => {
      this.#background -= 1;
      this.#fetchWanted();
    };
    this.#begin(name, key, work, options)
      .join(undefined)
      .then(ended, () => {
        this.#counts.failed += 1;
        ended();
      });
    return true;
  }

  #begin<T>(
    name: string,
    key: string,
    work: QueryFunction<T>,
    options: QueryOptions<T>,
  ): Flight<SharedValue> {
    const { namespace = "", tags = [], generation, ttlMs, expiresAt } = options;
    const begun = this.#settings.clock.monotonic();
    const flight = new Flight<SharedValue>(
      async (signal) => {
        try {
          // Even work that throws at once must land after its flight is open.
          const value = await (async () => work(signal))();
          this.#counts.computedMs += this.#settings.clock.monotonic() - begun;
          const shared = shareValue(value);
          this.#land(open, shared, false, this.#timesOf(value, { ttlMs, expiresAt }));
          return shared;
        } catch (error) {
          const shared: SharedValue = { give: () => error, bytes: errorBytes, isolated: true };
          const truth = {
            freshMs: this.#settings.errorTtlMs,
            staleMs: 0,
            expiresAt: Number.POSITIVE_INFINITY,
          };
          this.#land(open, shared, true, truth);
          throw error;
        }
      },
      // Work that does not notice that its last caller has left must not be waited for, nor counted.
      () => this.#forget(open),
    );
    const open: OpenFlight = { name, namespace, key, tags, generation, flight, invalidated: false };
    this.#flights.set(name, open);
    this.#underWay.add(flight);
    return flight;
  }

  #timesOf<T>(value: T, options: Pick<QueryOptions<T>, "ttlMs" | "expiresAt">): Times {
    const { ttlMs, emptyTtlMs, ttlJitter, staleMs, clock, random } = this.#settings;
    const fullMs = options.ttlMs ?? (isEmpty(value) ? emptyTtlMs : ttlMs);
    const expiresAt = options.expiresAt?.(value) ?? Number.POSITIVE_INFINITY;
    const trueMs = expiresAt - clock.now();
    return { freshMs: Math.min(fullMs * (1 - ttlJitter * random()), trueMs), staleMs, expiresAt };
  }

  /** Ends a flight: its result is kept unless something made it worthless meanwhile. */
  #land(
    open: OpenFlight,
    shared: SharedValue,
    failed: boolean,
    { freshMs, staleMs, expiresAt }: Times,
  ): void {
    const { name, namespace, key, tags, generation, flight } = open;
    this.#forget(open);
    const keepable =
      !open.invalidated && !flight.abandoned && !this.#closed && shared.isolated && freshMs > 0;
    const keptAt = this.#settings.clock.monotonic();
    const freshUntil = keptAt + freshMs;
    const times = { keptAt, freshUntil, staleUntil: freshUntil + staleMs, expiresAt };
    const kept =
      keepable &&
      this.#results.keep(name, { shared, failed, namespace, key, tags, generation, ...times, uses: 0 });
    if (!kept) this.#prefetcher?.settle(name, "wasted");
    if (!kept && !failed) this.#counts.notKept += 1;
    this.#fetchWanted();
  }

  #forget(open: OpenFlight): void {
    this.#underWay.delete(open.flight);
    if (this.#flights.get(open.name) === open) this.#flights.delete(open.name);
  }

  #isFresh(kept: KeptResult): boolean {
    return this.#settings.clock.monotonic() < kept.freshUntil && this.#isTrue(kept);
  }

  /** Beside the monotonic time, which stands still while a machine sleeps, the moment itself. */
  #isTrue({ expiresAt }: KeptResult): boolean {
    return expiresAt === Number.POSITIVE_INFINITY || this.#settings.clock.now() < expiresAt;
  }

  #lookAhead<T>(prefetcher: Prefetcher, name: string, options: QueryOptions<T>): void {
    const { namespace = "", generation, session = "" } = options;
    // With the namespace in the session's name, what is learnt in one namespace is predicted in no other.
    for (const next of prefetcher.observe(nameOf(namespace, session), name)) {
      this.#wanted.delete(next);
      this.#wanted.set(next, { namespace, key: next.slice(nameOf(namespace, "").length), generation });
    }
    for (const next of this.#wanted.keys()) {
      if (this.#wanted.size <= maxWanted) break;
      this.#wanted.delete(next);
    }
    this.#fetchWanted();
  }

  /** Fetches ahead while nobody waits: the work of a caller always goes first. */
  #fetchWanted(): void {
    const prefetcher = this.#prefetcher;
    if (!prefetcher) return;
    for (const [name, { namespace, key, generation }] of this.#wanted) {
      if (this.#underWay.size > this.#background || this.#background >= this.#settings.maxBackground) return;
      this.#wanted.delete(name);
      const kept = this.#results.peek(name);
      if (kept && kept.generation === generation && this.#isFresh(kept)) continue;
      if (!prefetcher.allows()) continue;
      const prepared = this.#prepare({ namespace, key });
      if (!prepared) continue;
      const { work, ...options } = prepared;
      prefetcher.begun(name);
      this.#computeBehind(name, key, work, { ...options, namespace, generation });
    }
  }

  #prepare(query: PredictedQuery): PreparedQuery<unknown> | undefined {
    try {
      return this.#settings.prefetch?.prepare(query);
    } catch {
      // The caller whose query led here asked for none of this.
      this.#counts.failed += 1;
      return undefined;
    }
  }
}

/** How long a result is fresh and then still given, and when it stops being true. */
interface Times {
  readonly freshMs: number;
  readonly staleMs: number;
  readonly expiresAt: number;
}

/** What an error costs to keep; its stack is most of it. */
const errorBytes = 2_000;

function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0);
}

function given<T>(flight: Flight<SharedValue>, signal: AbortSignal | undefined): Promise<T> {
  return flight.join(signal).then((shared) => shared.give() as T);
}
