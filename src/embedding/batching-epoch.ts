/** One batch that came back. */
export interface BatchObservation {
  readonly departedAt: number;
  readonly answeredAt: number;
  readonly texts: number;
  /** Of all its texts. */
  readonly tokens: number;
  /** More texts waited than could leave. Only then does the rate measure the setting, not the callers. */
  readonly saturated: boolean;
}

/** What a setting computes. */
export interface Rates {
  readonly textsPerSecond: number;
  readonly tokensPerSecond: number;
}

/** What a model's time goes with. */
type Unit = keyof Rates;

/** Measured batches of an epoch, at least; then as many as fill all slots evenly. */
const epochBatches = 8;

/** Weight of the latest epoch in what is known of the scatter. */
const scatterWeight = 0.3;

/**
 * Batches are cut by length, so their tokens differ widely: a rate in tokens scatters where the model takes its time
 * by the text, and the other way round. Rates are compared in the unit that scatters less.
 */
export class UnitChoice {
  #scatter: Readonly<Record<Unit, number>> | undefined;

  get unit(): Unit {
    const scatter = this.#scatter;
    return scatter !== undefined && scatter.textsPerSecond < scatter.tokensPerSecond
      ? "textsPerSecond"
      : "tokensPerSecond";
  }

  learn(scatter: Readonly<Record<Unit, number>>): void {
    const before = this.#scatter ?? scatter;
    this.#scatter = {
      textsPerSecond:
        before.textsPerSecond + scatterWeight * (scatter.textsPerSecond - before.textsPerSecond),
      tokensPerSecond:
        before.tokensPerSecond + scatterWeight * (scatter.tokensPerSecond - before.tokensPerSecond),
    };
  }
}

/** Batches that left under one setting. */
export class BatchingEpoch {
  readonly #startedAt: number;
  readonly #slots: number;
  readonly #durations: number[] = [];
  #warmUp: number;
  #measureFrom = 0;
  #measureTo = 0;
  #texts = 0;
  #tokens = 0;
  readonly #perText: number[] = [];
  readonly #perToken: number[] = [];

  constructor(startedAt: number, slots: number) {
    this.#startedAt = startedAt;
    this.#slots = slots;
    this.#warmUp = slots;
  }

  add(batch: BatchObservation): void {
    // It left under the setting before.
    if (batch.departedAt < this.#startedAt) return;
    if (this.#warmUp > 0) {
      // The first round fills the slots one after another; the rate is counted from its end.
      this.#warmUp--;
      this.#measureFrom = batch.answeredAt;
      return;
    }
    const duration = batch.answeredAt - batch.departedAt;
    this.#texts += batch.texts;
    this.#tokens += batch.tokens;
    this.#measureTo = batch.answeredAt;
    this.#durations.push(duration);
    this.#perText.push(duration / batch.texts);
    this.#perToken.push(duration / batch.tokens);
  }

  /** Whole rounds of the slots, so that slots in step with each other are counted right. */
  get complete(): boolean {
    return this.#durations.length >= this.#slots * Math.ceil(epochBatches / this.#slots);
  }

  get rates(): Rates {
    const seconds = Math.max(this.#measureTo - this.#measureFrom, 1e-6) / 1000;
    return { textsPerSecond: this.#texts / seconds, tokensPerSecond: this.#tokens / seconds };
  }

  /** How much a batch's time for one unit differs from batch to batch. */
  get scatter(): Readonly<Record<Unit, number>> {
    return { textsPerSecond: scatterOf(this.#perText), tokensPerSecond: scatterOf(this.#perToken) };
  }

  get p95Ms(): number {
    const sorted = this.#durations.toSorted((a, b) => a - b);
    return sorted[Math.ceil(0.95 * sorted.length) - 1]!;
  }
}

/** Standard deviation divided by the mean. */
function scatterOf(values: readonly number[]): number {
  let sum = 0;
  let squares = 0;
  for (const value of values) {
    sum += value;
    squares += value * value;
  }
  const mean = sum / values.length;
  return Math.sqrt(Math.max(0, squares / values.length - mean * mean)) / mean;
}
