import { existsSync } from "node:fs";
import { totalmem } from "node:os";
import { type Config, type ConfigOverrides, loadConfig } from "../config/config.ts";
import type { ConsolidationHooks } from "../consolidation/language-hooks.ts";
import { type Clock, systemClock } from "../contract/clock.ts";
import type { EmbeddingModel } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import type { RankingOptions } from "../contract/ranking.ts";
import type { Reranker } from "../contract/reranker.ts";
import type { VectorCache } from "../contract/vector-cache.ts";
import type { BuiltinModel } from "../embedding/models/builtin-model.ts";
import type { Analyzer } from "../retrieval/analyzer.ts";
import { checkRanking } from "../retrieval/ranking-options.ts";
import { openSqliteStore } from "../storage/sqlite/sqlite-store.ts";
import type { SearchTuner } from "../tuning/search-tuner.ts";
import { CachedRecall, checkQueryCache, type QueryCacheOptions } from "./cached-recall.ts";
import { checkOptions } from "./check-values.ts";
import { openConfiguredModel } from "./configured-model.ts";
import { maxIndexBytes } from "./index-memory.ts";
import { LiveFigures } from "./live-figures.ts";
import { observe } from "./observe.ts";
import { Parts } from "./parts.ts";
import { SelfTuning } from "./self-tuning.ts";
import { Strata } from "./strata.ts";
import { Tending } from "./tending.ts";
import { WorkloadRecorder } from "./workload-recorder.ts";

/** How a memory is opened. Every field wins over the environment. */
export interface OpenOptions extends ConfigOverrides {
  /** Default: the configured one, else the built-in model, which needs no key, no service and no download. */
  readonly model?: EmbeddingModel | undefined;
  /**
   * A model that made vectors of this memory before: it answers, and new memories get a vector of both, until `reembed`
   * has given all memories one of `model`. Default: the configured one; the built-in model needs no naming.
   */
  readonly formerModel?: EmbeddingModel | undefined;
  /** Refuse with DATABASE_NOT_FOUND instead of making a new file. Default false. */
  readonly mustExist?: boolean | undefined;
  /** How answers are kept, so that a repeated question costs nothing; `cache: false` in a call does without. */
  readonly queryCache?: QueryCacheOptions | undefined;
  /**
   * For a process that asks something and ends: what answers questions is loaded while the file is opened, and of the
   * built-in model is read what is used, its files' checksums left to `doctor`. Default false.
   */
  readonly preload?: boolean | undefined;
  /** What orders the answers, over the defaults; the same for every namespace. */
  readonly ranking?: Partial<RankingOptions> | undefined;
  /** Puts the best hits of each recall in order; `rerank: false` in a call does without. Default: none. */
  readonly reranker?: Reranker | undefined;
  /** A language model of your own that summarizes what is about to expire, and extracts facts from conversations. */
  readonly consolidation?: ConsolidationHooks | undefined;
  /** For tests. Default: the machine's time. */
  readonly clock?: Clock | undefined;
}

/** Names of {@link ConsolidationHooks}. */
const hookNames = ["summarize", "extract", "hookTimeoutMs", "maxHookCalls"];
/** Memories like a changed one that are compared with it. */
const neighbourCount = 8;

const optionNames = [
  "path",
  "namespace",
  "durability",
  "config",
  "configFile",
  "model",
  "formerModel",
  "mustExist",
  "queryCache",
  "ranking",
  "reranker",
  "preload",
  "consolidation",
  "clock",
];

/**
 * Opens the memory in one SQLite file, made with mode 0600 when it is missing.
 *
 * Without `path` the file is `.strata/memory.db` in the nearest folder upward that has a `.strata` folder, else
 * `strata/memory.db` in the user's data folder. The model and the indexes are loaded when they are first needed.
 *
 * @example
 * ```ts
 * await using memory = await openMemory();
 * await memory.store("Ada prefers tea", { tags: ["ada"] });
 * const { hits } = await memory.recall("what does Ada drink?");
 * ```
 * @throws INVALID_CONFIGURATION, UNKNOWN_OPTION, DATABASE_NOT_FOUND, DATABASE_IS_DIRECTORY, NOT_A_DATABASE,
 * DATABASE_NEWER, DATABASE_READ_ONLY, DATABASE_CORRUPT, DATABASE_BUSY
 */
