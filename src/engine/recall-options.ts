import { StrataError } from "../contract/errors.ts";
import type * as contract from "../contract/recall.ts";
import type { RecallMode } from "../contract/recall.ts";
import { checkCount, checkFlag, checkOptions, checkShare } from "./check-values.ts";
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
const recallNames: readonly string[] = [...searchNames, "minScore", "mode"];
const modes: readonly RecallMode[] = ["hybrid", "vector", "keyword"];
const maxLimit = 1_000;

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
export function checkRecall(given: RecallOptions | undefined): CheckedRecall {
  const options = checkOptions(given, recallNames, "recall");
  return {
    ...checkShared(options),
    ...(options.minScore !== undefined && { minScore: checkShare(options.minScore, "minScore") }),
    ...(options.mode !== undefined && { mode: checkMode(options.mode) }),
  };
}
