import { dayMs, isAtLeast, relevanceKeys, relevanceOffset, utcDay } from "../contract/relevance.ts";
import { type Tier, type TierTable, tiers } from "../contract/tier.ts";
import { restsUntil } from "./demotion-policy.ts";

/** What is known of an entry whose future is told. */
export interface LivingEntry {
  readonly tier: Tier;
  readonly importance: number;
  readonly accessCount: number;
  readonly lastUsedAt: number;
  readonly expiresAt?: number | undefined;
  readonly pinned: boolean;
  /** A document, or a part of one. */
  readonly document: boolean;
}

/** How a namespace is tended. */
export interface TendingRules {
  readonly consolidationThreshold: number;
  readonly demotionThreshold: number;
  readonly decayRate: number;
  readonly limits: TierTable;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** What would happen to an entry next if nobody used it, or if it were used. */
export interface NextMove {
  readonly kind: "promote" | "demote" | "expire" | "stay";
  /** Where it would go. */
  readonly to?: Tier;
  /** From when on, in milliseconds since 1970; of what depends on uses, absent. */
  readonly at?: number;
  /** Uses in all at which it would be promoted, the last of them on the day of the pass. */
  readonly uses?: number;
}

/** What the built-in policies would do with an entry, by ascending time. Pure. */
export function nextMoves(entry: LivingEntry, rules: TendingRules): NextMove[] {
  if (entry.pinned) return [{ kind: "stay" }];
  const moves: NextMove[] = [];
  const expires = entry.expiresAt !== undefined && { kind: "expire" as const, at: entry.expiresAt };
  const promotion = nextPromotion(entry, rules);
  const demotion = nextDemotion(entry, rules);
  if (promotion) moves.push(promotion);
  if (demotion && (!expires || demotion.at! < expires.at)) moves.push(demotion);
  if (expires) moves.push(expires);
  return moves.length === 0 ? [{ kind: "stay" }] : moves;
}

const tolerance = 1e-9;

function nextPromotion(entry: LivingEntry, rules: TendingRules): NextMove | undefined {
  const to = tiers[tiers.indexOf(entry.tier) + 1];
  if (to === undefined) return undefined;
  const { now, decayRate, consolidationThreshold } = rules;
  const offset = relevanceOffset(utcDay(now), decayRate);
  const isRelevant = (accessCount: number, lastUsedAt: number): boolean => {
    const keys = relevanceKeys({ importance: entry.importance, accessCount, lastUsedAt }, decayRate);
    return isAtLeast(keys, consolidationThreshold - tolerance, offset);
  };
  if (isRelevant(entry.accessCount, entry.lastUsedAt)) return { kind: "promote", to, at: now };
  // More than ten uses count as ten.
  for (let uses = entry.accessCount + 1; uses <= Math.max(10, entry.accessCount + 1); uses++) {
    if (isRelevant(uses, now)) return { kind: "promote", to, uses };
  }
  return undefined;
}

function nextDemotion(entry: LivingEntry, rules: TendingRules): NextMove | undefined {
  const { limits, now, decayRate, demotionThreshold } = rules;
  const to = tiers[tiers.indexOf(entry.tier) - 1];
  const stays = entry.document || entry.tier === "semantic" || limits[entry.tier].ttlSeconds === 0;
  if (to === undefined || stays) return undefined;
  const keys = relevanceKeys(entry, decayRate);
  if (keys.b >= demotionThreshold || decayRate === 0) return undefined;
  const today = utcDay(now);
  const lastDay = Math.max(today, utcDay(entry.lastUsedAt)) + Math.ceil(1 / decayRate) + 1;
  for (let day = today; day <= lastDay; day++) {
    if (isAtLeast(keys, demotionThreshold, relevanceOffset(day, decayRate))) continue;
    const at = Math.max(now, day * dayMs, restsUntil(entry, limits));
    return { kind: "demote", to, at };
  }
  return undefined;
}
