import { type EventLoopUtilization, monitorEventLoopDelay } from "node:perf_hooks";
import { type Clock, systemClock } from "../contract/clock.ts";
import { StrataError } from "../contract/errors.ts";
import { codePattern, errorCodeOf } from "../contract/operations.ts";
import { OperationRecord, otherName } from "./operation-record.ts";
import type { PerformanceReport, ProcessReport, SlowOperation } from "./performance-report.ts";
import { renderSummary } from "./summary.ts";

export interface PerformanceMonitorOptions {
  /** Most operations, and most metrics, told apart by name; further ones share the name "other". 1 to 10,000, default 500. */
  readonly maxNames?: number | undefined;
  /** Keep samples of the slowest operations. Default false. */
  readonly enableDetailed?: boolean | undefined;
  /** From how long on an operation counts as slow, in milliseconds. Default 100. */
  readonly slowMs?: number | undefined;
  /** Watch the process's memory and its event loop. Default false. */
  readonly trackMemory?: boolean | undefined;
  /** Every so often `onReport` is called. Default 0: never. */
  readonly reportIntervalMs?: number | undefined;
  readonly onReport?: ((report: PerformanceReport) => void) | undefined;
  /** For tests. Default: the machine's time. */
  readonly clock?: Clock | undefined;
}

/** Slow operations kept. */
const maxSlow = 100;
/** A timer set for longer fires at once. */
const maxTimerMs = 2 ** 31 - 1;

interface Metric {
  count: number;
  last: number;
  min: number;
  max: number;
  total: number;
}

/** A process that ends sooner has no use for the watch, which takes 1.5 ms to load. */
const watchAfterMs = 1_000;

/** Watches the process between two resets. */
interface ProcessWatch {
  readonly delay: ReturnType<typeof monitorEventLoopDelay>;
  since: EventLoopUtilization;
}

/**
 * Counts and times operations for next to nothing: exact percentiles over the last 1,000 of each, totals since the
 * start, errors by code. It works alone around any code.
 *
 * @example
 * ```ts
 * const monitor = new PerformanceMonitor();
 * const sum = monitor.time("sum", () => [1, 2, 3].reduce((total, each) => total + each));
 * console.log(monitor.getSummary());
 * monitor.close();
 * ```
 */
export class PerformanceMonitor {
  readonly #maxNames: number;
  readonly #slowMs: number;
  readonly #clock: Clock;
  readonly #slow: SlowOperation[] | undefined;
  #watch: ProcessWatch | undefined;
  /** Calls off the watch that is to begin; undefined when none is. */
  #watchLater: (() => void) | undefined;
  readonly #operations = new Map<string, OperationRecord>();
  readonly #metrics = new Map<string, Metric>();
  #countedAsOther = 0;
  #errors = 0;
  #startedAt: number;
  #cancelReport: (() => void) | undefined;

  /** @throws INVALID_ARGUMENT */
  constructor(options: PerformanceMonitorOptions = {}) {
    this.#maxNames = within(options.maxNames ?? 500, 1, 10_000, "maxNames");
    this.#slowMs = within(options.slowMs ?? 100, 0, Number.POSITIVE_INFINITY, "slowMs");
    this.#clock = options.clock ?? systemClock;
    this.#slow = options.enableDetailed === true ? [] : undefined;
    this.#startedAt = this.#clock.monotonic();
    if (options.trackMemory === true) {
      this.#watchLater = this.#clock.schedule(() => this.#watchProcess(), watchAfterMs);
    }
    const intervalMs = within(options.reportIntervalMs ?? 0, 0, maxTimerMs, "reportIntervalMs");
    if (intervalMs > 0 && options.onReport) this.#reportEvery(intervalMs, options.onReport);
  }

