import { StrataError } from "../contract/errors.ts";

const magic = 0x5354504c;
const headerBytes = 16;
const numberSign = 0x23;
const fnvPrime = 0x01000193;

/** Hash of no bytes: where the hash of a piece that opens a word starts. */
export const openingHash: number = 0x811c9dc5 | 0;
/** Hash of "##": where the hash of a piece that continues a word starts. */
export const continuingHash: number = hashStep(hashStep(openingHash, numberSign), numberSign);

/** One step of 32-bit FNV-1a (Fowler, Noll, Vo: RFC 9923, section 2). */
export function hashStep(hash: number, byte: number): number {
  return Math.imul(hash ^ byte, fnvPrime);
}

/**
 * The pieces of a word-piece vocabulary, found by hash in a table that comes ready in the model's file.
 *
 * Every start of a command loads it. To fill a `Map` with 30,522 strings takes 7 ms of a start, to fill this table
 * 4 ms, to read it ready none to speak of; and looking up a part of a word needs no string made for it.
 *
 * File, little-endian: uint32 magic 0x5354504c, pieces, slots (a power of two), bytes of the longest line; uint32 where
 * each piece's line starts in the text, and the text's length; uint16 slots; the text, UTF-8, one piece a line, each
 * ended by a line feed, "##" before a piece that continues a word. A piece's id is its line, from 0. Its slot holds
 * id + 1 and is the first free (0) from (h ^ h >>> 15) mod slots on, h the FNV-1a hash of its line, "##" included.
 */
export class WordPieceVocabulary {
  /** Number of pieces. */
  readonly size: number;
  /** Bytes of the longest piece, "##" included. */
  readonly longestPiece: number;
  readonly #text: Uint8Array;
  readonly #starts: Uint32Array;
  readonly #slots: Uint16Array;

  /**
   * @param bytes A whole file, starting at a multiple of four of its buffer. Kept, not copied.
   * @throws FILE_UNREADABLE The bytes are no such file.
   */
  constructor(bytes: Uint8Array) {
    const { buffer, byteOffset, byteLength } = bytes;
    const header = new Uint32Array(4);
    if (byteLength >= headerBytes) header.set(new Uint32Array(buffer, byteOffset, 4));
    const [mark, size, slots, longest] = header as unknown as [number, number, number, number];
    const slotsAt = headerBytes + (size + 1) * 4;
    const textAt = slotsAt + slots * 2;
    // A free slot ends each search: without one, a word that is not there would be sought for ever.
    const sound = mark === magic && size >= 1 && slots > size && (slots & (slots - 1)) === 0;
    if (!sound || textAt > byteLength)
      throw new StrataError(
        "FILE_UNREADABLE",
        `Expected a word-piece vocabulary (magic ${magic.toString(16)}); got magic ${mark.toString(16)}, ${size} pieces, ${slots} slots, ${byteLength} bytes. Make it again with models/builtin/training.`,
      );
    this.size = size;
    this.longestPiece = longest;
    this.#starts = new Uint32Array(buffer, byteOffset + headerBytes, size + 1);
    this.#slots = new Uint16Array(buffer, byteOffset + slotsAt, slots);
    this.#text = bytes.subarray(textAt);
  }

  /**
   * Id of the piece that is `word[start..end)`, or -1.
   * @param hash Of those bytes, from {@link continuingHash} when the piece is to continue a word, which it is when
   * `start` is above 0, else from {@link openingHash}.
   */
  find(word: Uint8Array, start: number, end: number, hash: number): number {
    const text = this.#text;
    const starts = this.#starts;
    const slots = this.#slots;
    const mask = slots.length - 1;
    const marker = start > 0 ? 2 : 0;
    const length = end - start;
    // FNV mixes its high bits best: they are brought down to those that choose the slot.
    for (let slot = (hash ^ (hash >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const id = slots[slot]! - 1;
      if (id < 0) return -1;
      const line = starts[id]!;
      if (starts[id + 1]! - 1 - line !== length + marker) continue;
      if (marker > 0 && !(text[line] === numberSign && text[line + 1] === numberSign)) continue;
      const from = line + marker;
      let i = 0;
      while (i < length && text[from + i] === word[start + i]) i++;
      if (i === length) return id;
    }
  }

  /** Id of a piece as its line has it, "##" included, or -1. */
  idOf(piece: string): number {
    const bytes = new TextEncoder().encode(piece);
    return this.find(bytes, 0, bytes.length, bytes.reduce(hashStep, openingHash));
  }
}
