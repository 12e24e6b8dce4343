import type { ProcessFigures } from "../engine/live-figures.ts";
import type { Style } from "./output.ts";
import { formatTable } from "./table.ts";
import { formatBytes, formatCount, formatDuration, plural } from "./units.ts";

const operationColumns = [
  { head: "operation" },
  { head: "count", right: true },
  { head: "per second", right: true },
  { head: "P50", right: true },
  { head: "P95", right: true },
  { head: "P99", right: true },
  { head: "max", right: true },
  { head: "errors", right: true },
];

const cacheColumns = [
  { head: "cache" },
  { head: "hits", right: true },
  { head: "misses", right: true },
  { head: "hit rate", right: true },
  { head: "entries", right: true },
  { head: "bytes", right: true },
  { head: "limit", right: true },
];

/** What the processes do that have the memory open. @param before An earlier look, for what happened since. */
export function formatProcesses(
  processes: readonly ProcessFigures[],
  before: readonly ProcessFigures[],
  style: Style,
): string {
  if (processes.length === 0) return style.dim("No other process has this memory open.");
  return processes
    .map((process) =>
      formatProcess(
        process,
        before.find(({ pid }) => pid === process.pid),
        style,
      ),
    )
    .join("\n\n");
}

function formatProcess(figures: ProcessFigures, before: ProcessFigures | undefined, style: Style): string {
  const { pid, report, caches, rssBytes } = figures;
  const head = [
    `process ${pid}`,
    `up ${formatDuration(report.uptimeMs)}`,
    `${formatBytes(rssBytes)} of memory`,
    plural(report.errors, "error"),
    ...(report.process
      ? [
          `event loop ${percent(report.process.eventLoopUtilization)} busy, late by ${formatDuration(report.process.eventLoopDelayMs.p99)} at P99`,
        ]
      : []),
  ];
  const parts = [style.bold(head.join(", ")), operationTable(figures, before, style.dim)];
  if (Object.keys(caches).length > 0) parts.push("", cacheTable(caches, style.dim));
  // A process of an earlier version tells nothing of these.
  if (figures.indexes) parts.push("", formatIndexes(figures.indexes));
  if (figures.tuning?.enabled) parts.push("", formatTuning(figures.tuning));
  return parts.join("\n");
}

function operationTable(
  { report, writtenAt }: ProcessFigures,
  before: ProcessFigures | undefined,
  dim: Style["dim"],
): string {
  const seconds = before ? (writtenAt - before.writtenAt) / 1_000 : report.uptimeMs / 1_000;
  const operations = Object.entries(report.operations).sort(([, a], [, b]) => b.totalMs - a.totalMs);
  const rows = operations.map(([name, figures]) => {
    const since = figures.count - (before?.report.operations[name]?.count ?? 0);
    const rate = seconds > 0 ? since / seconds : 0;
    return [
      name,
      formatCount(figures.count),
      rate >= 10 || rate === 0 ? formatCount(rate) : rate.toFixed(1),
      ...[figures.p50Ms, figures.p95Ms, figures.p99Ms, figures.maxMs].map(formatDuration),
      formatCount(figures.errors),
    ];
  });
  return formatTable(operationColumns, rows, dim);
}

function cacheTable(caches: ProcessFigures["caches"], dim: Style["dim"]): string {
  const rows = Object.entries(caches).map(([name, { hits, misses, entries, bytes, maxBytes }]) => [
    name,
    formatCount(hits),
    formatCount(misses),
    hits + misses === 0 ? "" : percent(hits / (hits + misses)),
    formatCount(entries),
    formatBytes(bytes),
    formatBytes(maxBytes),
  ]);
  return formatTable(cacheColumns, rows, dim);
}

/** A line on the indexes in memory. */
function formatIndexes(indexes: NonNullable<ProcessFigures["indexes"]>): string {
  const { namespaces, indexBytes, maxIndexBytes, droppedIndexes, indexesOnDisk } = indexes;
  return [
    `indexes of ${plural(namespaces, "namespace")}, ${formatBytes(indexBytes)}; kept within ${formatBytes(maxIndexBytes)}`,
    ...(indexesOnDisk > 0 ? [`words of ${plural(indexesOnDisk, "namespace")} read from disk`] : []),
    ...(droppedIndexes > 0 ? [`${formatCount(droppedIndexes)} dropped for others`] : []),
  ].join("; ");
}

/** A line on what tunes itself. */
function formatTuning({ caches, search, latencyTargetMs, decisions }: ProcessFigures["tuning"]): string {
  const parts = [
    ...(caches
      ? [
          `${formatBytes(caches.queryBytes)} for answers and ${formatBytes(caches.embeddingBytes)} for vectors (${caches.phase})`,
        ]
      : ["no bytes to divide"]),
    ...(search
      ? [`${search.candidates} candidates, vectors × ${search.vectorBreadth} (${search.phase})`]
      : []),
    `batches within ${formatDuration(latencyTargetMs)}`,
    plural(decisions, "decision"),
  ];
  return `tuning: ${parts.join("; ")}`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
