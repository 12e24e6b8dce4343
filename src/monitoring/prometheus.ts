import type { StoreStats } from "../contract/memory-store.ts";
import { tiers } from "../contract/tier.ts";
import { histogramBoundsMs } from "./log-histogram.ts";
import type { PerformanceMonitor } from "./performance-monitor.ts";
import type { ProcessReport } from "./performance-report.ts";

/** What keeps results, as Prometheus is told of it. */
export interface CacheFigures {
  readonly hits: number;
  readonly misses: number;
  readonly entries: number;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly evictions?: number | undefined;
}

/** Where the figures come from; what is absent is left out. */
export interface PrometheusSources {
  readonly monitor: PerformanceMonitor;
  readonly store?: StoreStats | undefined;
  /** By name: "queries", "embeddings". */
  readonly caches?: Readonly<Record<string, CacheFigures>> | undefined;
}

type Kind = "counter" | "gauge" | "histogram";
type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number, suffix?: "_bucket" | "_sum" | "_count"];

/**
 * The figures as Prometheus reads them (text exposition format 0.0.4, served as `text/plain; version=0.0.4`): base
 * units, `_total` for what only grows, and durations as a histogram of everything since the start, whose bounds do not
 * move. Labels are names of operations, error codes, tiers and caches, each set bounded.
 */
export function renderPrometheus({ monitor, store, caches }: PrometheusSources): string {
  const report = monitor.getReport();
  const families = [
    family("strata_uptime_seconds", "gauge", "Time since the monitor was made or reset.", [
      [{}, report.uptimeMs / 1_000],
    ]),
    ...operationFamilies(monitor),
    ...metricFamilies(monitor),
    ...(report.process ? processFamilies(report.process) : []),
    ...(store ? storeFamilies(store) : []),
    ...(caches ? cacheFamilies(caches) : []),
  ];
  return families.filter((each) => each !== "").join("");
}

function operationFamilies(monitor: PerformanceMonitor): string[] {
  const operations = Object.entries(monitor.getReport().operations);
  const durations = operations.flatMap(([operation, { count, totalMs }]): Sample[] => {
    const counts = monitor.cumulativeCounts(operation, histogramBoundsMs);
    const buckets = histogramBoundsMs.map(
      (bound, at): Sample => [{ operation, le: String(bound / 1_000) }, counts[at]!, "_bucket"],
    );
    return [
      ...buckets,
      [{ operation, le: "+Inf" }, count, "_bucket"],
      [{ operation }, totalMs / 1_000, "_sum"],
      [{ operation }, count, "_count"],
    ];
  });
  const errors = operations.flatMap(([operation, { errorsByCode }]) =>
    Object.entries(errorsByCode).map(([code, count]): Sample => [{ operation, code }, count]),
  );
  return [
    family("strata_operation_duration_seconds", "histogram", "Time that operations took.", durations),
    family("strata_operation_errors_total", "counter", "Operations that failed, by code.", errors),
  ];
}

/** A metric's own name is a label: it is the caller's, and may be no name for Prometheus. */
function metricFamilies(monitor: PerformanceMonitor): string[] {
  const metrics = Object.entries(monitor.getReport().metrics);
  return [
    family(
      "strata_metric",
      "gauge",
      "Last value of a metric of the program's own.",
      metrics.map(([metric, { last }]) => [{ metric }, last]),
    ),
    family(
      "strata_metric_values_total",
      "counter",
      "Values recorded of a metric of the program's own.",
      metrics.map(([metric, { count }]) => [{ metric }, count]),
    ),
  ];
}

