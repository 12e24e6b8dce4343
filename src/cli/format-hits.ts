import type { Hit, Recall } from "../contract/recall.ts";
import { explainAnswer, explainHit } from "./format-explanation.ts";
import { factsLine, originOf } from "./format-memory.ts";
import type { Style } from "./output.ts";
import { oneLine, printable, truncate, wrap } from "./terminal-text.ts";

/** How hits are shown. */
export interface HitLayout {
  readonly width: number;
  /** The whole text of each memory, not its beginning. */
  readonly full: boolean;
  readonly style: Style;
  /** Paths below it are told from there. */
  readonly cwd: string;
}

/** Lines of a memory's text shown unless all of it is wanted. */
const shownLines = 3;
/** Text before the first highlight that stays visible, in UTF-16 units. */
const leadIn = 60;
const indent = "   ";

/** The hits of an answer, best first, each a head line, its text and its facts. */
export function formatHits({ hits, explanation }: Recall, layout: HitLayout): string {
  const blocks = hits.map((hit, index) => {
    const why = hit.why && explanation ? explainHit(hit.score, hit.why, explanation.weights) : [];
    return [
      headLine(hit, index + 1, layout),
      ...textLines(hit, layout).map((line) => indent + line),
      ...(hit.folded ? [indent + layout.style.dim(`the same: ${hit.folded.map(oneLine).join(", ")}`)] : []),
      ...why.map((line) => indent + layout.style.cyan(line)),
      indent + layout.style.dim(factsLine(hit.memory)),
    ].join("\n");
  });
  if (explanation)
    blocks.push(
      explainAnswer(explanation)
        .map((line) => layout.style.cyan(line))
        .join("\n"),
    );
  return blocks.join("\n\n");
}

function headLine(hit: Hit, place: number, { width, style, cwd }: HitLayout): string {
  const number = `${place}.`.padEnd(3);
  const score = hit.score.toFixed(3);
  const origin = truncate(originOf(hit.memory, cwd), width - number.length - score.length - 2);
  return `${number}${style.bold(style.green(score))}${origin === "" ? "" : `  ${style.bold(origin)}`}`;
}

function textLines(
  { memory: { content: own }, passage, highlights }: Hit,
  { width, full, style }: HitLayout,
): string[] {
  const columns = width - indent.length;
  // A passage is asked for to be read whole.
  const content = passage?.content ?? own;
  const mark = (line: string): string => markWords(line, wordsOf(content, highlights ?? []), style);
  if (full || passage) {
    return printable(content)
      .split("\n")
      .flatMap((line) => (line.trim() === "" ? [""] : wrap(line, columns)))
      .map(mark);
  }
  const first = highlights?.[0]?.start ?? 0;
  const skipped = first > leadIn * 2 ? startOfWord(content, first - leadIn) : 0;
  const shown = oneLine(content.slice(skipped, skipped + columns * (shownLines + 2)));
  const rest = skipped + columns * (shownLines + 2) < content.length;
  return wrap(`${skipped > 0 ? "… " : ""}${shown}${rest ? " …" : ""}`, columns, shownLines).map(mark);
}

/** The first beginning of a word at or after `index`, so that no word and no character is cut. */
function startOfWord(text: string, index: number): number {
  const space = text.slice(index).search(/\s/u);
  return space < 0 ? index : index + space;
}

function wordsOf(content: string, highlights: NonNullable<Hit["highlights"]>): string[] {
  const words = highlights.map(({ start, end }) => oneLine(content.slice(start, end)));
  return [...new Set(words)].filter((word) => word !== "").toSorted((a, b) => b.length - a.length);
}

/** Marks the matched words in a line: wrapping has moved them, so they are found again by what they say. */
function markWords(line: string, words: readonly string[], style: Style): string {
  if (words.length === 0) return line;
  const pattern = words.map(RegExp.escape).join("|");
  return line.replace(new RegExp(`(?<![\\p{L}\\p{N}])(?:${pattern})(?![\\p{L}\\p{N}])`, "gu"), (word) =>
    style.yellow(word),
  );
}
