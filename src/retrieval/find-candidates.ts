import { bestSlots, bestUnordered, type ScoredSlots } from "./best-slots.ts";
import type { Bm25 } from "./keyword-scores.ts";
import { KeywordSearch } from "./keyword-search.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import type { QueryPlan } from "./plan-query.ts";
import type { Selection, SlotFilter } from "./selections.ts";
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
  /** The best slots that may take part; best first where their order is asked for. */
  best(limit: number, inOrder: boolean): ScoredSlots;
  /** Exact scores of these slots, in their order; 0 where the signal knows nothing. */
  scoresOf(slots: Uint32Array): Float64Array;
}

/** What passes a call's filter. */
export interface Allowed {
  /** The part of the filter that the index answers; absent: there is none. */
  filter: SlotFilter | undefined;
  /** Rows that pass the rest; absent: all. */
  rows: Float64Array | undefined;
}

/** Slots that are alive, pass the filter and were not found to be invisible. */
export function selectSlots(
  index: NamespaceIndex,
  allowed: Allowed,
  hiddenRows: ReadonlySet<number>,
): Selection {
  const { selections, live } = index;
  const byRows = allowed.rows && selections.ofRows(allowed.rows, (rows) => index.slotsOf(rows));
  const byFilter = allowed.filter && selections.of(allowed.filter);
  const selection =
    byRows && byFilter ? common(byRows, byFilter) : (byRows ?? byFilter ?? { slots: undefined, mask: live });
  if (hiddenRows.size === 0) return selection;
  const mask = selection.mask.slice(0, index.columns.size);
  for (const slot of index.slotsOf(Float64Array.from(hiddenRows))) mask[slot] = 0;
  return { slots: selection.slots, mask };
}

function common({ slots, mask }: Selection, other: Selection): Selection {
  const both = mask.slice();
  for (let slot = 0; slot < both.length; slot++) both[slot] = both[slot]! & other.mask[slot]!;
  return { slots, mask: both };
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
    best(limit, inOrder) {
      const near = index.vectors.nearest(query, limit, some, slots, breadth);
      path = near.path;
      const taking = { scores: near.scores, slots: near.numbers, above: Number.NEGATIVE_INFINITY };
      return (inOrder ? bestSlots : bestUnordered)(taking, limit, index.columns.arrays.rows);
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
    best: (limit, inOrder) => search.best(limit, selection.mask, inOrder),
    scoresOf: (wanted) => search.scoresOf(wanted),
  };
}