  /** Counts one operation that took `durationMs` milliseconds; a negative or non-finite duration counts as 0. */
  trackOperation(name: string, durationMs: number): void {
    const duration = durationMs >= 0 && durationMs < Number.POSITIVE_INFINITY ? durationMs : 0;
    (this.#operations.get(name) ?? this.#operation(name)).add(duration);
    if (this.#slow && duration >= this.#slowMs) this.#addSlow(name, duration);
  }

  /** Starts to time an operation; the returned function ends it and returns its milliseconds. Only its first call counts. */
  startTimer(name: string): () => number {
    const started = this.#clock.monotonic();
    let duration: number | undefined;
    return () => {
      if (duration === undefined) {
        duration = this.#clock.monotonic() - started;
        this.trackOperation(name, duration);
      }
      return duration;
    };
  }

  /** Runs a function, sync or not, times it, and counts its error if it throws. Returns or throws what it does. */
  time<T>(name: string, run: () => T): T {
    const stop = this.startTimer(name);
    const failed = (error: unknown): never => {
      stop();
      this.#countError(name, errorCodeOf(error));
      throw error;
    };
    let result: T;
    try {
      result = run();
    } catch (error) {
      return failed(error);
    }
    if (result instanceof Promise) {
      const ended = (value: unknown): unknown => {
        stop();
        return value;
      };
      return result.then(ended, failed) as T;
    }
    stop();
    return result;
  }

  /** Adds a value to a metric of your own; a non-finite value is refused. @throws INVALID_ARGUMENT */
  recordMetric(name: string, value: number): void {
    if (!Number.isFinite(value)) {
      throw new StrataError(
        "INVALID_ARGUMENT",
        `Expected a finite number for the metric "${name}", got ${value}.`,
      );
    }
    const known = this.#bounded(name, this.#metrics);
    const metric = this.#metrics.get(known) ?? { count: 0, last: 0, min: value, max: value, total: 0 };
    metric.count += 1;
    metric.last = value;
    metric.min = Math.min(metric.min, value);
    metric.max = Math.max(metric.max, value);
    metric.total += value;
    this.#metrics.set(known, metric);
  }

  /**
   * Counts an error of an operation under its code, else its class; the message is never kept.
   * @param error An error, or a code such as "TIMEOUT".
   */
  recordError(name: string, error?: unknown): void {
    const isCode = typeof error === "string" && codePattern.test(error);
    this.#countError(name, isCode ? error : errorCodeOf(error));
  }

  getReport(): PerformanceReport {
    this.#watchProcess();
    const metrics = [...this.#metrics].map(([name, { count, last, min, max, total }]) => {
      return [name, { count, last, min, max, average: total / count }] as const;
    });
    return {
      uptimeMs: this.#clock.monotonic() - this.#startedAt,
      operations: Object.fromEntries([...this.#operations].map(([name, record]) => [name, record.report()])),
      metrics: Object.fromEntries(metrics),
      errors: this.#errors,
      countedAsOther: this.#countedAsOther,
      ...(this.#slow && { slow: [...this.#slow] }),
      ...(this.#watch && { process: reportProcess(this.#watch) }),
    };
  }

  /** The report as a table for a reader. */
  getSummary(): string {
    return renderSummary(this.getReport());
  }

  /**
   * How many durations of an operation were at most each bound in milliseconds, since the start, for a histogram of
   * another system. Exact for the bounds of {@link histogramBoundsMs}, elsewhere to 1/64 of the bound.
   */
  cumulativeCounts(name: string, boundsMs: readonly number[]): number[] {
    const record = this.#operations.get(name);
    return boundsMs.map((bound) => record?.histogram.countAtMost(bound) ?? 0);
  }

  /** Begins anew, as if the monitor had just been made. */
  resetStats(): void {
    this.#operations.clear();
    this.#metrics.clear();
    this.#countedAsOther = 0;
    this.#errors = 0;
    this.#startedAt = this.#clock.monotonic();
    if (this.#slow) this.#slow.length = 0;
    this.#watchProcess();
    if (this.#watch) {
      this.#watch.delay.reset();
      this.#watch.since = performance.eventLoopUtilization();
    }
  }

  /** Stops reports and the watch on the process; counting goes on. Idempotent. */
  close(): void {
    this.#cancelReport?.();
    this.#cancelReport = undefined;
    this.#watchLater?.();
    this.#watchLater = undefined;
    this.#watch?.delay.disable();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Begins the watch on the process that was to begin later. */
  #watchProcess(): void {
    if (!this.#watchLater) return;
    this.#watchLater();
    this.#watchLater = undefined;
    this.#watch = watchProcess();
  }

  #operation(name: string): OperationRecord {
    const known = this.#bounded(name, this.#operations);
    const record = this.#operations.get(known) ?? new OperationRecord();
    this.#operations.set(known, record);
    return record;
  }

  /** The name under which it is counted. */
  #bounded(name: string, names: ReadonlyMap<string, unknown>): string {
    if (names.has(name) || names.size < this.#maxNames) return name;
    this.#countedAsOther += 1;
    return otherName;
  }

  #countError(name: string, code: string): void {
    this.#errors += 1;
    (this.#operations.get(name) ?? this.#operation(name)).addError(code);
  }

  #addSlow(operation: string, durationMs: number): void {
    this.#slow!.push({ operation, durationMs, at: this.#clock.now() });
    if (this.#slow!.length > maxSlow) this.#slow!.shift();
  }

  #reportEvery(intervalMs: number, onReport: (report: PerformanceReport) => void): void {
    this.#cancelReport = this.#clock.schedule(() => {
      this.#reportEvery(intervalMs, onReport);
      try {
        onReport(this.getReport());
      } catch (error) {
        // Nobody waits for a report: its failure is a figure of the next one, not the end of the process.
        this.#countError("report", errorCodeOf(error));
      }
    }, intervalMs);
  }
}

function within(value: number, minimum: number, maximum: number, name: string): number {
  if (value >= minimum && value <= maximum) return value;
  const range = Number.isFinite(maximum) ? `from ${minimum} to ${maximum}` : `of at least ${minimum}`;
  throw new StrataError("INVALID_ARGUMENT", `Expected ${name} as a number ${range}, got ${value}.`, {
    details: { argument: name },
  });
}

function watchProcess(): ProcessWatch {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  return { delay, since: performance.eventLoopUtilization() };
}

function reportProcess({ delay, since }: ProcessWatch): ProcessReport {
  const { rss, heapUsed, external } = process.memoryUsage();
  const ms = (nanoseconds: number): number => (Number.isFinite(nanoseconds) ? nanoseconds / 1e6 : 0);
  return {
    rssBytes: rss,
    heapUsedBytes: heapUsed,
    externalBytes: external,
    eventLoopDelayMs: { mean: ms(delay.mean), p99: ms(delay.percentile(99)), max: ms(delay.max) },
    eventLoopUtilization: performance.eventLoopUtilization(since).utilization,
  };
}
