import { breakStrength } from "./break-strength.ts";
import { isWhiteSpace } from "./line-classifier.ts";

const closers = new Set("\"'”’»›)]}」』）】》〉*_");
const terminators = new Set(".!?…。！？．｡؟۔।॥።");
const wideTerminators = new Set("。！？｡…");
const clauseEnds = new Set(",;:—–，、；：·،؛");
const wideClauseEnds = new Set("，、；：");
const codeClauseEnds = new Set(",;{}[]()");
const abbreviation =
  /(?:^|[^\p{L}\p{N}])(?:\p{L}|mr|mrs|ms|dr|st|prof|no|vs|etc|e\.g|i\.e|cf|fig|vol|pp|ca|inc|ltd|jr|sr|т\.е|т\.к|т\.д|г-н|г-жа|им|ул|др|пр|см)\.$/iu;
const joiner = /^(?:\p{M}|\u200d)/u;

/** Strength of the break after `end - 1`, where white space or the end of the text follows at `end`. */
export function strengthAtSpace(text: string, start: number, end: number, prose: boolean): number {
  let last = end - 1;
  if (!prose) return codeClauseEnds.has(text[last]!) ? breakStrength.clause : breakStrength.word;
  for (let steps = 0; steps < 4 && last > start && closers.has(text[last]!); steps += 1) last -= 1;
  const unit = text[last]!;
  if (terminators.has(unit)) {
    if (unit === "." && !endsSentence(text, start, last, end)) return breakStrength.word;
    return breakStrength.sentence;
  }
  return clauseEnds.has(unit) ? breakStrength.clause : breakStrength.word;
}

function endsSentence(text: string, start: number, dot: number, end: number): boolean {
  const after = text.slice(end, end + 8).trimStart();
  if (/^\p{Ll}/u.test(after)) return false;
  return !abbreviation.test(text.slice(Math.max(start, dot - 8), dot + 1));
}

/**
 * Where text without spaces breaks after the unit at `at`: one past the closing marks, and how well it breaks there;
 * undefined where it does not.
 */
export function wideBreakAt(text: string, at: number): { end: number; after: number } | undefined {
  const unit = text[at]!;
  const isTerminator = wideTerminators.has(unit);
  if (!isTerminator && !wideClauseEnds.has(unit)) return undefined;
  let end = at + 1;
  while (end < at + 6 && (closers.has(text[end]!) || wideTerminators.has(text[end]!))) end += 1;
  if (!breaksBetween(text, end)) return undefined;
  return { end, after: isTerminator ? breakStrength.sentence : breakStrength.clause };
}

/** True for Han and Kana, between which a line may break. */
export function isIdeograph(unit: number): boolean {
  return (
    unit >= 0x3041 &&
    unit <= 0xfaff &&
    ((unit >= 0x4e00 && unit <= 0x9fff) ||
      (unit >= 0x3400 && unit <= 0x4dbf) ||
      unit <= 0x3096 ||
      (unit >= 0x30a1 && unit <= 0x30fa) ||
      unit >= 0xf900)
  );
}

/** False where a mark, joiner or variation selector follows that belongs to what stands before. */
export function breaksBetween(text: string, at: number): boolean {
  const unit = text.charCodeAt(at);
  if (!(unit >= 0x300)) return true;
  if (isLowSurrogate(unit)) return !isHighSurrogate(text.charCodeAt(at - 1));
  // Letters and ideographs of the scripts met most, known to join nothing.
  if ((unit >= 0x400 && unit <= 0x481) || isIdeograph(unit)) return true;
  return !joiner.test(text.slice(at, at + 2));
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

/** Longest user-perceived character kept whole, in UTF-16 units. */
const longestGrapheme = 64;

/**
 * The last place in (start, wanted] that cuts no user-perceived character; no code point, where one character reaches
 * over all of it. Looks at most 64 units beyond `wanted`.
 */
export function cutWord(text: string, start: number, wanted: number, segmenter: Intl.Segmenter): number {
  if (isPlain(text.charCodeAt(wanted - 1)) && isPlain(text.charCodeAt(wanted))) return wanted;
  const window = text.slice(start, wanted + longestGrapheme);
  // A boundary at the window's own end is none: the character may go on.
  const segment = segmenter.segment(window).containing(wanted - start);
  const cut = segment === undefined ? wanted : start + segment.index;
  if (cut > start) return cut;
  return wanted - start > 1 && isHighSurrogate(text.charCodeAt(wanted - 1)) ? wanted - 1 : wanted;
}

/** Units that form no cluster with one another. */
function isPlain(unit: number): boolean {
  return (unit < 0x300 && unit > 32 && unit !== 0xa9 && unit !== 0xad && unit !== 0xae) || isIdeograph(unit);
}

/** A place to cut a text near its middle: at white space if there is some; undefined for a single code point. */
export function cutNearMiddle(
  text: string,
  segmenter: Intl.Segmenter,
): { left: number; right: number; strength: number } | undefined {
  const middle = text.length >> 1;
  for (let step = 0; step < text.length; step += 1) {
    const at = middle + (step % 2 === 0 ? step >> 1 : -((step + 1) >> 1));
    if (!isWhiteSpace(text.charCodeAt(at))) continue;
    let left = at;
    let right = at + 1;
    while (left > 0 && isWhiteSpace(text.charCodeAt(left - 1))) left -= 1;
    while (right < text.length && isWhiteSpace(text.charCodeAt(right))) right += 1;
    if (left > 0 && right < text.length && breaksBetween(text, right))
      return { left, right, strength: breakStrength.word };
  }
  const cut = cutGraphemes(text, middle, segmenter);
  return cut === undefined ? undefined : { left: cut, right: cut, strength: breakStrength.grapheme };
}

/** Between the user-perceived characters nearest the middle; between code points where there is only one. */
function cutGraphemes(text: string, middle: number, segmenter: Intl.Segmenter): number | undefined {
  const starts = [...segmenter.segment(text)].map((each) => each.index).slice(1);
  const near = starts.findLast((at) => at <= middle) ?? starts[0];
  if (near !== undefined) return near;
  for (const at of [middle, middle + 1, middle - 1]) {
    const isInside = isHighSurrogate(text.charCodeAt(at - 1)) && isLowSurrogate(text.charCodeAt(at));
    if (at > 0 && at < text.length && !isInside) return at;
  }
  return undefined;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
