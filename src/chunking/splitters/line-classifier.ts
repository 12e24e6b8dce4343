/** A line as a classifier sees it. */
export interface LineView {
  readonly text: string;
  readonly start: number;
  /** Where its line feed stands, or where the view was cut. */
  readonly end: number;
  /** False for a line longer than the view. */
  readonly complete: boolean;
  /** One past what may be looked at beyond the line. */
  readonly horizon: number;
}

/** What a line means to the splitter. */
export interface LineMark {
  /** Strength of the break before the line. */
  readonly before: number;
  /** Sentences end inside the line, not only clauses. */
  readonly prose: boolean;
  /** Headings above the line, outermost first. */
  readonly headings: readonly string[];
  /** The heading that starts on the line. */
  readonly heading?: Heading;
}

export interface Heading {
  /** 1..6, 1 being the outermost. */
  readonly level: number;
  readonly title: string;
}

/** Says line by line, from the start of a text, what each line is. Blank lines are passed too. */
export interface LineClassifier {
  next(line: LineView): LineMark;
}

/** Longest view of one line, in UTF-16 units. */
export const lineViewLength = 1024;

/** How far from its start a classifier may look for what a line turns out to be, in UTF-16 units. */
export const lineHorizon = 2048;

export const noHeadings: readonly string[] = [];

/** True where nothing but white space stands between `start` and `end`. */
export function isBlank(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) if (!isWhiteSpace(text.charCodeAt(at))) return false;
  return true;
}

/** White space as JavaScript's `\s` and `trim` have it; all that may be left out between chunks. */
export function isWhiteSpace(unit: number): boolean {
  if (unit < 0xa0) return unit === 32 || (unit >= 9 && unit <= 13);
  return (
    unit === 0xa0 ||
    unit === 0x3000 ||
    (unit >= 0x2000 && unit <= 0x200a) ||
    unit === 0x2028 ||
    unit === 0x2029 ||
    unit === 0x202f ||
    unit === 0x205f ||
    unit === 0x1680 ||
    unit === 0xfeff
  );
}
