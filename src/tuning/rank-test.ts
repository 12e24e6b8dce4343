/**
 * How probable it is that values as small as `tried` come by chance, if it is no smaller than `base`: the one-sided
 * test of Mann and Whitney ("On a test of whether one of two random variables is stochastically larger", 1947), normal
 * approximation with correction for ties. It asks for no distribution; some slow outliers change nothing.
 * @returns 0..1; 1 for too few values to tell.
 */
export function chanceOfSmaller(tried: readonly number[], base: readonly number[]): number {
  const n = tried.length;
  const m = base.length;
  if (n < 4 || m < 4) return 1;
  const all = [
    ...tried.map((value) => ({ value, tried: true })),
    ...base.map((value) => ({ value, tried: false })),
  ].sort((a, b) => a.value - b.value);
  let rankSum = 0;
  let ties = 0;
  for (let from = 0; from < all.length; ) {
    let to = from;
    while (to < all.length && all[to]!.value === all[from]!.value) to++;
    const rank = (from + 1 + to) / 2;
    for (let at = from; at < to; at++) if (all[at]!.tried) rankSum += rank;
    ties += (to - from) ** 3 - (to - from);
    from = to;
  }
  const size = n + m;
  const u = rankSum - (n * (n + 1)) / 2;
  const variance = ((n * m) / 12) * (size + 1 - ties / (size * (size - 1)));
  if (!(variance > 0)) return 1;
  return normalBelow((u + 0.5 - (n * m) / 2) / Math.sqrt(variance));
}

/** Share of a standard normal distribution below z (Abramowitz and Stegun, 7.1.26; error below 1.5e-7). */
function normalBelow(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * x);
  const tail =
    t *
    (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) *
    Math.exp(-x * x);
  return z < 0 ? tail / 2 : 1 - tail / 2;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
