/**
 * A percentile of sorted samples, interpolated between the two nearest: position `(n − 1) · share` (R's type 7;
 * Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American Statistician 1996).
 * @param sorted Ascending, at least one.
 * @param share 0..1.
 */
export function percentile(sorted: Float64Array, share: number): number {
  const position = (sorted.length - 1) * share;
  const below = Math.floor(position);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (position - below);
}
