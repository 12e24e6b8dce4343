import type { Chunk, TokenCounter } from "../../contract/chunk.ts";
import { StrataError } from "../../contract/errors.ts";
import { type Atom, AtomScanner } from "./atom-scanner.ts";
import { breakStrength } from "./break-strength.ts";
import { cutNearMiddle } from "./characters.ts";
import type { LineClassifier } from "./line-classifier.ts";

/** Checked limits of a splitter, all of them given. */
export interface SplitLimits {
  readonly chunkTokens: number;
  readonly overlapTokens: number;
  readonly minChunkTokens: number;
  readonly counter: TokenCounter;
}

/** How a kind of text is looked at. */
export interface SplitMethod {
  readonly lines: LineClassifier;
  /** All breaks between words count the same: chunks as full as they can be. */
  readonly flat: boolean;
  /** A chunk may start with the indentation of its first line. */
  readonly keepsIndent: boolean;
}

interface CountedAtom extends Atom {
  /** Of the atom with the white space before it. */
  readonly tokens: number;
}

/** A chunk's span is bounded in units too: a model may count a megabyte without spaces as one token. */
const unitsPerToken = 32;

/** White space before an atom that is counted with it: tokenizers join a space to the word after it. */
const countedSpace = 16;

/** Share of the limit a chunk reaches before a stronger break earlier wins over a later, weaker one. */
const earliestBreak = 0.5;

/**
 * Puts chunks together from atoms as the text arrives. Each atom is counted once and the sums steer; each chunk is
 * counted once as a whole before it leaves, and made smaller where counting turns out not to add up.
 */
export class TextSplitter {
  readonly #limits: SplitLimits;
  readonly #scanner: AtomScanner;
  readonly #maxUnits: number;
  /** The open chunk: first its overlap with the last one, then what no chunk holds yet. */
  #atoms: CountedAtom[] = [];
  /** How many of the open chunk's atoms are overlap. */
  #overlap = 0;
  #tokens = 0;
  #lastEnd = 0;

