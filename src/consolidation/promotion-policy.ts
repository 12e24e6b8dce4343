import type { Candidate } from "../contract/consolidation.ts";
import { isAtLeast, relevance, relevanceOffset, utcDay } from "../contract/relevance.ts";
import { type TierTable, tiers } from "../contract/tier.ts";
import { formatRelevance, type MoveContext, type MovePolicy, type MoveRoute } from "./move-policy.ts";

/**
 * What sums in another order may be off by: the keys add up to hundreds, so that a memory which is exactly at the
 * threshold can miss it by a last bit on some days.
 */
const tolerance = 1e-9;

/**
 * Promotes what is relevant at `threshold` or above, most relevant first, one tier up: the upper tiers first, so that
 * nothing climbs twice in one pass, and never into a tier that is set to keep it for less time.
 */
export function promotionPolicy(threshold: number): MovePolicy {
  return {
    kind: "promote",
    range: { side: "at-least", threshold: threshold - tolerance },
    routes: upward,
    judge: (entry, context) => reasonToPromote(entry, context, threshold),
  };
}

function upward(limits: TierTable): MoveRoute[] {
  const steps = tiers.slice(1).map((to, below) => ({ from: tiers[below]!, to }));
  return steps.toReversed().filter(({ from, to }) => {
    const [now, then] = [limits[from].ttlSeconds, limits[to].ttlSeconds];
    return then === 0 || (now !== 0 && then >= now);
  });
}

/**
 * Judged as of the day asked about, or of its last use when that is later: seen from the day before, a use of today
 * would count for more than it is worth.
 */
function reasonToPromote(entry: Candidate, context: MoveContext, threshold: number): string | undefined {
  const { day, decayRate, now } = context;
  const asOf = Math.min(Math.max(day, utcDay(entry.lastUsedAt)), Math.max(day, utcDay(now)));
  const offset = relevanceOffset(asOf, decayRate);
  if (!isAtLeast(entry.keys, threshold - tolerance, offset)) return undefined;
  const figure = formatRelevance(relevance(entry.keys, offset));
  return `relevance ${figure}, at least ${threshold}: importance ${entry.importance}, ${uses(entry.accessCount)}, ${age(utcDay(now) - utcDay(entry.lastUsedAt))}`;
}

/** "1 use", "12 uses" */
export function uses(count: number): string {
  return `${count} ${count === 1 ? "use" : "uses"}`;
}

/** "last used today", "last used 12 days ago" */
export function age(days: number): string {
  if (days <= 0) return "last used today";
  return days === 1 ? "last used yesterday" : `last used ${days} days ago`;
}
