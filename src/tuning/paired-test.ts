/**
 * Student's t of paired differences ("The probable error of a mean", 1908): their mean in standard errors. Above 0 they
 * are mostly positive; 0 for fewer than four, which tell nothing.
 */
export function pairedT(differences: readonly number[]): number {
  const n = differences.length;
  if (n < 4) return 0;
  const mean = differences.reduce((sum, value) => sum + value, 0) / n;
  const squares = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  if (squares === 0) return mean === 0 ? 0 : Math.sign(mean) * Number.MAX_VALUE;
  return mean / Math.sqrt(squares / (n - 1) / n);
}
