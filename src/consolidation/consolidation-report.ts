import type { ConsolidationAction } from "../contract/consolidation.ts";
import type { Evicted } from "../contract/memory-store.ts";
import type { Tier } from "../contract/tier.ts";
import type { MergeProposal } from "./merge-plan.ts";

/** What a pass does, in this order. */
export const passStages = [
  "prepare",
  "expire",
  "merge",
  "demote",
  "promote",
  "summarize",
  "extract",
] as const;

export type PassStage = (typeof passStages)[number];

/** One pass over one namespace. */
export interface ConsolidationReport {
  /** Names the pass in the journal and for `undo`; of a dry run, nothing is there under it. */
  readonly run: string;
  readonly namespace: string;
  readonly dryRun: boolean;
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly stagesMs: Readonly<Partial<Record<PassStage, number>>>;
  /** In the order they were made. */
  readonly actions: readonly ConsolidationAction[];
  readonly counts: MoveCounts;
  /** Moves by the tier they led to. */
  readonly movedTo: Readonly<Record<"promote" | "demote", Readonly<Record<Tier, number>>>>;
  readonly expiredByTier: Readonly<Record<Tier, number>>;
  /** What made room in full tiers. */
  readonly evicted: readonly Evicted[];
  /** Tiers that took nothing more. */
  readonly full: readonly Tier[];
  /** Planned and not made, because the memory was changed, moved or removed meanwhile. */
  readonly changed: number;
  /** What hooks were offered and returned; of a dry run, what they would be offered. Absent: it was not called. */
  readonly hooks: Readonly<Partial<Record<"summarize" | "extract", HookReport>>>;
  /** Pairs that look alike and are left to somebody's decision. */
  readonly proposals: readonly MergeProposal[];
  /** Stages that failed and were left out; the others went on. */
  readonly failures: readonly PassFailure[];
  /** Another pass has something to do at once: a bound of this one was reached. */
  readonly more: boolean;
  /** Another worker tends this namespace just now: nothing was done. */
  readonly busy: boolean;
}

/** One hook in one pass. */
export interface HookReport {
  /** Groups of memories offered, one a call. */
  readonly calls: number;
  /** Memories offered. */
  readonly memories: number;
  /** Ids of the memories added, journaled under the pass's run. */
  readonly added: readonly string[];
  /** Of these, those with what looks like a credential, where the policy is to flag. */
  readonly flagged: readonly string[];
  /** Taken for a memory that was there, which was used once more. */
  readonly folded: number;
  /** Not valid; why is among the failures. */
  readonly refused: number;
}

export interface PassFailure {
  readonly stage: PassStage;
  /** Code or class of the error, never its message: that may hold a text. */
  readonly code: string;
}

/** How many memories or documents of each kind. */
export interface MoveCounts {
  readonly promote: number;
  readonly demote: number;
  readonly merge: number;
  readonly evict: number;
  /** Memories, chunks one by one. */
  readonly expire: number;
}

/** Figures of a consolidator since it was made. */
export interface ConsolidationStats {
  readonly totalConsolidations: number;
  readonly totalPromotions: number;
  /** By the tier they led to. */
  readonly promotionsByTier: Readonly<Record<Tier, number>>;
  readonly moves: MoveCounts;
  readonly averageTimeMs: number;
  readonly timeByStageMs: Readonly<Partial<Record<PassStage, number>>>;
  /** Milliseconds since 1970, of the last pass that ended. */
  readonly lastConsolidationAt?: number;
  /** Passes that ended with an error, of those the background task began. */
  readonly failedPasses: number;
}
