import { hash } from "node:crypto";
import type { Memory, Metadata } from "../contract/memory.ts";
import type { EntryPatch, Evicted, NewEntry } from "../contract/memory-store.ts";
import type { Tier } from "../contract/tier.ts";
import {
  checkContent,
  checkFlag,
  checkImportance,
  checkMetadata,
  checkName,
  checkOptions,
  checkTags,
  checkTier,
  checkTime,
  type Time,
} from "./check-values.ts";
import { type HygieneFindings, type HygieneOptions, hygieneNames } from "./hygiene/write-hygiene.ts";
import type { MemoryIds } from "./memory-ids.ts";

/** Fields of a memory that a caller may give when it is stored. */
export interface MemoryFields {
  /** 1 to 256 characters; default a UUIDv7. */
  readonly id?: string | undefined;
  /** Default "long_term". */
  readonly tier?: Tier | undefined;
  /** 0..1, default .5. */
  readonly importance?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: Metadata | undefined;
  /** Conversation the text is a turn of: turns before it help to find it. */
  readonly thread?: string | undefined;
  readonly speaker?: string | undefined;
  /** When what it tells happened. */
  readonly at?: Time | undefined;
  /** Pinned memories are never evicted, demoted or merged. Default false. */
  readonly pinned?: boolean | undefined;
  /** A second store with the same key in the namespace returns the first one's memory. */
  readonly idempotencyKey?: string | undefined;
}

export interface StoreOptions extends MemoryFields, HygieneOptions {
  readonly namespace?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One memory of `storeMany`. */
export interface StoreItem extends MemoryFields {
  readonly content: string;
}

/** A stored memory, and what storing it did. */
export interface StoreResult extends Memory, HygieneFindings {
  /**
   * "existing": the memory was there already, by its id, its idempotency key, or what it says; nothing was added.
   */
  readonly outcome: "stored" | "existing";
  /** Entries that left a full tier for it. */
  readonly evicted: readonly Evicted[];
}

const fieldNames = [
  "id",
  "tier",
  "importance",
  "tags",
  "metadata",
  "thread",
  "speaker",
  "at",
  "pinned",
  "idempotencyKey",
] as const;

/** Names of {@link StoreOptions}. */
export const storeOptionNames: readonly string[] = [...fieldNames, ...hygieneNames, "namespace", "signal"];
/** Names of {@link StoreItem}. */
export const storeItemNames: readonly string[] = [...fieldNames, "content"];

/** A checked memory that lacks its vector. */
export type UnembeddedEntry = Omit<NewEntry, "vector">;

/** SHA-256 of a text, hexadecimal. */
export function contentHash(text: string): string {
  return hash("sha256", text);
}

/** @throws INVALID_ARGUMENT, EMPTY_TEXT, TEXT_TOO_LARGE, UNKNOWN_TIER, INVALID_IMPORTANCE */
export function checkEntry(text: unknown, fields: MemoryFields, ids: MemoryIds): UnembeddedEntry {
  const content = checkContent(text);
  return {
    id: fields.id === undefined ? ids.next() : checkName(fields.id, "id"),
    isNewId: fields.id === undefined,
    content,
    contentHash: contentHash(content),
    tier: fields.tier === undefined ? "long_term" : checkTier(fields.tier),
    importance: fields.importance === undefined ? 0.5 : checkImportance(fields.importance),
    tags: fields.tags === undefined ? [] : checkTags(fields.tags),
    metadata: fields.metadata === undefined ? {} : checkMetadata(fields.metadata),
    pinned: fields.pinned === undefined ? false : checkFlag(fields.pinned, "pinned"),
    at: fields.at === undefined ? undefined : checkTime(fields.at, "at"),
    thread: fields.thread === undefined ? undefined : checkName(fields.thread, "thread"),
    speaker: fields.speaker === undefined ? undefined : checkName(fields.speaker, "speaker"),
    idempotencyKey:
      fields.idempotencyKey === undefined ? undefined : checkName(fields.idempotencyKey, "idempotencyKey"),
  };
}

/**
 * A checked memory that is taken for one that says the same: whoever gives an id or a key says himself what is the same.
 * @throws as {@link checkEntry}
 */
export function checkNewEntry(
  text: unknown,
  fields: MemoryFields,
  onDuplicate: "return" | "store",
  ids: MemoryIds,
): UnembeddedEntry {
  const isNamed = fields.id !== undefined || fields.idempotencyKey !== undefined;
  return { ...checkEntry(text, fields, ids), foldRepeat: onDuplicate === "return" && !isNamed };
}

/** @throws as {@link checkEntry}, and UNKNOWN_OPTION */
export function checkStoreItem(
  item: StoreItem,
  onDuplicate: "return" | "store",
  ids: MemoryIds,
): UnembeddedEntry {
  const { content, ...fields } = checkOptions(item, storeItemNames, "storeMany");
  return checkNewEntry(content, fields, onDuplicate, ids);
}

/** Changes to a memory: an absent field stays, null takes an optional one away. */
export interface UpdatePatch {
  readonly content?: string | undefined;
  readonly tier?: Tier | undefined;
  readonly importance?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: Metadata | undefined;
  readonly thread?: string | null | undefined;
  readonly speaker?: string | null | undefined;
  readonly at?: Time | null | undefined;
  readonly pinned?: boolean | undefined;
}

const patchNames = [
  "content",
  "tier",
  "importance",
  "tags",
  "metadata",
  "thread",
  "speaker",
  "at",
  "pinned",
] as const;

/** A checked patch whose new content, if any, lacks its vector. */
export type UnembeddedPatch = Omit<EntryPatch, "content" | "vector"> & { readonly text?: string | undefined };

/** @throws INVALID_ARGUMENT, UNKNOWN_OPTION, EMPTY_TEXT, TEXT_TOO_LARGE, UNKNOWN_TIER, INVALID_IMPORTANCE */
export function checkPatch(given: UpdatePatch): UnembeddedPatch {
  const patch = checkOptions(given, patchNames, "update");
  const { content, tier, importance, tags, metadata, thread, speaker, at, pinned } = patch;
  return {
    ...(content !== undefined && { text: checkContent(content) }),
    ...(tier !== undefined && { tier: checkTier(tier) }),
    ...(importance !== undefined && { importance: checkImportance(importance) }),
    ...(tags !== undefined && { tags: checkTags(tags) }),
    ...(metadata !== undefined && { metadata: checkMetadata(metadata) }),
    ...(thread !== undefined && { thread: thread === null ? null : checkName(thread, "thread") }),
    ...(speaker !== undefined && { speaker: speaker === null ? null : checkName(speaker, "speaker") }),
    ...(at !== undefined && { at: at === null ? null : checkTime(at, "at") }),
    ...(pinned !== undefined && { pinned: checkFlag(pinned, "pinned") }),
  };
}
