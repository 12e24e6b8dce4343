import type { Memory } from "./memory.ts";
import type { RankingOptions } from "./ranking.ts";
import type { MemoryFilter } from "./scope.ts";
import type { Tier } from "./tier.ts";

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
  /** Chunks before and after a chunk that are joined with it in {@link Hit.passage}. Default 0, at most 10. */
  readonly context?: number | undefined;
  /** Fold hits that say the same into the best of them. Default false; true with `maxTokens`. */
  readonly fold?: boolean | undefined;
  /** Let the reranker, where there is one, put the best hits in order. Default true. */
  readonly rerank?: boolean | undefined;
  /** Pack the hits into a text of at most so many tokens, {@link Recall.packed}. `limit` is then 50 by default. */
  readonly maxTokens?: number | undefined;
  /** Milliseconds since 1970 that "last week" and recency are told from. Default: the clock's time. */
  readonly now?: number | undefined;
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
  /** With `context`, for a chunk: it and its neighbours as they stand in the document. */
  readonly passage?: Passage;
  /** Ids of memories that say the same, folded into this one; present when there are any. */
  readonly folded?: readonly string[];
  /** For `search`: where in the content its words matched, ascending, in UTF-16 units. */
  readonly highlights?: readonly { readonly start: number; readonly end: number }[];
}

/** Neighbouring chunks of one document, joined. */
export interface Passage {
  readonly content: string;
  /** Numbers of its first and last chunk. */
  readonly firstChunk: number;
  readonly lastChunk: number;
  /** Where it stands in the document's text, in UTF-16 units. */
  readonly start: number;
  readonly end: number;
}

/** Hits as a text for a prompt. Nothing that a memory says can end its fence. */
export interface PackedHits {
  /** A line that says what follows, then each memory in a fence that cites its id. */
  readonly text: string;
  readonly tokens: number;
  /** In the order of the text; `cut` when its end was left out. */
  readonly memories: readonly { readonly id: string; readonly cut: boolean }[];
  /** Hits for which there was no room. */
  readonly omitted: number;
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
  /** Late interaction: how near each word piece of the question comes to one of the memory. */
  readonly late: SignalScore;
  /** Terms of the question that matched in the content, and those that matched only around it. */
  readonly matchedTerms: readonly string[];
  readonly contextTerms: readonly string[];
  readonly fused: number;
  readonly bonuses: {
    readonly importance: number;
    readonly recency: number;
    readonly access: number;
    readonly speaker: number;
    /** For what happened in the time that the question names. */
    readonly time: number;
  };
  /** What the reranker said; it alone orders those it has read, before all others. */
  readonly rerank?: { readonly score: number /** Place before, from 1. */; readonly before: number };
}

/** How an answer came about. */
export interface Explanation {
  readonly mode: RecallMode;
  /** Words of the question that no memory of the namespace holds, and stop words left out. */
  readonly terms: { readonly used: readonly string[]; readonly unknown: readonly string[] };
  /** After lowering the vector's weight for what the model does not know in the question. */
  readonly weights: { readonly vector: number; readonly keyword: number; readonly late: number };
  /** Share 0..1 of the question's pieces that the model does not know. */
  readonly unknownShare: number;
  readonly candidates: {
    readonly vector: number;
    readonly keyword: number;
    readonly late: number;
    readonly fused: number;
  };
  /** The time that the question names, milliseconds since 1970; `to` is not part of it. */
  readonly time?: { readonly from: number; readonly to: number; readonly words: string };
  /** Id of the reranker that was asked. */
  readonly reranker?: string;
  /** How candidates were found. */
  readonly path: {
    readonly vector: "exact" | "approximate" | "none";
    readonly keyword: "memory" | "disk" | "none";
  };
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
  /** What makes the same recall again, as long as the memories are the same. */
  readonly request: RecallRequest;
}

/** A recall as it was asked, every default filled in. */
export interface RecallRequest {
  readonly verb: "recall" | "search";
  readonly namespace: string;
  readonly question: string;
  /** For the call; what is not there was not given. */
  readonly options: Omit<RecallOptions, "tiers" | "signal" | "explain" | "touch"> & {
    readonly tier?: readonly Tier[] | undefined;
  };
  /** For `openMemory`. */
  readonly ranking: RankingOptions;
  /** Id of the embedding model; during a change of models the one that answered. */
  readonly model: string;
}

/** The answer to a recall or a search. */
export interface Recall {
  /** Best first. */
  readonly hits: readonly Hit[];
  /** With `maxTokens`. */
  readonly packed?: PackedHits;
  /**
   * Memories that could be found by words alone, since they have no vector of the model that embedded the question:
   * `reembed` gives them one. Present when there are any.
   */
  readonly skipped?: number;
  readonly explanation?: Explanation;
}

/** One memory found for several questions. */
export interface ResearchHit extends Hit {
  /** Numbers of the questions that found it, from 0, ascending. */
  readonly questions: readonly number[];
}

/** The answer to several questions at once. */
export interface Research {
  /** Best first: the best answer to each question before all second ones. */
  readonly hits: readonly ResearchHit[];
  /** With `maxTokens`. */
  readonly packed?: PackedHits;
  /** As of {@link Recall.skipped}: the most of any question. */
  readonly skipped?: number;
  /** By question, when asked to explain: how its own answer came about. */
  readonly explanations?: readonly Explanation[];
}
