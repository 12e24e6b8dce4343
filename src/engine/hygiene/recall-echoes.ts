import { LRUCache } from "lru-cache";
import type { Clock } from "../../contract/clock.ts";
import type { Hit } from "../../contract/recall.ts";

/** Recalls of a namespace that are remembered, and for how long: what an agent says of an answer, it says soon. */
const [recallsKept, keptMs] = [16, 600_000];
/** Hits of one recall that are remembered: those that an agent reads. */
const hitsKept = 10;
/** Namespaces whose recalls are remembered. */
const namespacesKept = 256;
/** Characters of hits that may wait to be looked at, in all namespaces together. */
const maxWaitingCharacters = 4 * 2 ** 20;
/** Words of a shingle: the least of which two texts rarely share one by chance. */
const shingleWords = 3;
/**
 * Share of a text's shingles, from which on it only repeats: chosen by `npm run eval -- recall-loops`, which prints what
 * each choice finds and what it takes wrongly for an echo.
 */
const echoShare = 0.8;

/** A recall as it is remembered: its hits until somebody stores something, their shingles afterwards. */
interface RecentRecall {
  readonly at: number;
  waiting: readonly Hit[] | undefined;
  shingles: ReadonlySet<number>;
  /** Numbers and negations of the hits. */
  telling: ReadonlySet<number>;
}

/** The last recalls of a namespace. */
interface RecentRecalls {
  readonly recalls: readonly RecentRecall[];
  /** All their shingles; undefined until somebody stores something. */
  shingles: ReadonlySet<number> | undefined;
}

/** Remembers what was just recalled, so that a text which only repeats it is known when it is stored. */
export class RecallEchoes {
  readonly #clock: Clock;
  readonly #recent = new LRUCache<string, RecentRecalls>({
    max: namespacesKept,
    dispose: ({ recalls }, _, reason) => {
      if (reason === "evict") for (const recall of recalls) this.#forget(recall);
    },
  });
  #waitingCharacters = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Remembers the hits of an answer. Costs less than a microsecond: they are looked at when something is stored. */
  recalled(namespace: string, hits: readonly Hit[]): void {
    if (hits.length === 0) return;
    const recent = this.#recent.get(namespace)?.recalls ?? [];
    // The same answer again, out of the cache.
    if (recent.at(-1)?.waiting === hits) return;
    const characters = charactersOf(hits);
    if (this.#waitingCharacters + characters > maxWaitingCharacters) this.#dropWaiting();
    if (characters > maxWaitingCharacters) return;
    const recall = {
      at: this.#clock.now(),
      waiting: hits,
      shingles: new Set<number>(),
      telling: new Set<number>(),
    };
    this.#waitingCharacters += characters;
    if (recent.length === recallsKept) this.#forget(recent[0]!);
    const recalls = [...recent.slice(recent.length === recallsKept ? 1 : 0), recall];
    this.#recent.set(namespace, { recalls, shingles: undefined });
  }

  /** Whether a text only repeats what one of the last recalls answered. */
  isEcho(namespace: string, text: string): boolean {
    return this.echoedShare(namespace, text) >= echoShare;
  }

  /**
   * Greatest share 0..1 of a text's shingles that stand in the hits of one of the last recalls; 0 where a number or a
   * negation of the text stands in none of them, since a correction is no echo.
   */
  echoedShare(namespace: string, text: string): number {
    const recent = this.#recentOf(namespace);
    if (!recent) return 0;
    recent.shingles ??= this.#settle(recent.recalls);
    const { shingles, telling } = scan(text);
    // Most texts share nothing with any of them.
    const any = recent.shingles;
    if (!shingles.some((shingle) => any.has(shingle))) return 0;
    const own = [...new Set(shingles)];
    const shares = recent.recalls
      .filter((recall) => telling.every((word) => recall.telling.has(word)))
      .map((recall) => own.filter((shingle) => recall.shingles.has(shingle)).length / own.length);
    return Math.max(0, ...shares);
  }

  /** The recalls that are remembered still; undefined when there are none. */
  #recentOf(namespace: string): RecentRecalls | undefined {
    const recent = this.#recent.get(namespace);
    const since = this.#clock.now() - keptMs;
    if (!recent || recent.recalls[0]!.at > since) return recent;
    const recalls = recent.recalls.filter((recall) => recall.at > since);
    for (const recall of recent.recalls) if (!(recall.at > since)) this.#forget(recall);
    if (recalls.length === 0) {
      this.#recent.delete(namespace);
      return undefined;
    }
    const kept = { recalls, shingles: undefined };
    this.#recent.set(namespace, kept);
    return kept;
  }

  /** Turns texts into shingles, and lets go of them. Returns the shingles of all. */
  #settle(recalls: readonly RecentRecall[]): ReadonlySet<number> {
    const all = new Set<number>();
    for (const recall of recalls) {
      if (recall.waiting) {
        const scanned = recall.waiting.slice(0, hitsKept).map((hit) => scan(hit.memory.content));
        recall.shingles = new Set(scanned.flatMap(({ shingles }) => shingles));
        recall.telling = new Set(scanned.flatMap(({ telling }) => telling));
        this.#forget(recall);
      }
      for (const shingle of recall.shingles) all.add(shingle);
    }
    return all;
  }

  #forget(recall: RecentRecall): void {
    if (recall.waiting) this.#waitingCharacters -= charactersOf(recall.waiting);
    recall.waiting = undefined;
  }

  #dropWaiting(): void {
    for (const [namespace, { recalls }] of this.#recent.entries()) {
      const settled = recalls.filter((recall) => recall.waiting === undefined);
      if (settled.length > 0) this.#recent.set(namespace, { recalls: settled, shingles: undefined });
      else this.#recent.delete(namespace);
    }
    this.#waitingCharacters = 0;
  }
}

