import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { StoreStats } from "../contract/memory-store.ts";
import { defaultTierTable, tiers } from "../contract/tier.ts";
import { PerformanceMonitor } from "./performance-monitor.ts";
import { renderPrometheus } from "./prometheus.ts";

/** What the parser, a package without types, makes of one metric. */
interface Metric {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly metrics: readonly {
    readonly value?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly count?: string;
    readonly sum?: string;
    readonly buckets?: Readonly<Record<string, string>>;
  }[];
}

const parsePrometheus: (text: string) => Metric[] = createRequire(import.meta.url)(
  "parse-prometheus-text-format",
);

function parse(text: string): ReadonlyMap<string, Metric> {
  return new Map(parsePrometheus(text).map((metric) => [metric.name, metric]));
}

const store: StoreStats = {
  tiers: Object.fromEntries(
    tiers.map((tier, at) => {
      const counts = { entries: at + 1, memories: at + 2, documents: at, pinned: 0, bytes: 100 * at };
      return [tier, { ...counts, ...defaultTierTable[tier] }];
    }),
  ) as StoreStats["tiers"],
  memories: 20,
  documents: 10,
  withoutVector: 1,
  models: {},
  unknown: {},
  expired: 2,
  repeated: 2,
  evicted: 3,
  namespaces: 4,
  journalRows: 5,
  bytesOnDisk: 6,
};

suite("Prometheus text", () => {
  test("tells durations as a histogram in seconds, and errors as a counter", () => {
    const monitor = new PerformanceMonitor();
    for (const duration of [0.5, 1, 40, 90_000]) monitor.trackOperation("recall", duration);
    monitor.recordError("recall", "DATABASE_BUSY");
    const text = renderPrometheus({ monitor });
    assert.match(text, /^strata_operation_duration_seconds_bucket\{operation="recall",le="0\.001"\} 2$/m);
    // The parser loses track of a histogram that has labels of its own.
    const metrics = parse(
      text.replaceAll(/(bucket|sum|count)\{operation="recall",?/g, "$1{").replaceAll("{}", ""),
    );
    const durations = metrics.get("strata_operation_duration_seconds");
    assert.equal(durations?.type, "HISTOGRAM");
    const [recall] = durations.metrics;
    assert.equal(recall?.count, "4");
    assert.ok(Math.abs(Number(recall?.sum) - 90.0415) < 1e-9);
    assert.equal(recall?.buckets?.["0.0005"], "1");
    assert.equal(recall?.buckets?.["0.001"], "2");
    assert.equal(recall?.buckets?.["0.05"], "3");
    assert.equal(recall?.buckets?.["64"], "3");
    assert.equal(recall?.buckets?.["+Inf"], "4");
    assert.deepEqual(metrics.get("strata_operation_errors_total"), {
      name: "strata_operation_errors_total",
      help: "Operations that failed, by code.",
      type: "COUNTER",
      metrics: [{ value: "1", labels: { operation: "recall", code: "DATABASE_BUSY" } }],
    });
  });

  test("tells tiers, caches and the process", () => {
    using monitor = new PerformanceMonitor({ trackMemory: true });
    const queries = { hits: 7, misses: 3, entries: 2, bytes: 500, maxBytes: 1_000, evictions: 1 };
    const metrics = parse(renderPrometheus({ monitor, store, caches: { queries } }));
    const value = (name: string, label?: string): string | undefined =>
      metrics
        .get(name)
        ?.metrics.find(({ labels }) => label === undefined || Object.values(labels ?? {}).includes(label))
        ?.value;
    assert.equal(value("strata_tier_memories", "semantic"), "6");
    assert.equal(value("strata_tier_capacity_entries", "working"), "15");
    assert.equal(value("strata_evictions_total"), "3");
    assert.equal(value("strata_cache_hits_total", "queries"), "7");
    assert.ok(Number(value("strata_process_resident_memory_bytes")) > 1e6);
  });

  test("every metric keeps the conventions of names", () => {
    using monitor = new PerformanceMonitor({ trackMemory: true });
    monitor.trackOperation("recall", 1);
    monitor.recordError("recall", "E");
    monitor.recordMetric("queue", 1);
    const caches = { queries: { hits: 1, misses: 1, entries: 1, bytes: 1, maxBytes: 1 } };
    for (const { name, type, help } of parse(renderPrometheus({ monitor, store, caches })).values()) {
      assert.match(name, /^strata_[a-z][a-z0-9_]*[a-z]$/);
      assert.equal(name.endsWith("_total"), type === "COUNTER", name);
      assert.match(help, /^[A-Z0-9].*\.$/);
      assert.doesNotMatch(name, /_(ms|milliseconds|kb|mb|percent)(_|$)/);
    }
  });

  test("a histogram's counts never fall, and end with the count", () => {
    const duration = fc.double({ min: 0, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.array(duration, { minLength: 1, maxLength: 100 }), (samples) => {
        const monitor = new PerformanceMonitor();
        for (const sample of samples) monitor.trackOperation("x", sample);
        const text = renderPrometheus({ monitor });
        const counts = [...text.matchAll(/_bucket\{.*\} (\d+)/g)].map(([, count]) => Number(count));
        assert.deepEqual(
          counts,
          counts.toSorted((a, b) => a - b),
        );
        assert.equal(counts.at(-1), samples.length);
      }),
      { numRuns: 50 },
    );
  });

  test("a name that is no label's value as it stands is escaped", () => {
    const monitor = new PerformanceMonitor();
    monitor.recordMetric('a "b" \\ c\nd', 1);
    const text = renderPrometheus({ monitor });
    assert.ok(text.includes('strata_metric{metric="a \\"b\\" \\\\ c\\nd"} 1\n'));
    assert.equal(parse(text).get("strata_metric")?.metrics[0]?.value, "1");
  });
});
