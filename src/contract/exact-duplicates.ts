import { type ChunkSource, type Json, type Metadata, maxTags } from "./memory.ts";

/** What decides whether two memories of a namespace are the same; a `Memory` is one, and so is a `NewEntry`. */
export interface Saying {
  /** SHA-256 of the text. */
  readonly contentHash: string;
  readonly thread?: string | undefined;
  readonly speaker?: string | undefined;
  /** Milliseconds since 1970. */
  readonly at?: number | undefined;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  readonly source?: ChunkSource | undefined;
}

/**
 * Whether a memory may be the same as another at all: no chunk, since documents change as a whole, and no turn of a thread
 * without a time, since what is said twice in a thread was said twice.
 */
export function canRepeat({ source, thread, at }: Pick<Saying, "source" | "thread" | "at">): boolean {
  return source === undefined && (thread === undefined || at !== undefined);
}

/**
 * Whether one memory says nothing that another does not: the same text of the same speaker in the same thread at the same
 * time, no metadata that is not there, and no more tags than have room. Two that repeat each other are exact duplicates.
 */
export function isRepeat(said: Saying, known: Saying): boolean {
  return (
    canRepeat(said) &&
    canRepeat(known) &&
    said.contentHash === known.contentHash &&
    said.thread === known.thread &&
    said.speaker === known.speaker &&
    said.at === known.at &&
    Object.entries(ownMetadata(said.metadata)).every(
      ([key, value]) => Object.hasOwn(known.metadata, key) && isSameJson(value, known.metadata[key]!),
    ) &&
    tagsFit(said.tags, known.tags)
  );
}

/**
 * The same for memories that are exact duplicates, for no others, but for the room for tags: so that a group of them is
 * found without comparing each with each.
 */
export function duplicateKey({ contentHash, thread, speaker, at, metadata }: Saying): string {
  return canonicalJson([contentHash, thread ?? null, speaker ?? null, at ?? null, ownMetadata(metadata)]);
}

/** Whether one memory has room for the tags of both. */
export function tagsFit(some: readonly string[], others: readonly string[]): boolean {
  return some.length + others.length <= maxTags || new Set([...some, ...others]).size <= maxTags;
}

/** Metadata without the trace of what was merged, which is nothing that the memory says. */
function ownMetadata({ mergedFrom: _, ...own }: Metadata): Metadata {
  return own;
}

function isSameJson(a: Json, b: Json): boolean {
  return a === b || (typeof a === "object" && typeof b === "object" && canonicalJson(a) === canonicalJson(b));
}

/** JSON in which the order of keys does not count. */
function canonicalJson(value: Json): string {
  return JSON.stringify(value, (_, part: Json) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
