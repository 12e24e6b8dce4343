import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Clock } from "../contract/clock.ts";
import { histogramBoundsMs, LogHistogram } from "./log-histogram.ts";
import { PerformanceMonitor } from "./performance-monitor.ts";
import { renderPrometheus } from "./prometheus.ts";

/** A clock that moves when it is told to, and runs what is due. */
class TestClock implements Clock {
  time = 0;
  #due: { at: number; callback: () => void }[] = [];
  now(): number {
    return this.time;
  }
  monotonic(): number {
    return this.time;
  }
  schedule(callback: () => void, delayMs: number): () => void {
    const entry = { at: this.time + delayMs, callback };
    this.#due.push(entry);
    return () => {
      this.#due = this.#due.filter((other) => other !== entry);
    };
  }
  advance(ms: number): void {
    this.time += ms;
    const due = this.#due.filter((entry) => entry.at <= this.time);
    this.#due = this.#due.filter((entry) => entry.at > this.time);
    for (const entry of due) entry.callback();
  }
  get waiting(): number {
    return this.#due.length;
  }
}

/** The percentile as a person computes it by hand: interpolated between neighbours. */
function byHand(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const position = (sorted.length - 1) * share;
  const low = sorted[Math.floor(position)]!;
  const high = sorted[Math.ceil(position)]!;
  return low + (high - low) * (position % 1);
}

