import type { MergeAction } from "../contract/consolidation.ts";
import { StrataError } from "../contract/errors.ts";
import type { Memory } from "../contract/memory.ts";
import type { ChangePage, MemoryStore } from "../contract/memory-store.ts";
import type { Scope } from "../contract/scope.ts";
import type { ConsolidatorSettings } from "./consolidator-options.ts";
import { isMergeable, type MergeProposal, planExactMerges } from "./merge-plan.ts";

/** A merge with both memories as they were read. */
export interface FoundMerge {
  readonly action: MergeAction;
  readonly keep: Memory;
  readonly absorb: Memory;
}

export interface DuplicatePage {
  readonly merges: readonly FoundMerge[];
  readonly proposals: readonly MergeProposal[];
  /** Changed memories that were looked at. */
  readonly examined: number;
  readonly cursor: string;
  readonly more: boolean;
  /** Why near-duplicates were not looked for. */
  readonly failure?: unknown;
}

/** Looks for duplicates of what changed, by following the store's change feed: never by a scan. */
export class DuplicateSearch {
  readonly #store: MemoryStore;
  readonly #scope: Scope;
  readonly #settings: Pick<ConsolidatorSettings, "neighbours" | "mergeSimilar">;
  readonly #settled: Set<string>;
  readonly #signal: AbortSignal | undefined;

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

  /** @param cursor Where the feed was read to; undefined, or forgotten by the store: from the beginning. */
  async next(cursor: string | undefined, limit: number): Promise<DuplicatePage> {
    const page = await this.#changes(cursor, limit);
    const rows = page.rows.filter((row) => row.source === undefined).map((row) => row.row);
    const read = await this.#store.read(this.#scope, rows);
    const changed = read.filter((memory) => memory !== undefined && isMergeable(memory)) as Memory[];
    const { merges, found } = await this.#exact(changed);
    return {
      merges: merges.map((action) => pairOf(action, found)),
      proposals: [],
      examined: page.rows.length + page.removed.length,
      cursor: page.cursor,
      more: page.more,
    };
  }

  async #changes(cursor: string | undefined, limit: number): Promise<ChangePage> {
    try {
      return await this.#store.changes(this.#scope, cursor, limit);
    } catch (error) {
      const isLost =
        StrataError.isInstance(error) && (error.code === "FEED_TRUNCATED" || error.code === "INVALID_CURSOR");
      if (cursor === undefined || !isLost) throw error;
      return this.#store.changes(this.#scope, undefined, limit);
    }
  }

  async #exact(
    changed: readonly Memory[],
  ): Promise<{ readonly merges: readonly MergeAction[]; readonly found: ReadonlyMap<string, Memory> }> {
    const found = new Map(changed.map((memory) => [memory.id, memory]));
    return { merges: planExactMerges([...found.values()], this.#settled), found };
  }
}

function pairOf(action: MergeAction, found: ReadonlyMap<string, Memory>): FoundMerge {
  return { action, keep: found.get(action.keep.id)!, absorb: found.get(action.absorb.id)! };
}
