import type { Metadata } from "../contract/memory.ts";
import type { MemoryFilter } from "../contract/scope.ts";
import type { Tier } from "../contract/tier.ts";
import {
  checkFlag,
  checkIds,
  checkMetadata,
  checkName,
  checkShare,
  checkTags,
  checkTier,
  checkTime,
  checkUri,
  type Time,
} from "./check-values.ts";

/** How callers name what a call is about; every given field must match. */
export interface FilterOptions {
  readonly ids?: readonly string[] | undefined;
  /** One tier or several. */
  readonly tier?: Tier | readonly Tier[] | undefined;
  /** The memory carries all of these. */
  readonly tags?: readonly string[] | undefined;
  /** Event time (`at`, else when it was stored) at or after. */
  readonly after?: Time | undefined;
  /** Event time before. */
  readonly before?: Time | undefined;
  /** 0..1. */
  readonly minImportance?: number | undefined;
  readonly thread?: string | undefined;
  readonly speaker?: string | undefined;
  /** Chunks of the document of this `uri`. */
  readonly document?: string | undefined;
  /** Each key has exactly this value. */
  readonly metadata?: Metadata | undefined;
  readonly pinned?: boolean | undefined;
}

/** Names of {@link FilterOptions}. */
export const filterNames: readonly (keyof FilterOptions)[] = [
  "ids",
  "tier",
  "tags",
  "after",
  "before",
  "minImportance",
  "thread",
  "speaker",
  "document",
  "metadata",
  "pinned",
];

/** @throws INVALID_ARGUMENT, UNKNOWN_TIER */
export function checkFilter(options: FilterOptions): MemoryFilter {
  const { ids, tier, tags, after, before, minImportance, thread, speaker, document, metadata, pinned } =
    options;
  return {
    ...(ids !== undefined && { ids: checkIds(ids) }),
    ...(tier !== undefined && { tiers: (Array.isArray(tier) ? tier : [tier]).map(checkTier) }),
    ...(tags !== undefined && { tags: checkTags(tags) }),
    ...(after !== undefined && { after: checkTime(after, "after") }),
    ...(before !== undefined && { before: checkTime(before, "before") }),
    ...(minImportance !== undefined && { minImportance: checkShare(minImportance, "minImportance") }),
    ...(thread !== undefined && { thread: checkName(thread, "thread") }),
    ...(speaker !== undefined && { speaker: checkName(speaker, "speaker") }),
    ...(document !== undefined && { document: checkUri(document) }),
    ...(metadata !== undefined && { metadata: checkMetadata(metadata) }),
    ...(pinned !== undefined && { pinned: checkFlag(pinned, "pinned") }),
  };
}