  constructor(method: SplitMethod, limits: SplitLimits) {
    this.#limits = limits;
    this.#maxUnits = limits.chunkTokens * unitsPerToken;
    const fine = Math.min(limits.chunkTokens / 8, limits.overlapTokens || Number.POSITIVE_INFINITY);
    this.#scanner = new AtomScanner(method.lines, {
      atomLength: Math.min(128, Math.max(16, Math.floor(fine * 2))),
      flat: method.flat,
      keepsIndent: method.keepsIndent,
    });
  }

  /** Takes the next part of the text; gives the chunks that are now known. */
  *push(part: string): Generator<Chunk, void, undefined> {
    this.#scanner.append(part);
    yield* this.#scan(false);
  }

  /** Gives the chunks that are left. */
  *finish(): Generator<Chunk, void, undefined> {
    yield* this.#scan(true);
    while (this.#atoms.length > this.#overlap) yield this.#take(0);
  }

  *#scan(isEnd: boolean): Generator<Chunk, void, undefined> {
    for (let atom = this.#scanner.next(isEnd); atom !== undefined; atom = this.#scanner.next(isEnd)) {
      if (atom.before >= breakStrength.section) yield* this.#closeSection();
      for (const part of this.#counted(atom, this.#lastEnd)) {
        this.#atoms.push(part);
        this.#tokens += part.tokens;
        yield* this.#closeFull();
      }
      this.#lastEnd = atom.end;
    }
    this.#scanner.release(this.#atoms[0]?.start ?? this.#scanner.position);
  }

  /** The last atom may be one too many. */
  *#closeFull(): Generator<Chunk, void, undefined> {
    while (this.#isOver()) {
      const fresh = this.#atoms.length - this.#overlap;
      if (fresh > 1) yield this.#take(1);
      else this.#restart(1, this.#overlap - 1);
    }
  }

  /** A heading starts: the chunk ends before it, unless it would be too small to stand alone. */
  *#closeSection(): Generator<Chunk, void, undefined> {
    const fresh = sum(this.#atoms, this.#overlap, this.#atoms.length);
    if (this.#atoms.length > this.#overlap && fresh < this.#limits.minChunkTokens) return;
    while (this.#atoms.length > this.#overlap) yield this.#take(0);
    this.#restart(this.#atoms.length);
  }

  #isOver(): boolean {
    const span = this.#atoms.at(-1)!.end - this.#atoms[0]!.start;
    return this.#atoms.length > 1 && (this.#tokens > this.#limits.chunkTokens || span > this.#maxUnits);
  }

  /** The atom with its tokens; parts of it, where it alone is over the limit. `textBefore`: where the one before ends. */
  #counted(atom: Atom, textBefore: number): CountedAtom[] {
    const space = atom.start - textBefore;
    const from = space <= countedSpace && this.#atoms.length > 0 ? textBefore : atom.start;
    let tokens = this.#limits.counter.count(this.#scanner.slice(from, atom.end));
    if (tokens > this.#limits.chunkTokens && from < atom.start)
      tokens = this.#limits.counter.count(this.#scanner.slice(atom.start, atom.end));
    if (tokens <= this.#limits.chunkTokens) return [{ ...atom, tokens }];
    return this.#parts(atom, textBefore);
  }

  /** The atom without its indentation, else its halves. */
  #parts(atom: Atom, textBefore: number): CountedAtom[] {
    const text = this.#scanner.slice(atom.start, atom.end);
    const indent = text.length - text.trimStart().length;
    if (indent > 0) return this.#counted({ ...atom, start: atom.start + indent }, textBefore);
    const cut = cutNearMiddle(text, this.#scanner.segmenter);
    if (cut === undefined) throw limitTooSmall(this.#limits);
    const left = { ...atom, end: atom.start + cut.left };
    const right = { ...atom, start: atom.start + cut.right, before: cut.strength };
    return [...this.#counted(left, textBefore), ...this.#counted(right, left.end)];
  }

  /** Closes a chunk at the best break, leaving at least the last `reserve` atoms to the next, and opens that. */
  #take(reserve: 0 | 1): Chunk {
    let fits = this.#fitting(this.#atoms.length - reserve);
    for (;;) {
      if (fits <= this.#overlap) {
        // Overlap and the next atom do not fit together: the chunk starts later.
        this.#restart(1, this.#overlap - 1);
        fits = this.#fitting(this.#atoms.length - reserve);
        continue;
      }
      const size = fits === this.#atoms.length ? fits : this.#bestBreak(fits);
      const chunk = this.#chunk(size);
      if (chunk !== undefined) {
        this.#openNext(size);
        return chunk;
      }
      if (size > 1) fits = size - 1;
      else this.#atoms.splice(0, 1, ...this.#parts(this.#atoms[0]!, this.#atoms[0]!.start));
    }
  }

  /** How many of the first `most` atoms the sums let into one chunk; at least 1. */
  #fitting(most: number): number {
    let tokens = 0;
    for (let count = 0; count < most; count += 1) {
      const atom = this.#atoms[count]!;
      tokens += atom.tokens;
      const isOver = tokens > this.#limits.chunkTokens || atom.end - this.#atoms[0]!.start > this.#maxUnits;
      if (isOver && count > 0) return count;
    }
    return most;
  }

  /** The chunk's size in atoms, at most `fits`: at the strongest break that leaves it at least half full, the last of equals. */
  #bestBreak(fits: number): number {
    const least = this.#limits.chunkTokens * earliestBreak;
    let best = fits;
    let tokens = sum(this.#atoms, 0, fits);
    for (let size = fits - 1; size > this.#overlap; size -= 1) {
      tokens -= this.#atoms[size]!.tokens;
      if (tokens < least) break;
      if (this.#atoms[size]!.before > this.#atoms[best]!.before) best = size;
    }
    return best;
  }

  #chunk(size: number): Chunk | undefined {
    const { start, headings } = this.#atoms[0]!;
    const { end } = this.#atoms[size - 1]!;
    const text = this.#scanner.slice(start, end);
    const tokens = this.#limits.counter.count(text);
    return tokens <= this.#limits.chunkTokens ? { text, start, end, tokens, headings } : undefined;
  }

  /** Opens the next chunk behind the first `size` atoms, with overlap from the best break within `overlapTokens`. */
  #openNext(size: number): void {
    const headingNext = (this.#atoms[size]?.before ?? 0) >= breakStrength.section;
    let from = size;
    let tokens = 0;
    for (let at = size - 1; at > 0 && !headingNext; at -= 1) {
      tokens += this.#atoms[at]!.tokens;
      if (!(tokens <= this.#limits.overlapTokens)) break;
      if (from === size || this.#atoms[at]!.before >= this.#atoms[from]!.before) from = at;
      if (this.#atoms[at]!.before >= breakStrength.section) break;
    }
    while (from < size && this.#countSpan(from, size) > this.#limits.overlapTokens) from += 1;
    this.#restart(from, size - from);
  }

  #countSpan(from: number, to: number): number {
    return this.#limits.counter.count(
      this.#scanner.slice(this.#atoms[from]!.start, this.#atoms[to - 1]!.end),
    );
  }

  #restart(from: number, overlap = 0): void {
    this.#atoms.splice(0, from);
    this.#overlap = Math.max(0, overlap);
    this.#tokens = sum(this.#atoms, 0, this.#atoms.length);
  }
}

function sum(atoms: readonly CountedAtom[], from: number, to: number): number {
  let tokens = 0;
  for (let at = from; at < to; at += 1) tokens += atoms[at]!.tokens;
  return tokens;
}

function limitTooSmall(limits: SplitLimits): StrataError {
  return new StrataError(
    "INVALID_ARGUMENT",
    `Expected chunkTokens to hold at least one character; ${limits.chunkTokens} of ${limits.counter.id} does not hold one of the text. Raise it.`,
    { details: { chunkTokens: limits.chunkTokens } },
  );
}
