import type { TokenCounter } from "../contract/chunk.ts";
import { spokenText } from "../contract/index-text.ts";
import type { Memory } from "../contract/memory.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import type { RankingOptions } from "../contract/ranking.ts";
import type { Explanation, Hit, Recall, RecallOptions, RecallRequest } from "../contract/recall.ts";
import type { Reranker } from "../contract/reranker.ts";
import type { Scope } from "../contract/scope.ts";
import type { Analyzer } from "./analyzer.ts";
import { comparePieces, prepareComparison } from "./compare-pieces.ts";
import { explainHit, explainRecall, type StageTimer } from "./explain.ts";
import type { Allowed } from "./find-candidates.ts";
import { foldDuplicates } from "./fold-duplicates.ts";
import { joinChunks } from "./join-chunks.ts";
import type { LateInteraction } from "./late-interaction.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import { packHits } from "./pack-hits.ts";
import { planQuery } from "./plan-query.ts";
import { type Ranked, rankMemories } from "./rank-memories.ts";
import { rerankHits } from "./rerank-hits.ts";
import { type NamedTime, readTimeRange } from "./time-range.ts";
import type { VectorMemory } from "./vector-memory.ts";
import { addSignal, type Question, type Weighed, weighCandidates } from "./weigh-candidates.ts";

/** Options of a recall with their defaults. */
export interface FullRecallOptions extends RecallOptions {
  readonly limit: number;
  readonly minScore: number;
  readonly context: number;
  readonly fold: boolean;
  readonly rerank: boolean;
  readonly explain: boolean;
  readonly now: number;
}

/** What a recall works with. */
export interface Pipeline {
  readonly store: MemoryStore;
  readonly scope: Scope;
  readonly analyzer: Analyzer;
  readonly memory: VectorMemory;
  readonly ranking: RankingOptions;
  readonly rankingHash: () => string;
  readonly late: LateInteraction | undefined;
  readonly reranker: Reranker | undefined;
  readonly counter: TokenCounter | undefined;
  readonly options: FullRecallOptions;
  readonly allowed: Allowed;
  readonly request: RecallRequest;
  readonly timer: StageTimer;
  /** The index as it is now, with all postings at hand that `ask` asks for. */
  current(ask: (index: NamespaceIndex) => void): Promise<NamespaceIndex>;
}

/** Plan, candidates, fuse, rank, rerank, fold, join, pack, explain. */
export async function answerQuestion(question: Question, pipeline: Pipeline): Promise<Recall> {
  const { scope, store, timer, options, counter } = pipeline;
  const { limit, context, maxTokens, explain } = options;
  const time = readTimeRange(question.text, options.now);
  const { hits: found, weighed, hidden } = await findHits(question, time, pipeline);
  let hits: readonly Hit[] = found.slice(0, limit);
  if (context > 0) {
    hits = await joinChunks(hits, context, store, scope);
    timer.end("join");
  }
  const packed = maxTokens !== undefined && counter ? packHits(hits, maxTokens, counter) : undefined;
  if (packed) timer.end("pack");
  const { otherModel } = weighed;
  const answer = { hits, ...(packed && { packed }), ...(otherModel > 0 && { skipped: otherModel }) };
  if (!explain) return answer;
  return {
    ...answer,
    explanation: explained(question, weighed, hidden, time, pipeline),
  };
}

/** Memories read by one look at the index, by row: what late interaction has read is not read again for the hits. */
type ReadMemories = Map<number, Memory | undefined>;

/** The memories of rows, in their order; undefined where none is visible. */
async function readRows(
  rows: readonly number[],
  read: ReadMemories,
  { store, scope }: Pipeline,
): Promise<(Memory | undefined)[]> {
  const missing = rows.filter((row) => !read.has(row));
  if (missing.length > 0) {
    const memories = await store.read(scope, missing);
    missing.forEach((row, at) => {
      read.set(row, memories[at]);
    });
  }
  return rows.map((row) => read.get(row));
}

