/** A growable run of numbers. */
function grown<T extends Uint32Array | Uint16Array | Int32Array>(array: T, size: number): T {
  if (size < array.length) return array;
  const Type = array.constructor as new (length: number) => T;
  const larger = new Type(Math.max(256, size * 2));
  larger.set(array);
  return larger;
}

const maxCount = 255;
/** What a term in the context adds to a count; one in the content adds 1. */
const contextUnit = 256;

/** Postings of what came last: entries in the order they came, those of one term linked. */
export class PostingTail {
  readonly #terms = new Map<string, number>();
  #heads: Int32Array = new Int32Array(0);
  #lasts: Int32Array = new Int32Array(0);
  #slots: Uint32Array = new Uint32Array(0);
  #counts: Uint16Array = new Uint16Array(0);
  #nexts: Int32Array = new Int32Array(0);
  #size = 0;

  /** Postings it holds. */
  get size(): number {
    return this.#size;
  }

  get bytes(): number {
    return this.#terms.size * 70 + this.#slots.length * 10 + this.#heads.length * 8;
  }

  get terms(): IterableIterator<string> {
    return this.#terms.keys();
  }

  /** Counts a term of a slot; slots only ascend. */
  add(slot: number, term: string, inContext: boolean): void {
    let number = this.#terms.get(term);
    if (number === undefined) {
      number = this.#terms.size;
      this.#terms.set(term, number);
      this.#heads = grown(this.#heads, number);
      this.#lasts = grown(this.#lasts, number);
      this.#heads[number] = this.#lasts[number] = -1;
    }
    const last = this.#lasts[number]!;
    if (last >= 0 && this.#slots[last] === slot) {
      const count = this.#counts[last]!;
      if (inContext) {
        if (count >> 8 < maxCount) this.#counts[last] = count + contextUnit;
      } else if ((count & 0xff) < maxCount) this.#counts[last] = count + 1;
      return;
    }
    this.#append(number, slot, inContext ? contextUnit : 1);
  }

  /** A term's postings, slots ascending; undefined when there are none. */
  of(term: string): { readonly slots: number[]; readonly counts: number[] } | undefined {
    const number = this.#terms.get(term);
    if (number === undefined) return undefined;
    const slots: number[] = [];
    const counts: number[] = [];
    for (let at = this.#heads[number]!; at >= 0; at = this.#nexts[at]!) {
      slots.push(this.#slots[at]!);
      counts.push(this.#counts[at]!);
    }
    return { slots, counts };
  }

  /** Calls `visit` for each posting of a term, slots ascending. */
  forEach(term: string, visit: (slot: number, count: number) => void): void {
    const number = this.#terms.get(term);
    if (number === undefined) return;
    for (let at = this.#heads[number]!; at >= 0; at = this.#nexts[at]!) {
      visit(this.#slots[at]!, this.#counts[at]!);
    }
  }

  /** The same postings with other slots, ascending as they do. */
  renumbered(slotNow: (slot: number) => number): PostingTail {
    const tail = new PostingTail();
    for (const term of this.#terms.keys()) {
      const number = tail.#terms.size;
      tail.#terms.set(term, number);
      tail.#heads = grown(tail.#heads, number);
      tail.#lasts = grown(tail.#lasts, number);
      tail.#heads[number] = tail.#lasts[number] = -1;
      this.forEach(term, (slot, count) => tail.#append(number, slotNow(slot), count));
    }
    return tail;
  }

  #append(number: number, slot: number, count: number): void {
    const at = this.#size++;
    this.#slots = grown(this.#slots, at);
    this.#counts = grown(this.#counts, at);
    this.#nexts = grown(this.#nexts, at);
    this.#slots[at] = slot;
    this.#counts[at] = count;
    this.#nexts[at] = -1;
    const last = this.#lasts[number]!;
    if (last < 0) this.#heads[number] = at;
    else this.#nexts[last] = at;
    this.#lasts[number] = at;
  }
}
