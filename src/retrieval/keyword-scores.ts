import { kindCount } from "./columns.ts";
import type { NamespaceIndex } from "./namespace-index.ts";

/** "all": content and context, as recall weighs them; "content": the memory's own words, as search does. */
export type KeywordField = "all" | "content";

/** BM25's parameters. */
export interface Bm25 {
  readonly k1: number;
  readonly b: number;
}

/** Memories that hold a term in the field. */
export function documentFrequency(index: NamespaceIndex, key: string, field: KeywordField): number {
  let frequency = 0;
  for (const { slots, counts, from, to } of index.postings.of(key)) {
    if (field === "all" && index.dead === 0) frequency += to - from;
    else {
      const { live } = index;
      for (let i = from; i < to; i++) {
        if (live[slots[i]!] === 1 && (field === "all" || (counts[i]! & 0xff) > 0)) frequency++;
      }
    }
  }
  return frequency;
}

/** A term's weight, never negative: ln(1 + (n − f + 0.5) / (f + 0.5)). */
export function inverseFrequency(memories: number, frequency: number): number {
  return Math.log(1 + (memories - frequency + 0.5) / (frequency + 0.5));
}

/** For each slot, what BM25 adds to a term's count there: k1 (1 − b + b · length / average length of its kind). */
export function lengthNorms(index: NamespaceIndex, field: KeywordField, { k1, b }: Bm25): Float64Array {
  const name = `norms ${field} ${k1} ${b}`;
  const known = index.memo.get(name);
  if (known?.version === index.version) return known.values;
  const { contentLengths, contextLengths, kinds } = index.columns.arrays;
  const averages = new Float64Array(kindCount);
  index.totals.forEach(({ memories, contentTerms, contextTerms }, kind) => {
    const terms = field === "all" ? contentTerms + contextTerms : contentTerms;
    averages[kind] = memories > 0 && terms > 0 ? terms / memories : 1;
  });
  const norms = new Float64Array(index.columns.size);
  for (let slot = 0; slot < norms.length; slot++) {
    const length = contentLengths[slot]! + (field === "all" ? contextLengths[slot]! : 0);
    norms[slot] = k1 * (1 - b + (b * length) / averages[kinds[slot]!]!);
  }
  index.memo.set(name, { version: index.version, values: norms });
  return norms;
}

/** Adds one term's BM25 to the scores by slot. Terms added in one order give one sum, to the bit. */
export function addTermScores(
  scores: Float64Array,
  index: NamespaceIndex,
  key: string,
  idf: number,
  field: KeywordField,
  norms: Float64Array,
  k1: number,
): void {
  const scale = idf * (k1 + 1);
  const contextToo = field === "all" ? 1 : 0;
  for (const { slots, counts, from, to } of index.postings.of(key)) {
    for (let i = from; i < to; i++) {
      const slot = slots[i]!;
      const packed = counts[i]!;
      const count = (packed & 0xff) + contextToo * (packed >> 8);
      scores[slot]! += (scale * count) / (count + norms[slot]!);
    }
  }
}
