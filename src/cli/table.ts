import { columnsOf } from "./terminal-text.ts";

/** A column: its head, and whether figures line up at its right. */
export interface Column {
  readonly head: string;
  readonly right?: boolean;
}

/**
 * Rows under their heads, columns two spaces apart, no space at the ends of lines.
 * @param dim Styles the line of heads.
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  dim: (text: string) => string,
): string {
  const heads = columns.map(({ head }) => head);
  const widths = columns.map((_, at) => Math.max(...[heads, ...rows].map((row) => columnsOf(row[at] ?? ""))));
  const line = (row: readonly string[]): string =>
    columns
      .map(({ right }, at) => {
        const cell = row[at] ?? "";
        const space = " ".repeat(widths[at]! - columnsOf(cell));
        return right ? space + cell : cell + space;
      })
      .join("  ")
      .trimEnd();
  return [dim(line(heads)), ...rows.map(line)].join("\n");
}
