/** Terms in order of their UTF-16 units, with where their postings stand. */
export interface SealedTerms {
  /** All terms, one after the other. */
  readonly units: Uint16Array;
  /** Where each term begins in `units`; one more than there are terms. */
  readonly starts: Uint32Array;
  /** Where each term's postings begin; one more than there are terms. */
  readonly offsets: Uint32Array;
}

/** Postings that no longer change. */
export interface SealedPostings extends SealedTerms {
  /** Ascending within a term. */
  readonly slots: Uint32Array;
  /** Times in the content (low byte) and in the context (high byte), each at most 255. */
  readonly counts: Uint16Array;
}

/** The greatest share that a term's counts have of their scores, and the averages and parameters it was found with. */
export interface TermShare {
  readonly share: number;
  readonly averages: Float64Array;
  readonly bm25: { readonly k1: number; readonly b: number };
}

/** Part of a term's postings: entries `from` to `to` of both. */
export interface PostingList {
  /** Ascending. */
  readonly slots: ArrayLike<number>;
  readonly counts: ArrayLike<number>;
  readonly from: number;
  readonly to: number;
  /** Of its part, by where a term's postings begin there; absent for what is not sealed yet. */
  readonly shares?: Map<number, TermShare>;
  /** Where they begin in the part; absent: at `from`. */
  readonly place?: number;
}

/**
 * Work in steps. Between two of them others may run; where a step gives a promise, the next one waits for it, and is
 * told when it fails.
 */
export type Work<T = void> = Generator<Promise<unknown> | undefined, T>;

export function termAt({ units, starts }: SealedTerms, at: number): string {
  return String.fromCharCode(...units.subarray(starts[at]!, starts[at + 1]!));
}

/** The first term that is not before `term`. */
export function lowerBound(table: SealedTerms, term: string): number {
  let low = 0;
  let high = table.offsets.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareTerm(table, middle, term) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where a term stands, or -1. */
export function placeOfTerm(table: SealedTerms, term: string): number {
  const at = lowerBound(table, term);
  return at < table.offsets.length - 1 && compareTerm(table, at, term) === 0 ? at : -1;
}

function compareTerm({ units, starts }: SealedTerms, at: number, term: string): number {
  const start = starts[at]!;
  const length = starts[at + 1]! - start;
  const shared = Math.min(length, term.length);
  for (let i = 0; i < shared; i++) {
    const difference = units[start + i]! - term.charCodeAt(i);
    if (difference !== 0) return difference;
  }
  return length - term.length;
}

/** Compares terms of `aLength` and `bLength` units that stand at `a` and `b`. */
export function compareUnits(
  aUnits: Uint16Array,
  a: number,
  aLength: number,
  bUnits: Uint16Array,
  b: number,
  bLength: number,
): number {
  const shared = Math.min(aLength, bLength);
  for (let i = 0; i < shared; i++) {
    const difference = aUnits[a + i]! - bUnits[b + i]!;
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}
