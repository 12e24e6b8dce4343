import { bestSlots, type ScoredSlots } from "./best-slots.ts";
import { addTermScores, type Bm25, lengthNorms } from "./keyword-scores.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import type { QueryPlan } from "./plan-query.ts";
import type { VectorMemory } from "./vector-memory.ts";

/** Late interaction looks only at what the other two found. */
export type SignalName = "vector" | "keyword" | "late";

/** One way to tell how well memories answer a question. */
export interface Signal {
  readonly name: SignalName;
  /** 0..1, as fusion is to weigh it. */
  readonly weight: number;
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
  const mask = allowedRows ? new Uint8Array(index.columns.size) : index.live.slice();
  const slots: number[] = [];
  for (const row of allowedRows ?? []) {
    const slot = index.slotOf(row);
    if (slot < 0 || hiddenRows.has(row)) continue;
    mask[slot] = 1;
    slots.push(slot);
  }
  for (const row of hiddenRows) {
    const slot = index.slotOf(row);
    if (slot >= 0) mask[slot] = 0;
  }
  return { slots: allowedRows && Uint32Array.from(slots), mask };
}

/** Cosine to the question: an exact scan of the namespace, or of the rows a filter leaves. */
export function vectorSignal(
  index: NamespaceIndex,
  memory: VectorMemory,
  query: Float32Array,
  selection: Selection,
  weight: number,
): Signal {
  const { rows, vectors } = index.columns.arrays;
  const { slots, mask } = selection;
  // States are 1 where the vector is of this model.
  const taking = { mask, holds: vectors, above: Number.NEGATIVE_INFINITY };
  return {
    name: "vector",
    weight,
    best(limit) {
      const scores = slots
        ? memory.scanSome(query, index.vectors, slots)
        : memory.scanAll(query, index.vectors, index.columns.size);
      return bestSlots({ scores, slots, ...taking }, limit, rows);
    },
    scoresOf(wanted) {
      return Float64Array.from(memory.scanSome(query, index.vectors, wanted));
    },
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
  const { rows } = index.columns.arrays;
  const { mask } = selection;
  const scores = new Float64Array(index.columns.size);
  const norms = lengthNorms(index, "all", bm25);
  for (const { term, idf } of plan.terms) addTermScores(scores, index, term, idf, "all", norms, bm25.k1);
  return {
    name: "keyword",
    weight,
    best: (limit) => bestSlots({ scores, mask, above: 0 }, limit, rows),
    scoresOf: (wanted) => Float64Array.from(wanted, (slot) => scores[slot]!),
  };
}
