/** Postings that no longer change: terms in order of their UTF-16 units, each with its slots. */
export interface SealedPostings {
  /** All terms, one after the other. */
  readonly units: Uint16Array;
  /** Where each term begins in `units`; one more than there are terms. */
  readonly starts: Uint32Array;
  /** Where each term's postings begin; one more than there are terms. */
  readonly offsets: Uint32Array;
  readonly slots: Uint32Array;
  /** Times in the content (low byte) and in the context (high byte), each at most 255. */
  readonly counts: Uint16Array;
}

/** Part of a term's postings: entries `from` to `to` of both. */
export interface PostingList {
  readonly slots: ArrayLike<number>;
  readonly counts: ArrayLike<number>;
  readonly from: number;
  readonly to: number;
}

interface TailList {
  readonly slots: number[];
  readonly counts: number[];
}

const nothing: SealedPostings = {
  units: new Uint16Array(0),
  starts: new Uint32Array(1),
  offsets: new Uint32Array(1),
  slots: new Uint32Array(0),
  counts: new Uint16Array(0),
};

/** An inverted index of one namespace: a sealed part and a tail of what came since. Slots only ever join it. */
export class Postings {
  readonly sealed: SealedPostings;
  readonly #tail = new Map<string, TailList>();
  #tailEntries = 0;

  constructor(sealed: SealedPostings = nothing) {
    this.sealed = sealed;
  }

  get bytes(): number {
    const { units, starts, offsets, slots, counts } = this.sealed;
    const sealed =
      units.byteLength + starts.byteLength + offsets.byteLength + slots.byteLength + counts.byteLength;
    return sealed + this.#tail.size * 160 + this.#tailEntries * 16;
  }

  /** @param counts Per term as in {@link SealedPostings.counts}. */
  add(slot: number, counts: ReadonlyMap<string, number>): void {
    for (const [term, count] of counts) {
      let list = this.#tail.get(term);
      if (!list) {
        list = { slots: [], counts: [] };
        this.#tail.set(term, list);
      }
      list.slots.push(slot);
      list.counts.push(count);
    }
    this.#tailEntries += counts.size;
  }

  /** A term's postings, in up to two parts; each slot once. */
  of(term: string): PostingList[] {
    const lists: PostingList[] = [];
    const { offsets, slots, counts } = this.sealed;
    const at = this.#lowerBound(term);
    if (at < offsets.length - 1 && this.#compare(at, term) === 0) {
      lists.push({ slots, counts, from: offsets[at]!, to: offsets[at + 1]! });
    }
    const tail = this.#tail.get(term);
    if (tail) lists.push({ slots: tail.slots, counts: tail.counts, from: 0, to: tail.slots.length });
    return lists;
  }

  /** At most `limit` terms that begin so, ascending. */
  startingWith(prefix: string, limit: number): string[] {
    const found = new Set<string>();
    const terms = this.sealed.offsets.length - 1;
    for (let at = this.#lowerBound(prefix); at < terms && found.size < limit; at++) {
      const term = this.#term(at);
      if (!term.startsWith(prefix)) break;
      found.add(term);
    }
    for (const term of this.#tail.keys()) if (term.startsWith(prefix)) found.add(term);
    return [...found].sort().slice(0, limit);
  }

  /**
   * Both parts as one sealed part.
   * @param slotNow The slot that each slot becomes, or -1 for one that leaves.
   */
  merged(slotNow: Int32Array): SealedPostings {
    const { offsets, slots, counts } = this.sealed;
    const sealedTerms = offsets.length - 1;
    const tailTerms = [...this.#tail.keys()].sort();
    const capacity = slots.length + this.#tailEntries;
    const mergedSlots = new Uint32Array(capacity);
    const mergedCounts = new Uint16Array(capacity);
    const termStarts: number[] = [0];
    const mergedOffsets: number[] = [0];
    const names: string[] = [];
    let size = 0;
    let unitCount = 0;
    const copy = (list: PostingList): void => {
      for (let i = list.from; i < list.to; i++) {
        const slot = slotNow[list.slots[i]!]!;
        if (slot < 0) continue;
        mergedSlots[size] = slot;
        mergedCounts[size++] = list.counts[i]!;
      }
    };
    let sealedAt = 0;
    let tailAt = 0;
    while (sealedAt < sealedTerms || tailAt < tailTerms.length) {
      const ours = sealedAt < sealedTerms ? this.#term(sealedAt) : undefined;
      const theirs = tailTerms[tailAt];
      const term = theirs === undefined || (ours !== undefined && ours < theirs) ? ours! : theirs;
      const before = size;
      if (term === ours) {
        copy({ slots, counts, from: offsets[sealedAt]!, to: offsets[sealedAt + 1]! });
        sealedAt++;
      }
      if (term === theirs) {
        const list = this.#tail.get(term)!;
        copy({ ...list, from: 0, to: list.slots.length });
        tailAt++;
      }
      // A term that nothing holds any more leaves no trace.
      if (size === before) continue;
      names.push(term);
      unitCount += term.length;
      termStarts.push(unitCount);
      mergedOffsets.push(size);
    }
    const units = new Uint16Array(unitCount);
    let at = 0;
    for (const name of names) for (let i = 0; i < name.length; i++) units[at++] = name.charCodeAt(i);
    return {
      units,
      starts: Uint32Array.from(termStarts),
      offsets: Uint32Array.from(mergedOffsets),
      slots: mergedSlots.slice(0, size),
      counts: mergedCounts.slice(0, size),
    };
  }

  #term(at: number): string {
    const { units, starts } = this.sealed;
    return String.fromCharCode(...units.subarray(starts[at]!, starts[at + 1]!));
  }

  /** The first sealed term that is not before `term`. */
  #lowerBound(term: string): number {
    let low = 0;
    let high = this.sealed.offsets.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(middle, term) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #compare(at: number, term: string): number {
    const { units, starts } = this.sealed;
    const start = starts[at]!;
    const length = starts[at + 1]! - start;
    const shared = Math.min(length, term.length);
    for (let i = 0; i < shared; i++) {
      const difference = units[start + i]! - term.charCodeAt(i);
      if (difference !== 0) return difference;
    }
    return length - term.length;
  }
}
