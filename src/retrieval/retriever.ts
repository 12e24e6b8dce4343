import { type Clock, systemClock } from "../contract/clock.ts";
import type { Embedder } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import { publishStage } from "../contract/operations.ts";
import type { Explanation, Hit, Recall, RecallMode, RecallOptions } from "../contract/recall.ts";
import type { MemoryFilter, Scope } from "../contract/scope.ts";
import type { Analyzer } from "./analyzer.ts";
import { explainHit, StageTimer } from "./explain.ts";
import { NamespaceIndexes } from "./namespace-indexes.ts";
import { maxQuestionLength } from "./plan-query.ts";
import { rankMemories } from "./rank-memories.ts";
import { checkRanking, hashRanking, type RankingOptions } from "./ranking-options.ts";
import { searchContents } from "./search-contents.ts";
import { SnapshotFolder } from "./snapshot-folder.ts";
import { VectorMemory } from "./vector-memory.ts";
import { type Question, type Weighed, weighCandidates } from "./weigh-candidates.ts";

export interface RetrieverOptions {
  readonly store: MemoryStore;
  readonly embedder: Embedder;
  /** The one the store indexes its phrases with. */
  readonly analyzer: Analyzer;
  /** Default: the machine's time. */
  readonly clock?: Clock | undefined;
  /** Over the defaults of {@link RankingOptions}. */
  readonly ranking?: Partial<RankingOptions> | undefined;
  /** Bytes of indexes kept in memory; the least recently used leave first. Default 512 MiB. */
  readonly maxIndexBytes?: number | undefined;
  /** Where indexes of large namespaces are kept for the next process. Absent: they are made anew each time. */
  readonly snapshotFolder?: string | undefined;
}

/** Figures of a retriever. */
export interface RetrieverStats {
  /** Namespaces whose index is in memory. */
  readonly namespaces: number;
  readonly indexBytes: number;
  readonly maxIndexBytes: number;
  /** Indexes dropped to keep within the bound. */
  readonly droppedIndexes: number;
}

const defaultLimit = 10;
const defaultMaxIndexBytes = 512 * 2 ** 20;

/**
 * Finds memories by meaning and by words. Everything it holds is derived from the store's change feed and may be lost
 * at any time. It reads; uses of what it finds are for the caller to count.
 */
export class Retriever {
  /** Short hash of the ranking options: equal exactly when they are. */
  readonly rankingHash: string;
  readonly #store: MemoryStore;
  readonly #embedder: Embedder;
  readonly #analyzer: Analyzer;
  readonly #clock: Clock;
  readonly #ranking: RankingOptions;
  readonly #memory = new VectorMemory();
  readonly #indexes: NamespaceIndexes;
  readonly #maxIndexBytes: number;
  #closing: Promise<void> | undefined;

  /** @throws INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(options: RetrieverOptions) {
    const { store, embedder, analyzer, clock = systemClock, snapshotFolder } = options;
    const maxBytes = options.maxIndexBytes ?? defaultMaxIndexBytes;
    if (!(maxBytes >= 1)) {
      throw new StrataError("INVALID_ARGUMENT", `maxIndexBytes: expected 1 or more bytes, got ${maxBytes}.`);
    }
    this.#store = store;
    this.#embedder = embedder;
    this.#analyzer = analyzer;
    this.#clock = clock;
    this.#ranking = checkRanking(options.ranking);
    this.rankingHash = hashRanking(this.#ranking);
    this.#maxIndexBytes = maxBytes;
    this.#indexes = new NamespaceIndexes({
      store,
      surroundings: { analyzer, memory: this.#memory, model: embedder.model },
      maxBytes,
      snapshots: snapshotFolder === undefined ? undefined : new SnapshotFolder(snapshotFolder),
    });
  }

  /**
   * The memories that answer a question, by meaning and by words, best first. `limit: 3` gives the first three of
   * `limit: 10`.
   * @throws CLOSED, and what the embedder and the store throw
   */
  async recall(scope: Scope, question: string, options: RecallOptions = {}): Promise<Recall> {
    this.#checkOpen();
    const { limit = defaultLimit, minScore = 0, mode = "hybrid", explain = false, signal } = options;
    const timer = this.#timer("recall");
    const asked = await this.#ask(question, mode, signal);
    timer.end("embed");
    const allowedRows = await this.#allowedRows(scope, options);
    timer.end("filter");
    const hidden = new Set<number>();
    for (;;) {
      const index = await this.#indexes.current(scope, signal);
      timer.end("follow");
      const weighed = weighCandidates(index, asked, {
        analyzer: this.#analyzer,
        memory: this.#memory,
        ranking: this.#ranking,
        selection: { allowedRows, hidden },
        limit,
        minScore,
        explain,
      });
      timer.end("score");
      const { ranked, invisible } = await rankMemories(
        weighed.candidates,
        limit,
        this.#ranking,
        this.#clock.now(),
        (rows) => this.#store.facts(scope, rows),
      );
      timer.end("rank");
      // Places taken by what has expired go to what comes after it.
      if (ranked.length < limit && invisible.length > 0) {
        for (const row of invisible) hidden.add(row);
        continue;
      }
      const memories = await this.#store.read(
        scope,
        ranked.map(({ row }) => row),
      );
      timer.end("read");
      const hits = ranked.flatMap((each, at): Hit[] => {
        const memory = memories[at];
        if (!memory) return [];
        const why = explain
          ? { why: explainHit(each, weighed.fusion, weighed.plan, weighed.matches[each.place]!) }
          : undefined;
        return [{ memory, score: each.score, ...why }];
      });
      if (!explain) return { hits };
      return { hits, explanation: this.#explanation(asked, weighed, hidden.size, timer) };
    }
  }

