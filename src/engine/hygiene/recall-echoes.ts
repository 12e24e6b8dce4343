import { LRUCache } from "lru-cache";
import type { Clock } from "../../contract/clock.ts";
import { wordsOf } from "../../contract/near-duplicates.ts";
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
const echoShare = 0.7;

/** A recall as it is remembered: its hits until somebody stores something, their shingles afterwards. */
interface RecentRecall {
  readonly at: number;
  waiting: readonly Hit[] | undefined;
  shingles: ReadonlySet<number>;
  /** Numbers and negations of the hits. */
  telling: ReadonlySet<string>;
}

/** Remembers what was just recalled, so that a text which only repeats it is known when it is stored. */
export class RecallEchoes {
  readonly #clock: Clock;
  readonly #recent = new LRUCache<string, RecentRecall[]>({
    max: namespacesKept,
    dispose: (recent, _, reason) => {
      if (reason === "evict") for (const recall of recent) this.#forget(recall);
    },
  });
  #waitingCharacters = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Remembers the hits of an answer. Costs less than a microsecond: they are looked at when something is stored. */
  recalled(namespace: string, hits: readonly Hit[]): void {
    if (hits.length === 0) return;
    const recent = this.#recent.get(namespace) ?? [];
    // The same answer again, out of the cache.
    if (recent.at(-1)?.waiting === hits) return;
    const characters = charactersOf(hits);
    if (this.#waitingCharacters + characters > maxWaitingCharacters) this.#dropWaiting();
    if (characters > maxWaitingCharacters) return;
    recent.push({ at: this.#clock.now(), waiting: hits, shingles: new Set(), telling: new Set() });
    this.#waitingCharacters += characters;
    if (recent.length > recallsKept) this.#forget(recent.shift()!);
    this.#recent.set(namespace, recent);
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
    const recent = this.#recent.get(namespace);
    if (!recent) return 0;
    const since = this.#clock.now() - keptMs;
    const kept = recent.filter((recall) => recall.at > since);
    for (const recall of recent) this.#settle(recall);
    if (kept.length === 0) this.#recent.delete(namespace);
    else if (kept.length < recent.length) this.#recent.set(namespace, kept);
    const words = foldedWords(text);
    const own = shinglesOf(words);
    const telling = tellingWords(words);
    const shares = kept
      .filter((recall) => telling.every((word) => recall.telling.has(word)))
      .map((recall) => own.filter((shingle) => recall.shingles.has(shingle)).length / own.length);
    return own.length === 0 ? 0 : Math.max(0, ...shares);
  }

  /** Turns texts into shingles, and lets go of them. */
  #settle(recall: RecentRecall): void {
    if (!recall.waiting) return;
    const texts = recall.waiting.slice(0, hitsKept).map((hit) => foldedWords(hit.memory.content));
    recall.shingles = new Set(texts.flatMap(shinglesOf));
    recall.telling = new Set(texts.flatMap(tellingWords));
    this.#waitingCharacters -= charactersOf(recall.waiting);
    recall.waiting = undefined;
  }

  #forget(recall: RecentRecall): void {
    if (recall.waiting) this.#waitingCharacters -= charactersOf(recall.waiting);
    recall.waiting = undefined;
  }

  #dropWaiting(): void {
    for (const [namespace, recent] of this.#recent.entries()) {
      const settled = recent.filter((recall) => recall.waiting === undefined);
      if (settled.length > 0) this.#recent.set(namespace, settled);
      else this.#recent.delete(namespace);
    }
    this.#waitingCharacters = 0;
  }
}

function charactersOf(hits: readonly Hit[]): number {
  return hits.reduce((sum, hit) => sum + hit.memory.content.length, 0);
}

function foldedWords(text: string): string[] {
  return wordsOf(text).map((word) => word.toLowerCase());
}

const negation = /^(?:no|not|never|none|nor|neither|nothing|nobody|without)$/;

function tellingWords(words: readonly string[]): string[] {
  return words.filter((word) => negation.test(word) || /\p{N}/u.test(word));
}

/** Hashes of each so many words that follow each other (FNV-1a, 32 bits); of a shorter text the one it is. */
function shinglesOf(words: readonly string[]): number[] {
  const shingles = new Set<number>();
  const last = Math.max(words.length - shingleWords, 0);
  for (let at = 0; at <= last && words.length > 0; at++) {
    let hash = 0x811c9dc5;
    for (const word of words.slice(at, at + shingleWords)) {
      for (let index = 0; index < word.length; index++) {
        hash = Math.imul(hash ^ word.charCodeAt(index), 0x01000193);
      }
      hash = Math.imul(hash ^ 0x20, 0x01000193);
    }
    shingles.add(hash >>> 0);
  }
  return [...shingles];
}
