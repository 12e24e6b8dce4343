import { LRUCache } from "lru-cache";
import { StrataError } from "../contract/errors.ts";
import { QueryPredictor, type QueryPredictorOptions } from "./query-predictor.ts";

export interface PrefetcherOptions extends QueryPredictorOptions {
  /** Fetch only what is at least this probable, 0..1. Default .3. */
  readonly minProbability?: number | undefined;
  /** Fetches after one query. Default 2. */
  readonly maxPerQuery?: number | undefined;
  /** Switch off while a smaller share 0..1 of what was fetched is used. Default .2. */
  readonly minPrecision?: number | undefined;
}

export interface PrefetchStats {
  /** Queries fetched ahead. */
  readonly issued: number;
  /** Of these, asked for while they were remembered. */
  readonly used: number;
  /** Of these, never asked for. */
  readonly wasted: number;
  /** used / (used + wasted), 0..1; 0 before the first is known. */
  readonly precision: number;
  /** Share 0..1 of all queries that had been fetched ahead. */
  readonly coverage: number;
  /** False while too little of what is fetched is used. */
  readonly on: boolean;
}

/** Fetches remembered as not yet used; an older one that leaves counts as wasted. */
const maxPending = 256;
/** Outcomes the precision that switches is taken over. */
const judged = 100;
/** While off, one in so many chances is still taken, to notice when prediction pays again. */
const probeEvery = 20;

/**
 * Decides after each query what to fetch ahead, and judges itself: it reports precision, coverage and waste, and
 * switches itself off while its precision is too low.
 */
export class Prefetcher {
  readonly #predictor: QueryPredictor;
  readonly #minProbability: number;
  readonly #maxPerQuery: number;
  readonly #minPrecision: number;
  readonly #pending: LRUCache<string, true>;
  /** 1 for a used fetch and 0 for a wasted one, the newest last. */
  readonly #outcomes: number[] = [];
  #counts = { queries: 0, issued: 0, used: 0, wasted: 0, skipped: 0 };

  /** @throws INVALID_ARGUMENT */
  constructor(options: PrefetcherOptions = {}) {
    const { minProbability = 0.3, maxPerQuery = 2, minPrecision = 0.2 } = options;
    const fits =
      [minProbability, minPrecision].every((share) => share >= 0 && share <= 1) && maxPerQuery >= 0;
    if (!fits)
      throw new StrataError(
        "INVALID_ARGUMENT",
        "Expected minProbability and minPrecision from 0 to 1, maxPerQuery of at least 0.",
      );
    this.#predictor = new QueryPredictor(options);
    this.#minProbability = minProbability;
    this.#maxPerQuery = maxPerQuery;
    this.#minPrecision = minPrecision;
    this.#pending = new LRUCache({
      max: maxPending,
      dispose: (_, __, reason) => reason === "evict" && this.#judge(0),
    });
  }

  /**
   * Tells that a session asked a query, and fetches what probably comes next.
   * @param fetch Begins to fetch a query; false when it had nothing to do or no room.
   */
  observe(session: string, key: string, fetch: (key: string) => boolean): void {
    this.#counts.queries += 1;
    if (this.#pending.delete(key)) this.#judge(1);
    this.#predictor.observe(session, key);
    for (const { key: next, probability } of this.#predictor.predict(session, this.#maxPerQuery)) {
      if (probability < this.#minProbability || next === key || this.#pending.has(next) || !this.#taken())
        continue;
      if (!fetch(next)) continue;
      this.#pending.set(next, true);
      this.#counts.issued += 1;
    }
  }

  getStats(): PrefetchStats {
    const { queries, issued, used, wasted } = this.#counts;
    return {
      issued,
      used,
      wasted,
      precision: used + wasted === 0 ? 0 : used / (used + wasted),
      coverage: queries === 0 ? 0 : used / queries,
      on: this.#on,
    };
  }

  get #on(): boolean {
    if (this.#outcomes.length < judged) return true;
    return this.#outcomes.reduce((sum, outcome) => sum + outcome, 0) / judged >= this.#minPrecision;
  }

  #taken(): boolean {
    if (this.#on) return true;
    this.#counts.skipped += 1;
    return this.#counts.skipped % probeEvery === 0;
  }

  #judge(outcome: 0 | 1): void {
    if (outcome === 1) this.#counts.used += 1;
    else this.#counts.wasted += 1;
    this.#outcomes.push(outcome);
    if (this.#outcomes.length > judged) this.#outcomes.shift();
  }
}
