import { LRUCache } from "lru-cache";
import type { TokenCounter } from "../contract/chunk.ts";
import { type Clock, systemClock } from "../contract/clock.ts";
import type { Embedder } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import { publishStage } from "../contract/operations.ts";
import type { PieceVectors } from "../contract/piece-vectors.ts";
import type { RankingOptions } from "../contract/ranking.ts";
import type {
  Recall,
  RecallMode,
  RecallOptions,
  RecallRequest,
  Research,
  ResearchHit,
} from "../contract/recall.ts";
import type { Reranker } from "../contract/reranker.ts";
import type { MemoryFilter, Scope } from "../contract/scope.ts";
import type { BreadthChooser, SearchBreadth } from "../contract/tuning.ts";
import type { Analyzer } from "./analyzer.ts";
import { answerQuestion, type FullRecallOptions } from "./answer-question.ts";
import { StageTimer } from "./explain.ts";
import type { Allowed } from "./find-candidates.ts";
import { foldDuplicates } from "./fold-duplicates.ts";
import { fuseAnswers } from "./fuse-answers.ts";
import { joinChunks } from "./join-chunks.ts";
import { LateInteraction } from "./late-interaction.ts";
import type { MeasuredRecall } from "./measure-recall.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import { NamespaceIndexes } from "./namespace-indexes.ts";
import { packHits } from "./pack-hits.ts";
import { maxQuestionLength } from "./plan-query.ts";
import { checkRanking, hashRanking } from "./ranking-options.ts";
import { searchContents } from "./search-contents.ts";
import { SnapshotFolder } from "./snapshot-folder.ts";
import { VectorMemory } from "./vector-memory.ts";
import type { Question } from "./weigh-candidates.ts";

export interface RetrieverOptions {
  readonly store: MemoryStore;
  readonly embedder: Embedder;
  /** The one tokenizer of all keyword search. */
  readonly analyzer: Analyzer;
  /** Default: the machine's time. */
  readonly clock?: Clock | undefined;
  /** Over the defaults of {@link RankingOptions}. */
  readonly ranking?: Partial<RankingOptions> | undefined;
  /**
   * Bytes of indexes kept in memory; the least recently used leave first. Of one that is larger by itself, words are read
   * from a file in `snapshotFolder`, and an eighth of the bound is kept of them. Default 512 MiB.
   */
  readonly maxIndexBytes?: number | undefined;
  /** Where indexes of large namespaces are kept for the next process. Absent: they are made anew each time. */
  readonly snapshotFolder?: string | undefined;
  /** Read them without letting others run, for a process that asks something and ends. Default false. */
  readonly snapshotsOnTheSpot?: boolean | undefined;
  /** The table by which late interaction compares; absent, or nothing: it is left out. */
  readonly pieces?: (() => Promise<PieceVectors | undefined>) | undefined;
  /** Puts the best hits of each recall in order. */
  readonly reranker?: Reranker | undefined;
  /** Chooses how wide each recall searches. Absent: all search as `ranking` says. */
  readonly chooser?: BreadthChooser | undefined;
  /** Counts tokens for `maxTokens`. Default: four characters are one. */
  readonly counter?: (() => Promise<TokenCounter>) | undefined;
}

/** Figures of a retriever. */
export interface RetrieverStats {
  /** Namespaces whose index is in memory. */
  readonly namespaces: number;
  readonly indexBytes: number;
  readonly maxIndexBytes: number;
  /** Indexes dropped to keep within the bound. */
  readonly droppedIndexes: number;
  /** Indexes larger than the bound by themselves: their words are read from a file. */
  readonly indexesOnDisk: number;
  /** Indexes searched approximately, and the least of their recalls as they were measured last. */
  readonly approximateIndexes: number;
  readonly recallAt10?: number;
  /** Milliseconds that recalls waited for the vectors of their questions. */
  readonly embedMs: number;
}

const defaultLimit = 10;
/** Hits of each question that are fused into the answer to several. */
const researchDepth = 20;
/** Hits that are tried for the room of a text. */
const packedLimit = 50;
/** Of the rows that match filters which only the store answers. */
const maxMatchingBytes = 32 * 2 ** 20;
/** Of the word pieces of memories that were compared lately. */
const maxPieceBytes = 16 * 2 ** 20;
const roughCounter: TokenCounter = { id: "characters/4", count: (text) => Math.ceil(text.length / 4) };
const defaultMaxIndexBytes = 512 * 2 ** 20;

/**
 * Finds memories by meaning and by words. Everything it holds is derived from the store's change feed and may be lost
 * at any time. It reads; uses of what it finds are for the caller to count.
 */