export async function openMemory(given?: OpenOptions): Promise<Strata> {
  const {
    model,
    formerModel,
    mustExist,
    queryCache,
    preload,
    ranking,
    reranker,
    consolidation,
    clock = systemClock,
    ...overrides
  } = checkOptions(given, optionNames, "openMemory");
  const checkedCache = checkQueryCache(queryCache);
  const checkedRanking = checkRanking(ranking);
  const hooks = checkOptions(consolidation, hookNames, "openMemory's consolidation");
  if (consolidation !== undefined) {
    const { checkHooks } = await import("../consolidation/consolidator-options.ts");
    checkHooks(hooks);
  }
  const config = await loadConfig(overrides);
  const { path } = config.database;
  if (mustExist === true && !existsSync(path)) {
    throw new StrataError(
      "DATABASE_NOT_FOUND",
      "There is no memory yet at the path in use: store or ingest something first.",
      {
        details: { path },
      },
    );
  }
  const { tiers, decayRate, durability } = config;
  const builtin = builtinOnce(preload === true);
  const isBuiltin = model === undefined && config.embedding.model === "builtin";
  const embedderOf = async (given: EmbeddingModel | Promise<EmbeddingModel>) => {
    const [{ BatchEmbedder }, used] = await Promise.all([import("../embedding/batch-embedder.ts"), given]);
    const { batchSize, cacheBytes } = config.embedding;
    // A model cheaper than a look-up keeps nothing, and so has no file either.
    const keeps = used.cheap !== true && cacheBytes !== 0;
    const vectorCache = keeps ? await openVectorCache(path, clock) : undefined;
    const { latencyTargetMs } = config.tuning;
    return new BatchEmbedder(used, { clock, batchSize, cacheBytes, vectorCache, latencyTargetMs });
  };
  const openEmbedder = () => embedderOf(model ?? openConfiguredModel(config.embedding, builtin.open));
  let preloaded = preload === true ? openEmbedder() : undefined;
  if (preloaded) {
    // Who asks for the model sees why it failed.
    preloaded.catch(() => {});
    void loadRetrieval().catch(() => {});
  }
  const store = await openSqliteStore(path, { tiers, decayRate, durability, clock });
  const parts = new Parts(store, clock, {
    embedder() {
      const first = preloaded;
      preloaded = undefined;
      return first ?? openEmbedder();
    },
    async consolidator() {
      const { MemoryConsolidator } = await import("../consolidation/memory-consolidator.ts");
      const { memoryComposer } = await import("./compose-memories.ts");
      const { threshold, demotionThreshold } = config.consolidation;
      return new MemoryConsolidator(store, {
        namespace: config.namespace,
        consolidationThreshold: threshold,
        demotionThreshold,
        decayRate,
        tiers,
        neighbours: (scope, { id }, { signal }) => parts.neighbours(scope, id, neighbourCount, signal),
        prepare: () => parts.uses.flush(),
        takeUsed: () => parts.uses.takeUsed(),
        ...hooks,
        hookSignal: parts.closing.signal,
        compose: memoryComposer(parts, config.hygiene.secrets),
        clock,
      });
    },
    formerEmbedders: formerModels(formerModel, config, builtin.open, isBuiltin).map(
      (open) => () => embedderOf(open()),
    ),
    embedderOf,
    async counter() {
      const counting = await builtin.open();
      return { id: counting.id, count: (text) => counting.countTokens(text) };
    },
    async retriever(embedder) {
      const [{ Retriever }, { createAnalyzer }] = await loadRetrieval();
      analyzer ??= createAnalyzer();
      // One for all models: which of them answers is no matter of breadth.
      if (config.tuning.search)
        chooser ??= await newChooser(tuning, checkedRanking, config.tuning.minOverlap);
      return new Retriever({
        store,
        embedder,
        analyzer,
        clock,
        ranking: checkedRanking,
        reranker,
        chooser,
        pieces: async () => (await builtin.open()).pieces,
        counter: () => parts.counter(),
        snapshotFolder: `${path}-index`,
        maxIndexBytes: maxIndexBytes(totalmem(), process.constrainedMemory()),
        snapshotsOnTheSpot: preload === true,
      });
    },
  });
  let analyzer: Analyzer | undefined;
  let chooser: SearchTuner | undefined;
  const { recordPath, recordTexts } = config.tuning;
  if (recordPath !== undefined) {
    const recorder = new WorkloadRecorder(recordPath, recordTexts, clock);
    parts.recorder = recorder;
    parts.onClose(() => recorder.close());
  }
  parts.onClose(builtin.close);
  const observation = observe(parts, config);
  if (config.cleanupIntervalMs > 0) {
    const tending = new Tending(parts, {
      intervalMs: config.cleanupIntervalMs,
      consolidates: config.consolidation.automatic,
      namespace: config.namespace,
    });
    parts.onClose(() => tending.close());
  }
  const queryBytes = checkedCache.maxBytes ?? config.queryCache.maxBytes;
  const recalls = new CachedRecall(parts, {
    ...checkedCache,
    maxBytes: queryBytes,
    ttlMs: checkedCache.ttlMs ?? config.queryCache.ttlMs,
  });
  const tuning = new SelfTuning(parts, recalls.queries, {
    ...config.tuning,
    queryBytes,
    embeddingBytes: config.embedding.cacheBytes,
  });
  parts.onClose(() => tuning.close());
  const memory = new Strata(parts, {
    namespace: config.namespace,
    path,
    observation,
    tuning,
    document: config.document,
    hygiene: config.hygiene,
    tending: {
      consolidationThreshold: config.consolidation.threshold,
      demotionThreshold: config.consolidation.demotionThreshold,
      decayRate,
      limits: tiers,
    },
    recalls,
  });
  if (config.monitoring.shareFigures) {
    const figures = new LiveFigures(parts, path, () => ({
      report: memory.monitor.getReport(),
      caches: memory.caches(),
      tuning: memory.tuning(),
      indexes: parts.indexFigures(),
    }));
    parts.onClose(() => figures.close());
  }
  return memory;
}

