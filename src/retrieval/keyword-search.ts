import type { ScoredSlots } from "./best-slots.ts";
import { bestSlots, bestUnordered, boundOfBest } from "./best-slots.ts";
import { type Bm25, LengthNorms } from "./keyword-scores.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import { findSlot } from "./postings.ts";
import type { PostingList } from "./sealed-postings.ts";

/** A term with where it stands and how much it can add at most. */
interface SearchTerm {
  readonly lists: readonly PostingList[];
  readonly size: number;
  /** idf (k1 + 1). */
  readonly scale: number;
  readonly most: number;
}

/** Slots that were met, ascending, each with the sum of its scores in the order of the terms. */
interface Sums {
  readonly slots: Uint32Array;
  readonly values: Float64Array;
  size: number;
}

/** Postings up to which the most that a term adds is not looked for: adding them all costs no more. */
const shortList = 512;
/** What rounding may take from a sum of bounds. */
const slack = 1 + 1e-9;

/**
 * BM25 over content and context with the statistics of the whole namespace. Terms are read from the rarest on; once
 * what is left cannot lift a memory among the best, only those already met are looked up in it (Turtle and Flood,
 * "Query Evaluation: Strategies and Optimizations", 1995, MaxScore). The best are those of a full scan, to the bit.
 */
export class KeywordSearch {
  readonly #index: NamespaceIndex;
  readonly #terms: readonly SearchTerm[];
  readonly #norms: LengthNorms;

  /** @param terms Rarest first; their scores are added in this order. */
  constructor(
    index: NamespaceIndex,
    terms: readonly { readonly term: string; readonly idf: number }[],
    bm25: Bm25,
  ) {
    this.#index = index;
    const norms = new LengthNorms(index, "all", bm25);
    this.#norms = norms;
    this.#terms = terms.map(({ term, idf }) => {
      const lists = index.postings.of(term);
      const scale = idf * (bm25.k1 + 1);
      let size = 0;
      let greatest = 0;
      for (const list of lists) {
        const { from, to } = list;
        size += to - from;
        const share = to - from <= shortList ? 1 : greatestShare(list, norms);
        greatest = Math.max(greatest, share);
      }
      return { lists, size, scale, most: scale * greatest };
    });
  }

  /** The best slots whose mask is 1, best first, or in no order; ties by the newer row. */
  best(limit: number, mask: Uint8Array, inOrder = true): ScoredSlots {
    const { slots, values, size } = this.#gather(limit, mask);
    const found = { slots: slots.subarray(0, size), scores: values.subarray(0, size), above: 0 };
    return (inOrder ? bestSlots : bestUnordered)(found, limit, this.#index.columns.arrays.rows);
  }

  /** Exact scores of these slots, in their order. */
  scoresOf(slots: Uint32Array): Float64Array {
    const scores = new Float64Array(slots.length);
    const order = slots.slice().sort();
    const sums = new Float64Array(slots.length);
    for (const term of this.#terms) this.#addSorted(order, term, sums);
    for (let i = 0; i < slots.length; i++) scores[i] = sums[findSlot(order, slots[i]!, 0, order.length)]!;
    return scores;
  }

  /** Slots among which the best are, their sums complete. */
  #gather(limit: number, mask: Uint8Array): Sums {
    const terms = this.#terms;
    const left = new Float64Array(terms.length + 1);
    for (let at = terms.length - 1; at >= 0; at--) left[at] = left[at + 1]! + terms[at]!.most * slack;
    let sums: Sums = { slots: new Uint32Array(0), values: new Float64Array(0), size: 0 };
    let at = 0;
    for (; at < terms.length; at++) {
      // Looking for the least of the best costs about as much as adding a quarter as many postings.
      if (sums.size >= limit && terms[at]!.size * 4 > sums.size) {
        const least = leastOfBest(sums, limit);
        if (left[at]! < least) {
          keepPromising(sums, least, left[at]!);
          break;
        }
      }
      sums = this.#merged(sums, terms[at]!, mask);
    }
    for (; at < terms.length; at++) {
      this.#addSorted(sums.slots.subarray(0, sums.size), terms[at]!, sums.values);
      keepPromising(sums, leastOfBest(sums, limit), left[at + 1]!);
    }
    return sums;
  }

  /** The sums with a term's scores. Both are run through in their order, which is how memory is read fastest. */
  #merged(former: Sums, { lists, size: postings, scale }: SearchTerm, mask: Uint8Array): Sums {
    const norms = this.#norms;
    const slots = new Uint32Array(former.size + postings);
    const values = new Float64Array(slots.length);
    let size = 0;
    let at = 0;
    for (const { slots: listed, counts, from, to } of lists) {
      for (let i = from; i < to; i++) {
        const slot = listed[i]!;
        if (mask[slot] !== 1) continue;
        while (at < former.size && former.slots[at]! < slot) {
          slots[size] = former.slots[at]!;
          values[size++] = former.values[at++]!;
        }
        const packed = counts[i]!;
        const count = (packed & 0xff) + (packed >> 8);
        const before = at < former.size && former.slots[at] === slot ? former.values[at++]! : 0;
        slots[size] = slot;
        values[size++] = before + (scale * count) / (count + norms.of(slot));
      }
    }
    slots.set(former.slots.subarray(at, former.size), size);
    values.set(former.values.subarray(at, former.size), size);
    return { slots, values, size: size + former.size - at };
  }

  /** @param slots Ascending, with their sums in this order. */
  #addSorted(slots: Uint32Array, { lists, scale }: SearchTerm, sums: Float64Array): void {
    const norms = this.#norms;
    for (const list of lists) {
      let { from } = list;
      for (let i = 0; i < slots.length && from < list.to; i++) {
        const slot = slots[i]!;
        from = findSlot(list.slots, slot, from, list.to);
        if (from >= list.to || list.slots[from] !== slot) continue;
        const packed = list.counts[from]!;
        const count = (packed & 0xff) + (packed >> 8);
        sums[i]! += (scale * count) / (count + norms.of(slot));
      }
    }
  }
}