export class Retriever {
  readonly #store: MemoryStore;
  readonly #embedder: Embedder;
  readonly #options: Pick<RetrieverOptions, "embedder" | "reranker" | "chooser"> & {
    readonly pieces: () => Promise<PieceVectors | undefined>;
    readonly counter: () => Promise<TokenCounter>;
  };
  readonly #analyzer: Analyzer;
  readonly #clock: Clock;
  readonly #ranking: RankingOptions;
  /** By breadth, for those that were chosen. */
  readonly #rankings = new Map<string, { readonly ranking: RankingOptions; readonly hash: () => string }>();
  readonly #memory = new VectorMemory();
  /** By namespace and filter, rows that match as of a generation of the store. */
  readonly #matching = new LRUCache<string, { readonly generation: string; readonly rows: Float64Array }>({
    maxSize: maxMatchingBytes,
    sizeCalculation: ({ rows }) => rows.byteLength + 1_000,
  });
  readonly #indexes: NamespaceIndexes;
  readonly #maxIndexBytes: number;
  #late: Promise<LateInteraction | undefined> | undefined;
  #probing: Promise<void> | undefined;
  #embedMs = 0;
  #rankingHash: string | undefined;
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
    this.#options = {
      embedder,
      reranker: options.reranker,
      chooser: options.chooser,
      pieces: options.pieces ?? (async () => undefined),
      counter: options.counter ?? (async () => roughCounter),
    };
    this.#analyzer = analyzer;
    this.#clock = clock;
    this.#ranking = checkRanking(options.ranking);
    this.#maxIndexBytes = maxBytes;
    this.#indexes = new NamespaceIndexes({
      store,
      surroundings: { analyzer, memory: this.#memory, model: embedder.model },
      maxBytes,
      snapshots:
        snapshotFolder === undefined
          ? undefined
          : new SnapshotFolder(snapshotFolder, options.snapshotsOnTheSpot),
    });
  }

  /** Short hash of the ranking options: equal exactly when they are. Made for who explains. */
  get rankingHash(): string {
    this.#rankingHash ??= hashRanking(this.#ranking);
    return this.#rankingHash;
  }

  /**
   * The memories that answer a question, by meaning and by words, best first. `limit: 3` gives the first three of
   * `limit: 10`.
   * @throws CLOSED, and what the embedder and the store throw
   */
  async recall(scope: Scope, question: string, options: RecallOptions = {}): Promise<Recall> {
    this.#checkOpen();
    const full = this.#fullOptions(options);
    const chooser = this.#chooserFor(full);
    // What explains itself can be asked again: it is never on trial.
    const breadth = full.explain ? chooser?.breadth : chooser?.next();
    const timer = this.#timer("recall");
    const answer = await this.#answer(scope, question, full, this.#rankingOf(breadth), timer);
    const embedMs = timer.stages.find(({ name }) => name === "embed")?.ms ?? 0;
    this.#embedMs += embedMs;
    if (chooser && breadth && !full.explain) {
      const ms = timer.stages.reduce((sum, stage) => sum + stage.ms, 0) - embedMs;
      chooser.answered(breadth, ms);
      if (chooser.wantsProbe(breadth)) this.#probe(scope, question, full, answer, breadth, chooser);
    }
    return answer;
  }

  async #answer(
    scope: Scope,
    question: string,
    full: FullRecallOptions,
    { ranking, hash }: { readonly ranking: RankingOptions; readonly hash: () => string },
    timer: StageTimer,
  ): Promise<Recall> {
    const { mode = "hybrid", maxTokens, signal } = full;
    const asked = await this.#ask(question, mode, signal);
    timer.end("embed");
    const allowed = await this.#allowed(scope, full);
    timer.end("filter");
    return answerQuestion(asked, {
      store: this.#store,
      scope,
      analyzer: this.#analyzer,
      memory: this.#memory,
      ranking,
      rankingHash: hash,
      late: mode === "hybrid" && ranking.lateWeight > 0 ? await this.#lateInteraction() : undefined,
      reranker: this.#options.reranker,
      counter: maxTokens === undefined ? undefined : await this.#options.counter(),
      options: full,
      allowed,
      request: this.#request("recall", scope, question, full, ranking),
      timer,
      current: (ask) => this.#current(scope, allowed, signal, ask),
    });
  }

  /** Recalls that are alike enough to be compared: what a reranker or folding adds would hide the search. */
  #chooserFor({ mode, rerank, fold }: FullRecallOptions): BreadthChooser | undefined {
    const reranks = this.#options.reranker !== undefined && rerank;
    return (mode ?? "hybrid") === "hybrid" && !reranks && !fold ? this.#options.chooser : undefined;
  }

  #rankingOf(breadth: SearchBreadth | undefined): {
    readonly ranking: RankingOptions;
    readonly hash: () => string;
  } {
    if (!breadth) return { ranking: this.#ranking, hash: () => this.rankingHash };
    const key = `${breadth.candidates}/${breadth.vectorBreadth}`;
    let known = this.#rankings.get(key);
    if (!known) {
      const ranking = checkRanking({ ...this.#ranking, ...breadth });
      let hash: string | undefined;
      known = { ranking, hash: () => (hash ??= hashRanking(ranking)) };
      // A chooser has some twenty settings; whatever else it may choose is made anew each time.
      if (this.#rankings.size < 100) this.#rankings.set(key, known);
    }
    return known;
  }

  /** Asks once more as widely as configured, behind what waits, and tells how many of the best hits are the same. */
  #probe(
    scope: Scope,
    question: string,
    full: FullRecallOptions,
    given: Recall,
    breadth: SearchBreadth,
    chooser: BreadthChooser,
  ): void {
    if (this.#probing) return;
    const { signal, maxTokens, ...rest } = full;
    const limit = Math.min(full.limit, defaultLimit);
    const silent = new StageTimer(
      () => 0,
      () => {},
    );
    const widely = this.#rankingOf(undefined);
    this.#probing = (async () => {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#closing) return;
      const { hits } = await this.#answer(scope, question, { ...rest, limit, context: 0 }, widely, silent);
      if (hits.length === 0) return;
      const ids = new Set(given.hits.slice(0, limit).map(({ memory }) => memory.id));
      chooser.probed(breadth, hits.filter(({ memory }) => ids.has(memory.id)).length / hits.length);
    })()
      // Nobody asked for it.
      .catch(() => {})
      .finally(() => {
        this.#probing = undefined;
      });
  }

  /**
   * The memories that answer several questions, as one list. The questions are embedded together; what says the same
   * is folded unless `fold` is false.
   * @throws as {@link recall}
   */
  async research(scope: Scope, questions: readonly string[], options: RecallOptions = {}): Promise<Research> {
    const full = this.#fullOptions(options);
    const { limit, context, maxTokens, fold, ...each } = options;
    const now = full.now;
    const answers = await Promise.all(
      questions.map((question) =>
        this.recall(scope, question, { ...each, now, limit: Math.max(full.limit, researchDepth) }),
      ),
    );
    const fused = fuseAnswers(answers);
    // Folding keeps what a hit is: it adds a field.
    const kept = (fold ?? true) ? (foldDuplicates(fused, this.#analyzer) as ResearchHit[]) : fused;
    const best = kept.slice(0, full.limit);
    const hits =
      full.context > 0 ? ((await joinChunks(best, full.context, this.#store, scope)) as ResearchHit[]) : best;
    const skipped = Math.max(0, ...answers.map((answer) => answer.skipped ?? 0));
    const explanations = answers.flatMap(({ explanation }) => explanation ?? []);
    return {
      hits,
      ...(maxTokens !== undefined && { packed: packHits(hits, maxTokens, await this.#options.counter()) }),
      ...(skipped > 0 && { skipped }),
      ...(full.explain && { explanations }),
    };
  }

  /**
   * The memories whose own content holds the words, all of them first, then some. `"quoted words"` stand together in
   * this order, `pre*` is the beginning of a word. Every text is a valid search.
   * @throws CLOSED, and what the store throws
   */
  async search(scope: Scope, words: string, options: RecallOptions = {}): Promise<Recall> {
    this.#checkOpen();
    const timer = this.#timer("search");
    const allowed = await this.#allowed(scope, options);
    timer.end("filter");
    return searchContents(words, {
      store: this.#store,
      scope,
      analyzer: this.#analyzer,
      bm25: this.#ranking,
      allowed,
      limit: options.limit ?? defaultLimit,
      minScore: options.minScore ?? 0,
      explain: options.explain ?? false,
      signal: options.signal,
      ranking: () => this.rankingHash,
      request: this.#request("search", scope, words, options, this.#ranking),
      timer,
      current: (ask) => this.#current(scope, allowed, options.signal, ask),
    });
  }

  /** Makes a namespace's index ready, so that the next recall need not wait for it. */
  async prepare(scope: Scope, signal?: AbortSignal): Promise<void> {
    this.#checkOpen();
    await this.#indexes.current(scope, signal);
  }

  /** True when a namespace's index is in memory. */
  holds({ namespace }: Scope): boolean {
    return this.#indexes.holds(namespace);
  }

  /** Gives the memory of a namespace's index back. */
  async release({ namespace }: Scope): Promise<void> {
    await this.#indexes.release(namespace);
  }

  /** Removes what is kept on disk of a namespace's index; to be called before anything of it is erased. */
  async forgetSnapshots(scope: Scope): Promise<void> {
    this.#checkOpen();
    await this.#indexes.forgetSnapshot(scope.namespace);
  }

  stats(): RetrieverStats {
    const { measured } = this.#indexes;
    return {
      namespaces: this.#indexes.namespaces,
      indexBytes: this.#indexes.bytes,
      maxIndexBytes: this.#maxIndexBytes,
      droppedIndexes: this.#indexes.dropped,
      indexesOnDisk: this.#indexes.filed,
      approximateIndexes: measured.length,
      embedMs: this.#embedMs,
      ...(measured.length > 0 && { recallAt10: Math.min(...measured.map(({ recallAt10 }) => recallAt10)) }),
    };
  }

  /** How much of what comparing all vectors finds the namespace's index finds, asked for some of its own vectors. */
  async measureRecall(scope: Scope, signal?: AbortSignal): Promise<MeasuredRecall> {
    this.#checkOpen();
    return this.#indexes.measure(scope, signal);
  }

  /**
   * Rows of the memories whose vectors are nearest to one of the retriever's model, the nearest first; fewer when the
   * namespace holds fewer vectors.
   */
  async neighbours(
    scope: Scope,
    vector: Float32Array,
    limit: number,
    signal?: AbortSignal,
  ): Promise<number[]> {
    this.#checkOpen();
    const index = await this.#indexes.current(scope, signal);
    const { numbers, scores } = index.vectors.nearest(vector, limit, undefined, undefined);
    const { rows } = index.columns.arrays;
    return [...numbers.keys()]
      .sort((a, b) => scores[b]! - scores[a]!)
      .slice(0, limit)
      .map((at) => rows[numbers[at]!]!);
  }

  /** Writes what the next process can start from. Idempotent; later calls reject with CLOSED. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#probing;
    await this.#indexes.close();
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

  /** What passes the options' filter. */
  async #allowed(scope: Scope, options: RecallOptions): Promise<Allowed> {
    const { limit, minScore, mode, explain, touch, signal, context, fold, rerank, maxTokens, now, ...rest } =
      options;
    const filter: MemoryFilter = rest;
    const { ids, document, metadata, ...answeredByIndex } = filter;
    const given = (part: MemoryFilter): boolean => Object.values(part).some((value) => value !== undefined);
    // The store begins with what is most selective, so it is given the whole filter.
    if (given({ ids, document, metadata })) {
      return { filter: undefined, rows: await this.#matchingRows(scope, filter) };
    }
    return { filter: given(answeredByIndex) ? answeredByIndex : undefined, rows: undefined };
  }

  /** The namespace's index, once it or else the store has answered the filter. */
  async #current(
    scope: Scope,
    allowed: Allowed,
    signal: AbortSignal | undefined,
    ask: Parameters<NamespaceIndexes["current"]>[2],
  ): Promise<NamespaceIndex> {
    const index = await this.#indexes.current(scope, signal, ask);
    if (index.knowsTiers || !allowed.filter?.tiers) return index;
    allowed.rows = await this.#matchingRows(scope, allowed.filter);
    allowed.filter = undefined;
    return this.#indexes.current(scope, signal, ask);
  }

  /** Rows that the store says match; kept until the namespace changes. What expired since is found to be invisible. */
  async #matchingRows(scope: Scope, filter: MemoryFilter): Promise<Float64Array> {
    const key = JSON.stringify([scope.namespace, filter]);
    // Read before the rows: what is written meanwhile makes them outdated.
    const generation = await this.#store.generation(scope);
    const known = this.#matching.get(key);
    if (known?.generation === generation) return known.rows;
    const rows = await this.#store.matchingRows(scope, filter);
    this.#matching.set(key, { generation, rows });
    return rows;
  }

  #fullOptions(options: RecallOptions): FullRecallOptions {
    const packs = options.maxTokens !== undefined;
    return {
      ...options,
      limit: options.limit ?? (packs ? packedLimit : defaultLimit),
      minScore: options.minScore ?? 0,
      mode: options.mode ?? "hybrid",
      context: options.context ?? 0,
      fold: options.fold ?? packs,
      rerank: options.rerank ?? true,
      explain: options.explain ?? false,
      now: options.now ?? this.#clock.now(),
    };
  }

  #request(
    verb: RecallRequest["verb"],
    { namespace }: Scope,
    question: string,
    options: RecallOptions,
    ranking: RankingOptions,
  ): RecallRequest {
    const { signal, explain, touch, tiers, ...rest } = options;
    const given = { ...rest, ...(tiers && { tier: tiers }) };
    return {
      verb,
      namespace,
      question,
      options: given,
      ranking,
      model: this.#options.embedder.model.id,
    };
  }

  /** Made when it is first needed; a table that cannot be opened is tried again by the next recall. */
  #lateInteraction(): Promise<LateInteraction | undefined> {
    this.#late ??= this.#options.pieces().then(
      (pieces) =>
        pieces && new LateInteraction(pieces, this.#memory, this.#ranking.lateDimensions, maxPieceBytes),
      (error: unknown) => {
        this.#late = undefined;
        throw error;
      },
    );
    return this.#late;
  }
}
