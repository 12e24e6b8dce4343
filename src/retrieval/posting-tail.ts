import type { TermNumbers, TermReading } from "./term-table.ts";

const maxCount = 255;
/** What a term in the context adds to a count; one in the content adds 1. */
const contextUnit = 256;
/** Of a term: its first posting, its last. Of a posting: its slot, its counts, the next of its term. */
const endsSize = 2;
const entrySize = 3;
/** Places made at first, of a power of two, and how many a memory needs of them where many are to come. */
const leastPlaces = 256;
const placesEach = 16;
const mostExpected = 1_024;

/** Postings of what came last: entries in the order they came, those of one term linked. */
export class PostingTail {
  readonly #terms: string[] = [];
  /** Where the first so many of the terms stand among them; only once they were looked for by name. */
  readonly #byName = new Map<string, number>();
  /** Where terms stand by their numbers: number + 1 and place, hashed; at most half is taken. */
  #places: Int32Array = new Int32Array(0);
  #placed = 0;
  #numbers: TermNumbers | undefined;
  #generation = -1;
  /** True when some terms may not be found by the numbers of this generation. */
  #unnumbered = false;
  #ends: Int32Array = new Int32Array(0);
  #entries: Int32Array = new Int32Array(0);
  #size = 0;
  #least = leastPlaces;

  /** Postings it holds. */
  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    const arrays = this.#places.byteLength + this.#ends.byteLength + this.#entries.byteLength;
    // Most terms are the analyzer's too.
    return arrays + this.#terms.length * 30 + this.#byName.size * 50;
  }

  /** In the order they came. */
  get terms(): readonly string[] {
    return this.#terms;
  }

  /** Makes room, as soon as there is need of any, for what so many memories usually hold. */
  expect(memories: number): void {
    const places = Math.min(memories, mostExpected) * placesEach;
    while (this.#least < places) this.#least *= 2;
  }

  /** Counts a term of a slot; slots only ascend. */
  add(slot: number, term: string, inContext: boolean): void {
    this.#unnumbered = true;
    this.#count(this.#named(term) ?? this.#append(term), slot, inContext);
  }

  /** Counts the terms of a text of a slot; stop words only in the content. @returns How many are no stop words. */
  addAll(slot: number, reading: TermReading, inContext: boolean): number {
    const { codes, size } = reading;
    if (reading.generation !== this.#generation) this.#renumber(reading);
    let told = size;
    for (let i = 0; i < size; i++) {
      const code = codes[i]!;
      if ((code & 1) === 1) {
        told--;
        if (inContext) continue;
      }
      this.#count(this.#numbered(code >> 1), slot, inContext);
    }
    return told;
  }

  /** A term's postings, slots ascending; undefined when there are none. */
  of(term: string): { readonly slots: number[]; readonly counts: number[] } | undefined {
    const at = this.#find(term);
    if (at === undefined) return undefined;
    const slots: number[] = [];
    const counts: number[] = [];
    this.copyEntries(at, slots, counts, 0);
    return { slots, counts };
  }

  /**
   * Copies the postings of the term at a place in `terms`, slots ascending.
   * @param from Where they are put. @returns Where they end.
   */
  copyEntries(
    at: number,
    slots: { [place: number]: number },
    counts: { [place: number]: number },
    from: number,
  ): number {
    const entries = this.#entries;
    let place = from;
    for (let entry = this.#ends[at * endsSize]!; entry >= 0; entry = entries[entry + 2]!) {
      slots[place] = entries[entry]!;
      counts[place++] = entries[entry + 1]!;
    }
    return place;
  }

  /** Gives all postings other slots, ascending as they do. */
  moveSlots(slotNow: (slot: number) => number): void {
    for (let at = 0; at < this.#size; at++) {
      this.#entries[at * entrySize] = slotNow(this.#entries[at * entrySize]!);
    }
  }

  #find(term: string): number | undefined {
    const numbers = this.#numbers;
    if (numbers && numbers.generation === this.#generation) {
      const number = numbers.numberOf(term);
      const at = number < 0 ? -1 : this.#places[this.#placeOf(number) + 1]! - 1;
      if (at >= 0) return at;
      if (!this.#unnumbered) return undefined;
    }
    return this.#named(term);
  }

  #named(term: string): number | undefined {
    const byName = this.#byName;
    for (let at = byName.size; at < this.#terms.length; at++) byName.set(this.#terms[at]!, at);
    return byName.get(term);
  }

  /** Where the term of a number stands, put there if need be. */
  #numbered(number: number): number {
    let place = this.#placeOf(number);
    if (this.#places[place] !== 0) return this.#places[place + 1]! - 1;
    const term = this.#numbers!.term(number);
    const at = (this.#unnumbered ? this.#named(term) : undefined) ?? this.#append(term);
    if (++this.#placed * 4 > this.#places.length) {
      this.#growPlaces();
      place = this.#placeOf(number);
    }
    this.#places[place] = number + 1;
    this.#places[place + 1] = at + 1;
    return at;
  }

  #renumber(numbers: TermNumbers): void {
    this.#numbers = numbers;
    this.#generation = numbers.generation;
    this.#unnumbered = this.#terms.length > 0;
    this.#places = new Int32Array(this.#least * 2);
    this.#placed = 0;
  }

  /** Where a number is, or would be. */
  #placeOf(number: number): number {
    const places = this.#places;
    const last = places.length - 2;
    const hash = Math.imul(number, 0x9e3779b1);
    let place = ((hash ^ (hash >>> 15)) << 1) & last;
    while (places[place] !== 0 && places[place] !== number + 1) place = (place + 2) & last;
    return place;
  }

  #growPlaces(): void {
    const former = this.#places;
    this.#places = new Int32Array(former.length * 2);
    for (let at = 0; at < former.length; at += 2) {
      if (former[at] === 0) continue;
      const place = this.#placeOf(former[at]! - 1);
      this.#places[place] = former[at]!;
      this.#places[place + 1] = former[at + 1]!;
    }
  }

  #append(term: string): number {
    const at = this.#terms.push(term) - 1;
    const end = at * endsSize;
    if (end === this.#ends.length) this.#ends = grown(this.#ends, this.#least * endsSize);
    this.#ends[end] = this.#ends[end + 1] = -1;
    return at;
  }

  #count(at: number, slot: number, inContext: boolean): void {
    const last = this.#ends[at * endsSize + 1]!;
    if (last < 0 || this.#entries[last] !== slot) {
      this.#push(at, slot, inContext ? contextUnit : 1);
      return;
    }
    const count = this.#entries[last + 1]!;
    if (inContext) {
      if (count >> 8 < maxCount) this.#entries[last + 1] = count + contextUnit;
    } else if ((count & 0xff) < maxCount) this.#entries[last + 1] = count + 1;
  }

  #push(at: number, slot: number, count: number): void {
    const entry = this.#size++ * entrySize;
    if (entry === this.#entries.length) this.#entries = grown(this.#entries, this.#least * entrySize);
    const entries = this.#entries;
    entries[entry] = slot;
    entries[entry + 1] = count;
    entries[entry + 2] = -1;
    const ends = this.#ends;
    const last = ends[at * endsSize + 1]!;
    if (last < 0) ends[at * endsSize] = entry;
    else entries[last + 2] = entry;
    ends[at * endsSize + 1] = entry;
  }
}

function grown(array: Int32Array, least: number): Int32Array {
  const larger = new Int32Array(Math.max(least, array.length * 2));
  larger.set(array);
  return larger;
}
