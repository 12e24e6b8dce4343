import { StrataError } from "../contract/errors.ts";

const lineFeed = 0x0a;
const numberSign = 0x23;
const fnvPrime = 0x01000193;

/** Hash of no bytes: where the hash of a piece that opens a word starts. */
export const openingHash: number = 0x811c9dc5 | 0;
/** Hash of "##": where the hash of a piece that continues a word starts. */
export const continuingHash: number = hashStep(hashStep(openingHash, numberSign), numberSign);

/** One step of 32-bit FNV-1a (Fowler, Noll, Vo: draft-eastlake-fnv, section 2). */
export function hashStep(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, fnvPrime);
}

/**
 * The pieces of a word-piece vocabulary, found by hash among the bytes of its file.
 *
 * Every start of a command loads it: over the bytes this takes half the time of a `Map` of 30,522 strings, and looking
 * up a part of a word needs no string made for it.
 */
export class WordPieceVocabulary {
  /** Number of pieces; a piece's id is its line in the file, from 0. */
  readonly size: number;
  /** Bytes of the longest line. */
  readonly longestPiece: number;
  readonly #bytes: Uint8Array;
  /** Where each line starts, and behind the last one where the next would. */
  readonly #starts: Int32Array;
  /** Open addressing: id + 1, or 0 where free. */
  readonly #slots: Int32Array;

  /**
   * @param bytes UTF-8, one piece a line, each line ended by a line feed; "##" marks a piece that continues a word.
   * Kept, not copied.
   * @throws INVALID_ARGUMENT There is no whole line.
   */
  constructor(bytes: Uint8Array) {
    const size = countLines(bytes);
    if (!(size >= 1))
      throw new StrataError(
        "INVALID_ARGUMENT",
        "Expected a vocabulary of one piece a line, each ended by a line feed; got no whole line.",
      );
    const starts = new Int32Array(size + 1);
    const slots = new Int32Array(2 ** Math.ceil(Math.log2(size * 2)));
    const mask = slots.length - 1;
    let id = 0;
    let hash = openingHash;
    let longest = 0;
    for (let i = 0; id < size; i++) {
      const byte = bytes[i]!;
      if (byte !== lineFeed) {
        hash = hashStep(hash, byte);
        continue;
      }
      let slot = firstSlot(hash, mask);
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      longest = Math.max(longest, i - starts[id]!);
      slots[slot] = ++id;
      starts[id] = i + 1;
      hash = openingHash;
    }
    this.size = size;
    this.longestPiece = longest;
    this.#bytes = bytes;
    this.#starts = starts;
    this.#slots = slots;
  }

  /**
   * Id of the piece that is `word[start..end)`, or -1.
   * @param hash Of those bytes, from {@link continuingHash} when the piece is to continue a word, which it is when
   * `start` is above 0, else from {@link openingHash}.
   */
  find(word: Uint8Array, start: number, end: number, hash: number): number {
    const bytes = this.#bytes;
    const starts = this.#starts;
    const slots = this.#slots;
    const mask = slots.length - 1;
    const marker = start > 0 ? 2 : 0;
    const length = end - start;
    for (let slot = firstSlot(hash, mask); ; slot = (slot + 1) & mask) {
      const id = slots[slot]! - 1;
      if (id < 0) return -1;
      const line = starts[id]!;
      if (starts[id + 1]! - 1 - line !== length + marker) continue;
      if (marker > 0 && !(bytes[line] === numberSign && bytes[line + 1] === numberSign)) continue;
      const from = line + marker;
      let i = 0;
      while (i < length && bytes[from + i] === word[start + i]) i++;
      if (i === length) return id;
    }
  }

  /** Id of a piece as the file writes it, "##" included, or -1. */
  idOf(piece: string): number {
    const bytes = new TextEncoder().encode(piece);
    return this.find(bytes, 0, bytes.length, bytes.reduce(hashStep, openingHash));
  }
}

function countLines(bytes: Uint8Array): number {
  let lines = 0;
  for (let i = bytes.indexOf(lineFeed); i >= 0; i = bytes.indexOf(lineFeed, i + 1)) lines++;
  return lines;
}

/** The hash's high bits, where FNV mixes best, brought down to the bits that choose a slot. */
function firstSlot(hash: number, mask: number): number {
  return (hash ^ (hash >>> 15)) & mask;
}
