/** The mean of the values. @throws RangeError For none. */
export function mean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("Expected at least one value to take the mean of.");
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Share 0..1 of the relevant ids that stand among the first `k` of the ranking. @throws RangeError For no relevant id. */
export function recallAt(ranking: readonly string[], relevant: ReadonlySet<string>, k: number): number {
  if (relevant.size === 0) throw new RangeError("Recall is not defined for a question without relevant ids.");
  const found = new Set(ranking.slice(0, k).filter((id) => relevant.has(id)));
  return found.size / relevant.size;
}

/**
 * Normalised discounted cumulative gain of the first `k`, 0..1, with the gain itself in the numerator
 * (Järvelin and Kekäläinen, TOIS 2002, with log2(rank + 1) as trec_eval has it).
 * @param gains Gain of each judged id; an id that is missing has 0.
 * @throws RangeError When no id has a gain above 0.
 */
export function ndcgAt(ranking: readonly string[], gains: ReadonlyMap<string, number>, k: number): number {
  const ideal = discounted([...gains.values()].toSorted((a, b) => b - a).slice(0, k));
  if (!(ideal > 0)) throw new RangeError("nDCG is not defined for a question without a gain above 0.");
  return discounted(ranking.slice(0, k).map((id) => gains.get(id) ?? 0)) / ideal;
}

function discounted(gains: readonly number[]): number {
  return gains.reduce((sum, gain, index) => sum + gain / Math.log2(index + 2), 0);
}

/** Spearman's rank correlation, -1..1: Pearson's of the ranks, equal values sharing the mean of their ranks. */
export function spearman(a: readonly number[], b: readonly number[]): number {
  return pearson(ranks(a), ranks(b));
}

function pearson(a: readonly number[], b: readonly number[]): number {
  if (a.length !== b.length || a.length < 2)
    throw new RangeError(`Expected two lists of one length, at least 2; got ${a.length} and ${b.length}.`);
  const [meanA, meanB] = [mean(a), mean(b)];
  let [product, squareA, squareB] = [0, 0, 0];
  for (const [index, value] of a.entries()) {
    const [da, db] = [value - meanA, b[index]! - meanB];
    product += da * db;
    squareA += da * da;
    squareB += db * db;
  }
  return product / Math.sqrt(squareA * squareB);
}

/**
 * Area under the receiver operating characteristic: the chance that a positive scores above a negative, a tie counting
 * half (Mann and Whitney's U over the number of pairs).
 * @throws RangeError When one of the two classes is empty.
 */
export function areaUnderCurve(scores: readonly number[], positive: readonly boolean[]): number {
  const ranked = ranks(scores);
  let [positives, rankSum] = [0, 0];
  for (const [index, isPositive] of positive.entries()) {
    if (!isPositive) continue;
    positives += 1;
    rankSum += ranked[index]!;
  }
  const negatives = scores.length - positives;
  if (scores.length !== positive.length || positives === 0 || negatives === 0)
    throw new RangeError(`Expected scores of both classes; got ${positives} and ${negatives}.`);
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/** Ranks from 1, ascending; equal values share the mean of theirs. */
function ranks(values: readonly number[]): number[] {
  const order = values.map((_, index) => index).toSorted((a, b) => values[a]! - values[b]!);
  const result = new Array<number>(values.length).fill(0);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end += 1;
    for (let place = start; place < end; place += 1) result[order[place]!] = (start + 1 + end) / 2;
    start = end;
  }
  return result;
}
