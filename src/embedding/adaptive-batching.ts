import type { BatchLimits } from "./batch-scheduler.ts";
import { BatchingEpoch, type BatchObservation, type Rates, UnitChoice } from "./batching-epoch.ts";

export interface AdaptiveBatchingOptions {
  readonly start: BatchLimits;
  readonly max: BatchLimits;
  /** p95 of the time from a batch's departure to its answer that is not to be passed. */
  readonly latencyTargetMs: number;
}

/** Where the search stands. */
export interface AdaptiveBatchingState extends BatchLimits {
  readonly phase: "measuring" | "searching" | "settled";
  /** Texts per second of the best setting, 0 before it was measured. */
  readonly textsPerSecond: number;
  readonly tokensPerSecond: number;
  readonly p95Ms: number;
  /** False: no setting near holds the target, and the search works under a greater bound. */
  readonly targetMet: boolean;
}

interface Point {
  /** Indexes into the ladders. */
  readonly batch: number;
  readonly slots: number;
}

interface Measured extends Point, Rates {
  readonly p95Ms: number;
}

/** A setting counts as better from this much more work per second. */
const betterBy = 1.02;

/** While settled, a rate this far from the remembered one means that the model's cost has changed. */
const driftBy = 1.15;

/** Epochs between two looks at the neighbours; doubled after each look that found nothing better. */
const firstHold = 8;
const longestHold = 64;

/** Epochs for which a point that passed the bound is not tried again. */
const tooSlowEpochs = 128;

/** An unreachable target is replaced by this multiple of the least p95 found. */
const relaxBy = 1.5;

/** Steps tried from the best point, in order: more of one, then less, then one against the other. */
const steps: readonly Point[] = [
  { batch: 1, slots: 0 },
  { batch: 2, slots: 0 },
  { batch: 0, slots: 1 },
  { batch: 0, slots: 2 },
  { batch: -1, slots: 0 },
  { batch: 0, slots: -1 },
  { batch: -1, slots: 1 },
  { batch: 1, slots: -1 },
  { batch: -2, slots: 1 },
  { batch: -3, slots: 0 },
];

const stepsDown: readonly Point[] = [
  { batch: -2, slots: 0 },
  { batch: -1, slots: 0 },
  { batch: 0, slots: -1 },
  { batch: 0, slots: -2 },
];

/**
 * Finds the batch size and concurrency that compute most under a bound on latency: a hill climb over two ladders of
 * steps of about a third, each point measured over an epoch of batches that left full while more texts waited. It
 * performs nothing and reads no clock.
 */
export class AdaptiveBatching {
  readonly #sizes: readonly number[];
  readonly #slots: readonly number[];
  readonly #latencyTargetMs: number;
  #boundMs: number;
  #best: Measured | undefined;
  #current: Point;
  #candidates: Point[] = [];
  #seen = new Set<string>();
  /** Points that passed the bound, and the epoch in which they did: one lucky epoch must not bring them back. */
  readonly #tooSlow = new Map<string, number>();
  #epochs = 0;
  #settled = false;
  #hold = firstHold;
  #held = 0;
  #busy = false;
  readonly #units = new UnitChoice();
  #epoch: BatchingEpoch;

