import { characterRuns } from "./word-piece-character-runs.ts";

/** What becomes of a code point before words are cut into pieces. */
export const characterKind = {
  /** Stays as it is. */
  kept: 0,
  /** Leaves no trace: control characters, accents. */
  dropped: 1,
  /** Ends a word. */
  space: 2,
  /** A word of its own: punctuation, CJK ideographs. */
  apart: 3,
  /** Decomposed, accents dropped, lower-cased. */
  mapped: 4,
} as const;

const codePoints = 0x110000;
const asciiCodePoints = 0x80;

/**
 * What the reference tokenizer does with each code point.
 *
 * Its tables are of an older Unicode than the running Node.js's, and Node.js's change with its version; vectors must
 * not. So the kinds come from a table made with the reference, and only what `mapped` gives, which Unicode promises
 * never to change for an assigned code point, is asked of Node.js.
 */
export class CharacterMap {
  /** Kinds of U+0000 to U+007F. */
  readonly ascii: Uint8Array;
  #kinds: Uint8Array | undefined;
  /** At most one entry a mapped code point, of which there are some 14,000. */
  readonly #mappings = new Map<number, readonly number[]>();

  constructor() {
    this.ascii = readRuns(characterRuns, new Uint8Array(asciiCodePoints));
  }

  kindOf(codePoint: number): number {
    // Read whole at the first need only: plain English never pays for it.
    this.#kinds ??= readRuns(characterRuns, new Uint8Array(codePoints));
    return this.#kinds[codePoint]!;
  }

  /** Code points that a `mapped` one becomes, in order. */
  mappingOf(codePoint: number): readonly number[] {
    const known = this.#mappings.get(codePoint);
    if (known) return known;
    const mapping: number[] = [];
    for (const part of String.fromCodePoint(codePoint).normalize("NFD"))
      if (this.kindOf(part.codePointAt(0)!) !== characterKind.dropped)
        // One code point at a time: over a whole word, JavaScript would make the last sigma a final one.
        for (const lower of part.toLowerCase()) mapping.push(lower.codePointAt(0)!);
    this.#mappings.set(codePoint, mapping);
    return mapping;
  }
}

/** Fills `kinds` from its start with runs written as kind and length: a digit, then base 36 up to a comma. */
function readRuns(runs: string, kinds: Uint8Array): Uint8Array {
  let position = 0;
  for (let at = 0; at < runs.length && position < kinds.length; ) {
    const comma = runs.indexOf(",", at);
    const kind = runs.charCodeAt(at) - 0x30;
    const end = position + Number.parseInt(runs.slice(at + 1, comma), 36);
    if (kind !== characterKind.kept) kinds.fill(kind, position, end);
    position = end;
    at = comma + 1;
  }
  return kinds;
}
