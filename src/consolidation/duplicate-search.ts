import type { MergeAction } from "../contract/consolidation.ts";
import { tagsFit } from "../contract/exact-duplicates.ts";
import type { Memory } from "../contract/memory.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import { areNearDuplicates, cosineOf } from "../contract/near-duplicates.ts";
import type { Scope } from "../contract/scope.ts";
import { changesSince } from "./changes-since.ts";
import type { ConsolidatorSettings } from "./consolidator-options.ts";
import { compareWorth, isMergeable, type MergeProposal, mergeOf, planExactMerges } from "./merge-plan.ts";

/** Memories with the content of one page of changes that are looked at. */
const sameAtMost = 1_024;

/** A merge with both memories as they were read. */
export interface FoundMerge {
  readonly action: MergeAction;
  readonly keep: Memory;
  readonly absorb: Memory;
}

export interface DuplicatePage {
  readonly merges: readonly FoundMerge[];
  readonly proposals: readonly MergeProposal[];
  /** Changes that were read. */
  readonly examined: number;
  readonly cursor: string;
  readonly more: boolean;
}

/** Looks for duplicates of what changed, by following the store's change feed: never by a scan. */
export class DuplicateSearch {
  readonly #store: MemoryStore;
  readonly #scope: Scope;
  readonly #settings: Pick<ConsolidatorSettings, "neighbours" | "mergeSimilar">;
  readonly #settled: Set<string>;
  readonly #signal: AbortSignal | undefined;
  /** Pairs that were found from their other side already. */
  readonly #proposed = new Set<string>();

  /** @param settled What was merged in this pass, by it too. */
  constructor(
    store: MemoryStore,
    scope: Scope,
    settings: Pick<ConsolidatorSettings, "neighbours" | "mergeSimilar">,
    settled: Set<string>,
    signal: AbortSignal | undefined,
  ) {
    this.#store = store;
    this.#scope = scope;
    this.#settings = settings;
    this.#settled = settled;
    this.#signal = signal;
  }

  /**
   * Duplicates to the letter among what changed.
   * @param cursor Where the feed was read to; undefined, or forgotten by the store: from the beginning.
   */
  async same(cursor: string | undefined, limit: number): Promise<DuplicatePage> {
    const { changed, ...page } = await this.#changed(cursor, limit);
    return { ...page, merges: await this.#exact(changed), proposals: [] };
  }

  /** Memories that say the same as what changed, in other form. @param cursor As of {@link same}, but another one. */
  async similar(cursor: string | undefined, limit: number): Promise<DuplicatePage> {
    const { changed, ...page } = await this.#changed(cursor, limit);
    const merges: FoundMerge[] = [];
    const proposals: MergeProposal[] = [];
    await this.#near(changed, merges, proposals);
    return { ...page, merges, proposals };
  }

  async #changed(
    cursor: string | undefined,
    limit: number,
  ): Promise<Omit<DuplicatePage, "merges" | "proposals"> & { readonly changed: readonly Memory[] }> {
    const { rows, removed, cursor: next, more } = await changesSince(this.#store, this.#scope, cursor, limit);
    const notes = rows.filter((row) => row.source === undefined).map((row) => row.row);
    const read = await this.#store.read(this.#scope, notes);
    const changed = read.filter((memory) => memory !== undefined && isMergeable(memory)) as Memory[];
    return { changed, examined: rows.length + removed.length, cursor: next, more };
  }

  async #exact(changed: readonly Memory[]): Promise<FoundMerge[]> {
    if (changed.length === 0) return [];
    const hashes = [...new Set(changed.map(({ contentHash }) => contentHash))];
    const same = await this.#store.sameContent(this.#scope, hashes, sameAtMost);
    const found = new Map(same.map((memory) => [memory.id, memory]));
    return planExactMerges([...found.values()], this.#settled).map((action) => ({
      action,
      keep: found.get(action.keep.id)!,
      absorb: found.get(action.absorb.id)!,
    }));
  }

  async #near(changed: readonly Memory[], merges: FoundMerge[], proposals: MergeProposal[]): Promise<void> {
    const { neighbours } = this.#settings;
    if (!neighbours) return;
    for (const memory of changed) {
      this.#signal?.throwIfAborted();
      if (this.#settled.has(memory.id)) continue;
      const near = await neighbours(this.#scope, memory, { signal: this.#signal });
      const others = near.filter((id) => id !== memory.id && !this.#settled.has(id));
      if (others.length > 0) await this.#compare(memory, others, merges, proposals);
    }
  }

  async #compare(
    memory: Memory,
    others: readonly string[],
    merges: FoundMerge[],
    proposals: MergeProposal[],
  ): Promise<void> {
    const [vector = null, ...vectors] = await this.#store.vectors(this.#scope, [memory.id, ...others]);
    const memories = await this.#store.get(this.#scope, others);
    for (const [at, other] of memories.entries()) {
      if (!other || !isMergeable(other) || this.#settled.has(memory.id)) continue;
      const otherVector = vectors[at] ?? null;
      if (!areNearDuplicates({ ...memory, vector }, { ...other, vector: otherVector })) continue;
      if (!tagsFit(memory.tags, other.tags)) continue;
      const [keep, absorb] = [memory, other].toSorted(compareWorth) as [Memory, Memory];
      const reason = `says the same as ${keep.id} in other form: cosine ${cosineOf(vector, otherVector).toFixed(3)}`;
      if (this.#settings.mergeSimilar) {
        merges.push({ action: mergeOf(keep, absorb, reason), keep, absorb });
        this.#settled.add(keep.id).add(absorb.id);
      } else this.#propose({ keep: keep.id, absorb: absorb.id, reason }, proposals);
    }
  }

  #propose(proposal: MergeProposal, proposals: MergeProposal[]): void {
    const pair = `${proposal.keep}\n${proposal.absorb}`;
    if (this.#proposed.has(pair)) return;
    this.#proposed.add(pair);
    proposals.push(proposal);
  }
}