/** Loaded by the first recall: who only stores needs none of it. */
function loadRetrieval() {
  return Promise.all([import("../retrieval/retriever.ts"), import("../retrieval/analyzer.ts")]);
}

async function newChooser(
  tuning: SelfTuning,
  ranking: RankingOptions,
  minOverlap: number,
): Promise<SearchTuner> {
  const { SearchTuner } = await import("../tuning/search-tuner.ts");
  const { candidates, vectorBreadth } = ranking;
  const tuner = new SearchTuner({
    widest: { candidates, vectorBreadth },
    minOverlap,
    random: Math.random,
    onMove: (move) => tuning.noteSearch(move),
  });
  tuning.search = tuner;
  return tuner;
}

/** Models that may have made vectors of the memory before the one in use did. */
function formerModels(
  given: EmbeddingModel | undefined,
  { embedding }: Config,
  builtin: () => Promise<EmbeddingModel>,
  isBuiltin: boolean,
): (() => EmbeddingModel | Promise<EmbeddingModel>)[] {
  const { formerModel, apiKey } = embedding;
  const named =
    given !== undefined
      ? [() => given]
      : formerModel !== undefined && formerModel !== "builtin"
        ? [
            () =>
              openConfiguredModel(
                { ...embedding, model: formerModel, apiKey, dimension: undefined },
                builtin,
              ),
          ]
        : [];
  // Where the built-in one is in use, nothing is looked up before a recall or a write.
  return isBuiltin ? named : [...named, builtin];
}

/** The vectors that cost something to make, in a file of their own beside the database; shared by processes. */
async function openVectorCache(path: string, clock: Clock): Promise<VectorCache> {
  const { SqliteVectorCache } = await import("../embedding/sqlite-vector-cache.ts");
  return new SqliteVectorCache(`${path}-vectors`, { clock });
}

/** The built-in model, opened when it is first asked for and then shared; after a failure it is tried again. */
function builtinOnce(someRows: boolean): {
  readonly open: () => Promise<BuiltinModel>;
  readonly close: () => Promise<void>;
} {
  let opened: Promise<BuiltinModel> | undefined;
  return {
    open() {
      opened ??= import("../embedding/models/builtin-model.ts")
        .then(({ openBuiltinModel }) => openBuiltinModel({ someRows }))
        .catch((error: unknown) => {
          opened = undefined;
          throw error;
        });
      return opened;
    },
    close: async () => (await opened?.catch(() => undefined))?.close(),
  };
}
