// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for.
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Text that cannot move the cursor, recolour or reorder what a person reads: control characters and marks of writing
 * direction are shown as "�". Line feeds and tabs stay.
 */
export function printable(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(controls, "\ufffd");
}

/** The same on one line, runs of white space as one space. */
export function oneLine(text: string): string {
  return printable(text.replace(/\s+/gu, " ").trim());
}

/**
 * Columns a text takes at most: every character but those of Latin, Greek, Cyrillic and common punctuation is counted
 * as a wide one.
 */
export function columnsOf(text: string): number {
  let columns = 0;
  for (const character of text) {
    const point = character.codePointAt(0)!;
    columns += point < 0x0530 || (point >= 0x2010 && point <= 0x2060) ? 1 : 2;
  }
  return columns;
}

/** The text, or as much of its beginning as fits into `columns` with a "…" at the end. */
export function truncate(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text;
  let kept = "";
  let taken = 1;
  for (const character of text) {
    taken += columnsOf(character);
    if (taken > columns) break;
    kept += character;
  }
  return `${kept.trimEnd()}…`;
}

/** Lines of at most `columns`, cut at spaces where there are any; with `maxLines`, the last ends in "…". */
export function wrap(text: string, columns: number, maxLines: number = Number.POSITIVE_INFINITY): string[] {
  const lines: string[] = [];
  let rest = text.trim();
  while (rest !== "") {
    if (lines.length + 1 >= maxLines) {
      lines.push(truncate(rest, columns));
      break;
    }
    const end = lineEnd(rest, columns);
    lines.push(rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
  }
  return lines;
}

/** Where the first line of a text ends, in UTF-16 units: always past its first character. */
function lineEnd(text: string, columns: number): number {
  let taken = 0;
  let end = 0;
  let space = 0;
  for (const character of text) {
    taken += columnsOf(character);
    if (taken > columns && end > 0) return space > 0 && !/\s/u.test(character) ? space : end;
    end += character.length;
    if (/\s/u.test(character)) space = end;
  }
  return text.length;
}
