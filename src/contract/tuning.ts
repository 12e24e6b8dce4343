import type { RankingOptions } from "./ranking.ts";

/** One decision of self-tuning: a parameter, before and after. */
export interface TuningDecision {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** "query-cache-bytes", "candidates" or "vector-breadth". */
  readonly parameter: string;
  readonly before: number;
  readonly after: number;
  /** Tried, kept or taken back, with the figures it was decided by; never a text. */
  readonly reason: string;
}

/** How wide a recall searches. */
export type SearchBreadth = Pick<RankingOptions, "candidates" | "vectorBreadth">;

/** Chooses how wide each recall searches, and is told what came of it. */
export interface BreadthChooser {
  /** What is in force; never one on trial. */
  readonly breadth: SearchBreadth;
  /** For the next recall. */
  next(): SearchBreadth;
  /** @param ms Of the search, without the time for the question's vector. */
  answered(breadth: SearchBreadth, ms: number): void;
  /** Whether the question is to be asked once more, as widely as configured, while nobody waits. */
  wantsProbe(breadth: SearchBreadth): boolean;
  /** @param overlap Share 0..1 of the best hits as widely as configured that were among those given. */
  probed(breadth: SearchBreadth, overlap: number): void;
}
