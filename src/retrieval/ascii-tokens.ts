/** Tokens a table holds at most: as many words as many texts of many people are made of. */
export const maxTokens = 32_768;
/** Bytes of a token; longer ones are not for the table. */
export const maxTokenLength = 40;
/** Bytes a token has on average at most. */
const usualLength = 12;
/** A token's hash, its number from 1, its first byte's place with its length, its code: of one line of the cache. */
const placeSize = 4;
const lengthBits = 6;

/** Fowler, Noll and Vo's hash, 1a, of a run of bytes. */
export function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5 | 0;
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
  return hash;
}

/**
 * Tokens of ASCII, each with a value and a code, found by their bytes where they stand in a text. Holds so many and no
 * more.
 */
export class AsciiTokens<T> {
  /** By hash; at most half of the places are taken. */
  readonly #places: Int32Array = new Int32Array(maxTokens * 2 * placeSize);
  readonly #values: T[] = [];
  /** All tokens, one after the other. */
  readonly #bytes: Uint8Array = new Uint8Array(maxTokens * usualLength);
  #used = 0;

  get full(): boolean {
    return this.#values.length >= maxTokens || this.#used + maxTokenLength > this.#bytes.length;
  }

  /** Where a token is; -1 when it is not there. */
  find(text: Uint8Array, start: number, end: number, hash: number): number {
    const places = this.#places;
    const bytes = this.#bytes;
    const length = end - start;
    for (let place = placeOf(hash, places); places[place + 1] !== 0; place = after(place, places)) {
      if (places[place] !== hash) continue;
      const run = places[place + 2]!;
      if ((run & ((1 << lengthBits) - 1)) !== length) continue;
      const from = run >>> lengthBits;
      let i = 0;
      while (i < length && text[start + i] === bytes[from + i]) i++;
      if (i === length) return place;
    }
    return -1;
  }

  /** The code of what stands at a place. */
  code(place: number): number {
    return this.#places[place + 3]!;
  }

  value(place: number): T {
    return this.#values[this.#places[place + 1]! - 1]!;
  }

  /** Not when it is full. */
  add(text: Uint8Array, start: number, end: number, hash: number, value: T, code: number): void {
    const places = this.#places;
    let place = placeOf(hash, places);
    while (places[place + 1] !== 0) place = after(place, places);
    this.#bytes.set(text.subarray(start, end), this.#used);
    places[place] = hash;
    places[place + 1] = this.#values.push(value);
    places[place + 2] = (this.#used << lengthBits) | (end - start);
    places[place + 3] = code;
    this.#used += end - start;
  }
}

function placeOf(hash: number, places: Int32Array): number {
  // The lowest bits alone say little of a token's first letters.
  return ((hash ^ (hash >>> 15)) * placeSize) & (places.length - placeSize);
}

function after(place: number, places: Int32Array): number {
  return (place + placeSize) & (places.length - placeSize);
}