async function findHits(
  question: Question,
  time: NamedTime | undefined,
  pipeline: Pipeline,
): Promise<{ readonly hits: Hit[]; readonly weighed: Weighed; readonly hidden: number }> {
  const { analyzer, ranking, options, timer, reranker } = pipeline;
  const { limit, fold } = options;
  const reranks = reranker !== undefined && options.rerank;
  const hidden = new Set<number>();
  let depth = reranks ? Math.max(limit, ranking.rerankDepth) : limit;
  for (;;) {
    const read: ReadMemories = new Map();
    const weighed = await weigh(question, depth, hidden, read, pipeline);
    // Ranking is done when it is known what to read, but for what the memories themselves add.
    let ordered = false;
    const order = (): void => {
      if (!ordered) timer.end("rank");
      ordered = true;
    };
    const { ranked, invisible } = await rankMemories(
      weighed.candidates,
      depth,
      ranking,
      options.now,
      time,
      (rows) => {
        order();
        return readRows(rows, read, pipeline);
      },
    );
    order();
    timer.end("read");
    // Places taken by what has expired go to what comes after it.
    if (ranked.length < depth && invisible.length > 0) {
      for (const row of invisible) hidden.add(row);
      continue;
    }
    let hits = hitsOf(ranked, weighed, read, options.explain);
    if (reranks) {
      hits = await rerankHits(question.text, hits, ranking.rerankDepth, reranker, options.signal);
      timer.end("rerank");
    }
    if (fold) {
      hits = foldDuplicates(hits, analyzer);
      timer.end("fold");
      // Places of what was folded go to what comes after it.
      if (hits.length < limit && ranked.length === depth) {
        depth *= 2;
        continue;
      }
    }
    return { hits, weighed, hidden: hidden.size };
  }
}

/** All candidates with what every signal says of them. */
async function weigh(
  question: Question,
  depth: number,
  hidden: ReadonlySet<number>,
  read: ReadMemories,
  pipeline: Pipeline,
): Promise<Weighed> {
  const { analyzer, ranking, allowed, options, timer, late } = pipeline;
  const index = await pipeline.current((asked) => {
    const { terms } = planQuery(question.text, analyzer, asked, ranking.maxTerms);
    for (const { term } of terms) asked.postings.of(term);
  });
  timer.end("follow");
  const weighed = weighCandidates(index, question, {
    analyzer,
    ranking,
    selection: { allowed, hidden },
    limit: depth,
    minScore: options.minScore,
    explain: options.explain,
  });
  timer.end("score");
  if (!late || question.mode !== "hybrid") return weighed;
  const comparison = prepareComparison(late, index, weighed, ranking);
  if (!comparison) return weighed;
  const { fresh } = index;
  const signal = await comparePieces(late, comparison, weighed.fusion.slots.length, async (rows) => {
    const unread = fresh ? rows.filter((row) => !fresh.has(row)) : rows;
    if (unread.length > 0) await readRows(unread, read, pipeline);
    return rows.map((row) => {
      const found = fresh?.get(row) ?? read.get(row);
      return found && spokenText(found);
    });
  });
  const compared = addSignal(weighed, signal);
  timer.end("compare");
  return compared;
}

function hitsOf(ranked: readonly Ranked[], weighed: Weighed, read: ReadMemories, explain: boolean): Hit[] {
  return ranked.map((each): Hit => {
    const hit = { memory: read.get(each.row)!, score: each.score };
    if (!explain) return hit;
    return { ...hit, why: explainHit(each, weighed.fusion, weighed.plan, weighed.matches[each.place]!) };
  });
}

function explained(
  question: Question,
  weighed: Weighed,
  hidden: number,
  time: NamedTime | undefined,
  { timer, rankingHash, request, reranker, options }: Pipeline,
): Explanation {
  return {
    ...explainRecall(question, weighed, hidden),
    ...(time && { time: { from: time.from, to: time.to, words: time.words } }),
    ...(reranker && options.rerank && { reranker: reranker.id }),
    stages: timer.stages,
    ranking: rankingHash(),
    request,
  };
}
