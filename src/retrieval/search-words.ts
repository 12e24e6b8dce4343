import type { Analyzer } from "./analyzer.ts";
import { maxQuestionLength } from "./plan-query.ts";
import type { Postings } from "./postings.ts";
import { TermRun } from "./term-run.ts";
import { stopMark } from "./term-table.ts";

/** The terms of an index. */
export type IndexedTerms = Pick<Postings, "of" | "startingWith">;

/** One thing a search asks for; a memory matches it by any of the keys. */
export interface SearchUnit {
  /** Keys of the index. */
  readonly keys: readonly string[];
  /** Lower-cased beginning that a word of the content must have. */
  readonly prefix?: string;
  /** A memory without it is not found: beginnings, and what stands in a phrase. */
  readonly required: boolean;
}

/** What `search` was asked for. */
export interface SearchWords {
  readonly units: readonly SearchUnit[];
  /** Terms of each quoted phrase of two words or more, which stand next to each other but for stop words. */
  readonly phrases: readonly TermRun[];
}

/** Of those that are required, and of others. */
const maxUnits = 64;
const maxPhrases = 8;
const maxExpansions = 64;
/** Letters a stem may be shorter than the word it stands for. */
const longestSuffix = 7;

/** Reads words, `"quoted words"` and `pre*`; every text is a valid search. */
export function readSearch(text: string, analyzer: Analyzer, postings: IndexedTerms): SearchWords {
  const units = new Map<string, SearchUnit>();
  const phrases: TermRun[] = [];
  let required = 0;
  const add = (name: string, unit: SearchUnit): void => {
    const known = units.get(name);
    if (known?.required || (known && !unit.required)) return;
    // What is required keeps others from being read: it has room of its own.
    if (unit.required ? required === maxUnits : units.size - required === maxUnits) return;
    if (unit.required) required++;
    units.set(name, unit);
  };
  const addWords = (words: string, inPhrase: boolean): void => {
    analyzer.visit(words, (term, stop) => {
      // What is a stop word here may stand in a text as a name: "it" finds IT.
      add(term, { keys: stop ? [stopMark + term, term] : [term], required: inPhrase && !stop });
    });
  };
  const parts = text.slice(0, maxQuestionLength).matchAll(/"([^"]*)"?|(\S*[\p{L}\p{N}])\*(?=\s|$)|[^\s"]+/gu);
  for (const [whole, quoted, beginning] of parts) {
    if (quoted !== undefined) {
      const terms = analyzer.terms(quoted);
      const isPhrase = terms.length > 1 && phrases.length < maxPhrases;
      if (isPhrase) phrases.push(new TermRun(terms));
      addWords(quoted, isPhrase);
    } else if (beginning !== undefined && /^[\p{L}\p{M}\p{N}]+$/u.test(beginning)) {
      const prefix = beginning.toLowerCase();
      add(`${prefix}*`, { keys: expand(prefix, analyzer, postings), prefix, required: true });
    } else addWords(whole, false);
  }
  return { units: [...units.values()], phrases };
}

/** Terms whose words may begin so; a stem can be shorter than the beginning. Contents are checked later. */
function expand(prefix: string, analyzer: Analyzer, postings: IndexedTerms): string[] {
  const keys = new Set(postings.startingWith(prefix, maxExpansions));
  analyzer.visit(prefix, (term) => keys.add(term));
  for (let length = Math.max(2, prefix.length - longestSuffix); length < prefix.length; length++) {
    keys.add(prefix.slice(0, length));
  }
  if (/[iy]$/.test(prefix)) keys.add(`${prefix.slice(0, -1)}i`);
  for (const key of postings.startingWith(stopMark + prefix, maxExpansions)) keys.add(key);
  return [...keys].filter((key) => postings.of(key).length > 0);
}

/** What of a search one content holds. */
export interface HeldWords {
  /** Where, ascending, apart from each other, in UTF-16 units. */
  readonly ranges: readonly { readonly start: number; readonly end: number }[];
  /** The search's words that stand there, as the search has them. */
  readonly names: readonly string[];
  /** Each beginning that was searched for is the beginning of some word. */
  readonly allBeginnings: boolean;
}

/** How a unit is called where it is shown: `pre*` or the term. */
export function unitName(unit: SearchUnit): string {
  return unit.prefix === undefined ? unit.keys[0]!.trim() : `${unit.prefix}*`;
}

/** Whether each phrase stands in a content. */
export function holdsPhrases(content: string, { phrases }: SearchWords, analyzer: Analyzer): boolean {
  if (phrases.length === 0) return true;
  const terms = analyzer.terms(content);
  return phrases.every((phrase) => phrase.isIn(terms));
}

/** Finds in a content what was searched for. */
export function findWords(content: string, { units }: SearchWords, analyzer: Analyzer): HeldWords {
  const names = new Map<string, string>();
  const beginnings: string[] = [];
  for (const unit of units) {
    if (unit.prefix === undefined) for (const key of unit.keys) names.set(key, unitName(unit));
    else beginnings.push(unit.prefix);
  }
  const held = new Set<string>();
  const ranges: { start: number; end: number }[] = [];
  analyzer.visit(content, (term, stop, start, end) => {
    const name = names.get(term) ?? (stop ? names.get(stopMark + term) : undefined);
    if (name !== undefined) held.add(name);
    let matches = name !== undefined;
    if (beginnings.length > 0) {
      const word = content.slice(start, end).toLowerCase();
      for (const beginning of beginnings) {
        if (!word.startsWith(beginning)) continue;
        held.add(`${beginning}*`);
        matches = true;
      }
    }
    if (!matches) return;
    const last = ranges.at(-1);
    if (last && start < last.end) last.end = Math.max(last.end, end);
    else ranges.push({ start, end });
  });
  return {
    ranges,
    names: [...held],
    allBeginnings: beginnings.every((beginning) => held.has(`${beginning}*`)),
  };
}
