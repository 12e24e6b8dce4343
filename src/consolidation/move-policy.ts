import type { Candidate, CandidateQuery } from "../contract/consolidation.ts";
import type { Tier, TierTable } from "../contract/tier.ts";

/** What a policy knows beside the entry it judges. */
export interface MoveContext {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** UTC day as of which candidates were asked for: today, or in the first pass of a day the day before. */
  readonly day: number;
  /** Share of the recency bonus lost with each UTC day without use. */
  readonly decayRate: number;
  readonly limits: TierTable;
  readonly from: Tier;
  readonly to: Tier;
}

/** One step that a policy may take. */
export interface MoveRoute {
  readonly from: Tier;
  readonly to: Tier;
}

/**
 * Decides which entries go one tier up or down, and says why. Pure: what it decides is performed, journaled and undone
 * elsewhere. A range of relevance is all it is asked about.
 */
export interface MovePolicy {
  readonly kind: "promote" | "demote";
  /** Which entries are asked for. */
  readonly range: Pick<CandidateQuery, "side" | "threshold" | "memoriesOnly">;
  /** In an order in which no entry arrives where it is judged again. */
  routes(limits: TierTable): readonly MoveRoute[];
  /** Why the entry moves, with figures and without its text; undefined: it stays. */
  judge(entry: Candidate, context: MoveContext): string | undefined;
}

/** "0.76": figures of relevance as reasons tell them; never rounded over the threshold they are compared with. */
export function formatRelevance(value: number): string {
  return String(Math.round(value * 1e4) / 1e4);
}
