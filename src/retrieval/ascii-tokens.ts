/** Tokens a table holds at most: as many words as many texts of many people are made of. */
export const maxTokens = 32_768;
/** Bytes of a token; longer ones are not for the table. */
export const maxTokenLength = 40;
/** Bytes a token has on average at most. */
const usualLength = 12;

/** Fowler, Noll and Vo's hash, 1a. */
export const hashSeed: number = 0x811c9dc5 | 0;
export function hashed(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, 0x01000193);
}

/** Tokens of ASCII with a value each, found by their bytes where they stand in a text. Holds so many and no more. */
export class AsciiTokens<T> {
  /** By hash, a token's hash and its number from 1; at most half of the places are taken. */
  readonly #places: Int32Array = new Int32Array(maxTokens * 4);
  readonly #values: T[] = [];
  /** All tokens, one after the other, and where each begins; one more than there are. */
  readonly #bytes: Uint8Array = new Uint8Array(maxTokens * usualLength);
  readonly #starts: Uint32Array = new Uint32Array(maxTokens + 1);

  get full(): boolean {
    const count = this.#values.length;
    return count >= maxTokens || this.#starts[count]! + maxTokenLength > this.#bytes.length;
  }

  find(text: Uint8Array, start: number, end: number, hash: number): T | undefined {
    const places = this.#places;
    for (let place = placeOf(hash, places); places[place + 1] !== 0; place = after(place, places)) {
      if (places[place] !== hash) continue;
      const entry = places[place + 1]! - 1;
      const from = this.#starts[entry]!;
      if (this.#starts[entry + 1]! - from !== end - start) continue;
      let i = start;
      while (i < end && text[i] === this.#bytes[from + i - start]) i++;
      if (i === end) return this.#values[entry];
    }
    return undefined;
  }

  add(text: Uint8Array, start: number, end: number, hash: number, value: T): void {
    const places = this.#places;
    let place = placeOf(hash, places);
    while (places[place + 1] !== 0) place = after(place, places);
    const from = this.#starts[this.#values.length]!;
    this.#bytes.set(text.subarray(start, end), from);
    places[place] = hash;
    places[place + 1] = this.#values.push(value);
    this.#starts[this.#values.length] = from + end - start;
  }
}

function placeOf(hash: number, places: Int32Array): number {
  // The lowest bits alone say little of a token's first letters.
  return ((hash ^ (hash >>> 15)) << 1) & (places.length - 2);
}

function after(place: number, places: Int32Array): number {
  return (place + 2) & (places.length - 2);
}
