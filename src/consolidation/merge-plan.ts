import type { MergeAction } from "../contract/consolidation.ts";
import { canRepeat, duplicateKey, tagsFit } from "../contract/exact-duplicates.ts";
import type { Memory } from "../contract/memory.ts";
import { tiers } from "../contract/tier.ts";

/** Two memories that a model thinks say the same, for someone to decide. */
export interface MergeProposal {
  /** The one that would stay. */
  readonly keep: string;
  readonly absorb: string;
  readonly reason: string;
}

/** What may be merged at all: what can be the same as another, and is not pinned. */
export function isMergeable(memory: Memory): boolean {
  return !memory.pinned && canRepeat(memory);
}

/**
 * Merges of exact duplicates (see {@link duplicateKey}). Pure.
 * Each memory takes part in one merge of a pass at most; what is left of a larger group follows in the next.
 */
export function planExactMerges(group: readonly Memory[], settled: Set<string>): MergeAction[] {
  const bySaying = Map.groupBy(
    group.filter((memory) => isMergeable(memory) && !settled.has(memory.id)),
    duplicateKey,
  );
  const actions: MergeAction[] = [];
  for (const same of bySaying.values()) {
    const inOrder = same.toSorted(compareWorth);
    for (let at = 0; at + 1 < inOrder.length; at += 2) {
      const [keep, absorb] = [inOrder[at]!, inOrder[at + 1]!];
      if (!tagsFit(keep.tags, absorb.tags)) continue;
      actions.push(mergeOf(keep, absorb, `same text, thread, speaker and time as ${keep.id}`));
      settled.add(keep.id).add(absorb.id);
    }
  }
  return actions;
}

/** A merge of two, the one in the higher tier kept, of one tier the older. */
export function mergeOf(keep: Memory, absorb: Memory, reason: string): MergeAction {
  return {
    kind: "merge",
    keep: { id: keep.id, version: keep.version },
    absorb: { id: absorb.id, version: absorb.version },
    reason,
  };
}

/** Which of two is kept comes first: a merge never shortens a life, and everyone chooses the same one. */
export function compareWorth(a: Memory, b: Memory): number {
  return tiers.indexOf(b.tier) - tiers.indexOf(a.tier) || a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1);
}
