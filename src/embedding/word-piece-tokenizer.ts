import type { TokenCounter } from "../contract/chunk.ts";
import { StrataError } from "../contract/errors.ts";
import { CharacterMap, characterKind } from "./word-piece-characters.ts";
import { continuingHash, hashStep, openingHash, type WordPieceVocabulary } from "./word-piece-vocabulary.ts";

/** A word of more code points is one unknown piece, as in the reference. */
const longestWord = 100;
const bytesPerCodePoint = 4;
const unknownPiece = "[UNK]";

/**
 * Cuts text into the word pieces of uncased BERT: control characters out, CJK ideographs and punctuation apart,
 * canonical decomposition, accents out, lower case code point by code point, then the longest known piece first
 * (Wu et al. 2016, arXiv:1609.08144, section 4.1; Devlin et al. 2018, arXiv:1810.04805).
 *
 * Gives what the Python package `tokenizers` gives with the model's tokenizer.json, without special tokens and without
 * a length limit; text that spells a special token, "[MASK]", is text here. A lone surrogate counts for nothing, as
 * U+FFFD does.
 *
 * A pass over the text with no string made on the way: a short text takes about a microsecond, a megabyte of English
 * some tens of milliseconds of the event loop.
 */
export class WordPieceTokenizer implements TokenCounter {
  readonly id: string;
  /** Id of the piece that stands for a word the vocabulary cannot spell. */
  readonly unknownId: number;
  readonly #vocabulary: WordPieceVocabulary;
  readonly #characters: CharacterMap;
  /** UTF-8 of the word being read. */
  readonly #word: Uint8Array = new Uint8Array((longestWord + 1) * bytesPerCodePoint);
  /** Hashes of a piece's beginnings while a word is cut. */
  readonly #hashes: Int32Array;
  #wordBytes = 0;
  #wordCodePoints = 0;
  #wordHash: number = openingHash;
  /** Pieces of the text being read. */
  #pieces: Int32Array = new Int32Array(1024);
  #count = 0;

  /**
   * @param id Name of the tokenizer; texts have equal counts under equal ids.
   * @throws FILE_UNREADABLE The vocabulary has no "[UNK]".
   */
  constructor(id: string, vocabulary: WordPieceVocabulary, characters: CharacterMap = new CharacterMap()) {
    this.id = id;
    this.#vocabulary = vocabulary;
    this.#characters = characters;
    this.#hashes = new Int32Array(vocabulary.longestPiece + 1);
    this.unknownId = vocabulary.idOf(unknownPiece);
    if (this.unknownId < 0)
      throw new StrataError("FILE_UNREADABLE", `Expected a vocabulary with the piece ${unknownPiece}.`);
  }

  /** Ids of the text's pieces, in order; the caller owns them. */
  encode(text: string): Int32Array {
    return new Int32Array(this.encodeShared(text));
  }

  /** As {@link encode}, but valid only until the next call on this object. */
  encodeShared(text: string): Int32Array {
    this.#read(text);
    return this.#pieces.subarray(0, this.#count);
  }

  /** Number of the text's pieces, unknown ones included. */
  count(text: string): number {
    this.#read(text);
    return this.#count;
  }

