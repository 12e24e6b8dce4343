import { bestSlots, type ScoredSlots } from "./best-slots.ts";
import {
  addTermScores,
  type Bm25,
  documentFrequency,
  inverseFrequency,
  LengthNorms,
} from "./keyword-scores.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import type { SearchUnit } from "./search-words.ts";
import type { Selection } from "./selections.ts";

/**
 * Scores contents by the words searched for: those that hold all of them (1 to 2) before those that hold some
 * (0 to 1), within each by BM25 divided by the greatest. One that lacks what is required is not found; whether words
 * stand together is not known here.
 * @param greatest What BM25 was divided by when the same was looked for before.
 * @returns The best slots, the share of the words' idf that each holds, and how many slots hold any.
 */
export function scoreSearch(
  index: NamespaceIndex,
  units: readonly SearchUnit[],
  bm25: Bm25,
  selection: Selection,
  limit: number,
  greatest?: number,
): ScoredSlots & { readonly shares: Float64Array; readonly found: number; readonly greatest: number } {
  const size = index.columns.size;
  const scores = new Float64Array(size);
  const shares = new Float64Array(size);
  const held = new Uint8Array(size);
  const lastUnit = new Uint8Array(size);
  const requiredHeld = new Uint8Array(size);
  const requiredCount = units.filter(({ required }) => required).length;
  const norms = new LengthNorms(index, "content", bm25);
  let totalIdf = 0;
  units.forEach((unit, at) => {
    const idfs = unit.keys.map((key) =>
      inverseFrequency(index.size, documentFrequency(index, key, "content")),
    );
    const unitIdf = idfs.length === 0 ? inverseFrequency(index.size, 0) : Math.min(...idfs);
    totalIdf += unitIdf;
    unit.keys.forEach((key, i) => {
      const lists = index.postings.of(key);
      addTermScores(scores, lists, idfs[i]!, "content", norms, bm25.k1);
      for (const { slots, counts, from, to } of lists) {
        for (let entry = from; entry < to; entry++) {
          const slot = slots[entry]!;
          if ((counts[entry]! & 0xff) === 0 || lastUnit[slot] === at + 1) continue;
          lastUnit[slot] = at + 1;
          held[slot]!++;
          if (unit.required) requiredHeld[slot]!++;
          shares[slot]! += unitIdf;
        }
      }
    });
  });

  let most = 0;
  for (let slot = 0; slot < size; slot++) {
    if (selection.mask[slot] !== 1 || requiredHeld[slot] !== requiredCount) scores[slot] = 0;
    most = Math.max(most, scores[slot]!);
  }
  const divisor = greatest ?? most;
  let found = 0;
  for (let slot = 0; slot < size; slot++) {
    if (!(scores[slot]! > 0)) continue;
    found++;
    scores[slot] = Math.min(1, scores[slot]! / divisor) + (held[slot] === units.length ? 1 : 0);
    shares[slot] = shares[slot]! / totalIdf;
  }
  const best = bestSlots({ scores, above: 0 }, limit, index.columns.arrays.rows);
  return {
    ...best,
    found,
    greatest: divisor,
    shares: Float64Array.from(best.slots, (slot) => shares[slot]!),
  };
}
