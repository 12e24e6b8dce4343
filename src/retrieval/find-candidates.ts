import { bestSlots, type ScoredSlots } from "./best-slots.ts";
import type { Bm25 } from "./keyword-scores.ts";
import { KeywordSearch } from "./keyword-search.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import type { QueryPlan } from "./plan-query.ts";
import type { VectorPath } from "./vector-rows.ts";

/** Late interaction looks only at what the other two found. */
export type SignalName = "vector" | "keyword" | "late";

/** One way to tell how well memories answer a question. */
export interface Signal {
  readonly name: SignalName;
  /** 0..1, as fusion is to weigh it. */
  readonly weight: number;
  /** How vectors were found, once `best` was called. */
  readonly path?: VectorPath | undefined;
  /** The best slots that may take part, best first. */
  best(limit: number): ScoredSlots;
  /** Exact scores of these slots, in their order; 0 where the signal knows nothing. */
  scoresOf(slots: Uint32Array): Float64Array;
}

/** Which slots may be found. */
export interface Selection {
  /** Slots that pass the call's filter, ascending; absent: all. */
  readonly slots: Uint32Array | undefined;
  /** 1 for each slot that may be found. */
  readonly mask: Uint8Array;
}

/**
 * Slots that are alive, pass the filter and were not found to be invisible.
 * @param allowedRows Rows that pass the filter; absent: all do.
 */
export function selectSlots(
  index: NamespaceIndex,
  allowedRows: Float64Array | undefined,
  hiddenRows: ReadonlySet<number>,
): Selection {
  if (!allowedRows && hiddenRows.size === 0) return { slots: undefined, mask: index.live };
  if (!allowedRows) {
    const mask = index.live.slice(0, index.columns.size);
    for (const slot of index.slotsOf(Float64Array.from(hiddenRows))) mask[slot] = 0;
    return { slots: undefined, mask };
  }
  const visible = hiddenRows.size === 0 ? allowedRows : allowedRows.filter((row) => !hiddenRows.has(row));
  const slots = index.slotsOf(visible);
  const mask = new Uint8Array(index.columns.size);
  for (const slot of slots) mask[slot] = 1;
  return { slots, mask };
}

/** Cosine to the question: exact for what is returned, whatever way it was found. */
export function vectorSignal(
  index: NamespaceIndex,
  query: Float32Array,
  selection: Selection,
  weight: number,
  breadth: number,
): Signal {
  const { slots, mask } = selection;
  const some = mask === index.live ? undefined : mask;
  let path: VectorPath | undefined;
  return {
    name: "vector",
    weight,
    get path() {
      return path;
    },
    best(limit) {
      const near = index.vectors.nearest(query, limit, some, slots, breadth);
      path = near.path;
      const taking = { scores: near.scores, slots: near.numbers, mask, above: Number.NEGATIVE_INFINITY };
      return bestSlots(taking, limit, index.columns.arrays.rows);
    },
    scoresOf: (wanted) => new Float64Array(index.vectors.cosines(query, wanted)),
  };
}

/** BM25 over content and context, with the statistics of the whole namespace whatever the filter. */
export function keywordSignal(
  index: NamespaceIndex,
  plan: QueryPlan,
  bm25: Bm25,
  selection: Selection,
  weight: number,
): Signal {
  const search = new KeywordSearch(index, plan.terms, bm25);
  return {
    name: "keyword",
    weight,
    best: (limit) => search.best(limit, selection.mask),
    scoresOf: (wanted) => search.scoresOf(wanted),
  };
}
