import type { PerformanceReport } from "./performance-report.ts";

const columns = ["operation", "count", "average", "P50", "P95", "P99", "max", "errors"] as const;

/** A duration to three figures, with its unit. */
function duration(milliseconds: number): string {
  if (milliseconds >= 1_000) return `${(milliseconds / 1_000).toPrecision(3)} s`;
  if (milliseconds >= 1 || milliseconds === 0) return `${Number(milliseconds.toPrecision(3))} ms`;
  return `${Number((milliseconds * 1_000).toPrecision(3))} µs`;
}

/** The report as lines a person reads: operations by total time, then metrics. */
export function renderSummary(report: PerformanceReport): string {
  const operations = Object.entries(report.operations).sort(([, a], [, b]) => b.totalMs - a.totalMs);
  const rows = operations.map(([name, figures]) => [
    name,
    String(figures.count),
    ...[figures.averageMs, figures.p50Ms, figures.p95Ms, figures.p99Ms, figures.maxMs].map(duration),
    String(figures.errors),
  ]);
  const lines = [`up ${duration(report.uptimeMs)}, ${operations.length} operations, ${report.errors} errors`];
  if (rows.length > 0) lines.push("", ...table([[...columns], ...rows]));
  for (const [name, metric] of Object.entries(report.metrics)) {
    const { last, average, min, max, count } = metric;
    lines.push(
      `${name}: last ${last}, average ${Number(average.toPrecision(4))}, ${min} to ${max}, ${count} values`,
    );
  }
  return `${lines.join("\n")}\n`;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
    );
    return cells.join("  ").trimEnd();
  });
}
