import { StrataError } from "../contract/errors.ts";
import type * as contract from "../contract/recall.ts";
import type { RecallMode } from "../contract/recall.ts";
import {
  checkCount,
  checkFlag,
  checkOptions,
  checkQuestion,
  checkShare,
  checkTime,
  type Time,
} from "./check-values.ts";
import { checkFilter, type FilterOptions, filterNames } from "./filter-options.ts";

/** What `search` takes beside its words. */
export interface SearchOptions extends FilterOptions {
  readonly namespace?: string | undefined;
  /** Most hits: 1 to 1,000, default 10. */
  readonly limit?: number | undefined;
  /** Return why each hit stands where it stands. Default false. */
  readonly explain?: boolean | undefined;
  /** Count the hits as uses, so that they stay relevant. Default true. */
  readonly touch?: boolean | undefined;
  /** False: look anew even where the same question was answered since the last write. Default true. */
  readonly cache?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What `recall` takes beside its question. */
export interface RecallOptions extends SearchOptions {
  /**
   * 0..1, default 0: leaves out memories of which neither the cosine to the question nor the share of the question's
   * words they hold, weighted by rarity, reaches it.
   */
  readonly minScore?: number | undefined;
  /** Which signals rank: meaning and words together (the default), or one of them. */
  readonly mode?: RecallMode | undefined;
  /** Chunks before and after a chunk that are joined with it as the hit's `passage`: 0 to 10, default 0. */
  readonly context?: number | undefined;
  /** Fold hits that say the same into the best of them. Default false; true with `maxTokens` and for `research`. */
  readonly fold?: boolean | undefined;
  /** Let the reranker, where there is one, put the best hits in order. Default true. */
  readonly rerank?: boolean | undefined;
  /**
   * Pack the hits into a text for a prompt of at most so many tokens, as the model counts them: 64 to 1,000,000. Each
   * memory is fenced as data and cited by id; nothing in it can end its fence. `limit` is then 50 by default.
   */
  readonly maxTokens?: number | undefined;
  /** When the question is asked, for "last week" and for recency. Default: now. */
  readonly now?: Time | undefined;
}

const searchNames: readonly string[] = [
  ...filterNames,
  "namespace",
  "limit",
  "explain",
  "touch",
  "cache",
  "signal",
];
const recallNames: readonly string[] = [
  ...searchNames,
  "minScore",
  "mode",
  "context",
  "fold",
  "rerank",
  "maxTokens",
  "now",
];
const modes: readonly RecallMode[] = ["hybrid", "vector", "keyword"];
const maxLimit = 1_000;
/** Hits that are tried for the room of a packed text. */
const packedLimit = 50;
const maxQuestions = 32;

function checkMode(value: unknown): RecallMode {
  const mode = modes.find((candidate) => candidate === value);
  if (mode) return mode;
  throw new StrataError("INVALID_ARGUMENT", `Expected mode as ${modes.join(", ")}.`, {
    details: { argument: "mode" },
  });
}

/** Options a retrieval takes, with defaults filled in. */
export type CheckedRecall = contract.RecallOptions & {
  readonly limit: number;
  readonly touch: boolean;
  readonly cache: boolean;
};

function checkShared(options: Partial<SearchOptions>): CheckedRecall {
  const { limit, explain, touch, cache, signal } = options;
  return {
    ...checkFilter(options),
    limit: limit === undefined ? 10 : checkCount(limit, "limit", 1, maxLimit),
    touch: touch === undefined ? true : checkFlag(touch, "touch"),
    cache: cache === undefined ? true : checkFlag(cache, "cache"),
    ...(explain !== undefined && { explain: checkFlag(explain, "explain") }),
    ...(signal !== undefined && { signal }),
  };
}

/** @throws INVALID_ARGUMENT, UNKNOWN_OPTION, UNKNOWN_TIER */
export function checkSearch(given: SearchOptions | undefined): CheckedRecall {
  return checkShared(checkOptions(given, searchNames, "search"));
}

/** @throws INVALID_ARGUMENT, UNKNOWN_OPTION, UNKNOWN_TIER */
export function checkRecall(given: RecallOptions | undefined, verb = "recall"): CheckedRecall {
  const options = checkOptions(given, recallNames, verb);
  const { minScore, mode, context, fold, rerank, maxTokens, now } = options;
  return {
    ...checkShared(options),
    ...(maxTokens !== undefined && { maxTokens: checkCount(maxTokens, "maxTokens", 64, 1_000_000) }),
    ...(maxTokens !== undefined && options.limit === undefined && { limit: packedLimit }),
    ...(minScore !== undefined && { minScore: checkShare(minScore, "minScore") }),
    ...(mode !== undefined && { mode: checkMode(mode) }),
    ...(context !== undefined && { context: checkCount(context, "context", 0, 10) }),
    ...(fold !== undefined && { fold: checkFlag(fold, "fold") }),
    ...(rerank !== undefined && { rerank: checkFlag(rerank, "rerank") }),
    ...(now !== undefined && { now: checkTime(now, "now") }),
  };
}

/** Several questions, checked. @throws INVALID_ARGUMENT */
export function checkQuestions(value: unknown): string[] {
  if (Array.isArray(value) && value.length >= 1 && value.length <= maxQuestions)
    return value.map(checkQuestion);
  throw new StrataError("INVALID_ARGUMENT", `Expected 1 to ${maxQuestions} questions in an array.`, {
    details: { argument: "questions" },
  });
}
