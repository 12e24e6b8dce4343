import type { StoredVector } from "./memory.ts";

/** What is compared of a memory; a `Memory` with its vector is one. */
export interface ComparedMemory {
  readonly content: string;
  readonly speaker?: string | undefined;
  readonly thread?: string | undefined;
  /** Milliseconds since 1970. */
  readonly at?: number | undefined;
  readonly vector: StoredVector | null;
}

/** From where on two memories may be the same; each is a least value, 0..1. */
export interface NearDuplicateThresholds {
  /** Cosine of the two vectors. */
  readonly cosine: number;
  /** Length of the shorter content over that of the longer, in UTF-16 units. */
  readonly lengthRatio: number;
  /** Distinct words both have over those either has, case folded (Jaccard's index). */
  readonly sharedWords: number;
}

/** Chosen by `npm run eval -- duplicates`, which prints what each choice merges and misses. */
export const nearDuplicateThresholds: NearDuplicateThresholds = {
  cosine: 0.9,
  lengthRatio: 0.7,
  sharedWords: 0.8,
};

/**
 * Whether two memories say the same in all but their form, so that one can stand for both. The model proposes and the
 * words decide: besides the thresholds, the words must be the same ones in the same order. Case at the beginning of a
 * sentence, punctuation, contractions ("isn't", "is not"), "please" and a missing article are form; everything else
 * tells two memories apart, one number, name, negation or sign among a hundred equal words too. So do another speaker,
 * thread or time, a vector of another model, and a missing vector.
 */
export function areNearDuplicates(
  a: ComparedMemory,
  b: ComparedMemory,
  thresholds: NearDuplicateThresholds = nearDuplicateThresholds,
): boolean {
  if (a.speaker !== b.speaker || a.thread !== b.thread || a.at !== b.at) return false;
  if (!(lengthRatio(a.content, b.content) >= thresholds.lengthRatio)) return false;
  if (!(cosineOf(a.vector, b.vector) >= thresholds.cosine)) return false;
  const [one, other] = [wordsOf(a.content), wordsOf(b.content)];
  return sharedShare(one, other) >= thresholds.sharedWords && saySame(one, other);
}

/** Equal for all memories that can be near-duplicates of each other, and rarely for others. */
export function nearDuplicateKey(memory: Omit<ComparedMemory, "vector">): string {
  const words = wordsOf(memory.content);
  const said = words.filter((_, at) => !isMissable(words, at)).join(" ");
  return JSON.stringify([memory.thread, memory.speaker, memory.at, said]);
}

/** Length of the shorter text over that of the longer, 0..1. */
export function lengthRatio(a: string, b: string): number {
  return Math.min(a.length, b.length) / Math.max(a.length, b.length, 1);
}

/** Cosine of two unit vectors; NaN where one is missing or another model made it. */
export function cosineOf(a: StoredVector | null, b: StoredVector | null): number {
  if (!a || !b || a.model !== b.model || a.values.length !== b.values.length) return Number.NaN;
  let sum = 0;
  for (let index = 0; index < a.values.length; index++) sum += a.values[index]! * b.values[index]!;
  return sum;
}

/** Words that both have over words that either has, case folded; 0 when there is none. */
export function sharedShare(a: readonly string[], b: readonly string[]): number {
  const [one, other] = [new Set(a.map(foldCase)), new Set(b.map(foldCase))];
  const shared = one.intersection(other).size;
  return shared / Math.max(one.size + other.size - shared, 1);
}

const foldCase = (word: string): string => word.toLowerCase();

/** Words with what joins their parts (versions, dates, paths, signed numbers), and each other visible sign. */
const tokens =
  /(?:(?<!\S)-(?=\p{N}))?[\p{L}\p{M}\p{N}]+(?:['.,:/_@–-][\p{L}\p{M}\p{N}]+)*|[^\s\p{L}\p{M}\p{N}\p{C}]/gu;
/** Signs that part words and sentences and say nothing else; "?" does. */
const silent: ReadonlySet<string> = new Set(".,;:!\"“”„«»()[]…–—-'。、，；：！「」『』");
const sentenceEnds: ReadonlySet<string> = new Set(".!?…。！");
const contraction = /^(.+)(n't|'(?:m|re|ll|ve))$/iu;
const pronounIs = /^(he|she|it|that|there|here|what|who|where|when|how)'s$/iu;
const spelledOut: Readonly<Record<string, string>> = {
  "'m": "am",
  "'re": "are",
  "'ll": "will",
  "'ve": "have",
};
const irregular: Readonly<Record<string, string>> = { ca: "can", wo: "will", sha: "shall" };
/** "a few", "a little" and "a number" are not "few", "little" and "number". */
const countedByArticle: ReadonlySet<string> = new Set(["few", "little", "number"]);

/** Words of a text in order: contractions written out, the first letter of a sentence small, silent signs left out. */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  let begins = true;
  for (const [token] of text.normalize("NFC").replace(/[’‘]/g, "'").replace(/？/g, "?").matchAll(tokens)) {
    if (sentenceEnds.has(token)) begins = true;
    if (silent.has(token) || (token === "?" && words.at(-1) === "?")) continue;
    const word = begins ? token.charAt(0).toLowerCase() + token.slice(1) : token;
    // The word after "Please" or "The" begins the sentence as well.
    if (!sentenceEnds.has(token) && !isForm(word)) begins = false;
    pushSpelledOut(word, words);
  }
  return words;
}

function pushSpelledOut(word: string, words: string[]): void {
  const parts = contraction.exec(word);
  const is = pronounIs.exec(word);
  if (word.toLowerCase() === "cannot") words.push(`${word[0]}an`, "not");
  else if (is) words.push(is[1]!, "is");
  else if (!parts) words.push(word);
  else {
    const [, stem, ending] = parts as unknown as [string, string, string];
    if (ending.toLowerCase() === "n't") words.push(irregular[stem.toLowerCase()] ?? stem, "not");
    else words.push(stem, spelledOut[ending.toLowerCase()]!);
  }
}

function isForm(word: string): boolean {
  return word === "a" || word === "an" || word === "the" || word === "please";
}

/** A word that may be missing where it stands: "a" of "vitamin a" may not. */
function isMissable(words: readonly string[], at: number): boolean {
  const word = words[at];
  if (word === undefined || !isForm(word)) return false;
  const next = words[at + 1];
  if (word === "please") return true;
  if (next === undefined || (word === "a" && countedByArticle.has(next))) return false;
  return (word === "the" ? /^[\p{L}\p{N}]/u : /^\p{L}/u).test(next);
}

/** The same words in the same order, but for articles and "please" that only one has. */
function saySame(a: readonly string[], b: readonly string[]): boolean {
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (a[i] === b[j]) {
      i++;
      j++;
      continue;
    }
    const [first, second] = [isMissable(a, i), isMissable(b, j)];
    // "the" in place of "a" is another word, not a missing one.
    if (first === second) return false;
    if (first) i++;
    else j++;
  }
  return a.length > 0;
}