  constructor(options: AdaptiveBatchingOptions) {
    this.#sizes = ladder(options.max.batchSize);
    this.#slots = ladder(options.max.concurrency);
    this.#latencyTargetMs = options.latencyTargetMs;
    this.#boundMs = options.latencyTargetMs;
    this.#current = {
      batch: nearestBelow(this.#sizes, options.start.batchSize),
      slots: nearestBelow(this.#slots, options.start.concurrency),
    };
    this.#epoch = new BatchingEpoch(Number.NEGATIVE_INFINITY, this.#limits(this.#current).concurrency);
  }

  /** What the scheduler is to use now. Without load that is the best setting known, never one on trial. */
  get limits(): BatchLimits {
    return this.#limits(this.#busy ? this.#current : (this.#best ?? this.#current));
  }

  get state(): AdaptiveBatchingState {
    const best = this.#best;
    return {
      ...this.#limits(best ?? this.#current),
      phase: best === undefined ? "measuring" : this.#settled ? "settled" : "searching",
      textsPerSecond: best?.textsPerSecond ?? 0,
      tokensPerSecond: best?.tokensPerSecond ?? 0,
      p95Ms: best?.p95Ms ?? 0,
      targetMet: this.#boundMs === this.#latencyTargetMs && !(best && best.p95Ms > this.#boundMs),
    };
  }

  observe(batch: BatchObservation): void {
    if (!batch.saturated || !this.#busy) {
      this.#busy = batch.saturated;
      this.#startEpoch(batch.answeredAt);
      return;
    }
    this.#epoch.add(batch);
    if (!this.#epoch.complete) return;
    const measured = { ...this.#current, ...this.#epoch.rates, p95Ms: this.#epoch.p95Ms };
    this.#units.learn(this.#epoch.scatter);
    this.#epochs++;
    if (measured.p95Ms > this.#boundMs) this.#tooSlow.set(key(measured), this.#epochs);
    if (this.#best === undefined) this.#accept(measured);
    else if (this.#settled) this.#holdOn(measured);
    else this.#judge(measured);
    this.#startEpoch(batch.answeredAt);
  }

  /** A candidate was measured: take it, or go on to the next, or settle. */
  #judge(measured: Measured): void {
    if (this.#isBetter(measured, this.#best!)) {
      this.#hold = firstHold;
      this.#accept(measured);
    } else this.#next();
  }

  /** Settled: the rate is watched, and the neighbours are looked at again from time to time. */
  #holdOn(measured: Measured): void {
    const best = this.#best!;
    const { unit } = this.#units;
    const drift = Math.max(measured[unit] / best[unit], best[unit] / measured[unit]);
    if (drift > driftBy) {
      // The model is another than the one that was measured: what is known of its neighbours is void.
      this.#tooSlow.clear();
      this.#boundMs = this.#latencyTargetMs;
    }
    if (drift > driftBy || measured.p95Ms > this.#boundMs) {
      this.#hold = firstHold;
      this.#accept(measured);
      return;
    }
    this.#best = measured;
    if (++this.#held < this.#hold) return;
    this.#hold = Math.min(longestHold, 2 * this.#hold);
    this.#accept(measured);
  }

  #accept(measured: Measured): void {
    const previous = this.#best;
    this.#best = measured;
    this.#settled = false;
    this.#seen = new Set([key(measured)]);
    const list = measured.p95Ms > this.#boundMs ? stepsDown : steps;
    this.#candidates = list.map((step) => this.#move(measured, step));
    // What has just helped is tried further first.
    if (previous !== undefined && !samePoint(previous, measured)) {
      const again = { batch: measured.batch - previous.batch, slots: measured.slots - previous.slots };
      this.#candidates.unshift(this.#move(measured, again));
      this.#seen.add(key(previous));
    }
    this.#next();
  }

  #next(): void {
    let candidate = this.#candidates.shift();
    while (candidate !== undefined && this.#isKnown(candidate)) candidate = this.#candidates.shift();
    if (candidate === undefined) {
      this.#settle();
      return;
    }
    this.#seen.add(key(candidate));
    this.#current = candidate;
  }

  #isKnown(point: Point): boolean {
    const slowIn = this.#tooSlow.get(key(point)) ?? Number.NEGATIVE_INFINITY;
    return this.#seen.has(key(point)) || this.#epochs - slowIn < tooSlowEpochs;
  }

  #settle(): void {
    const best = this.#best!;
    if (best.p95Ms > this.#boundMs) {
      // Nothing near is faster: the target cannot be met, and crawling below it would only cost throughput.
      this.#boundMs = relaxBy * best.p95Ms;
      this.#tooSlow.clear();
      this.#accept(best);
      return;
    }
    this.#settled = true;
    this.#held = 0;
    this.#current = best;
  }

  #isBetter(a: Measured, b: Measured): boolean {
    const { unit } = this.#units;
    const aHolds = a.p95Ms <= this.#boundMs;
    const bHolds = b.p95Ms <= this.#boundMs;
    if (aHolds !== bHolds) return aHolds;
    return aHolds ? a[unit] > betterBy * b[unit] : betterBy * a.p95Ms < b.p95Ms;
  }

  #startEpoch(now: number): void {
    this.#epoch = new BatchingEpoch(now, this.limits.concurrency);
  }

  #move(from: Point, step: Point): Point {
    return {
      batch: Math.max(0, Math.min(this.#sizes.length - 1, from.batch + step.batch)),
      slots: Math.max(0, Math.min(this.#slots.length - 1, from.slots + step.slots)),
    };
  }

  #limits(point: Point): BatchLimits {
    return { batchSize: this.#sizes[point.batch]!, concurrency: this.#slots[point.slots]! };
  }
}

/** 1, 2, 3, 4, 6, 8, 12, 16, 24, 32 … and the greatest value allowed. */
function ladder(max: number): number[] {
  const rungs = [1];
  for (let power = 2; power <= max; power *= 2) {
    rungs.push(power);
    if (1.5 * power <= max) rungs.push(1.5 * power);
  }
  if (rungs.at(-1) !== max) rungs.push(max);
  return rungs;
}

function nearestBelow(rungs: readonly number[], value: number): number {
  return Math.max(
    0,
    rungs.findLastIndex((rung) => rung <= value),
  );
}

function samePoint(a: Point, b: Point): boolean {
  return a.batch === b.batch && a.slots === b.slots;
}

function key(point: Point): string {
  return `${point.batch},${point.slots}`;
}