/** The greatest count / (count + norm) in a list, or a little more; looked for once and kept with the list's part. */
function greatestShare(list: PostingList, norms: LengthNorms): number {
  const { slots, counts, from, to } = list;
  const place = list.place ?? from;
  const known = list.shares?.get(place);
  if (known) {
    // Averages moved since: norms may have shrunk by as much as the averages have grown.
    let grown = 1;
    norms.averages.forEach((average, kind) => {
      grown = Math.max(grown, average / known.averages[kind]!);
    });
    const { k1, b } = norms.bm25;
    if (known.bm25.k1 === k1 && known.bm25.b === b && grown < 1.1) return Math.min(1, known.share * grown);
  }
  let share = 0;
  for (let i = from; i < to; i++) {
    const packed = counts[i]!;
    const count = (packed & 0xff) + (packed >> 8);
    share = Math.max(share, count / (count + norms.of(slots[i]!)));
  }
  list.shares?.set(place, { share, averages: norms.averages, bm25: norms.bm25 });
  return share;
}

/** Keeps those that may still be among the best: whose sum is, with the rest added, not less than the least of them. */
function keepPromising(sums: Sums, least: number, rest: number): void {
  const { slots, values } = sums;
  let size = 0;
  for (let at = 0; at < sums.size; at++) {
    if (!(values[at]! + rest >= least)) continue;
    slots[size] = slots[at]!;
    values[size++] = values[at]!;
  }
  sums.size = size;
}

/** A sum that at least `limit` reach, near to the least of the best; 0 where none is known. */
function leastOfBest(sums: Sums, limit: number): number {
  return Math.max(0, boundOfBest(sums.values.subarray(0, sums.size), 0, limit));
}
