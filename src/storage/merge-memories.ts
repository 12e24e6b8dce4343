import type { Json, Memory, Metadata } from "../contract/memory.ts";

/** Provenance kept on a memory, newest last: of older ones the journal tells. */
const mergedFromBound = 32;

/** What a memory becomes by taking another in. */
export interface MergedFields {
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  readonly importance: number;
  readonly accessCount: number;
  readonly lastUsedAt: number;
}

/** Uses summed, last use and importance the greater, tags united, and where it came from under `mergedFrom`. */
export function mergedFields(keep: Memory, absorb: Memory): MergedFields {
  const origin: Record<string, Json> = {
    id: absorb.id,
    createdAt: absorb.createdAt,
    lastUsedAt: absorb.lastUsedAt,
    ...(absorb.at === undefined ? {} : { at: absorb.at }),
    ...(absorb.thread === undefined ? {} : { thread: absorb.thread }),
    ...(absorb.speaker === undefined ? {} : { speaker: absorb.speaker }),
  };
  const mergedFrom = [...originsOf(keep), ...originsOf(absorb), origin].slice(-mergedFromBound);
  return {
    tags: [...new Set([...keep.tags, ...absorb.tags])],
    metadata: { ...keep.metadata, mergedFrom },
    importance: Math.max(keep.importance, absorb.importance),
    accessCount: keep.accessCount + absorb.accessCount,
    lastUsedAt: Math.max(keep.lastUsedAt, absorb.lastUsedAt),
  };
}

/** Metadata without the trace of one memory taken in. */
export function withoutOrigin(metadata: Metadata, id: string): Metadata {
  const { mergedFrom, ...rest } = metadata;
  if (!Array.isArray(mergedFrom)) return metadata;
  const left = (mergedFrom as readonly Json[]).filter((origin) => idOf(origin) !== id);
  return left.length === 0 ? rest : { ...rest, mergedFrom: left };
}

function originsOf(memory: Memory): readonly Json[] {
  const { mergedFrom } = memory.metadata;
  return Array.isArray(mergedFrom) ? mergedFrom : [];
}

function idOf(origin: Json): Json | undefined {
  return typeof origin === "object" && origin !== null && "id" in origin
    ? Reflect.get(origin, "id")
    : undefined;
}
