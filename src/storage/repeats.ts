import type { Memory } from "../contract/memory.ts";
import type { EntryPatch, NewEntry } from "../contract/memory-store.ts";
import { tiers } from "../contract/tier.ts";

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
