import { LogHistogram } from "./log-histogram.ts";
import { percentile } from "./percentile.ts";

/** Figures of one operation. Durations in milliseconds. */
export interface OperationReport {
  /** Since the start, as are `totalMs`, `minMs`, `maxMs`, `averageMs` and `errors`. */
  readonly count: number;
  readonly totalMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly averageMs: number;
  /** Exact, over the last {@link windowSize} operations. */
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Operations the percentiles cover. */
  readonly window: number;
  readonly errors: number;
  readonly errorsByCode: Readonly<Record<string, number>>;
}

/** Operations percentiles are taken over. */
export const windowSize = 1_000;
/** Codes counted one by one for an operation; others share {@link otherName}. */
const maxCodes = 50;
/** Under which whatever exceeds a bound on names is counted. */
export const otherName = "other";

/** Everything known of one operation, in constant memory. */
export class OperationRecord {
  readonly #window = new Float64Array(windowSize);
  readonly histogram: LogHistogram = new LogHistogram();
  #count = 0;
  #total = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = 0;
  #errors = 0;
  readonly #errorsByCode = new Map<string, number>();

  get count(): number {
    return this.#count;
  }

  get totalMs(): number {
    return this.#total;
  }

  add(durationMs: number): void {
    this.#window[this.#count % windowSize] = durationMs;
    this.#count += 1;
    this.#total += durationMs;
    if (durationMs < this.#min) this.#min = durationMs;
    if (durationMs > this.#max) this.#max = durationMs;
    this.histogram.add(durationMs);
  }

  addError(code: string): void {
    this.#errors += 1;
    const known = this.#errorsByCode.has(code) || this.#errorsByCode.size < maxCodes;
    const name = known ? code : otherName;
    this.#errorsByCode.set(name, (this.#errorsByCode.get(name) ?? 0) + 1);
  }

  report(): OperationReport {
    const window = Math.min(this.#count, windowSize);
    const sorted = this.#window.slice(0, window).sort();
    const at = (share: number): number => (window === 0 ? 0 : percentile(sorted, share));
    return {
      count: this.#count,
      totalMs: this.#total,
      minMs: this.#count === 0 ? 0 : this.#min,
      maxMs: this.#max,
      averageMs: this.#count === 0 ? 0 : this.#total / this.#count,
      p50Ms: at(0.5),
      p95Ms: at(0.95),
      p99Ms: at(0.99),
      window,
      errors: this.#errors,
      errorsByCode: Object.fromEntries(this.#errorsByCode),
    };
  }
}