suite("PerformanceMonitor", () => {
  test("counts and times operations", () => {
    const monitor = new PerformanceMonitor();
    for (const duration of [1, 2, 3, 4]) monitor.trackOperation("recall", duration);
    const recall = monitor.getReport().operations["recall"]!;
    assert.partialDeepStrictEqual(recall, {
      count: 4,
      totalMs: 10,
      minMs: 1,
      maxMs: 4,
      averageMs: 2.5,
      p50Ms: 2.5,
      errors: 0,
    });
  });

  for (const samples of [[7], [1, 2], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]) {
    test(`gives right percentiles for ${samples.length} samples`, () => {
      const monitor = new PerformanceMonitor();
      for (const sample of samples) monitor.trackOperation("x", sample);
      const { p50Ms, p95Ms, p99Ms } = monitor.getReport().operations["x"]!;
      assert.deepEqual(
        [p50Ms, p95Ms, p99Ms],
        [0.5, 0.95, 0.99].map((share) => byHand(samples, share)),
      );
    });
  }

  test("gives the percentiles of the sorted last thousand, and totals of all", () => {
    const durations = fc.array(fc.double({ min: 0, max: 1e4, noNaN: true }), {
      minLength: 1,
      maxLength: 2_500,
    });
    fc.assert(
      fc.property(durations, (samples) => {
        const monitor = new PerformanceMonitor();
        for (const sample of samples) monitor.trackOperation("x", sample);
        const figures = monitor.getReport().operations["x"]!;
        const last = samples.slice(-1_000);
        assert.equal(figures.window, last.length);
        assert.equal(figures.count, samples.length);
        assert.equal(figures.p50Ms, byHand(last, 0.5));
        assert.equal(figures.p95Ms, byHand(last, 0.95));
        assert.equal(figures.p99Ms, byHand(last, 0.99));
        assert.ok(Math.abs(figures.totalMs - samples.reduce((sum, sample) => sum + sample, 0)) < 1e-3);
      }),
      { numRuns: 30 },
    );
  });

  test("tells at most its names apart, and says how many it did not", () => {
    const monitor = new PerformanceMonitor({ maxNames: 2 });
    for (const name of ["a", "b", "c", "d", "a"]) monitor.trackOperation(name, 1);
    const { operations, countedAsOther } = monitor.getReport();
    assert.deepEqual(Object.keys(operations), ["a", "b", "other"]);
    assert.equal(operations["other"]?.count, 2);
    assert.equal(countedAsOther, 2);
  });

  test("counts errors by operation and code, never their messages", () => {
    const monitor = new PerformanceMonitor();
    monitor.recordError("store", Object.assign(new Error("secret"), { code: "DISK_FULL" }));
    monitor.recordError("store", new TypeError("secret"));
    monitor.recordError("store", "TIMEOUT");
    monitor.recordError("store", "a secret sentence");
    monitor.recordError(
      "store",
      Object.assign(new Error(), { code: "a secret code", name: "a secret name" }),
    );
    assert.throws(() =>
      monitor.time("store", () => {
        throw "secret";
      }),
    );
    const report = monitor.getReport();
    assert.deepEqual(report.operations["store"]?.errorsByCode, {
      DISK_FULL: 1,
      TypeError: 1,
      TIMEOUT: 1,
      unknown: 3,
    });
    assert.equal(report.errors, 6);
    assert.doesNotMatch(JSON.stringify(report), /secret/);
  });

  test("times a function, sync or not, and counts what it throws", async () => {
    const clock = new TestClock();
    const monitor = new PerformanceMonitor({ clock });
    const sync = monitor.time("sync", () => {
      clock.advance(5);
      return 1;
    });
    assert.equal(sync, 1);
    assert.equal(await monitor.time("async", async () => 2), 2);
    const failing = async (): Promise<void> => {
      clock.advance(3);
      throw new RangeError("no");
    };
    await assert.rejects(monitor.time("async", failing), RangeError);
    assert.throws(() => monitor.time("sync", () => JSON.parse("{")), SyntaxError);
    const { operations } = monitor.getReport();
    assert.partialDeepStrictEqual(operations["sync"], { count: 2, maxMs: 5, errors: 1 });
    assert.partialDeepStrictEqual(operations["async"], {
      count: 2,
      maxMs: 3,
      errorsByCode: { RangeError: 1 },
    });
  });

  test("ends a timer once", () => {
    const clock = new TestClock();
    const monitor = new PerformanceMonitor({ clock });
    const stop = monitor.startTimer("x");
    clock.advance(2);
    assert.equal(stop(), 2);
    clock.advance(2);
    assert.equal(stop(), 2);
    assert.equal(monitor.getReport().operations["x"]?.count, 1);
  });

  test("takes a duration that is none for 0", () => {
    const monitor = new PerformanceMonitor();
    for (const duration of [-1, Number.NaN, Number.POSITIVE_INFINITY]) monitor.trackOperation("x", duration);
    assert.partialDeepStrictEqual(monitor.getReport().operations["x"], { count: 3, totalMs: 0 });
  });

  test("keeps metrics, and refuses one that is no number", () => {
    const monitor = new PerformanceMonitor();
    for (const value of [4, 2, 6]) monitor.recordMetric("queue", value);
    assert.deepEqual(monitor.getReport().metrics["queue"], { count: 3, last: 6, min: 2, max: 6, average: 4 });
    assert.throws(() => monitor.recordMetric("queue", Number.NaN), /finite/);
  });

  test("keeps samples of slow operations when asked for detail", () => {
    const clock = new TestClock();
    const monitor = new PerformanceMonitor({ enableDetailed: true, slowMs: 10, clock });
    clock.advance(7);
    monitor.trackOperation("fast", 9);
    monitor.trackOperation("slow", 10);
    assert.deepEqual(monitor.getReport().slow, [{ operation: "slow", durationMs: 10, at: 7 }]);
    for (let sample = 0; sample < 200; sample++) monitor.trackOperation("slow", 11);
    assert.equal(monitor.getReport().slow?.length, 100);
    assert.equal(new PerformanceMonitor().getReport().slow, undefined);
  });

  test("watches memory and the event loop when asked to", () => {
    const monitor = new PerformanceMonitor({ trackMemory: true });
    const { process: figures } = monitor.getReport();
    monitor.close();
    assert.ok(figures && figures.rssBytes > 1e6 && figures.heapUsedBytes > 1e5);
    assert.ok(figures.eventLoopUtilization >= 0 && figures.eventLoopUtilization <= 1);
  });

  test("reports every interval until it is closed", () => {
    const clock = new TestClock();
    const uptimes: number[] = [];
    const monitor = new PerformanceMonitor({
      clock,
      reportIntervalMs: 60,
      onReport: ({ uptimeMs }) => uptimes.push(uptimeMs),
    });
    clock.advance(60);
    clock.advance(60);
    monitor.close();
    clock.advance(60);
    assert.deepEqual(uptimes, [60, 120]);
    assert.equal(clock.waiting, 0);
  });

  test("a report that fails is counted, and the next one comes", () => {
    const clock = new TestClock();
    let calls = 0;
    const onReport = (): void => {
      calls += 1;
      throw new RangeError("no");
    };
    using monitor = new PerformanceMonitor({ clock, reportIntervalMs: 60, onReport });
    clock.advance(60);
    clock.advance(60);
    assert.equal(calls, 2);
    assert.deepEqual(monitor.getReport().operations["report"]?.errorsByCode, { RangeError: 2 });
  });

  test("begins anew on reset", () => {
    const clock = new TestClock();
    const monitor = new PerformanceMonitor({ clock, enableDetailed: true });
    monitor.trackOperation("x", 500);
    monitor.recordMetric("m", 1);
    monitor.recordError("x", "E");
    clock.advance(10);
    monitor.resetStats();
    assert.deepEqual(monitor.getReport(), {
      uptimeMs: 0,
      operations: {},
      metrics: {},
      errors: 0,
      countedAsOther: 0,
      slow: [],
    });
  });

  test("draws a summary a person can read, the costliest operation first", () => {
    const monitor = new PerformanceMonitor({ clock: new TestClock() });
    monitor.trackOperation("recall", 0.25);
    monitor.trackOperation("ingest", 1_500);
    monitor.recordMetric("queue", 3);
    const lines = monitor.getSummary().split("\n");
    assert.match(lines[2]!, /^operation +count +average +P50 +P95 +P99 +max +errors$/);
    assert.match(lines[3]!, /^ingest +1 +1\.50 s/);
    assert.match(lines[4]!, /^recall +1 +250 µs/);
    assert.match(lines[5]!, /^queue: last 3/);
  });

  for (const options of [
    { maxNames: 0 },
    { maxNames: Number.POSITIVE_INFINITY },
    { slowMs: Number.NaN },
    { reportIntervalMs: -1 },
  ]) {
    test(`refuses ${JSON.stringify(options)} by name`, () => {
      assert.throws(
        () => new PerformanceMonitor(options),
        (error: Error) => error.message.includes(Object.keys(options)[0]!),
      );
    });
  }
});

