import { breakStrength } from "./break-strength.ts";
import {
  type Heading,
  isBlank,
  type LineClassifier,
  type LineMark,
  type LineView,
  lineHorizon,
  lineViewLength,
  noHeadings,
} from "./line-classifier.ts";

const atxOpening = /^ {0,3}(#{1,6})(?=[ \t\r]|$)/;
const setextUnderline = /^ {0,3}(=+|-+)[ \t]*\r?$/;
const fenceOpening = /^([ \t]*)(?:[-*+][ \t]+|\d{1,9}[.)][ \t]+)?(`{3,}(?=[^`]*$)|~{3,})/;
const notParagraph = /^(?:\s*$|\t| {4}| {0,3}(?:[-*+>|]|\d{1,9}[.)][ \t]|<))/;
const listItem = /^\s*(?:[-*+]|\d{1,9}[.)])[ \t]/;
const rawHtml = /^ {0,3}<(?:(!--)|(pre|script|style|textarea)(?=[\s>]|$))/i;

/** Lines of a paragraph that are looked over for an underline that makes it a heading. */
const setextLines = 3;
const longestTitle = 200;

/** A part of the text in which no heading stands; `closes` says whether a line is its last. */
interface Enclosure {
  readonly closes: (words: string) => boolean;
  readonly code: boolean;
  /** Indentation of the fence that opened it: it ends with its list item. */
  readonly indent: number;
}

interface HeadingAhead extends Heading {
  /** Lines the heading goes on for, its underline included. */
  readonly linesAfter: number;
}

/**
 * Markdown (CommonMark's ATX and setext headings) with front matter. Fenced code, HTML comments and front matter hold
 * no headings.
 */
export class MarkdownLines implements LineClassifier {
  #open: readonly Heading[] = [];
  #path: readonly string[] = noHeadings;
  #enclosure: Enclosure | undefined;
  #blankBefore = false;
  #inParagraph = false;
  /** The line before was a heading: what follows stays with it. */
  #afterHeading = false;
  /** Lines of a setext heading still to come, its underline included. */
  #setextLeft = 0;
  #first = true;

  next(line: LineView): LineMark {
    const words = line.text.slice(line.start, line.end);
    const isFirst = this.#first;
    this.#first = false;
    if (isFirst && line.complete) this.#enclosure = frontMatter(line, words);
    else if (this.#enclosure !== undefined) return this.#enclosed(line, words, this.#enclosure);
    if (this.#enclosure !== undefined) return this.#mark(breakStrength.word, false);
    if (line.complete && isBlank(line.text, line.start, line.end)) return this.#blank();
    if (this.#setextLeft > 0) return this.#setextContinues();
    if (!line.complete) return this.#plain(line, words);
    return this.#heading(line, words) ?? this.#fence(words) ?? this.#plain(line, words);
  }

  #blank(): LineMark {
    this.#blankBefore = true;
    this.#inParagraph = false;
    return this.#mark(breakStrength.word, true);
  }

  #setextContinues(): LineMark {
    this.#setextLeft -= 1;
    this.#inParagraph = false;
    this.#afterHeading = this.#setextLeft === 0;
    return { before: breakStrength.word, prose: true, headings: this.#parents() };
  }

  #heading(line: LineView, words: string): LineMark | undefined {
    const heading = atxHeading(words) ?? (this.#inParagraph ? undefined : setextAhead(line, words));
    if (heading === undefined) return undefined;
    this.#setextLeft = heading.linesAfter;
    this.#open = [...this.#open.filter((each) => each.level < heading.level), heading];
    this.#path = this.#open.map((each) => each.title).filter((title) => title !== "");
    const before = this.#afterHeading ? breakStrength.line : breakStrength.section + 6 - heading.level;
    this.#inParagraph = false;
    this.#blankBefore = false;
    this.#afterHeading = this.#setextLeft === 0;
    return { before, prose: true, headings: this.#parents(), heading };
  }

  /** A fence or raw HTML opens. */
  #fence(words: string): LineMark | undefined {
    const fence = fenceOpening.exec(words);
    if (fence !== null) {
      const run = fence[2]!;
      const closing = new RegExp(`^[ \\t]*${run[0]}{${run.length},}[ \\t]*\\r?$`);
      const code = (text: string): boolean => closing.test(text);
      const indent = fence[1]!.replaceAll("\t", "    ").length;
      const before = this.#strengthBefore(words);
      this.#enclosure = { closes: code, code: true, indent };
      return this.#leave(before, false);
    }
    const html = rawHtml.exec(words);
    if (html === null) return undefined;
    const end = html[1] === undefined ? `</${html[2]!.toLowerCase()}>` : "-->";
    if (words.toLowerCase().includes(end, html[0].length)) return undefined;
    const before = this.#strengthBefore(words);
    this.#enclosure = { closes: (text) => text.toLowerCase().includes(end), code: false, indent: 0 };
    return this.#leave(before, false);
  }

  #enclosed(line: LineView, words: string, enclosure: Enclosure): LineMark {
    const blank = words.trim() === "";
    // A fence inside a list item ends with the item, closed or not.
    if (!blank && enclosure.code && enclosure.indent > 3 && !/^[ \t]/.test(words)) {
      this.#enclosure = undefined;
      return this.#mark(breakStrength.paragraph, true);
    }
    // The end of raw HTML may stand beyond the view of an overlong line; a fence's never does.
    const last = enclosure.closes(words) || (!line.complete && !enclosure.code);
    if (last) this.#enclosure = undefined;
    const before = last
      ? breakStrength.grapheme
      : this.#blankBefore
        ? breakStrength.line
        : breakStrength.clause;
    this.#blankBefore = blank || last;
    this.#inParagraph = false;
    return this.#mark(before, false);
  }

  #plain(line: LineView, words: string): LineMark {
    const before = this.#strengthBefore(words);
    this.#inParagraph = !line.complete || !notParagraph.test(words);
    return this.#leave(before, true);
  }

