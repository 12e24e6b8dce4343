import type { Hit } from "../contract/recall.ts";
import type { Analyzer } from "./analyzer.ts";

/** Share of their terms that two texts have in common from which on they say the same. */
const sameShare = 0.9;
const negations = /\b(?:no|not|never|none|nor|neither|nothing|nobody|without|cannot|\p{L}+n['’]t)\b/giu;
const figures = /\p{N}+(?:[.,:/-]\p{N}+)*/gu;

/** What of a text tells it from another. */
interface Gist {
  readonly terms: ReadonlySet<string>;
  /** Numbers and negations in order: one of them makes another memory of the same words. */
  readonly telling: string;
}

/**
 * Hits in their order, each that says the same as an earlier one folded into it: nine tenths of their terms in common,
 * the same numbers and negations, the same speaker. An earlier hit never changes for a later one.
 */
export function foldDuplicates(hits: readonly Hit[], analyzer: Analyzer): Hit[] {
  const kept: { readonly hit: Hit; readonly gist: Gist; readonly folded: string[] }[] = [];
  for (const hit of hits) {
    const gist = gistOf(hit.memory.content, analyzer);
    const same = kept.find(
      (earlier) => earlier.hit.memory.speaker === hit.memory.speaker && saysTheSame(earlier.gist, gist),
    );
    if (same) same.folded.push(hit.memory.id);
    else kept.push({ hit, gist, folded: [] });
  }
  return kept.map(({ hit, folded }) => (folded.length > 0 ? { ...hit, folded } : hit));
}

function gistOf(text: string, analyzer: Analyzer): Gist {
  const terms = new Set<string>();
  analyzer.visit(text, (term) => terms.add(term));
  const telling = [...(text.match(figures) ?? []), ...(text.toLowerCase().match(negations) ?? [])];
  return { terms, telling: telling.join(" ") };
}

function saysTheSame(a: Gist, b: Gist): boolean {
  if (a.telling !== b.telling) return false;
  const [few, many] = a.terms.size < b.terms.size ? [a.terms, b.terms] : [b.terms, a.terms];
  // A text without a term, such as a row of signs, is like no other.
  if (few.size === 0 || few.size < many.size * sameShare) return false;
  let shared = 0;
  for (const term of few) if (many.has(term)) shared++;
  return shared >= sameShare * (a.terms.size + b.terms.size - shared);
}
