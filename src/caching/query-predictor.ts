import { LRUCache } from "lru-cache";
import { StrataError } from "../contract/errors.ts";

export interface QueryPredictorOptions {
  /** Most contexts remembered, of one query and of two. Default 10,000. */
  readonly maxContexts?: number | undefined;
  /** Most sessions whose last two queries are remembered. Default 1,000. */
  readonly maxSessions?: number | undefined;
  /** Most bytes of keys remembered, estimated. Default 16 MiB. */
  readonly maxBytes?: number | undefined;
}

/** A query that will probably come next. */
export interface Prediction {
  readonly key: string;
  /** Estimated probability 0..1. */
  readonly probability: number;
}

/** What followed a context, and how often, old times counting less. */
interface Successors {
  readonly weights: Map<string, number>;
  total: number;
}

/** Followers remembered of one context. */
const maxSuccessors = 8;
/** What each newer time takes from the weight of the older ones. */
const decay = 0.9;
/** Times a context counts as seen without a follower: a context seen once is no certainty. */
const doubt = 1;
/** Bytes of a remembered key beside its characters. */
const keyBytes = 64;

/**
 * Learns which query follows which in a session: contexts of the last query and of the last two (prediction by partial
 * matching, Cleary and Witten 1984), with decay, in bounded memory.
 */
export class QueryPredictor {
  readonly #contexts: LRUCache<string, Successors>;
  readonly #sessions: LRUCache<string, readonly string[]>;

  /** @throws INVALID_ARGUMENT */
  constructor(options: QueryPredictorOptions = {}) {
    const { maxContexts = 10_000, maxSessions = 1_000, maxBytes = 16 * 2 ** 20 } = options;
    if (!(maxContexts >= 1) || !(maxSessions >= 1) || !(maxBytes >= 10)) {
      throw new StrataError(
        "INVALID_ARGUMENT",
        "Expected maxContexts and maxSessions as numbers of at least 1, maxBytes of at least 10.",
      );
    }
    this.#contexts = new LRUCache({
      max: Math.floor(maxContexts),
      maxSize: Math.floor(maxBytes * 0.9),
      sizeCalculation: ({ weights }, name) => bytesOf([name, ...weights.keys()]),
    });
    this.#sessions = new LRUCache({
      max: Math.floor(maxSessions),
      maxSize: Math.floor(maxBytes * 0.1),
      sizeCalculation: (last, name) => bytesOf([name, ...last]),
    });
  }

  /** Tells that a session asked a query. */
  observe(session: string, key: string): void {
    const last = this.#sessions.get(session) ?? [];
    for (const context of contextsOf(last)) this.#learn(context, key);
    this.#sessions.set(session, [...last, key].slice(-2));
  }

  /** The most probable next queries of a session, best first; the longer context speaks where it knows something. */
  predict(session: string, limit: number): Prediction[] {
    const last = this.#sessions.get(session) ?? [];
    for (const context of contextsOf(last)) {
      const successors = this.#contexts.get(context);
      if (!successors) continue;
      const total = successors.total + doubt;
      const ranked = [...successors.weights].sort(([, a], [, b]) => b - a).slice(0, limit);
      return ranked.map(([key, weight]) => ({ key, probability: weight / total }));
    }
    return [];
  }

  /** Forgets everything it learnt of queries. */
  clear(): void {
    this.#contexts.clear();
    this.#sessions.clear();
  }

  #learn(context: string, key: string): void {
    const { weights, total } = this.#contexts.get(context) ?? {
      weights: new Map<string, number>(),
      total: 0,
    };
    for (const [other, weight] of weights) weights.set(other, weight * decay);
    weights.set(key, (weights.get(key) ?? 0) + 1);
    if (weights.size > maxSuccessors) weights.delete(lightest(weights));
    // A new object: the cache measures only what it does not hold already.
    this.#contexts.set(context, { weights, total: total * decay + 1 });
  }
}

function bytesOf(keys: readonly string[]): number {
  return keys.reduce((sum, key) => sum + keyBytes + 2 * key.length, 0);
}

/** Names of the contexts that end here, the longer first. */
function contextsOf(last: readonly string[]): string[] {
  const [before, now] = last.length === 2 ? last : [undefined, last[0]];
  if (now === undefined) return [];
  return before === undefined ? [`1\0${now}`] : [`2\0${before.length}\0${before}${now}`, `1\0${now}`];
}

function lightest(weights: ReadonlyMap<string, number>): string {
  let [least] = weights.keys();
  for (const [key, weight] of weights) if (weight < weights.get(least!)!) least = key;
  return least!;
}
