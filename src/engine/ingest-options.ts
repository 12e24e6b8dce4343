import type { ErrorCode } from "../contract/errors.ts";
import type { Metadata } from "../contract/memory.ts";
import type { Evicted } from "../contract/memory-store.ts";
import type { Tier } from "../contract/tier.ts";
import {
  checkCount,
  checkFlag,
  checkImportance,
  checkMetadata,
  checkOptions,
  checkTags,
  checkTier,
} from "./check-values.ts";
import { checkPolicy, type HygienePolicy } from "./hygiene/write-hygiene.ts";

/** What to ingest: paths of files or folders, or one document from memory or a stream under a name. */
export type IngestSource =
  | string
  | readonly string[]
  | { readonly name: string; readonly text: string }
  | { readonly name: string; readonly bytes: Uint8Array }
  | { readonly name: string; readonly stream: AsyncIterable<Uint8Array> };

export interface IngestOptions {
  readonly namespace?: string | undefined;
  /** Default "semantic". */
  readonly tier?: Tier | undefined;
  /** 0..1, default .5. */
  readonly importance?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: Metadata | undefined;
  readonly pinned?: boolean | undefined;
  /** Most tokens of a chunk, as the embedding model counts them: 16 to 8,192, default 512. */
  readonly chunkSize?: number | undefined;
  /** Tokens that neighbouring chunks share, at most half of `chunkSize`: default 50. */
  readonly overlap?: number | undefined;
  /** Larger files are reported and left; default 50 MiB. Plain text is streamed and may be of any size. */
  readonly maxFileBytes?: number | undefined;
  /** Forget the documents under the given folders whose file is gone. Default false. */
  readonly prune?: boolean | undefined;
  /** For a document with what looks like a credential: count them in the report, refuse the document, or nothing. Default "flag". */
  readonly onSecret?: HygienePolicy | undefined;
  /** Called when a document begins, after each slice of its chunks, and when it is done. */
  readonly onProgress?: ((progress: IngestProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface IngestProgress {
  /** The document under way. */
  readonly uri: string;
  /** Documents done. */
  readonly documents: number;
  /** Chunks stored so far, of all documents. */
  readonly chunks: number;
  /** Bytes of the documents done and of this one so far. */
  readonly bytes: number;
}

export interface IngestedDocument {
  readonly uri: string;
  /** "unchanged": the same bytes were there already. */
  readonly outcome: "added" | "replaced" | "unchanged" | "failed";
  readonly chunks: number;
  /** What looks like credentials in it; absent: nothing does, or nobody looked. */
  readonly secrets?: number;
  /** Why it failed. */
  readonly error?: { readonly code: ErrorCode; readonly message: string };
}

export interface IngestReport {
  /** In the order they were read. */
  readonly documents: readonly IngestedDocument[];
  readonly added: number;
  readonly replaced: number;
  readonly unchanged: number;
  readonly failed: number;
  /** Files that were not meant to be read, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Uris of documents forgotten because their file is gone. */
  readonly pruned: readonly string[];
  /** Chunks stored. */
  readonly chunks: number;
  /** What looks like credentials in the documents stored; `audit` tells where. */
  readonly secrets: number;
  /** Chunks stored without a vector, because the model knew nothing in them: found by words alone. */
  readonly withoutVector: number;
  readonly evicted: readonly Evicted[];
}

const names = [
  "namespace",
  "tier",
  "importance",
  "tags",
  "metadata",
  "pinned",
  "chunkSize",
  "overlap",
  "maxFileBytes",
  "prune",
  "onSecret",
  "onProgress",
  "signal",
];

/** Checked, with defaults filled in. */
export interface CheckedIngest {
  readonly tier: Tier;
  readonly importance: number;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  readonly pinned: boolean;
  readonly chunkSize: number;
  readonly overlap: number;
  readonly maxFileBytes: number;
  readonly prune: boolean;
  readonly onSecret: HygienePolicy;
  readonly onProgress: (progress: IngestProgress) => void;
  readonly signal: AbortSignal | undefined;
}

/** What a call that does not say takes. */
export type IngestDefaults = Pick<CheckedIngest, "chunkSize" | "overlap" | "maxFileBytes" | "onSecret">;

/** @throws INVALID_ARGUMENT, UNKNOWN_OPTION, UNKNOWN_TIER, INVALID_IMPORTANCE */
export function checkIngest(given: IngestOptions | undefined, defaults: IngestDefaults): CheckedIngest {
  const options = checkOptions(given, names, "ingest");
  const chunkSize =
    options.chunkSize === undefined
      ? defaults.chunkSize
      : checkCount(options.chunkSize, "chunkSize", 16, 8_192);
  const half = Math.floor(chunkSize / 2);
  return {
    tier: options.tier === undefined ? "semantic" : checkTier(options.tier),
    importance: options.importance === undefined ? 0.5 : checkImportance(options.importance),
    tags: options.tags === undefined ? [] : checkTags(options.tags),
    metadata: options.metadata === undefined ? {} : checkMetadata(options.metadata),
    pinned: options.pinned === undefined ? false : checkFlag(options.pinned, "pinned"),
    chunkSize,
    overlap:
      options.overlap === undefined
        ? Math.min(defaults.overlap, half)
        : checkCount(options.overlap, "overlap", 0, half),
    maxFileBytes:
      options.maxFileBytes === undefined
        ? defaults.maxFileBytes
        : checkCount(options.maxFileBytes, "maxFileBytes", 1, 2 ** 40),
    prune: options.prune === undefined ? false : checkFlag(options.prune, "prune"),
    onSecret: checkPolicy(options.onSecret, "onSecret") ?? defaults.onSecret,
    onProgress: options.onProgress ?? (() => {}),
    signal: options.signal,
  };
}
