/** Tokens a table holds at most: as many words as many texts of many people are made of. */
export const maxTokens = 65_535;
/** A power of two. */
const hashPlaces = 131_072;
/** Bytes of a token; longer ones are not for the table. */
export const maxTokenLength = 40;
/** Bytes a token has on average at most. */
const usualLength = 12;
/** Of a token: its hash, where its bytes begin with how many they are, its code. */
const recordSize = 3;
const lengthBits = 6;

/** Fowler, Noll and Vo's hash, 1a, of a run of bytes. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash;
}

/**
 * Tokens of ASCII, each with a value and a code, found by their bytes where they stand in a text. Holds so many and no
 * more. Numbers of tokens are hashed, and what is said of them stands in the order they came, which is about that of how
 * often they come: so what is read often lies close together, and near.
 */
export class AsciiTokens<T> {
  /** By hash, a token's number from 1; at most half of the places are taken. */
  readonly #places: Uint16Array = new Uint16Array(hashPlaces);
  readonly #records: Int32Array = new Int32Array(maxTokens * recordSize);
  readonly #values: T[] = [];
  /** All tokens, one after the other. */
  readonly #bytes: Uint8Array = new Uint8Array(maxTokens * usualLength);
  #used = 0;

  get full(): boolean {
    return this.#values.length >= maxTokens || this.#used + maxTokenLength > this.#bytes.length;
  }

  /** Number of a token; -1 when it is not there. */
  find(text: Uint8Array, start: number, end: number, hash: number): number {
    const places = this.#places;
    const records = this.#records;
    const bytes = this.#bytes;
    const length = end - start;
    const last = hashPlaces - 1;
    for (let place = firstPlace(hash) & last; places[place] !== 0; place = (place + 1) & last) {
      const record = (places[place]! - 1) * recordSize;
      if (records[record] !== hash) continue;
      const run = records[record + 1]!;
      if ((run & ((1 << lengthBits) - 1)) !== length) continue;
      const from = run >>> lengthBits;
      let i = 0;
      while (i < length && text[start + i] === bytes[from + i]) i++;
      if (i === length) return places[place]! - 1;
    }
    return -1;
  }

  code(token: number): number {
    return this.#records[token * recordSize + 2]!;
  }

  value(token: number): T {
    return this.#values[token]!;
  }

  /** Not when it is full. @returns Its number. */
  add(text: Uint8Array, start: number, end: number, hash: number, value: T, code: number): number {
    const last = hashPlaces - 1;
    let place = firstPlace(hash) & last;
    while (this.#places[place] !== 0) place = (place + 1) & last;
    this.#bytes.set(text.subarray(start, end), this.#used);
    this.#places[place] = this.#values.push(value);
    const token = this.#values.length - 1;
    this.#records.set([hash, (this.#used << lengthBits) | (end - start), code], token * recordSize);
    this.#used += end - start;
    return token;
  }
}

function firstPlace(hash: number): number {
  // The lowest bits alone say little of a token's first letters.
  return hash ^ (hash >>> 15);
}
