import { type Columns, kindBits, kindCount, packed } from "./columns.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import type { PostingList } from "./sealed-postings.ts";

/** "all": content and context, as recall weighs them; "content": the memory's own words, as search does. */
export type KeywordField = "all" | "content";

/** BM25's parameters. */
export interface Bm25 {
  readonly k1: number;
  readonly b: number;
}

/** Memories that hold a term in the field. */
export function documentFrequency(index: NamespaceIndex, key: string, field: KeywordField): number {
  if (field === "all") return index.frequencyOf(key);
  let frequency = 0;
  const { live } = index;
  for (const { slots, counts, from, to } of index.postings.of(key)) {
    for (let i = from; i < to; i++) if (live[slots[i]!] === 1 && (counts[i]! & 0xff) > 0) frequency++;
  }
  return frequency;
}

/** A term's weight, never negative: ln(1 + (n − f + 0.5) / (f + 0.5)). */
export function inverseFrequency(memories: number, frequency: number): number {
  return Math.log(1 + (memories - frequency + 0.5) / (frequency + 0.5));
}

/** What BM25 adds to a term's count in a memory: k1 (1 − b + b · length / average length of its kind). */
export class LengthNorms {
  /** Least of them all: of a memory without words. */
  readonly least: number;
  /** By kind, the average length they are made with. */
  readonly averages: Float64Array = new Float64Array(kindCount);
  readonly bm25: Bm25;
  readonly #factors: Float64Array = new Float64Array(2 ** kindBits);
  /** Length and kind by slot, as columns pack them. */
  readonly #lengths: Uint32Array;

  constructor(index: NamespaceIndex, field: KeywordField, bm25: Bm25) {
    const { k1, b } = bm25;
    this.bm25 = bm25;
    const contextToo = field === "all" ? 1 : 0;
    this.#lengths = contextToo ? index.columns.lengths : contentLengths(index.columns);
    this.least = k1 * (1 - b);
    index.totals.forEach(({ memories, contentTerms, contextTerms }, kind) => {
      const terms = contentTerms + contextToo * contextTerms;
      const average = memories > 0 && terms > 0 ? terms / memories : 1;
      this.averages[kind] = average;
      this.#factors[kind] = (k1 * b) / average;
    });
  }

  of(slot: number): number {
    const length = this.#lengths[slot]!;
    return this.least + this.#factors[length & (2 ** kindBits - 1)]! * (length >>> kindBits);
  }
}

function contentLengths({ arrays, size }: Columns): Uint32Array {
  const { contentLengths, kinds } = arrays;
  const lengths = new Uint32Array(size);
  for (let slot = 0; slot < size; slot++) lengths[slot] = packed(contentLengths[slot]!, kinds[slot]!);
  return lengths;
}

/** Adds one term's BM25 to the scores by slot. Terms added in one order give one sum, to the bit. */
export function addTermScores(
  scores: Float64Array,
  lists: readonly PostingList[],
  idf: number,
  field: KeywordField,
  norms: LengthNorms,
  k1: number,
): void {
  const scale = idf * (k1 + 1);
  const contextToo = field === "all" ? 1 : 0;
  for (const { slots, counts, from, to } of lists) {
    for (let i = from; i < to; i++) {
      const slot = slots[i]!;
      const packed = counts[i]!;
      const count = (packed & 0xff) + contextToo * (packed >> 8);
      scores[slot]! += (scale * count) / (count + norms.of(slot));
    }
  }
}
