import type { PieceVectors } from "../contract/piece-vectors.ts";
import { KeptPieces } from "./kept-pieces.ts";
import { stopWords } from "./stop-words.ts";
import { type Block, strideOf, type VectorMemory } from "./vector-memory.ts";

/** A question as it is compared: its word pieces, each once, and how much each counts. */
export interface QuestionPieces {
  readonly pieces: Uint32Array;
  readonly idfs: Float64Array;
  /** Share 0..1 of the question's idf in words of which the table knows a piece. */
  readonly knownShare: number;
}

/** Pieces of a question that are compared; of more, those of the rarest words. */
const maxQuestionPieces = 32;
const punctuation = [..."!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"];

/**
 * Compares texts piece by piece: `s = Σ idf · max(0, best cosine)²` over the question's pieces (late interaction, after
 * Khattab and Zaharia, "ColBERT", SIGIR 2020, with a static table in the place of a network). Only leading dimensions
 * are compared, in the memory and by the kernel that scan vectors.
 */
export class LateInteraction {
  readonly #table: PieceVectors;
  readonly #memory: VectorMemory;
  readonly #dimensions: number;
  readonly #rows: Block;
  /** The row under way, and the same as it stands in the memory, filled up with zeros. */
  readonly #row: Float32Array;
  readonly #halves: Float16Array;
  /** By piece: 0 not looked up yet, 1 its row is there, 2 it says nothing. */
  readonly #states: Uint8Array;
  /** By piece, its place among the pieces of the comparison under way; -1 outside of one. */
  readonly #places: Int32Array;
  readonly #kept: KeptPieces;

  /** @param maxBytes Of the pieces of memories that are kept. */
  constructor(table: PieceVectors, memory: VectorMemory, dimensions: number, maxBytes: number) {
    this.#table = table;
    this.#memory = memory;
    this.#dimensions = Math.min(dimensions, table.dimensions);
    this.#rows = memory.allocate(table.size * strideOf(this.#dimensions) * 2);
    this.#row = new Float32Array(this.#dimensions);
    this.#halves = new Float16Array(strideOf(this.#dimensions));
    this.#states = new Uint8Array(table.size);
    this.#places = new Int32Array(table.size).fill(-1);
    this.#kept = new KeptPieces(maxBytes);
    for (const word of [...stopWords, ...punctuation]) {
      const pieces = table.piecesOf(word);
      if (pieces.length === 1) this.#states[pieces[0]!] = 2;
    }
  }

  /** Bytes of the pieces that are kept. */
  get bytes(): number {
    return this.#kept.bytes;
  }

  /** Word pieces of a question's words, with the words' idf. */
  questionPieces(words: readonly { readonly word: string; readonly idf: number }[]): QuestionPieces {
    const weights = new Map<number, number>();
    let total = 0;
    let known = 0;
    for (const { word, idf } of words) {
      total += idf;
      let says = false;
      for (const piece of this.#table.piecesOf(word)) {
        if (!this.#hasRow(piece)) continue;
        says = true;
        weights.set(piece, Math.max(weights.get(piece) ?? 0, idf));
      }
      if (says) known += idf;
    }
    const chosen = [...weights].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, maxQuestionPieces);
    return {
      pieces: Uint32Array.from(chosen, ([piece]) => piece),
      idfs: Float64Array.from(chosen, ([, idf]) => idf),
      knownShare: total > 0 ? known / total : 0,
    };
  }

  /**
   * The pieces that are kept of memories, in the order of their slots; undefined where there are none.
   * @param family What gives slots their meaning: pieces are forgotten with it.
   */
  kept(family: object, slots: Uint32Array): (Uint32Array | undefined)[] {
    return this.#kept.find(family, slots);
  }

  /** Pieces of a memory's text that say something, each once; kept. */
  keep(family: object, slot: number, text: string): Uint32Array {
    const pieces = this.#table.piecesOf(text);
    const places = this.#places;
    let size = 0;
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i]!;
      if (places[piece] !== -1 || !this.#hasRow(piece)) continue;
      places[piece] = 0;
      pieces[size++] = piece;
    }
    const list = new Uint32Array(size);
    for (let i = 0; i < size; i++) {
      list[i] = pieces[i]!;
      places[pieces[i]!] = -1;
    }
    this.#kept.keep(family, slot, list);
    return list;
  }

  /** How well each text answers, in their order: `Float64Array[texts]`, 0 for none. */
  scores(question: QuestionPieces, texts: readonly (Uint32Array | undefined)[]): Float64Array {
    const places = this.#places;
    let total = 0;
    for (let text = 0; text < texts.length; text++) total += texts[text]?.length ?? 0;
    /** Pieces, each once; of each piece of each text its place among them; and where each text's end. */
    const distinct = new Uint32Array(total);
    const placed = new Uint32Array(total);
    const ends = new Uint32Array(texts.length);
    let size = 0;
    let at = 0;
    for (let text = 0; text < texts.length; text++) {
      const pieces = texts[text];
      for (let i = 0; pieces !== undefined && i < pieces.length; i++) {
        const piece = pieces[i]!;
        let place = places[piece]!;
        if (place === -1) {
          place = places[piece] = size;
          distinct[size++] = piece;
        }
        placed[at++] = place;
      }
      ends[text] = at;
    }
    for (let i = 0; i < size; i++) places[distinct[i]!] = -1;
    const { pieces, idfs } = question;
    const slots = distinct.subarray(0, size);
    const best = this.#memory.bestOfTexts(pieces, this.#rows, this.#dimensions, slots, placed, ends);
    const scores = new Float64Array(texts.length);
    const lanes = best.length / Math.max(1, texts.length);
    for (let text = 0; text < texts.length; text++) {
      let score = 0;
      for (let each = 0; each < pieces.length; each++) {
        const cosine = best[text * lanes + each]!;
        score += idfs[each]! * cosine * cosine;
      }
      scores[text] = score;
    }
    return scores;
  }

  /** True when the piece says something; then its row stands in the memory. */
  #hasRow(piece: number): boolean {
    const state = this.#states[piece]!;
    if (state !== 0) return state === 1;
    if (!this.#table.leadingRow(piece, this.#row)) {
      this.#states[piece] = 2;
      return false;
    }
    this.#halves.set(this.#row);
    this.#memory.halves.set(this.#halves, (this.#rows.offset >> 1) + piece * this.#halves.length);
    this.#states[piece] = 1;
    return true;
  }
}
