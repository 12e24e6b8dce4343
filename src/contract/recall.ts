import type { Memory } from "./memory.ts";
import type { MemoryFilter } from "./scope.ts";

/** What to find and how much of it, for `recall` and `search`. */
export interface RecallOptions extends MemoryFilter {
  /** Most hits. Default 10, at most 1,000. */
  readonly limit?: number | undefined;
  /**
   * 0..1, default 0. Compared with the greater of a memory's cosine to the question and the share of the question's
   * idf that the memory's own words match.
   */
  readonly minScore?: number | undefined;
  /** Which signals rank. Default "hybrid". */
  readonly mode?: RecallMode | undefined;
  /** Return the {@link Explanation}. Default false. */
  readonly explain?: boolean | undefined;
  /** Count the hits as uses. Default true. */
  readonly touch?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type RecallMode = "hybrid" | "vector" | "keyword";

/** One memory found. */
export interface Hit {
  readonly memory: Memory;
  /** Orders the hits of one answer; not comparable between questions. */
  readonly score: number;
  /** Present when the recall was asked to explain. */
  readonly why?: HitExplanation;
  /** For `search`: where in the content its words matched, ascending, in UTF-16 units. */
  readonly highlights?: readonly { readonly start: number; readonly end: number }[];
}

/** One signal of one hit. */
export interface SignalScore {
  /** As the signal gives it: cosine, BM25. */
  readonly raw: number;
  /** Divided by the greatest among the candidates, negatives taken as 0. */
  readonly normalized: number;
  /** Place among the candidates by this signal, from 1; absent when it scored nothing. */
  readonly rank?: number;
}

/** Why a memory stands where it stands: `score = Σ weight · normalized + Σ bonuses`. */
export interface HitExplanation {
  readonly vector: SignalScore;
  readonly keyword: SignalScore;
  /** Terms of the question that matched in the content, and those that matched only around it. */
  readonly matchedTerms: readonly string[];
  readonly contextTerms: readonly string[];
  readonly fused: number;
  readonly bonuses: {
    readonly importance: number;
    readonly recency: number;
    readonly access: number;
    readonly speaker: number;
  };
}

/** How an answer came about. */
export interface Explanation {
  readonly mode: RecallMode;
  /** Words of the question that no memory of the namespace holds, and stop words left out. */
  readonly terms: { readonly used: readonly string[]; readonly unknown: readonly string[] };
  /** After lowering the vector's weight for what the model does not know in the question. */
  readonly weights: { readonly vector: number; readonly keyword: number };
  /** Share 0..1 of the question's pieces that the model does not know. */
  readonly unknownShare: number;
  readonly candidates: { readonly vector: number; readonly keyword: number; readonly fused: number };
  /** How candidates were found. */
  readonly path: { readonly vector: "exact" | "approximate" | "none"; readonly keyword: "memory" | "none" };
  /** What was left out and why: hits under `minScore`, memories without a vector of the model. */
  readonly dropped: readonly { readonly reason: string; readonly count: number }[];
  /** Of the recall that made the answer: one that was kept took none of it. */
  readonly stages: readonly { readonly name: string; readonly ms: number }[];
  /**
   * Whether the answer was kept, waited for with others, made now, or made for this call alone; absent where nothing
   * keeps answers.
   */
  readonly cache?: "hit" | "stale" | "joined" | "miss" | "off";
  /** Hash of the ranking options. */
  readonly ranking: string;
}

/** The answer to a recall or a search. */
export interface Recall {
  /** Best first. */
  readonly hits: readonly Hit[];
  readonly explanation?: Explanation;
}
