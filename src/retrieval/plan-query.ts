import type { Analyzer } from "./analyzer.ts";
import { documentFrequency, inverseFrequency } from "./keyword-scores.ts";
import type { NamespaceIndex } from "./namespace-index.ts";

/** A term of a question. */
export interface QueryTerm {
  readonly term: string;
  /** As the question has it, lower-cased. */
  readonly word: string;
  readonly idf: number;
}

/** What a question asks of a namespace's index. */
export interface QueryPlan {
  /** Terms to look up, rarest first. */
  readonly terms: readonly QueryTerm[];
  /** All words but stop words, those that no memory holds included. */
  readonly words: readonly { readonly word: string; readonly idf: number }[];
  /** Words no memory holds, and stop words. */
  readonly unknownWords: readonly string[];
  /** Terms left out because there were too many. */
  readonly surplusTerms: number;
  /** Sum of the idf of all terms, those that no memory holds included. */
  readonly totalIdf: number;
  /** Number of the one speaker the question names, or 0. */
  readonly speaker: number;
}

/** Text of a question that is read; what a prompt's worth of pasted text says after that changes nothing. */
export const maxQuestionLength = 16_384;
const maxUnknownWords = 64;
/** Distinct terms whose frequency is looked up before the rarest are chosen. */
const maxDistinctTerms = 1_000;

/** Reads a question against the index; touches neither. */
export function planQuery(
  question: string,
  analyzer: Analyzer,
  index: NamespaceIndex,
  maxTerms: number,
): QueryPlan {
  const text = question.slice(0, maxQuestionLength);
  const words = new Map<string, string>();
  const unknown = new Set<string>();
  const sequence: string[] = [];
  analyzer.visit(text, (term, stop, start, end) => {
    sequence.push(term);
    if (!stop && words.size < maxDistinctTerms && !words.has(term)) {
      words.set(term, text.slice(start, end).toLowerCase());
    } else if (stop && unknown.size < maxUnknownWords) unknown.add(term);
  });

  let totalIdf = 0;
  const known: QueryTerm[] = [];
  const weighted: { word: string; idf: number }[] = [];
  for (const [term, word] of words) {
    const frequency = documentFrequency(index, term, "all");
    const idf = inverseFrequency(index.size, frequency);
    totalIdf += idf;
    weighted.push({ word, idf });
    if (frequency > 0) known.push({ term, word, idf });
    else if (unknown.size < maxUnknownWords) unknown.add(word);
  }
  known.sort((a, b) => b.idf - a.idf || (a.term < b.term ? -1 : 1));
  return {
    terms: known.slice(0, maxTerms),
    words: weighted,
    unknownWords: [...unknown],
    surplusTerms: Math.max(0, known.length - maxTerms),
    totalIdf,
    speaker: namedSpeaker(sequence, index),
  };
}

/** The one speaker whose whole name stands in the question; 0 when there is none or more than one. */
function namedSpeaker(question: readonly string[], index: NamespaceIndex): number {
  const { names, uses } = index.speakers;
  if (names.length === 0) return 0;
  const spoken = ` ${question.join(" ")} `;
  let named = 0;
  for (let at = 0; at < names.length; at++) {
    if (uses[at]! === 0) continue;
    const terms = index.speakerTerms(names[at]!);
    if (terms === "" || !spoken.includes(terms)) continue;
    if (named !== 0) return 0;
    named = at + 1;
  }
  return named;
}
