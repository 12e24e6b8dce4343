/** Milliseconds of a UTC day. */
export const dayMs: number = 86_400_000;

/** Weight of recency in the relevance of a memory. */
const recencyWeight = 0.3;

/** What relevance is computed from. */
export interface RelevanceInput {
  /** 0..1. */
  readonly importance: number;
  /** Times the memory was returned by a recall, a search or a get. */
  readonly accessCount: number;
  /** Milliseconds since 1970. */
  readonly lastUsedAt: number;
}

/**
 * The two stored keys of a memory: `b`, what does not fade, and `k = b + 0.3 · decay · last used day`, which orders
 * memories by relevance without knowing today (forward decay: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay",
 * ICDE 2009).
 */
export interface RelevanceKeys {
  readonly b: number;
  readonly k: number;
}

/** The UTC day of a time: whole days since 1970. */
export function utcDay(timeMs: number): number {
  return Math.floor(timeMs / dayMs);
}

/** Keys of a memory; they change with use, importance and `decayRate`, never with the passing of days. */
export function relevanceKeys(input: RelevanceInput, decayRate: number): RelevanceKeys {
  const b = 0.5 * input.importance + 0.2 * Math.min(1, input.accessCount / 10);
  return { b, k: b + recencyWeight * decayRate * utcDay(input.lastUsedAt) };
}

/** What today takes from every `k`: `c = 0.3 · decay · today − 0.3`. */
export function relevanceOffset(today: number, decayRate: number): number {
  return recencyWeight * decayRate * today - recencyWeight;
}

/**
 * Relevance today: `max(b, k − c)`, equal in real numbers to the reference's
 * `0.5 importance + 0.3 max(0, 1 − decay · age in days) + 0.2 min(1, accesses / 10)`.
 */
export function relevance(keys: RelevanceKeys, offset: number): number {
  return Math.max(keys.b, keys.k - offset);
}

/** `relevance ≥ threshold` in the one form used everywhere, so that an index range and a full scan agree to the bit. */
export function isAtLeast(keys: RelevanceKeys, threshold: number, offset: number): boolean {
  return keys.b >= threshold || keys.k >= threshold + offset;
}

/**
 * The last-used day before which an entry is faded: recency adds nothing to it any more. Entries with
 * `utcDay(lastUsedAt) > fadedDay` are fresh; with `decayRate` 0 all are, always.
 */
export function fadedDay(today: number, decayRate: number): number {
  return decayRate === 0 ? Number.NEGATIVE_INFINITY : Math.floor(today - 1 / decayRate);
}