/** Whether any three words that follow each other in a text do so in another, of a shorter text all of it. */
export function sharesWords(text: string, other: string): boolean {
  const there = new Set(scan(other).shingles);
  return scan(text).shingles.some((shingle) => there.has(shingle));
}

function charactersOf(hits: readonly Hit[]): number {
  return hits.reduce((sum, hit) => sum + hit.memory.content.length, 0);
}

/** A text as numbers: its shingles, in order, and those of its words that tell it from another. */
interface Scanned {
  readonly shingles: readonly number[];
  readonly telling: readonly number[];
}

const [fnvOffset, fnvPrime] = [0x811c9dc5, 0x01000193];

function hashOf(codes: Iterable<number>): number {
  let hash = fnvOffset;
  for (const code of codes) hash = Math.imul(hash ^ code, fnvPrime);
  return hash;
}

const codesOf = (word: string): number[] => Array.from(word, (character) => character.charCodeAt(0));
const negations: ReadonlySet<number> = new Set(
  "no not never none nor neither nothing nobody without cannot"
    .split(" ")
    .map((word) => hashOf(codesOf(word))),
);

/**
 * Hashes (FNV-1a, 32 bits) of each so many words that follow each other, of a shorter text the one it is, and of its
 * numbers and negations. Letter by letter, since a text is scanned for every hit of a recall: case and what parts words
 * do not count.
 */
function scan(text: string): Scanned {
  const words: number[] = [];
  const telling: number[] = [];
  for (let at = 0; at < text.length; at++) {
    let hash = fnvOffset;
    let [hasDigit, isContracted] = [false, false];
    const start = at;
    for (; at < text.length; at++) {
      const code = foldedCode(text.charCodeAt(at));
      if (code === 0) break;
      if (code >= 0x30 && code <= 0x39) hasDigit = true;
      if (code === 0x27) isContracted = text.charCodeAt(at - 1) === 0x6e && text.charCodeAt(at + 1) === 0x74;
      hash = Math.imul(hash ^ code, fnvPrime);
    }
    if (at === start) continue;
    words.push(hash);
    if (hasDigit || isContracted || negations.has(hash)) telling.push(hash);
  }
  const shingles: number[] = [];
  const last = Math.max(0, words.length - shingleWords);
  for (let from = 0; words.length > 0 && from <= last; from++) {
    let hash = fnvOffset;
    const end = Math.min(words.length, from + shingleWords);
    for (let at = from; at < end; at++) hash = Math.imul(hash ^ words[at]!, fnvPrime);
    shingles.push(hash);
  }
  return { shingles, telling };
}

/** Small letters, digits, apostrophes and whatever is not ASCII; 0 for what parts words. */
function foldedCode(code: number): number {
  if ((code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x27) return code;
  if (code >= 0x41 && code <= 0x5a) return code | 0x20;
  if (code === 0x2019) return 0x27;
  return code > 0xbf && (code < 0x2000 || code > 0x206f) ? code : 0;
}
