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
    ...bonuses.map(([name, value]) => `${name} ${points(value)}`),
  ];
  const meaning =
    why.vector.raw > 0
      ? `meaning: similarity ${points(why.vector.raw)} of 1${place(why.vector)}`
      : "meaning: nothing in common";
  const matched = why.matchedTerms.length > 0 ? `has ${words(why.matchedTerms)}` : "none in its own text";
  const around = why.contextTerms.length > 0 ? `; ${words(why.contextTerms)} stand around it` : "";
  return [
    `score ${points(score)} = ${parts.join(" + ")}`,
    meaning,
    `words: ${matched}${around}${place(why.keyword)}`,
  ];
}

/** How the whole answer came about. */
export function explainAnswer(explanation: Explanation): string[] {
  const { weights, candidates, terms, unknownShare, dropped, stages, path, cache } = explanation;
  const total = weights.vector + weights.keyword || 1;
  const looked = terms.used.length > 0 ? `looked for ${words(terms.used)}` : "none to look for";
  const unknown =
    terms.unknown.length > 0 ? `; passed over, common or not in this memory: ${words(terms.unknown)}` : "";
  const time = stages.map(({ name, ms }) => `${name} ${formatDuration(ms)}`).join(", ");
  const sum = stages.reduce((all, { ms }) => all + ms, 0);
  return [
    `Ranked ${percent(weights.vector / total)} by meaning and ${percent(weights.keyword / total)} by words (${explanation.mode}).`,
    ...(unknownShare > 0
      ? [`The model does not know ${percent(unknownShare)} of the question, so words count for more.`]
      : []),
    `Words: ${looked}${unknown}.`,
    `Candidates: ${formatCount(candidates.vector)} by meaning (${path.vector} search), ${formatCount(candidates.keyword)} by words, ${formatCount(candidates.fused)} together.`,
    ...dropped
      .filter(({ count }) => count > 0)
      .map(({ reason, count }) => `Left out: ${plural(count, "memory", "memories")}, ${oneLine(reason)}.`),
    `${cache === "hit" ? "Kept since an earlier recall, which took" : "Took"} ${formatDuration(sum)}: ${time}.`,
  ];
}