  /**
   * The memories whose own content holds the words, all of them first, then some. `"quoted words"` stand together in
   * this order, `pre*` is the beginning of a word. Every text is a valid search.
   * @throws CLOSED, and what the store throws
   */
  async search(scope: Scope, words: string, options: RecallOptions = {}): Promise<Recall> {
    this.#checkOpen();
    const timer = this.#timer("search");
    const allowedRows = await this.#allowedRows(scope, options);
    timer.end("filter");
    return searchContents(words, {
      store: this.#store,
      scope,
      analyzer: this.#analyzer,
      bm25: this.#ranking,
      allowedRows,
      limit: options.limit ?? defaultLimit,
      minScore: options.minScore ?? 0,
      explain: options.explain ?? false,
      ranking: this.rankingHash,
      timer,
      current: () => this.#indexes.current(scope, options.signal),
    });
  }

  /** Removes what is kept on disk of a namespace's index; to be called before anything of it is erased. */
  async forgetSnapshots(scope: Scope): Promise<void> {
    this.#checkOpen();
    await this.#indexes.forgetSnapshot(scope.namespace);
  }

  stats(): RetrieverStats {
    return {
      namespaces: this.#indexes.namespaces,
      indexBytes: this.#indexes.bytes,
      maxIndexBytes: this.#maxIndexBytes,
      droppedIndexes: this.#indexes.dropped,
    };
  }

  /** Writes what the next process can start from. Idempotent; later calls reject with CLOSED. */
  close(): Promise<void> {
    this.#closing ??= this.#indexes.close();
    return this.#closing;
  }

  #timer(operation: "recall" | "search"): StageTimer {
    return new StageTimer(
      () => this.#clock.monotonic(),
      (stage, ms) => publishStage(this, operation, stage, ms),
    );
  }

  #checkOpen(): void {
    if (this.#closing) throw new StrataError("CLOSED", "This retriever was closed; open the memory again.");
  }

  async #ask(question: string, mode: RecallMode, signal: AbortSignal | undefined): Promise<Question> {
    const text = question.slice(0, maxQuestionLength);
    if (mode === "keyword" || text.trim() === "") return { text, mode, vector: null, unknownShare: 0 };
    const reply = await this.#embedder.embed([text], { task: "query", signal });
    return { text, mode, vector: reply.vectors[0] ?? null, unknownShare: reply.unknownShares?.[0] ?? 0 };
  }

  /** Rows that pass the options' filter; undefined when they have none. */
  async #allowedRows(scope: Scope, options: RecallOptions): Promise<Float64Array | undefined> {
    const { limit, minScore, mode, explain, touch, signal, ...rest } = options;
    const filter: MemoryFilter = rest;
    const filters = Object.values(filter).some((value) => value !== undefined);
    return filters ? this.#store.matchingRows(scope, filter) : undefined;
  }

  #explanation(asked: Question, weighed: Weighed, hidden: number, timer: StageTimer): Explanation {
    const { plan, fusion } = weighed;
    const weightOf = (name: string): number => fusion.signals.find((each) => each.name === name)?.weight ?? 0;
    const foundBy = (name: string): number => fusion.signals.find((each) => each.name === name)?.found ?? 0;
    const dropped = [
      { reason: "under minScore", count: weighed.underMinScore },
      { reason: "not visible any more", count: hidden },
      { reason: "vector of another model", count: weighed.otherModel },
      { reason: "no vector", count: weighed.withoutVector },
      { reason: "terms beyond the most that are looked up", count: plan.surplusTerms },
    ];
    return {
      mode: asked.mode,
      terms: { used: plan.terms.map(({ word }) => word), unknown: plan.unknownWords },
      weights: { vector: weightOf("vector"), keyword: weightOf("keyword") },
      unknownShare: asked.unknownShare,
      candidates: { vector: foundBy("vector"), keyword: foundBy("keyword"), fused: fusion.fused },
      path: {
        vector: fusion.signals.some(({ name }) => name === "vector") ? "exact" : "none",
        keyword: fusion.signals.some(({ name }) => name === "keyword") ? "memory" : "none",
      },
      dropped: dropped.filter(({ count }) => count > 0),
      stages: timer.stages,
      ranking: this.rankingHash,
    };
  }
}
