import type { MergeAction } from "../contract/consolidation.ts";
import type { Memory } from "../contract/memory.ts";
import { tiers } from "../contract/tier.ts";

/** Two memories that a model thinks say the same, for someone to decide. */
export interface MergeProposal {
  /** The one that would stay. */
  readonly keep: string;
  readonly absorb: string;
  readonly reason: string;
}

/**
 * What may be merged at all: no chunk, since documents change as a whole, nothing that is pinned, and no turn of a
 * thread without a time, since two turns may be equal words.
 */
export function isMergeable({ source, pinned, thread, at }: Memory): boolean {
  return source === undefined && !pinned && (thread === undefined || at !== undefined);
}

/**
 * Merges of memories with the same text and metadata, said by the same speaker in the same thread at the same time. Pure.
 * Each memory takes part in one merge of a pass at most; what is left of a larger group follows in the next.
 */
export function planExactMerges(group: readonly Memory[], settled: Set<string>): MergeAction[] {
  const bySaying = Map.groupBy(
    group.filter((memory) => isMergeable(memory) && !settled.has(memory.id)),
    ({ contentHash, thread, speaker, at, metadata: { mergedFrom: _, ...own } }) =>
      JSON.stringify([contentHash, thread, speaker, at, Object.entries(own).toSorted(byKey)]),
  );
  const actions: MergeAction[] = [];
  for (const same of bySaying.values()) {
    const inOrder = same.toSorted(compareWorth);
    for (let at = 0; at + 1 < inOrder.length; at += 2) {
      const [keep, absorb] = [inOrder[at]!, inOrder[at + 1]!];
      actions.push(mergeOf(keep, absorb, `same text, thread, speaker and time as ${keep.id}`));
      settled.add(keep.id).add(absorb.id);
    }
  }
  return actions;
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
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
