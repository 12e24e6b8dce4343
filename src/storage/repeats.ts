import { isDeepStrictEqual } from "node:util";
import { type Memory, maxTags } from "../contract/memory.ts";
import type { EntryPatch, NewEntry } from "../contract/memory-store.ts";
import { tiers } from "../contract/tier.ts";

/**
 * Whether an entry may be taken for a memory that is there. A turn of a conversation may only where its time is known:
 * what is said twice in a thread was said twice.
 */
export function mayRepeat(entry: NewEntry): boolean {
  return entry.foldRepeat === true && (entry.thread === undefined || entry.at !== undefined);
}

/**
 * Whether an entry says what a memory, or an earlier entry, says already: the same content by the same speaker in the
 * same thread at the same time, and no metadata that is not there.
 */
export function isRepeat(entry: NewEntry, known: Memory | NewEntry): boolean {
  return (
    entry.contentHash === known.contentHash &&
    entry.thread === known.thread &&
    entry.speaker === known.speaker &&
    entry.at === known.at &&
    !("source" in known) &&
    new Set([...known.tags, ...entry.tags]).size <= maxTags &&
    Object.entries(entry.metadata).every(
      ([key, value]) => Object.hasOwn(known.metadata, key) && isDeepStrictEqual(known.metadata[key], value),
    )
  );
}

/**
 * What a memory takes over from an entry that repeats it, so that nothing asked for is lost: its tags, and importance,
 * tier and pin where they are higher. Undefined when it has them all.
 */
export function repeatPatch(memory: Memory, entry: NewEntry): EntryPatch | undefined {
  const tags = new Set([...memory.tags, ...entry.tags]);
  const patch: EntryPatch = {
    ...(tags.size > memory.tags.length && { tags: [...tags] }),
    ...(entry.importance > memory.importance && { importance: entry.importance }),
    ...(tiers.indexOf(entry.tier) > tiers.indexOf(memory.tier) && { tier: entry.tier }),
    ...(entry.pinned && !memory.pinned && { pinned: true }),
  };
  return Object.keys(patch).length === 0 ? undefined : patch;
}
