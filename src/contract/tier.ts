/**
 * The five tiers in order of life: a promotion goes one to the right and never shortens a life, a demotion one to
 * the left.
 */
export const tiers = ["working", "short_term", "episodic", "long_term", "semantic"] as const;

/** One of the five tiers. */
export type Tier = (typeof tiers)[number];

/** How long and how much a tier keeps, per namespace. */
export interface TierLimits {
  /** Seconds since last use after which an entry expires; 0: it never expires. */
  readonly ttlSeconds: number;
  /** Entries the tier holds; a document counts as one entry, a pinned entry as none. 0: unlimited. */
  readonly capacity: number;
}

/** Limits of every tier, all of them given. */
export type TierTable = Readonly<Record<Tier, TierLimits>>;

/** The limits a namespace has unless configured otherwise. */
export const defaultTierTable: TierTable = {
  working: { ttlSeconds: 900, capacity: 15 },
  short_term: { ttlSeconds: 3_600, capacity: 100 },
  episodic: { ttlSeconds: 604_800, capacity: 5_000 },
  long_term: { ttlSeconds: 2_592_000, capacity: 10_000 },
  semantic: { ttlSeconds: 0, capacity: 0 },
};

/** True for the name of a tier. */
export function isTier(value: unknown): value is Tier {
  return typeof value === "string" && (tiers as readonly string[]).includes(value);
}
