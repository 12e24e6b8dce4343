/** Buckets in each power of two: a bucket is at most 1/64 wider than its lower bound. */
const bucketsPerOctave = 64;
/** From 2^-13 ms (120 ns) to 2^23 ms (2 hours 20 minutes); what lies outside is counted at the ends. */
const lowestExponent = -13;
const octaves = 36;
const lastBucket = bucketsPerOctave * octaves - 1;

/**
 * Bounds in milliseconds for histograms of other systems. All of them are bounds of buckets too, so that counts up to
 * them are exact.
 */
export const histogramBoundsMs: readonly number[] = [
  1 / 64,
  1 / 16,
  1 / 4,
  1 / 2,
  1,
  2.5,
  5,
  10,
  25,
  50,
  100,
  250,
  500,
  1_000,
  2_000,
  4_000,
  8_000,
  16_000,
  64_000,
];

/**
 * Counts of durations since the start, in log-linear buckets (as HDR Histogram by G. Tene): how many were at most a
 * bound, to 1/64 of it, in 18 kB, however many samples.
 */
export class LogHistogram {
  readonly #counts = new Float64Array(lastBucket + 1);
  readonly #view = new DataView(new ArrayBuffer(8));

  /** @param value Milliseconds, 0 or more. */
  add(value: number): void {
    this.#counts[this.#bucketOf(value)]! += 1;
  }

  /** How many durations were at most `bound` milliseconds, to the width of a bucket. */
  countAtMost(bound: number): number {
    const last = this.#bucketOf(bound);
    let count = 0;
    for (let bucket = 0; bucket <= last; bucket++) count += this.#counts[bucket]!;
    return count;
  }

  /**
   * The exponent and the six highest bits of the fraction of a double. A bucket ends with its upper bound, as
   * Prometheus counts, so a value whose lower bits are all 0 belongs to the bucket below.
   */
  #bucketOf(value: number): number {
    this.#view.setFloat64(0, value);
    const high = this.#view.getUint32(0);
    const above = (high & 0x3fff) !== 0 || this.#view.getUint32(4) !== 0;
    const bucket = (high >>> 14) - (1023 + lowestExponent) * bucketsPerOctave - (above ? 0 : 1);
    return Math.max(0, Math.min(lastBucket, bucket));
  }
}
