import type { NamespaceIndex } from "./namespace-index.ts";
import type { QueryPlan } from "./plan-query.ts";

/** Which of a question's terms one memory holds, as numbers of the plan's terms, ascending. */
export interface TermMatches {
  readonly content: number[];
  /** Around the content alone. */
  readonly context: number[];
}

/** For each of the slots, in their order, the terms of the plan that it holds. */
export function matchTerms(index: NamespaceIndex, plan: QueryPlan, slots: Uint32Array): TermMatches[] {
  const matches = Array.from(slots, (): TermMatches => ({ content: [], context: [] }));
  const places = new Int32Array(index.columns.size).fill(-1);
  slots.forEach((slot, place) => {
    places[slot] = place;
  });
  plan.terms.forEach(({ term }, number) => {
    for (const list of index.postings.of(term)) {
      for (let i = list.from; i < list.to; i++) {
        const place = places[list.slots[i]!]!;
        if (place < 0) continue;
        const match = matches[place]!;
        ((list.counts[i]! & 0xff) > 0 ? match.content : match.context).push(number);
      }
    }
  });
  return matches;
}

/** Share 0..1 of the question's idf that a memory's own words match. */
export function matchedShare(plan: QueryPlan, match: TermMatches): number {
  let matched = 0;
  for (const number of match.content) matched += plan.terms[number]!.idf;
  return plan.totalIdf > 0 ? matched / plan.totalIdf : 0;
}