  #leave(before: number, prose: boolean): LineMark {
    this.#blankBefore = false;
    this.#afterHeading = false;
    if (!prose) this.#inParagraph = false;
    return this.#mark(before, prose);
  }

  #strengthBefore(words: string): number {
    if (this.#afterHeading) return breakStrength.grapheme;
    if (this.#blankBefore) return breakStrength.paragraph;
    if (listItem.test(words)) return breakStrength.sentenceLine;
    return /^\s*\|/.test(words) ? breakStrength.sentence : breakStrength.line;
  }

  #parents(): readonly string[] {
    return this.#open
      .slice(0, -1)
      .map((each) => each.title)
      .filter((title) => title !== "");
  }

  #mark(before: number, prose: boolean): LineMark {
    return { before, prose, headings: this.#path };
  }
}

/** Title of a Markdown text: its front matter's, or its first heading of level 1, looked for in the first 64 Ki units. */
export function markdownTitle(text: string): string | undefined {
  const head = text.slice(0, 65_536);
  const matter = /^---[ \t]*\r?\n([\s\S]*?)\n(?:---|\.\.\.)[ \t]*(?:\r?\n|$)/.exec(head)?.[1];
  const given = /^title:[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^\n]*))/m.exec(matter ?? "");
  const title = plainTitle(given?.[1] ?? given?.[2] ?? given?.[3] ?? "");
  return title === "" ? firstHeading(head) : title;
}

function firstHeading(head: string): string | undefined {
  const lines = new MarkdownLines();
  for (let start = 0; start < head.length; ) {
    const feed = head.indexOf("\n", start);
    const lineEnd = feed === -1 ? head.length : feed;
    const end = Math.min(lineEnd, start + lineViewLength);
    const view = { text: head, start, end, complete: end === lineEnd, horizon: start + lineHorizon };
    const { heading } = lines.next(view);
    if (heading?.level === 1 && heading.title !== "") return heading.title;
    start = lineEnd + 1;
  }
  return undefined;
}

function atxHeading(words: string): HeadingAhead | undefined {
  const marks = atxOpening.exec(words)?.[1];
  if (marks === undefined) return undefined;
  const rest = words.slice(words.indexOf(marks) + marks.length).trim();
  return { level: marks.length, title: plainTitle(rest.replace(/(?:^|[ \t])#+$/, "")), linesAfter: 0 };
}

function frontMatter(line: LineView, words: string): Enclosure | undefined {
  if (!/^---[ \t]*\r?$/.test(words)) return undefined;
  const ahead = line.text.slice(line.end, line.horizon);
  const end = /\n(?:---|\.\.\.)[ \t]*\r?(?:\n|$)/;
  if (!end.test(ahead)) return undefined;
  return { closes: (text) => /^(?:---|\.\.\.)[ \t]*\r?$/.test(text), code: false, indent: 0 };
}

/** The heading a paragraph turns out to be when an underline follows. */
function setextAhead(line: LineView, words: string): HeadingAhead | undefined {
  if (notParagraph.test(words) || fenceOpening.test(words)) return undefined;
  const titles = [words];
  let start = line.end + 1;
  for (let linesAfter = 1; linesAfter <= setextLines; linesAfter += 1) {
    const feed = line.text.indexOf("\n", start);
    const end = feed === -1 ? line.text.length : feed;
    if (start >= line.horizon || end > line.horizon) return undefined;
    const next = line.text.slice(start, end);
    const underline = setextUnderline.exec(next);
    if (underline !== null) {
      const level = underline[1]!.startsWith("=") ? 1 : 2;
      return { level, title: plainTitle(titles.join(" ")), linesAfter };
    }
    if (notParagraph.test(next) || fenceOpening.test(next) || atxOpening.test(next)) return undefined;
    titles.push(next);
    start = end + 1;
  }
  return undefined;
}

/** A heading's words without its marks of emphasis, code and links. */
function plainTitle(source: string): string {
  return source
    .slice(0, 2 * longestTitle)
    .replace(/\s*\{#[^}]*\}\s*$/, "")
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1")
    .replace(/[*`]+|<[^>]*>/g, "")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, longestTitle)
    .replace(/[\ud800-\udbff]$/, "");
}