suite("the reference monitor's defects are absent", () => {
  test("P95 and P99 read high: they are interpolated, not the sample above", () => {
    const monitor = new PerformanceMonitor();
    for (let sample = 1; sample <= 100; sample++) monitor.trackOperation("x", sample);
    const { p95Ms, p99Ms } = monitor.getReport().operations["x"]!;
    assert.ok(Math.abs(p95Ms - 95.05) < 1e-9 && Math.abs(p99Ms - 99.01) < 1e-9, `${p95Ms}, ${p99Ms}`);
  });

  test("P50 wrong for even counts: it lies between the two in the middle", () => {
    const monitor = new PerformanceMonitor();
    for (const sample of [40, 10, 30, 20]) monitor.trackOperation("x", sample);
    assert.equal(monitor.getReport().operations["x"]?.p50Ms, 25);
  });

  test("no percentile below ten samples: one sample is every percentile", () => {
    const monitor = new PerformanceMonitor();
    monitor.trackOperation("x", 3);
    assert.partialDeepStrictEqual(monitor.getReport().operations["x"], { p50Ms: 3, p95Ms: 3, p99Ms: 3 });
  });

  test("total over 1,000 where the count is of all: both are since the start", () => {
    const monitor = new PerformanceMonitor();
    for (let call = 0; call < 2_500; call++) monitor.trackOperation("x", 2);
    const figures = monitor.getReport().operations["x"]!;
    assert.partialDeepStrictEqual(figures, { count: 2_500, totalMs: 5_000, averageMs: 2, window: 1_000 });
  });

  test("names unbounded: a name for each request costs no memory", () => {
    const monitor = new PerformanceMonitor();
    for (let request = 0; request < 5_000; request++) monitor.trackOperation(`GET /${request}`, 1);
    const { operations, countedAsOther } = monitor.getReport();
    assert.equal(Object.keys(operations).length, 501);
    assert.equal(countedAsOther, 4_500);
  });

  test("memory never filled in: its figures are those of the process", () => {
    using monitor = new PerformanceMonitor({ trackMemory: true });
    const { rssBytes, heapUsedBytes } = monitor.getReport().process!;
    assert.ok(rssBytes > heapUsedBytes && heapUsedBytes > 0);
  });

  test("nothing exports: the figures leave as Prometheus text", () => {
    const monitor = new PerformanceMonitor();
    monitor.trackOperation("recall", 4);
    assert.match(
      renderPrometheus({ monitor }),
      /strata_operation_duration_seconds_count\{operation="recall"\} 1/,
    );
  });
});

suite("the lifetime histogram", () => {
  test("counts durations up to a bound to the width of a bucket", () => {
    const duration = fc.double({ min: 2 ** -12, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.array(duration, { maxLength: 200 }), duration, (samples, bound) => {
        const histogram = new LogHistogram();
        for (const sample of samples) histogram.add(sample);
        const got = histogram.countAtMost(bound);
        assert.ok(got >= samples.filter((sample) => sample <= bound).length);
        assert.ok(got <= samples.filter((sample) => sample <= bound * (1 + 1 / 64)).length);
      }),
    );
  });

  test("counts exactly up to the bounds that other systems are given", () => {
    const near = fc
      .constantFrom(...histogramBoundsMs)
      .chain((bound) => fc.constantFrom(bound, bound * (1 + 1e-12), bound * (1 - 1e-12)));
    fc.assert(
      fc.property(fc.array(near, { maxLength: 100 }), (samples) => {
        const histogram = new LogHistogram();
        for (const sample of samples) histogram.add(sample);
        for (const bound of histogramBoundsMs)
          assert.equal(histogram.countAtMost(bound), samples.filter((sample) => sample <= bound).length);
      }),
    );
  });

  test("counts what is shorter or longer than its range at the ends", () => {
    const histogram = new LogHistogram();
    for (const value of [0, 1e-9, 1e12]) histogram.add(value);
    assert.equal(histogram.countAtMost(1), 2);
    assert.equal(histogram.countAtMost(1e13), 3);
  });
});
