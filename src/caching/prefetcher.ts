import { StrataError } from "../contract/errors.ts";
import { QueryPredictor, type QueryPredictorOptions } from "./query-predictor.ts";

export interface PrefetcherOptions extends QueryPredictorOptions {
  /** Fetch only what is at least this probable, 0..1. Default .3. */
  readonly minProbability?: number | undefined;
  /** Fetches after one query. Default 2. */
  readonly maxPerQuery?: number | undefined;
  /** Switch off while a smaller share 0..1 of what was fetched is used. Default .3. */
  readonly minPrecision?: number | undefined;
}

export interface PrefetchStats {
  /** Queries fetched ahead. */
  readonly issued: number;
  /** Of these, asked for while the result was kept or under way. */
  readonly used: number;
  /** Of these, gone from the cache before anybody asked, or followed by 256 others that nobody has asked for either. */
  readonly wasted: number;
  /** used / (used + wasted), 0..1; 0 before the first is known. */
  readonly precision: number;
  /** Share 0..1 of all queries that had been fetched ahead. */
  readonly coverage: number;
  /** Share 0..1 of the fetched that were wasted. */
  readonly waste: number;
  /** False while too little of what is fetched is used. */
  readonly on: boolean;
}

/** Outcomes the precision that switches is taken over. */
const judged = 50;
/** Fetches nobody has asked for yet; the oldest of more counts as wasted, so that the judgement is never far behind. */
const maxPending = 256;
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
  /** 1 for a used fetch and 0 for a wasted one, the newest last. */
  readonly #outcomes: number[] = [];
  #usedOfJudged = 0;
  /** In the order they began. */
  readonly #pending = new Set<string>();
  #queries = 0;
  #issued = 0;
  #used = 0;
  #wasted = 0;
  #skipped = 0;

  /** @throws INVALID_ARGUMENT */
  constructor(options: PrefetcherOptions = {}) {
    const { minProbability = 0.3, maxPerQuery = 2, minPrecision = 0.3 } = options;
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
  }

  /** Tells that a session asked a query. @returns What to fetch now, the most probable first. */
  observe(session: string, key: string): string[] {
    this.#queries += 1;
    this.#predictor.observe(session, key);
    return this.#predictor
      .predict(session, this.#maxPerQuery)
      .filter((next) => next.probability >= this.#minProbability && next.key !== key)
      .map((next) => next.key);
  }

  /** Whether to fetch one more. */
  allows(): boolean {
    if (this.#on) return true;
    this.#skipped += 1;
    return this.#skipped % probeEvery === 0;
  }

  /** Tells that a fetch has begun. */
  begun(key: string): void {
    this.#issued += 1;
    this.#pending.add(key);
    const [oldest] = this.#pending;
    if (this.#pending.size > maxPending) this.settle(oldest!, "wasted");
  }

  /** Tells what became of a query: nothing to learn from unless it was fetched ahead. */
  settle(key: string, outcome: "used" | "wasted"): void {
    if (!this.#pending.delete(key)) return;
    const used = outcome === "used" ? 1 : 0;
    this.#used += used;
    this.#wasted += 1 - used;
    this.#outcomes.push(used);
    this.#usedOfJudged += used;
    if (this.#outcomes.length > judged) this.#usedOfJudged -= this.#outcomes.shift()!;
  }

  /** Forgets which queries there were. */
  clear(): void {
    this.#predictor.clear();
  }

  getStats(): PrefetchStats {
    const known = this.#used + this.#wasted;
    return {
      issued: this.#issued,
      used: this.#used,
      wasted: this.#wasted,
      precision: known === 0 ? 0 : this.#used / known,
      coverage: this.#queries === 0 ? 0 : this.#used / this.#queries,
      waste: this.#issued === 0 ? 0 : this.#wasted / this.#issued,
      on: this.#on,
    };
  }

  get #on(): boolean {
    return this.#outcomes.length < judged || this.#usedOfJudged / judged >= this.#minPrecision;
  }
}