  #read(text: string): void {
    this.#count = 0;
    const kinds = this.#characters.ascii;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) {
        const codePoint = text.codePointAt(i)!;
        if (codePoint > 0xffff) i++;
        this.#readBeyondAscii(codePoint);
        continue;
      }
      const kind = kinds[unit]!;
      if (this.#wordCodePoints === 0 && (kind === characterKind.kept || kind === characterKind.mapped)) {
        i = this.#openWord(text, i) - 1;
      } else if (kind === characterKind.kept) this.#append(unit);
      else if (kind === characterKind.mapped) this.#append(unit | 0x20);
      else if (kind === characterKind.space) this.#endWord();
      else if (kind === characterKind.apart) this.#standApart(unit);
    }
    this.#endWord();
  }

  /** Reads letters and digits of ASCII from where a word opens, which is nearly always all of it. @returns Where they end. */
  #openWord(text: string, start: number): number {
    const kinds = this.#characters.ascii;
    const word = this.#word;
    const end = Math.min(text.length, start + longestWord);
    let hash = openingHash;
    let at = start;
    for (; at < end; at++) {
      const unit = text.charCodeAt(at);
      if (unit >= 0x80) break;
      const kind = kinds[unit]!;
      if (kind !== characterKind.kept && kind !== characterKind.mapped) break;
      const byte = kind === characterKind.mapped ? unit | 0x20 : unit;
      word[at - start] = byte;
      hash = hashStep(hash, byte);
    }
    this.#wordBytes = this.#wordCodePoints = at - start;
    this.#wordHash = hash;
    return at;
  }

  #readBeyondAscii(codePoint: number): void {
    const kind = this.#characters.kindOf(codePoint);
    if (kind === characterKind.kept) this.#appendCodePoint(codePoint);
    else if (kind === characterKind.space) this.#endWord();
    else if (kind === characterKind.apart) this.#standApart(codePoint);
    else if (kind === characterKind.mapped)
      for (const mapped of this.#characters.mappingOf(codePoint)) {
        if (this.#characters.kindOf(mapped) === characterKind.apart) this.#standApart(mapped);
        else this.#appendCodePoint(mapped);
      }
  }

  #standApart(codePoint: number): void {
    this.#endWord();
    this.#appendCodePoint(codePoint);
    this.#endWord();
  }

  #append(byte: number): void {
    this.#wordCodePoints++;
    if (this.#wordCodePoints > longestWord) return;
    this.#word[this.#wordBytes++] = byte;
    this.#wordHash = hashStep(this.#wordHash, byte);
  }

  #appendCodePoint(codePoint: number): void {
    if (codePoint < 0x80) {
      this.#append(codePoint);
      return;
    }
    this.#wordCodePoints++;
    if (this.#wordCodePoints > longestWord) return;
    const size = codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
    const lead = (0xf00 >> size) & 0xff;
    this.#appendByte(lead | (codePoint >> (6 * (size - 1))));
    for (let shift = 6 * (size - 2); shift >= 0; shift -= 6)
      this.#appendByte(0x80 | ((codePoint >> shift) & 0x3f));
  }

  #appendByte(byte: number): void {
    this.#word[this.#wordBytes++] = byte;
    this.#wordHash = hashStep(this.#wordHash, byte);
  }

  #endWord(): void {
    if (this.#wordCodePoints === 0) return;
    if (this.#wordCodePoints > longestWord) this.#push(this.unknownId);
    else {
      const whole = this.#vocabulary.find(this.#word, 0, this.#wordBytes, this.#wordHash);
      if (whole >= 0) this.#push(whole);
      else this.#cutWord();
    }
    this.#wordBytes = 0;
    this.#wordCodePoints = 0;
    this.#wordHash = openingHash;
  }

  /** Longest known piece first; a rest that no piece begins makes the whole word unknown. */
  #cutWord(): void {
    const before = this.#count;
    for (let start = 0; start < this.#wordBytes; ) {
      const end = this.#pushLongestPiece(start);
      if (end === start) {
        this.#count = before;
        this.#push(this.unknownId);
        return;
      }
      start = end;
    }
  }

  /** Appends the longest piece that begins at `start`; returns its end, or `start` when there is none. */
  #pushLongestPiece(start: number): number {
    const word = this.#word;
    const hashes = this.#hashes;
    const longest = Math.min(this.#wordBytes - start, this.#vocabulary.longestPiece);
    hashes[0] = start > 0 ? continuingHash : openingHash;
    for (let i = 0; i < longest; i++) hashes[i + 1] = hashStep(hashes[i]!, word[start + i]!);
    for (let length = longest; length > 0; length--) {
      const id = this.#vocabulary.find(word, start, start + length, hashes[length]!);
      if (id < 0) continue;
      this.#push(id);
      return start + length;
    }
    return start;
  }

  #push(id: number): void {
    if (this.#count === this.#pieces.length) {
      const larger = new Int32Array(this.#pieces.length * 2);
      larger.set(this.#pieces);
      this.#pieces = larger;
    }
    this.#pieces[this.#count++] = id;
  }
}
