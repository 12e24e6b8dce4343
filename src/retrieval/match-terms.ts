import type { NamespaceIndex } from "./namespace-index.ts";
import type { QueryPlan } from "./plan-query.ts";
import { findSlot } from "./postings.ts";

/** Which of a question's terms one memory holds, as numbers of the plan's terms, ascending. */
export interface TermMatches {
  readonly content: number[];
  /** Around the content alone. */
  readonly context: number[];
}

/** For each of the slots, in their order, the terms of the plan that it holds. */
export function matchTerms(index: NamespaceIndex, plan: QueryPlan, slots: Uint32Array): TermMatches[] {
  const matches = Array.from(slots, (): TermMatches => ({ content: [], context: [] }));
  plan.terms.forEach(({ term }, number) => {
    const lists = index.postings.of(term);
    slots.forEach((slot, place) => {
      for (const { slots: held, counts, from, to } of lists) {
        const at = findSlot(held, slot, from, to);
        if (at === to || held[at] !== slot) continue;
        const match = matches[place]!;
        ((counts[at]! & 0xff) > 0 ? match.content : match.context).push(number);
      }
    });
  });
  return matches;
}

/** Share 0..1 of the question's idf that a memory's own words match. */
export function matchedShare(plan: QueryPlan, match: TermMatches): number {
  let matched = 0;
  for (const number of match.content) matched += plan.terms[number]!.idf;
  return plan.totalIdf > 0 ? matched / plan.totalIdf : 0;
}
