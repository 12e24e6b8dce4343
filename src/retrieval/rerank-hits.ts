import { StrataError } from "../contract/errors.ts";
import { vectorText } from "../contract/index-text.ts";
import type { Hit } from "../contract/recall.ts";
import type { Reranker } from "../contract/reranker.ts";

/**
 * The first `depth` hits in the order of the reranker's scores, then the others. Of equal scores the earlier comes
 * first.
 * @throws RERANKING_FAILED The reranker gave something else than one finite score a text; and what it throws.
 */
export async function rerankHits(
  question: string,
  hits: readonly Hit[],
  depth: number,
  reranker: Reranker,
  signal: AbortSignal | undefined,
): Promise<Hit[]> {
  const read = hits.slice(0, depth);
  if (read.length < 2) return [...hits];
  const texts = read.map(({ memory }) => vectorText(memory));
  const scores = await reranker.rerank(question, texts, { signal });
  if (!(scores.length === read.length && scores.every(Number.isFinite))) {
    throw new StrataError(
      "RERANKING_FAILED",
      `Expected ${read.length} finite scores of the reranker, got ${scores.filter(Number.isFinite).length} in ${scores.length}.`,
    );
  }
  const order = read.map((_, at) => at).sort((a, b) => scores[b]! - scores[a]! || a - b);
  const least = Math.min(...scores);
  return [
    ...order.map((at): Hit => {
      const { why, ...hit } = read[at]!;
      const score = scores[at]!;
      return { ...hit, score, ...(why && { why: { ...why, rerank: { score, before: at + 1 } } }) };
    }),
    // Whatever their own scores are, they stand behind those that were read.
    ...hits.slice(depth).map((hit) => ({ ...hit, score: Math.min(hit.score, least) })),
  ];
}
