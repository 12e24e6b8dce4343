import type { OperationReport } from "./operation-record.ts";

/** Figures of a custom metric since the start. */
export interface MetricReport {
  readonly count: number;
  readonly last: number;
  readonly min: number;
  readonly max: number;
  readonly average: number;
}

/** One slow operation; never what it worked on. */
export interface SlowOperation {
  readonly operation: string;
  readonly durationMs: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

export interface ProcessReport {
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
  readonly externalBytes: number;
  /** How late the event loop ran its timers, since the last reset. */
  readonly eventLoopDelayMs: { readonly mean: number; readonly p99: number; readonly max: number };
  /** Share 0..1 of the time since the last reset in which the event loop was busy. */
  readonly eventLoopUtilization: number;
}

export interface PerformanceReport {
  readonly uptimeMs: number;
  readonly operations: Readonly<Record<string, OperationReport>>;
  readonly metrics: Readonly<Record<string, MetricReport>>;
  readonly errors: number;
  /** Times something was counted as "other", because there were too many names to tell it apart. */
  readonly countedAsOther: number;
  /** Newest last; absent unless detailed. */
  readonly slow?: readonly SlowOperation[];
  /** Absent unless memory is tracked. */
  readonly process?: ProcessReport;
}
