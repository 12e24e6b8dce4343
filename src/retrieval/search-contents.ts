import type { Memory } from "../contract/memory.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import type { Explanation, Hit, HitExplanation, Recall, RecallRequest } from "../contract/recall.ts";
import type { Scope } from "../contract/scope.ts";
import type { Analyzer } from "./analyzer.ts";
import type { StageTimer } from "./explain.ts";
import { type Allowed, selectSlots } from "./find-candidates.ts";
import type { Bm25 } from "./keyword-scores.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import { scoreSearch } from "./score-search.ts";
import { findWords, holdsPhrases, readSearch, type SearchWords, unitName } from "./search-words.ts";

/** How a search is made. */
export interface ContentSearch {
  readonly store: MemoryStore;
  readonly scope: Scope;
  readonly analyzer: Analyzer;
  readonly bm25: Bm25;
  readonly allowed: Allowed;
  readonly limit: number;
  readonly minScore: number;
  readonly explain: boolean;
  readonly signal: AbortSignal | undefined;
  /** Hash of the ranking options. */
  readonly ranking: () => string;
  readonly request: RecallRequest;
  readonly timer: StageTimer;
  /** The index as it is now, with all postings at hand that `ask` asks for. */
  current(ask: (index: NamespaceIndex) => void): Promise<NamespaceIndex>;
}

interface Found {
  readonly row: number;
  readonly score: number;
  /** Share 0..1 of the words' idf that the content holds. */
  readonly share: number;
}

/** Memories read at once, while what is found turns out to lack a phrase or a beginning. */
const maxBatch = 64;
/** Milliseconds of looking into contents before others run. */
const turnMs = 8;
const noBonuses: HitExplanation["bonuses"] = { importance: 0, recency: 0, access: 0, speaker: 0, time: 0 };

/** Finds memories by the words of their contents alone, never by what stands around them. */
export async function searchContents(text: string, search: ContentSearch): Promise<Recall> {
  const { analyzer, limit, minScore, explain, timer } = search;
  const hits: Hit[] = [];
  const seen = new Set<number>();
  /** Results asked of the index: grows when many of them turn out to be invisible or lack a phrase or a beginning. */
  let depth = limit + 32;
  let words: SearchWords;
  let dropped = 0;
  let greatest: number | undefined;
  let keywordPath: "memory" | "disk";
  for (;;) {
    const index = await search.current((asked) => {
      const { units } = readSearch(text, analyzer, asked.postings);
      for (const { keys } of units) for (const key of keys) asked.postings.of(key);
    });
    timer.end("follow");
    keywordPath = index.postings.onDisk ? "disk" : "memory";
    words = readSearch(text, analyzer, index.postings);
    const selection = selectSlots(index, search.allowed, seen);
    const scored = scoreSearch(index, words.units, search.bm25, selection, depth, greatest);
    greatest = scored.greatest;
    const { rows } = index.columns.arrays;
    const found = Array.from(scored.slots, (slot, at): Found => {
      return { row: rows[slot]!, score: scored.scores[at]!, share: scored.shares[at]! };
    });
    timer.end("score");
    for await (const { row, score, share, memory } of readInTurns(found, search)) {
      seen.add(row);
      const isHeld = memory && share >= minScore && holdsPhrases(memory.content, words, analyzer);
      const held = isHeld ? findWords(memory.content, words, analyzer) : undefined;
      if (!memory || !held?.allBeginnings) {
        dropped++;
        continue;
      }
      hits.push({
        memory,
        // What came between two looks may weigh more.
        score: Math.min(score, hits.at(-1)?.score ?? score),
        highlights: held.ranges,
        ...(explain && { why: explained(score, share, held.names) }),
      });
      if (hits.length === limit) break;
    }
    timer.end("read");
    if (hits.length === limit || scored.found <= scored.slots.length) break;
    depth *= 4;
  }
  if (!explain) return { hits };
  return { hits, explanation: explanationOf(words, search, keywordPath, hits.length + dropped, dropped) };
}

/** Reads what was found, few at first and more at once the longer it takes, while others have their turn. */
async function* readInTurns(
  found: readonly Found[],
  { store, scope, limit, signal }: ContentSearch,
): AsyncGenerator<Found & { readonly memory: Memory | undefined }> {
  let turnEnds = performance.now() + turnMs;
  let batchSize = limit;
  for (let at = 0; at < found.length; ) {
    const batch = found.slice(at, at + batchSize);
    at += batch.length;
    batchSize = Math.max(limit, Math.min(2 * batchSize, maxBatch));
    const memories = await store.read(
      scope,
      batch.map(({ row }) => row),
    );
    for (const [i, each] of batch.entries()) {
      if (performance.now() >= turnEnds) {
        await new Promise((resolve) => setImmediate(resolve));
        turnEnds = performance.now() + turnMs;
      }
      signal?.throwIfAborted();
      yield { ...each, memory: memories[i] };
    }
  }
}

function explained(score: number, share: number, matchedTerms: readonly string[]): HitExplanation {
  return {
    vector: { raw: 0, normalized: 0 },
    keyword: { raw: score, normalized: share },
    late: { raw: 0, normalized: 0 },
    matchedTerms,
    contextTerms: [],
    fused: score,
    bonuses: noBonuses,
  };
}

function explanationOf(
  words: SearchWords,
  search: ContentSearch,
  keywordPath: "memory" | "disk",
  candidates: number,
  dropped: number,
): Explanation {
  return {
    mode: "keyword",
    terms: { used: words.units.map(unitName), unknown: [] },
    weights: { vector: 0, keyword: 1, late: 0 },
    unknownShare: 0,
    candidates: { vector: 0, keyword: candidates, late: 0, fused: candidates },
    path: { vector: "none", keyword: keywordPath },
    dropped:
      dropped > 0
        ? [
            {
              reason: "not visible any more, under minScore, or without the phrase or beginning",
              count: dropped,
            },
          ]
        : [],
    stages: search.timer.stages,
    ranking: search.ranking(),
    request: search.request,
  };
}
