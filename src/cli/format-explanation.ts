import type { Explanation, HitExplanation, SignalScore } from "../contract/recall.ts";
import { oneLine } from "./terminal-text.ts";
import { formatCount, formatDuration, ordinal, plural } from "./units.ts";

function words(list: readonly string[]): string {
  return list.map(oneLine).join(", ");
}

function points(value: number): string {
  return value.toFixed(3);
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function place({ rank }: SignalScore): string {
  return rank === undefined ? "" : `, ${ordinal(rank)} of the candidates`;
}

/** Why one hit stands where it stands, as sentences: first the sum, then each part. */
export function explainHit(score: number, why: HitExplanation, weights: Explanation["weights"]): string[] {
  const bonuses = Object.entries(why.bonuses).filter(([, value]) => value !== 0);
  const parts = [
    `meaning ${points(weights.vector * why.vector.normalized)}`,
    `words ${points(weights.keyword * why.keyword.normalized)}`,
    ...(weights.late > 0 ? [`near words ${points(weights.late * why.late.normalized)}`] : []),
    ...bonuses.map(([name, value]) => `${name} ${points(value)}`),
  ];
  const meaning =
    why.vector.raw > 0
      ? `meaning: similarity ${points(why.vector.raw)} of 1${place(why.vector)}`
      : "meaning: nothing in common";
  const matched = why.matchedTerms.length > 0 ? `has ${words(why.matchedTerms)}` : "none in its own text";
  const around = why.contextTerms.length > 0 ? `; ${words(why.contextTerms)} stand around it` : "";
  const sum = why.fused + Object.values(why.bonuses).reduce((all, bonus) => all + bonus, 0);
  const reranked = why.rerank && [
    `score ${points(score)} by the reranker; ${ordinal(why.rerank.before)} before it, by`,
  ];
  return [
    ...(reranked ?? []),
    `${reranked ? "sum" : "score"} ${points(reranked ? sum : score)} = ${parts.join(" + ")}`,
    meaning,
    `words: ${matched}${around}${place(why.keyword)}`,
    ...(why.late.raw > 0 ? [`near words: ${place(why.late).slice(2)}`] : []),
  ];
}

function timeLine({ from, to, words: said }: NonNullable<Explanation["time"]>): string {
  const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
  const open = 8.64e15;
  const first = from === -open ? "any time" : day(from);
  const last = to === open ? "now and later" : day(to - 1);
  return `Time: ${oneLine(said)} is ${first} to ${last}; what happened then stands higher.`;
}

/** How the whole answer came about. */
export function explainAnswer(explanation: Explanation): string[] {
  const { weights, candidates, terms, unknownShare, dropped, stages, path, cache } = explanation;
  const total = weights.vector + weights.keyword + weights.late || 1;
  const shares = [
    `${percent(weights.vector / total)} by meaning`,
    `${percent(weights.keyword / total)} by words`,
    ...(weights.late > 0 ? [`${percent(weights.late / total)} by near words`] : []),
  ];
  const compared =
    candidates.late > 0 ? `; the best ${formatCount(candidates.late)} compared word by word` : "";
  const looked = terms.used.length > 0 ? `looked for ${words(terms.used)}` : "none to look for";
  const unknown =
    terms.unknown.length > 0 ? `; passed over, common or not in this memory: ${words(terms.unknown)}` : "";
  const time = stages.map(({ name, ms }) => `${name} ${formatDuration(ms)}`).join(", ");
  const sum = stages.reduce((all, { ms }) => all + ms, 0);
  return [
    `Ranked ${shares.slice(0, -1).join(", ")} and ${shares.at(-1)} (${explanation.mode}).`,
    ...(unknownShare > 0
      ? [`The model does not know ${percent(unknownShare)} of the question, so words count for more.`]
      : []),
    `Words: ${looked}${unknown}.`,
    `Candidates: ${formatCount(candidates.vector)} by meaning (${path.vector} search), ${formatCount(candidates.keyword)} by words, ${formatCount(candidates.fused)} together${compared}.`,
    ...(explanation.time ? [timeLine(explanation.time)] : []),
    ...(explanation.reranker ? [`The best were put in order by ${oneLine(explanation.reranker)}.`] : []),
    ...dropped
      .filter(({ count }) => count > 0)
      .map(({ reason, count }) => `Left out: ${plural(count, "memory", "memories")}, ${oneLine(reason)}.`),
    `${cache === "hit" ? "Kept since an earlier recall, which took" : "Took"} ${formatDuration(sum)}: ${time}.`,
  ];
}
