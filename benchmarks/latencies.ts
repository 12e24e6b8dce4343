/** How long many calls took, in milliseconds. */
export interface Latencies {
  readonly calls: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** The smallest value that `share` of the values do not exceed (nearest rank). @throws RangeError For no values. */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError("Expected at least one value to take a percentile of.");
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
}

/** The middle of the values, the lower of two. @throws RangeError For no values. */
export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

/** Percentiles and rate of calls made one after the other. */
export function latencies(ms: readonly number[]): Latencies {
  const total = ms.reduce((sum, one) => sum + one, 0);
  return {
    calls: ms.length,
    perSecond: (ms.length / total) * 1_000,
    p50Ms: percentile(ms, 0.5),
    p95Ms: percentile(ms, 0.95),
    p99Ms: percentile(ms, 0.99),
  };
}

/** Milliseconds of one call. */
export async function timed(call: () => unknown): Promise<number> {
  const start = performance.now();
  await call();
  return performance.now() - start;
}

/**
 * Times two ways in turn, a block of each, so that both see the same machine.
 * @returns Milliseconds of each call of each way, in order.
 */
export async function timedInTurn(
  calls: number,
  block: number,
  ours: (call: number) => unknown,
  floor: (call: number) => unknown,
): Promise<{ readonly ours: number[]; readonly floor: number[] }> {
  const times = { ours: [] as number[], floor: [] as number[] };
  for (let start = 0; start < calls; start += block) {
    const end = Math.min(calls, start + block);
    for (let call = start; call < end; call += 1) times.ours.push(await timed(() => ours(call)));
    for (let call = start; call < end; call += 1) times.floor.push(await timed(() => floor(call)));
  }
  return times;
}
