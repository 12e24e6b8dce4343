import type { EmbeddingModel } from "../contract/embedding-model.ts";
import { checkCount, checkFlag, checkOptions } from "./check-values.ts";
import type { CallOptions } from "./verb-options.ts";

/** Options of `reembed`. */
export interface ReembedOptions extends CallOptions {
  /** All namespaces. Default false: the one of the call. */
  readonly all?: boolean | undefined;
  /** Takes this model into use from now on; the memory closes it. Default: the one in use. */
  readonly model?: EmbeddingModel | undefined;
  /** Memories embedded and written in one step, 1 to 10,000; all of their texts are in memory. Default 256. */
  readonly batchSize?: number | undefined;
  /** Only tell how many texts and tokens there are to embed; a `model` is neither taken into use nor closed. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Leave the vectors of other models: for processes that go on with one. The next `reembed` drops them. Default false. */
  readonly keep?: boolean | undefined;
  readonly onProgress?: ((progress: ReembedProgress) => void) | undefined;
}

export interface ReembedProgress {
  /** "waiting" for the lease of a worker that may be dead; "counting" in a dry run. */
  readonly step: "waiting" | "counting" | "embedding" | "dropping";
  readonly namespace: string;
  /** Memories embedded or counted so far, or vectors dropped, in all namespaces. */
  readonly done: number;
  /** Of `done`, as far as it can be known. */
  readonly total: number;
}

/** What `reembed` did, or with `dryRun` would do. */
export interface ReembedReport {
  /** Id of the model of which every memory is to have a vector. */
  readonly model: string;
  readonly dryRun: boolean;
  /** Every memory has a vector of the model, or one in which it knows nothing. */
  readonly complete: boolean;
  readonly namespaces: number;
  /** Texts embedded; in a dry run, to embed. */
  readonly embedded: number;
  /** Of these, texts in which the model knows nothing: found by words alone, and not embedded again. */
  readonly unknown: number;
  /** Texts on which the model failed, each alone: they keep the vector they have, and are embedded by the next call. */
  readonly failed: number;
  /** Vectors of other models that were dropped. */
  readonly dropped: number;
  /** Of the texts embedded, as the model counts them, or as estimated where it does not. */
  readonly tokens: number;
  /** Of these tokens and texts, in the currency of the model's price; absent where it declares none. */
  readonly price?: number;
}

export interface CheckedReembed
  extends Pick<ReembedOptions, "namespace" | "signal" | "model" | "onProgress"> {
  readonly all: boolean;
  readonly batchSize: number;
  readonly dryRun: boolean;
  readonly keep: boolean;
}

const names = ["namespace", "signal", "all", "model", "batchSize", "dryRun", "keep", "onProgress"];
const defaultBatchSize = 256;

/** @throws INVALID_ARGUMENT, UNKNOWN_OPTION */
export function checkReembed(given: ReembedOptions | undefined): CheckedReembed {
  const { all, batchSize, dryRun, keep, ...rest } = checkOptions(given, names, "reembed");
  return {
    ...rest,
    all: all !== undefined && checkFlag(all, "all"),
    batchSize: batchSize === undefined ? defaultBatchSize : checkCount(batchSize, "batchSize", 1, 10_000),
    dryRun: dryRun !== undefined && checkFlag(dryRun, "dryRun"),
    keep: keep !== undefined && checkFlag(keep, "keep"),
  };
}
