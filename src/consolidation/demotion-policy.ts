import type { Candidate } from "../contract/consolidation.ts";
import { isAtLeast, relevance, relevanceOffset, utcDay } from "../contract/relevance.ts";
import { type Tier, type TierTable, tiers } from "../contract/tier.ts";
import { formatRelevance, type MoveContext, type MovePolicy, type MoveRoute } from "./move-policy.ts";
import { age, uses } from "./promotion-policy.ts";

/**
 * Demotes memories that are less relevant than `threshold`, least relevant first, one tier down: only from tiers with
 * a time to live, so never from semantic as it is by default, and never documents. Its time to live in the lower tier
 * starts at the move. A memory that went down already since its last use goes on only when half of the lower tier's
 * time is over: without that, a month of life would be an hour within three passes.
 */
export function demotionPolicy(threshold: number): MovePolicy {
  return {
    kind: "demote",
    range: { side: "below", threshold, memoriesOnly: true },
    routes: downward,
    judge: (entry, context) => reasonToDemote(entry, context, threshold),
  };
}

function downward(limits: TierTable): MoveRoute[] {
  const steps = tiers.slice(1).map((from, below) => ({ from, to: tiers[below]! }));
  return steps.filter(({ from }) => from !== "semantic" && limits[from].ttlSeconds > 0);
}

function reasonToDemote(entry: Candidate, context: MoveContext, threshold: number): string | undefined {
  const { decayRate, now, limits, from } = context;
  const today = utcDay(now);
  const offset = relevanceOffset(today, decayRate);
  if (entry.document || isAtLeast(entry.keys, threshold, offset)) return undefined;
  if (now < restsUntil(entry, limits)) return undefined;
  const figure = formatRelevance(relevance(entry.keys, offset));
  return `relevance ${figure}, below ${threshold}: importance ${entry.importance}, ${uses(entry.accessCount)}, ${age(today - utcDay(entry.lastUsedAt))}, in ${from}`;
}

/** What {@link restsUntil} reads of a memory. */
export interface Resting {
  readonly tier: Tier;
  readonly lastUsedAt: number;
  readonly expiresAt?: number | undefined;
}

/** When a memory that was moved since its last use may go down further; 0: at once. */
export function restsUntil(entry: Resting, limits: TierTable): number {
  const ttlMs = limits[entry.tier].ttlSeconds * 1_000;
  if (entry.expiresAt === undefined || ttlMs === 0) return 0;
  const movedAt = entry.expiresAt - ttlMs;
  return movedAt > entry.lastUsedAt ? movedAt + ttlMs / 2 : 0;
}