function processFamilies(report: ProcessReport): string[] {
  const { rssBytes, heapUsedBytes, externalBytes, eventLoopDelayMs, eventLoopUtilization } = report;
  const gauge = (name: string, help: string, value: number): string =>
    family(name, "gauge", help, [[{}, value]]);
  return [
    gauge("strata_process_resident_memory_bytes", "Resident memory of the process.", rssBytes),
    gauge("strata_process_heap_used_bytes", "JavaScript heap in use.", heapUsedBytes),
    gauge("strata_process_external_memory_bytes", "Memory of objects outside the heap.", externalBytes),
    gauge(
      "strata_eventloop_delay_mean_seconds",
      "Mean delay of the event loop.",
      eventLoopDelayMs.mean / 1_000,
    ),
    gauge(
      "strata_eventloop_delay_p99_seconds",
      "99th percentile of the event loop's delay.",
      eventLoopDelayMs.p99 / 1_000,
    ),
    gauge(
      "strata_eventloop_delay_max_seconds",
      "Greatest delay of the event loop.",
      eventLoopDelayMs.max / 1_000,
    ),
    gauge(
      "strata_eventloop_utilization_ratio",
      "Share of time the event loop is busy.",
      eventLoopUtilization,
    ),
  ];
}

function storeFamilies(store: StoreStats): string[] {
  const byTier = (name: string, help: string, key: "entries" | "memories" | "documents" | "bytes"): string =>
    family(
      name,
      "gauge",
      help,
      tiers.map((tier) => [{ tier }, store.tiers[tier][key]]),
    );
  return [
    byTier("strata_tier_entries", "Memories and documents that count against a tier's capacity.", "entries"),
    byTier("strata_tier_memories", "Visible memories of a tier, chunks one by one.", "memories"),
    byTier("strata_tier_documents", "Documents of a tier.", "documents"),
    byTier("strata_tier_text_bytes", "Bytes of a tier's texts.", "bytes"),
    family(
      "strata_tier_capacity_entries",
      "gauge",
      "Entries a tier holds in a namespace; 0: unlimited.",
      tiers.map((tier) => [{ tier }, store.tiers[tier].capacity]),
    ),
    family("strata_memories_without_vector", "gauge", "Memories found by words only.", [
      [{}, store.withoutVector],
    ]),
    family("strata_memories_expired", "gauge", "Expired, not yet removed.", [[{}, store.expired]]),
    family("strata_evictions_total", "counter", "Entries evicted since the store was made.", [
      [{}, store.evicted],
    ]),
    family("strata_repeated_stores_total", "counter", "Stores that found their memory there already.", [
      [{}, store.repeated],
    ]),
    family("strata_namespaces", "gauge", "Namespaces that hold anything.", [[{}, store.namespaces]]),
    family("strata_journal_rows", "gauge", "Rows of the journal.", [[{}, store.journalRows]]),
    family("strata_store_size_bytes", "gauge", "Bytes on disk, log included.", [[{}, store.bytesOnDisk]]),
  ];
}

function cacheFamilies(caches: NonNullable<PrometheusSources["caches"]>): string[] {
  const each = (key: keyof CacheFigures): Sample[] =>
    Object.entries(caches).flatMap(([cache, figures]): Sample[] => {
      const value = figures[key];
      return value === undefined ? [] : [[{ cache }, value]];
    });
  return [
    family("strata_cache_hits_total", "counter", "Answers given from a cache.", each("hits")),
    family("strata_cache_misses_total", "counter", "Answers that a cache did not have.", each("misses")),
    family(
      "strata_cache_evictions_total",
      "counter",
      "Entries that left for want of room.",
      each("evictions"),
    ),
    family("strata_cache_entries", "gauge", "Entries of a cache.", each("entries")),
    family("strata_cache_size_bytes", "gauge", "Bytes a cache holds.", each("bytes")),
    family("strata_cache_limit_bytes", "gauge", "Bytes a cache may hold.", each("maxBytes")),
  ];
}

/** One metric with its comment lines; nothing when it has no samples. */
function family(name: string, kind: Kind, help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return "";
  const lines = samples.map(([labels, value, suffix = ""]) => `${name}${suffix}${render(labels)} ${value}`);
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, ...lines, ""].join("\n");
}

function render(labels: Labels): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escaped(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}
