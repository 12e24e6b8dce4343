type Row = Readonly<Record<string, unknown>>;

/** Plain data as text for people: figures one a line, lists of rows as tables, nested parts indented under their name. */
export function renderResult(value: Row): string {
  return renderPart(value, "").join("\n");
}

function renderPart(part: Row, indent: string): string[] {
  const width = Math.max(0, ...Object.keys(part).map((name) => name.length));
  const lines: string[] = [];
  for (const [name, value] of Object.entries(part)) {
    if (isRows(value)) {
      lines.push(`${indent}${name}`, ...renderTable(value, `${indent}  `));
    } else if (isRow(value)) {
      lines.push(`${indent}${name}`, ...renderPart(value, `${indent}  `));
    } else {
      lines.push(`${indent}${name.padEnd(width)}  ${cell(value)}`);
    }
  }
  return lines;
}

function renderTable(rows: readonly Row[], indent: string): string[] {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = [columns, ...rows.map((row) => columns.map((column) => cell(row[column])))];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  const numeric = columns.map((column) => rows.every((row) => typeof row[column] !== "string"));
  return cells.map((line) => {
    const aligned = line.map((text, index) => {
      const width = widths[index] ?? 0;
      return numeric[index] ? text.padStart(width) : text.padEnd(width);
    });
    return `${indent}${aligned.join("  ")}`.trimEnd();
  });
}

/** Numbers to five significant digits; whole ones as they are. */
function cell(value: unknown): string {
  if (typeof value === "number") {
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(5)));
  }
  if (typeof value === "string") return value;
  return value === undefined ? "" : JSON.stringify(value);
}

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isRows(value: unknown): value is readonly Row[] {
  return Array.isArray(value) && value.length > 0 && value.every(isRow);
}
