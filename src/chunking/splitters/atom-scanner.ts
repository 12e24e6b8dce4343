import { breakStrength } from "./break-strength.ts";
import { breaksBetween, cutWord, isIdeograph, strengthAtSpace, wideBreakAt } from "./characters.ts";
import {
  isWhiteSpace,
  type LineClassifier,
  type LineMark,
  lineHorizon,
  lineViewLength,
  noHeadings,
} from "./line-classifier.ts";

/** The smallest piece a text is put together from: a sentence, a line, or part of one; no white space at its end. */
export interface Atom {
  /** First unit, counted from the start of the whole text. */
  readonly start: number;
  readonly end: number;
  /** Strength of the break before it. */
  readonly before: number;
  readonly headings: readonly string[];
}

/** The end of an atom and the strength of the break there. */
interface Break {
  readonly end: number;
  readonly after: number;
}

/** Indentation is kept up to here; what is longer is no layout. */
const longestIndent = 256;

/** Units beyond an atom that decide where it ends: its own line's view, and one user-perceived character. */
const lookahead: number = lineHorizon + 256;

/**
 * Cuts a text that arrives in parts into atoms. Looks no further ahead than a fixed number of units, so what it finds
 * does not depend on where the parts end.
 */
export class AtomScanner {
  readonly #lines: LineClassifier;
  readonly #flat: boolean;
  readonly #keepsIndent: boolean;
  readonly #atomLength: number;
  readonly #wordLength: number;
  readonly #segmenter = new Intl.Segmenter(undefined, { granularity: "grapheme" });
  #text = "";
  /** Position of the text's first unit in the whole. */
  #base = 0;
  #at = 0;
  #lineStart = true;
  /** Where the indentation starts that has been skipped, counted from the start of the whole. */
  #indent: number | undefined;
  #mark: LineMark = { before: 0, prose: true, headings: noHeadings };
  /** Strength the last atom's own end gives to the break after it. */
  #after = 0;

  /** @param atomLength Units after which an atom is cut at its last clause or word. Words stay whole up to 128 units. */
  constructor(
    lines: LineClassifier,
    options: { readonly atomLength: number; readonly flat: boolean; readonly keepsIndent: boolean },
  ) {
    this.#lines = lines;
    this.#flat = options.flat;
    this.#keepsIndent = options.keepsIndent;
    this.#atomLength = options.atomLength;
    this.#wordLength = Math.max(128, options.atomLength);
  }

  get segmenter(): Intl.Segmenter {
    return this.#segmenter;
  }

  append(part: string): void {
    this.#text += part;
  }

  /** Text from `start` to `end`, counted from the start of the whole; not before what was {@link release}d. */
  slice(start: number, end: number): string {
    return this.#text.slice(start - this.#base, end - this.#base);
  }

  /** The first unit an atom still to come may hold, counted from the start of the whole. */
  get position(): number {
    return this.#indent ?? this.#base + this.#at;
  }

  /** Lets go of the text before `position`. */
  release(position: number): void {
    const cut = Math.min(position, this.position) - this.#base;
    if (cut <= 0) return;
    this.#text = this.#text.slice(cut);
    this.#base += cut;
    this.#at -= cut;
  }

  /** The next atom; undefined where more text is needed, or at the end. */
  next(isEnd: boolean): Atom | undefined {
    const limit = isEnd ? this.#text.length : this.#text.length - lookahead;
    while (this.#at < limit) {
      if (this.#lineStart) this.#startLine(isEnd);
      const start = this.#skipWhiteSpace(limit);
      if (start === undefined) continue;
      return this.#atomFrom(start);
    }
    return undefined;
  }

  #startLine(isEnd: boolean): void {
    const start = this.#at;
    this.#indent = this.#keepsIndent ? this.#base + start : undefined;
    const reach = Math.min(this.#text.length, start + lineViewLength + 1);
    let end = start;
    while (end < reach && this.#text.charCodeAt(end) !== 10) end += 1;
    const complete = end < reach || (isEnd && end === this.#text.length);
    this.#mark = this.#lines.next({
      text: this.#text,
      start,
      end: Math.min(end, start + lineViewLength),
      complete: complete && end - start <= lineViewLength,
      horizon: Math.min(this.#text.length, start + lineHorizon),
    });
    const { before } = this.#mark;
    const endsSentence = this.#after === breakStrength.sentence && before === breakStrength.line;
    this.#after = endsSentence && this.#mark.prose ? breakStrength.sentenceLine : before;
    this.#lineStart = false;
  }

  /** Moves to the next text; gives where the atom starts, its indentation included. */
  #skipWhiteSpace(limit: number): number | undefined {
    const text = this.#text;
    for (; this.#at < limit; this.#at += 1) {
      const unit = text.charCodeAt(this.#at);
      if (!isWhiteSpace(unit)) {
        const start = (this.#indent ?? Number.POSITIVE_INFINITY) - this.#base;
        this.#indent = undefined;
        return this.#at - start <= longestIndent && start < this.#at ? start : this.#at;
      }
      if (unit === 10) {
        this.#at += 1;
        this.#lineStart = true;
        this.#indent = undefined;
        return undefined;
      }
      if (this.#indent !== undefined && this.#base + this.#at - this.#indent > longestIndent) {
        this.#indent = undefined;
      }
    }
    return undefined;
  }

  #atomFrom(start: number): Atom {
    const { end, after } = this.#findEnd(this.#at);
    const before = this.#flat ? Math.min(this.#after, breakStrength.word) : this.#after;
    this.#at = end;
    this.#after = after;
    return { start: this.#base + start, end: this.#base + end, before, headings: this.#mark.headings };
  }

  #findEnd(start: number): Break {
    const text = this.#text;
    const { prose } = this.#mark;
    const early = start + this.#atomLength / 2;
    let best: Break = { end: start, after: breakStrength.grapheme };
    for (let at = start + 1; ; at += 1) {
      const unit = at < text.length ? text.charCodeAt(at) : 10;
      let found: Break | undefined;
      if (unit === 10) {
        const end = trimmedEnd(text, at);
        return { end, after: strengthAtSpace(text, start, end, prose) };
      }
      if (isWhiteSpace(unit)) {
        if (!isWhiteSpace(text.charCodeAt(at - 1)) && breaksBetween(text, at + 1))
          found = { end: at, after: strengthAtSpace(text, start, at, prose) };
      } else found = this.#breakWithoutSpace(at, prose);
      if (found !== undefined && found.after >= breakStrength.sentence) return found;
      if (found !== undefined && (found.after >= best.after || best.end < early)) best = found;
      if (at - start >= this.#atomLength && best.end > start) return best;
      if (at - start >= this.#wordLength) {
        return { end: cutWord(text, start, at, this.#segmenter), after: breakStrength.grapheme };
      }
    }
  }

  /** A break right before or after `at` where no space stands. */
  #breakWithoutSpace(at: number, prose: boolean): Break | undefined {
    const text = this.#text;
    const before = text.charCodeAt(at - 1);
    if (before >= 0x2026) {
      const wide = wideBreakAt(text, at - 1);
      if (wide !== undefined) return wide;
      if (isIdeograph(before) && isIdeograph(text.charCodeAt(at)))
        return { end: at, after: breakStrength.word };
    } else if (!prose && (before === 44 || before === 59) && breaksBetween(text, at)) {
      // Minified code and JSON: after a comma or semicolon.
      return { end: at, after: breakStrength.clause };
    }
    return undefined;
  }
}

function trimmedEnd(text: string, from: number): number {
  let end = from;
  while (isWhiteSpace(text.charCodeAt(end - 1))) end -= 1;
  return end;
}
