import { readFileSync } from "node:fs";

/** Numbers from 0 up to 1, the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Text for benchmarks that are given none: English words drawn by Zipf's law, so that word frequencies, and with them
 * the keyword index, look like those of real text. The same seed gives the same texts.
 */
export class TextGenerator {
  readonly #random: () => number;
  readonly #words: readonly string[];

  constructor(seed: number) {
    this.#random = seededRandom(seed);
    const vocabulary = readFileSync(new URL("../models/builtin/vocab.txt", import.meta.url), "utf8").split(
      "\n",
    );
    this.#words = vocabulary.filter((word) => /^[a-z]{2,}$/.test(word));
  }

  #word(): string {
    // The rank's logarithm is uniform: rank r has a chance in proportion to 1 / r.
    return this.#words[Math.floor(this.#words.length ** this.#random()) - 1]!;
  }

  /** A sentence of 8 to 28 words. */
  sentence(): string {
    const words = Array.from({ length: 8 + Math.floor(this.#random() * 21) }, () => this.#word());
    const text = words.join(" ");
    return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
  }

  sentences(count: number): string[] {
    return Array.from({ length: count }, () => this.sentence());
  }

  /** Paragraphs of three to eight sentences, at least `characters` in all and at most a paragraph more. */
  document(characters: number): string {
    let text = "";
    while (text.length < characters)
      text += `${this.sentences(3 + Math.floor(this.#random() * 6)).join(" ")}\n\n`;
    return text;
  }
}
