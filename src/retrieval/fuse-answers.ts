import type { Hit, Recall, ResearchHit } from "../contract/recall.ts";

/** Most that is added to a hit for the other questions that found it too. */
const manyBonus = 0.1;

/**
 * The hits of several questions as one list. A hit's score is its greatest share of a question's best score, so that
 * the best answer to each question stands before all second ones, and up to .1 more for other questions that found it.
 * Of equals, that of the earlier question comes first.
 */
export function fuseAnswers(answers: readonly Recall[]): ResearchHit[] {
  const found = new Map<string, { readonly hit: Hit; readonly questions: number[]; share: number }>();
  answers.forEach(({ hits }, question) => {
    const scale = scaleOf(hits);
    for (const hit of hits) {
      const share = scale(hit.score);
      const known = found.get(hit.memory.id);
      if (!known) found.set(hit.memory.id, { hit, questions: [question], share });
      else {
        known.questions.push(question);
        known.share = Math.max(known.share, share);
      }
    }
  });
  const others = Math.max(1, answers.length - 1);
  return [...found.values()]
    .map(({ hit, questions, share }) => {
      return { ...hit, score: share + (manyBonus * (questions.length - 1)) / others, questions };
    })
    .sort((a, b) => b.score - a.score);
}

/** Scores of one answer as shares of its best. Those of a reranker may be below 0: then of their span. */
function scaleOf(hits: readonly Hit[]): (score: number) => number {
  const best = hits[0]?.score ?? 0;
  const least = hits.at(-1)?.score ?? 0;
  if (least >= 0 && best > 0) return (score) => score / best;
  return (score) => (best > least ? (score - least) / (best - least) : 1);
}
