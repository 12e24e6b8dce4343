import { resolve } from "node:path";
import type { QueryOptimizer } from "../caching/query-optimizer.ts";
import type { HygieneConfig } from "../config/config.ts";
import type { ConsolidationReport } from "../consolidation/consolidation-report.ts";
import type { MemoryConsolidator } from "../consolidation/memory-consolidator.ts";
import type { TendingRules } from "../consolidation/next-moves.ts";
import type { UndoResult } from "../contract/consolidation.ts";
import { StrataError } from "../contract/errors.ts";
import { vectorText } from "../contract/index-text.ts";
import type { Memory, StoredDocument } from "../contract/memory.ts";
import type {
  CleanupResult,
  Evicted,
  ForgetResult,
  JournalPage,
  NewEntry,
  StoreStats,
  UpdateResult,
} from "../contract/memory-store.ts";
import { type OperationName, operationChannels, succeeded } from "../contract/operations.ts";
import type { Recall, Research } from "../contract/recall.ts";
import { checkNamespace, type MemoryFilter, type Scope } from "../contract/scope.ts";
import type { TuningDecision } from "../contract/tuning.ts";
import type { PerformanceMonitor } from "../monitoring/performance-monitor.ts";
import { type CacheFigures, renderPrometheus } from "../monitoring/prometheus.ts";
import type { MeasuredRecall } from "../retrieval/measure-recall.ts";
import type { CachedRecall } from "./cached-recall.ts";
import {
  checkCount,
  checkFlag,
  checkIds,
  checkName,
  checkOptions,
  checkQuestion,
  checkUri,
} from "./check-values.ts";
import type { ConsolidateOptions, MemoryLife } from "./consolidate-options.ts";
import { type ExportOptions, exportMemories } from "./export-memories.ts";
import { checkFilter, type FilterOptions, filterNames } from "./filter-options.ts";
import type { AuditOptions, AuditReport } from "./hygiene/audit.ts";
import { findSimilar } from "./hygiene/find-similar.ts";
import { RecallEchoes } from "./hygiene/recall-echoes.ts";
import {
  type CheckedHygiene,
  checkHygiene,
  type HygieneFindings,
  hygieneNames,
  inspectText,
} from "./hygiene/write-hygiene.ts";
import { type ImportOptions, type ImportReport, importMemories } from "./import-memories.ts";
import type { IngestDefaults, IngestOptions, IngestReport, IngestSource } from "./ingest-options.ts";
import { MemoryIds } from "./memory-ids.ts";
import type { Observation } from "./observe.ts";
import type { Parts } from "./parts.ts";
import {
  type CheckedRecall,
  checkQuestions,
  checkRecall,
  checkSearch,
  type RecallOptions,
  type SearchOptions,
} from "./recall-options.ts";
import { checkReembed, type ReembedOptions, type ReembedReport } from "./reembed-options.ts";
import type { SelfTuning, TuningReport } from "./self-tuning.ts";
import { Snapshots } from "./snapshots.ts";
import {
  checkNewEntry,
  checkPatch,
  checkStoreItem,
  type StoreItem,
  type StoreOptions,
  type StoreResult,
  storeOptionNames,
  type UnembeddedEntry,
  type UpdatePatch,
} from "./store-options.ts";
import { updateMemory } from "./update-memory.ts";
import type {
  BackupOptions,
  BackupReport,
  CallOptions,
  ForgetOptions,
  JournalOptions,
  ListOptions,
  PageOptions,
  StoreManyOptions,
  StoreManyResult,
  UpdateOptions,
} from "./verb-options.ts";

/** Items of `storeMany` that are checked before others run: a few milliseconds. */
const checkedAtOnce = 1_024;
/** Entries stored in one transaction: a few milliseconds of work. */
const sliceSize = 128;

const callNames = ["namespace", "signal"];
const pageNames = [...callNames, "limit", "cursor"];

/**
 * An open memory: every verb of Strata over one store. Make one with `openMemory`, and close it, or let
 * `await using` do so.
 */
export class Strata {
  /** Used when a call names none. */
  readonly namespace: string;
  /** Where the memory lives: the absolute path of its file. */
  readonly path: string;
  /** Figures of what this memory does: each verb, and below it `embed` and stages such as `recall.score`. */
  readonly monitor: PerformanceMonitor;
  /** @internal */
  readonly observation: Observation;
  /** Named states of memories: save, load, diff, list, delete. */
  readonly snapshots: Snapshots;
  readonly #parts: Parts;
  readonly #document: Omit<IngestDefaults, "onSecret">;
  readonly #tending: Omit<TendingRules, "now">;
  readonly #recalls: CachedRecall;
  readonly #hygiene: HygieneConfig;
  readonly #echoes: RecallEchoes;
  readonly #ids = new MemoryIds();
  readonly #tuning: SelfTuning;
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor(
    parts: Parts,
    options: {
      readonly namespace: string;
      readonly path: string;
      readonly recalls: CachedRecall;
      readonly tuning: SelfTuning;
      readonly observation: Observation;
      readonly document: Omit<IngestDefaults, "onSecret">;
      readonly hygiene: HygieneConfig;
      readonly tending: Omit<TendingRules, "now">;
    },
  ) {
    this.#parts = parts;
    parts.sources.push(this);
    this.observation = options.observation;
    this.monitor = options.observation.monitor;
    this.#document = options.document;
    this.#hygiene = options.hygiene;
    this.#echoes = new RecallEchoes(parts.clock);
    this.#tending = options.tending;
    this.snapshots = new Snapshots(parts, {
      run: (operation, call) => this.#run(operation, call),
      scope: (namespace) => this.#scope(namespace),
    });
    this.#recalls = options.recalls;
    this.#tuning = options.tuning;
    this.namespace = options.namespace;
    this.path = options.path;
  }

  /** What tends the tiers: its figures, single moves, and what it would do with a tier. Loaded when it is asked for. */
  get consolidator(): Promise<MemoryConsolidator> {
    this.#checkOpen();
    return this.#parts.consolidator();
  }

  /** What keeps the answers of `recall` and `search`: its figures, and `invalidateCache`. */
  get queries(): QueryOptimizer {
    return this.#recalls.queries;
  }

  /**
   * Stores one memory. When it resolves, the memory survives the end of the process at any instant. What says the same
   * as a memory that is there (content, speaker, thread and time, no further metadata) is that memory, used once more.
   * @throws SECRET_DETECTED, RECALL_LOOP Where the policy is to refuse. EMPTY_TEXT, TEXT_TOO_LARGE, UNKNOWN_TIER, INVALID_IMPORTANCE, ALREADY_EXISTS, DISK_FULL, DATABASE_BUSY
   */
  store(text: string, options?: StoreOptions): Promise<StoreResult> {
    return this.#run("store", async () => {
      const { namespace, signal, ...fields } = checkOptions(options, storeOptionNames, "store");
      const hygiene = checkHygiene(fields, this.#hygiene);
      const entry = checkNewEntry(text, fields, hygiene.onDuplicate, this.#ids);
      const { memories, evicted } = await this.#add(this.#scope(namespace), [entry], hygiene, signal);
      const { memory, ...found } = memories[0]!;
      return { ...memory, ...found, evicted };
    });
  }

  /**
   * Stores many memories, in slices: each slice is stored whole or not at all, and those before an error stay. All
   * items are checked before the first is stored.
   * @throws as {@link store}
   */
  storeMany(items: readonly StoreItem[], options?: StoreManyOptions): Promise<StoreManyResult> {
    return this.#run("store-many", async () => {
      const { namespace, signal, onProgress, ...given } = checkOptions(
        options,
        [...callNames, ...hygieneNames, "onProgress"],
        "storeMany",
      );
      const scope = this.#scope(namespace);
      const hygiene = checkHygiene(given, this.#hygiene);
      const entries: UnembeddedEntry[] = [];
      for (const item of items) {
        entries.push(checkStoreItem(item, hygiene.onDuplicate, this.#ids));
        if (entries.length % checkedAtOnce === 0) await breath();
      }
      const memories: StoreManyResult["memories"][number][] = [];
      const evicted: Evicted[] = [];
      // What is compared by meaning has to be there before the next one is.
      const size = hygiene.onSimilar === "store" ? sliceSize : 1;
      for (let start = 0; start < entries.length; start += size) {
        const slice = await this.#add(scope, entries.slice(start, start + size), hygiene, signal);
        memories.push(...slice.memories);
        evicted.push(...slice.evicted);
        onProgress?.({ done: memories.length, total: entries.length });
        await breath();
      }
      return { memories, evicted };
    });
  }

  /**
   * Reads documents (files, folders, texts, streams), cuts them into chunks, embeds and stores them. A document whose
   * bytes are known already is left alone, a changed one is replaced at once for every reader. What cannot be read is
   * reported, and the rest goes on.
   * @throws FILE_NOT_FOUND, NO_READABLE_FILES, UNKNOWN_TIER, DISK_FULL
   */
  ingest(source: IngestSource, options?: IngestOptions): Promise<IngestReport> {
    return this.#run("ingest", async () => {
      // Readers and splitters are half of all code, and a recall needs none of it.
      const { ingest } = await import("./ingest.ts");
      const defaults = { ...this.#document, onSecret: this.#hygiene.secrets };
      return ingest(this.#parts, this.#scope(options?.namespace), source, options, defaults);
    });
  }

  /**
   * The memories that answer a question, by meaning and by words, best first. Fewer than `limit` come back only when
   * the namespace holds fewer. The same question again costs nothing until the next write to the namespace, by any
   * process; an answer is frozen, since others may get the same one, and its counts of uses are those of its making.
   */
  recall(question: string, options?: RecallOptions): Promise<Recall> {
    return this.#run("recall", async (startedAt) => {
      const checked = checkRecall(options);
      const text = checkQuestion(question);
      const scope = this.#scope(options?.namespace);
      return this.#used(
        scope,
        checked,
        await this.#recalls.answer("recall", scope, text, checked, startedAt),
      );
    });
  }

  /**
   * The memories that answer several questions, as one list: the best answer to each before all second ones. Takes the
   * options of {@link recall}; answers are not kept.
   */
  research(questions: readonly string[], options?: RecallOptions): Promise<Research> {
    return this.#run("research", async () => {
      const { cache, ...checked } = checkRecall(options, "research");
      const texts = checkQuestions(questions);
      const scope = this.#scope(options?.namespace);
      const answer = await this.#parts.ask(scope, (retriever) => retriever.research(scope, texts, checked));
      return this.#used(scope, checked, answer);
    });
  }

  /**
   * The memories whose own content holds the words: all of them first, then some. `"quoted words"` stand together in
   * this order, `pre*` matches the beginning of a word. Answers are kept and frozen as those of {@link recall}.
   */
  search(words: string, options?: SearchOptions): Promise<Recall> {
    return this.#run("search", async (startedAt) => {
      const checked = checkSearch(options);
      const text = checkQuestion(words);
      const scope = this.#scope(options?.namespace);
      return this.#used(
        scope,
        checked,
        await this.#recalls.answer("search", scope, text, checked, startedAt),
      );
    });
  }

  /** The memory of that id; undefined when there is none, or it has expired. Counts as a use. */
  get(id: string, options?: CallOptions): Promise<Memory | undefined> {
    return this.#run("get", async () => {
      const { namespace } = checkOptions(options, callNames, "get");
      const scope = this.#scope(namespace);
      const [memory] = await this.#parts.store.get(scope, [checkName(id, "id")]);
      if (memory) this.#parts.uses.add(scope.namespace, [memory.id]);
      return memory;
    });
  }

  /**
   * Changes a memory. Tier, importance and pin of a document's chunk change those of the document.
   * @throws NOT_FOUND, VERSION_CONFLICT, CHUNK_IMMUTABLE, SECRET_DETECTED
   */
  update(id: string, patch: UpdatePatch, options?: UpdateOptions): Promise<UpdateResult & HygieneFindings> {
    return this.#run("update", async () => {
      const { namespace, signal, ifVersion, ...given } = checkOptions(
        options,
        [...callNames, "ifVersion", "onSecret"],
        "update",
      );
      const scope = this.#scope(namespace);
      const expected =
        ifVersion === undefined ? undefined : checkCount(ifVersion, "ifVersion", 1, Number.MAX_SAFE_INTEGER);
      const checked = checkPatch(patch);
      const hygiene = { ...checkHygiene(given, this.#hygiene), onRecallLoop: "off" } as const;
      const findings = inspectText(checked.text ?? "", hygiene, this.#echoes, scope.namespace);
      const call = { ifVersion: expected, signal };
      return { ...(await updateMemory(this.#parts, scope, checkName(id, "id"), checked, call)), ...findings };
    });
  }

  /** Pins a memory, or with false unpins it: a pinned one is never evicted, demoted or merged. */
  async pin(id: string, pinned = true, options?: CallOptions): Promise<Memory> {
    const { memory } = await this.update(id, { pinned: checkFlag(pinned, "pinned") }, options);
    return memory;
  }

  /**
   * Forgets memories by id, or all that match a filter; by `document`, the document whole. An empty filter is
   * refused: that is what `clear` is for.
   * @throws NOT_FOUND For an id that does not exist; CONFIRMATION_REQUIRED
   */
  forget(which: string | readonly string[] | FilterOptions, options?: ForgetOptions): Promise<ForgetResult> {
    return this.#run("forget", async () => {
      const { namespace, signal, erase } = checkOptions(options, [...callNames, "erase"], "forget");
      const scope = this.#scope(namespace);
      const filter = await this.#forgetFilter(scope, which);
      const erased = erase !== undefined && checkFlag(erase, "erase");
      if (!erased) return this.#parts.store.forget(scope, filter, { signal });
      return this.#erase(scope, filter, () =>
        this.#parts.store.forget(scope, filter, { signal, erase: true }),
      );
    });
  }

  /** Visible memories, newest first, a page at a time. */
  list(options?: ListOptions): Promise<{ readonly memories: readonly Memory[]; readonly cursor?: string }> {
    return this.#run("list", async () => {
      const checked = checkOptions(options, [...filterNames, ...pageNames], "list");
      return this.#parts.store.list(this.#scope(checked.namespace), checkFilter(checked), pageOf(checked));
    });
  }

  /** Ingested documents by name, a page at a time. */
  documents(
    options?: PageOptions,
  ): Promise<{ readonly documents: readonly StoredDocument[]; readonly cursor?: string }> {
    return this.#run("documents", async () => {
      const checked = checkOptions(options, pageNames, "documents");
      return this.#parts.store.documents(this.#scope(checked.namespace), pageOf(checked));
    });
  }

  /** The document of that name. */
  document(uri: string, options?: CallOptions): Promise<StoredDocument | undefined> {
    return this.#run("document", async () => {
      const { namespace } = checkOptions(options, callNames, "document");
      return this.#parts.store.document(this.#scope(namespace), checkUri(uri));
    });
  }

  /**
   * Removes everything in a namespace for good: memories, documents, journal, no byte left.
   * @param confirm The name of the namespace, so that nothing is cleared by mistake.
   * @returns How many memories left.
   * @throws CONFIRMATION_REQUIRED
   */
  clear(confirm: string, options?: { readonly signal?: AbortSignal | undefined }): Promise<number> {
    return this.#run("clear", async () => {
      const { signal } = checkOptions(options, ["signal"], "clear");
      const scope = this.#scope(checkNamespace(confirm));
      return this.#erase(scope, {}, () => this.#parts.store.clear(scope, { signal }));
    });
  }

  /** Figures of one namespace, or of all with `{ all: true }`. */
  stats(options?: CallOptions & { readonly all?: boolean | undefined }): Promise<StoreStats> {
    return this.#run("stats", async () => {
      const { namespace, all } = checkOptions(options, [...callNames, "all"], "stats");
      await this.#parts.uses.flush();
      return this.#parts.store.stats(all === true ? undefined : this.#scope(namespace));
    });
  }

  /** How much of what comparing all vectors would find a recall's index finds, asked for some of its own vectors. */
  measureRecall(options?: CallOptions): Promise<MeasuredRecall> {
    return this.#run("stats", async () => {
      const { namespace, signal } = checkOptions(options, callNames, "measureRecall");
      const scope = this.#scope(namespace);
      return this.#parts.ask(scope, (retriever) => retriever.measureRecall(scope, signal));
    });
  }

  /** Names of all namespaces that hold anything, sorted. */
  namespaces(): Promise<string[]> {
    return this.#run("namespaces", () => this.#parts.store.namespaces());
  }

  /** Removes what has expired; with `dryRun` it only tells what it would. Of all namespaces with `{ all: true }`. */
  cleanup(
    options?: CallOptions & { readonly dryRun?: boolean | undefined; readonly all?: boolean | undefined },
  ): Promise<CleanupResult> {
    return this.#run("cleanup", async () => {
      const { namespace, signal, dryRun, all } = checkOptions(
        options,
        [...callNames, "dryRun", "all"],
        "cleanup",
      );
      await this.#parts.uses.flush();
      const scope = all === true ? undefined : this.#scope(namespace);
      return this.#parts.store.cleanup({ dryRun: dryRun === true, scope }, { signal });
    });
  }

  /**
   * One pass over the tiers of a namespace: removes what has expired, merges what is there twice, demotes what nobody
   * uses, promotes what is used; with `dryRun` it only tells what it would do. Journaled under the report's `run`, which
   * `undo` takes back. Done by itself every few minutes, unless the configuration says otherwise.
   */
  consolidate(options?: ConsolidateOptions): Promise<ConsolidationReport>;
  /** One pass over each namespace, a report for each. */
  consolidate(
    options: Omit<ConsolidateOptions, "namespace"> & { readonly all: true },
  ): Promise<readonly ConsolidationReport[]>;
  consolidate(
    options?: ConsolidateOptions & { readonly all?: boolean | undefined },
  ): Promise<ConsolidationReport | readonly ConsolidationReport[]> {
    return this.#follow(async () => {
      const { namespace, signal, dryRun, all } = checkOptions(
        options,
        [...callNames, "dryRun", "all"],
        "consolidate",
      );
      const consolidator = await this.#parts.consolidator();
      const pass = (name: string): Promise<ConsolidationReport> =>
        consolidator.runConsolidation({ namespace: name, dryRun: dryRun === true, signal });
      if (all !== true) return pass(this.#scope(namespace).namespace);
      const reports: ConsolidationReport[] = [];
      for (const name of await this.#parts.store.namespaces()) reports.push(await pass(name));
      return reports;
    });
  }

  /**
   * Takes a run of the journal back: a consolidation, what `forget` removed, or another undo. What changed since is left
   * as it is, and told.
   * @throws NOT_FOUND
   */
  undo(run: string, options?: CallOptions): Promise<UndoResult> {
    return this.#follow(async () => {
      const { namespace, signal } = checkOptions(options, callNames, "undo");
      const consolidator = await this.#parts.consolidator();
      const scope = this.#scope(namespace);
      return consolidator.undo(checkName(run, "run"), { namespace: scope.namespace, signal });
    });
  }

  /**
   * A memory's whole life: what happened to it and why, how relevant it is and by what, what would happen next. Of a
   * memory that is gone, what the journal holds. No use of it.
   * @throws NOT_FOUND
   */
  why(id: string, options?: CallOptions): Promise<MemoryLife> {
    return this.#run("journal", async () => {
      const { namespace } = checkOptions(options, callNames, "why");
      await this.#parts.uses.flush();
      const { memoryLife } = await import("./memory-life.ts");
      const rules = { ...this.#tending, now: this.#parts.clock.now() };
      return memoryLife(this.#parts.store, this.#scope(namespace), checkName(id, "id"), rules);
    });
  }

  /**
   * Looks through the memories of a namespace for what one may not want to keep: duplicates, junk, secrets, echoes, and
   * in the whole store what nothing owns. With `fix` it merges exact duplicates and forgets junk, both journaled so that they
   * can be undone, and removes what nothing owns; with `dryRun` too it only tells what it would.
   */
  audit(options?: AuditOptions): Promise<AuditReport> {
    return this.#run("audit", async () => {
      const { auditMemories, checkAudit } = await import("./hygiene/audit.ts");
      const checked = checkAudit(options);
      await this.#parts.uses.flush();
      return auditMemories(this.#parts, this.#scope(options?.namespace), checked);
    });
  }

  /** What happened to memories (moved, merged, evicted, expired, forgotten), newest first. */
  journal(options?: JournalOptions): Promise<JournalPage> {
    return this.#run("journal", async () => {
      const checked = checkOptions(options, [...pageNames, "memoryId", "run"], "journal");
      const memoryId = checked.memoryId === undefined ? undefined : checkName(checked.memoryId, "memoryId");
      const run = checked.run === undefined ? undefined : checkName(checked.run, "run");
      return this.#parts.store.journal(this.#scope(checked.namespace), { ...pageOf(checked), memoryId, run });
    });
  }

  /** Everything in a namespace as JSON Lines, the last of which holds a checksum. Order: memories, then documents with their chunks. */
  export(options?: ExportOptions): AsyncIterable<string> {
    this.#checkOpen();
    return exportMemories(this.#parts, this.#scope(options?.namespace), options);
  }

  /**
   * Stores what `export` wrote; what is there already stays.
   * @throws CHECKSUM_MISMATCH, FILE_UNREADABLE
   */
  import(lines: AsyncIterable<string> | Iterable<string>, options?: ImportOptions): Promise<ImportReport> {
    return this.#run("import", () =>
      importMemories(this.#parts, this.#scope(options?.namespace), lines, options),
    );
  }

  /**
   * Gives every memory a vector of the model in use, or of `model`, which is in use from then on. Until all have one, the
   * model that made the others answers, as before; then the others are dropped. Ended half-way, by an abort, a failure or
   * the death of the process, it goes on where it stood when it is called again.
   * @throws DATABASE_BUSY Another process is at it. EMBEDDING_FAILED and the like; what was embedded until then stays.
   */
  reembed(options?: ReembedOptions): Promise<ReembedReport> {
    return this.#run("reembed", async () => {
      const checked = checkReembed(options);
      const names = checked.all ? await this.#parts.store.namespaces() : [checked.namespace];
      const closing = this.#parts.closing.signal;
      const signals = checked.signal ? [checked.signal, closing] : [closing];
      const { reembed } = await import("./reembed.ts");
      return reembed(
        this.#parts,
        names.map((name) => this.#scope(name)),
        { ...checked, signal: AbortSignal.any(signals) },
      );
    });
  }

  /**
   * Writes the whole memory, all its namespaces, to one file while it is in use: one unchanging state of it, verified
   * before the file takes its name. The event loop stays free; other processes write meanwhile. What is erased later
   * stays in a backup made before.
   * @throws DATABASE_EXISTS, DATABASE_CORRUPT, DISK_FULL, DATABASE_READ_ONLY
   */
  backup(path: string, options?: BackupOptions): Promise<BackupReport> {
    return this.#run("backup", async () => {
      const checked = checkOptions(options, ["signal", "onProgress", "overwrite"], "backup");
      const overwrite = checked.overwrite !== undefined && checkFlag(checked.overwrite, "overwrite");
      const target = resolve(checkName(path, "path"));
      await this.#parts.uses.flush();
      const { backupDatabase } = await import("../storage/sqlite/backup-database.ts");
      const report = await backupDatabase(this.path, target, { ...checked, overwrite });
      return { path: target, ...report };
    });
  }

  /** Fill and use of what is kept in memory: answers to questions, and vectors once texts were embedded. */
  caches(): Readonly<Record<string, CacheFigures>> {
    const { hits, misses, cacheSize, cacheBytes, maxBytes, evictions } = this.queries.getStats();
    const embeddings = this.#parts.embeddingCache();
    return {
      queries: { hits, misses, entries: cacheSize, bytes: cacheBytes, maxBytes, evictions },
      ...(embeddings && { embeddings }),
    };
  }

  /** What this memory tunes of itself, and where that stands. */
  tuning(): TuningReport {
    return this.#tuning.report;
  }

  /** What was tuned, tried and taken back, by any process: newest first. @param limit 1 to 1,000. Default 100. */
  tuningDecisions(options?: { readonly limit?: number | undefined }): Promise<TuningDecision[]> {
    return this.#run("journal", async () => {
      const { limit = 100 } = checkOptions(options, ["limit"], "tuningDecisions");
      return this.#parts.store.tuningDecisions(checkCount(limit, "limit", 1, 1_000));
    });
  }

  /** Everything that is counted, of all namespaces together, as text for Prometheus. */
  async metrics(): Promise<string> {
    const store = await this.stats({ all: true });
    return renderPrometheus({ monitor: this.monitor, store, caches: this.caches() });
  }

  /** Writes waiting uses of memories. Done by itself every second and on close. */
  flush(): Promise<void> {
    return this.#run("flush", () => this.#parts.uses.flush());
  }

  /** Waits for calls under way, writes waiting uses, and lets the file go. Idempotent; later calls reject with CLOSED. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#parts.closing.abort(closedError());
    await Promise.allSettled(this.#running);
    await this.queries.close();
    await this.#parts.close();
  }

  #checkOpen(): void {
    if (this.#closing) throw closedError();
  }

  /** @param call Gets the monotonic time when it starts, where that was read anyway. */
  async #run<T>(operation: OperationName, call: (startedAt?: number) => Promise<T>): Promise<T> {
    this.#checkOpen();
    const channel = operationChannels[operation];
    const counting = this.observation.counting;
    const event = channel.begin(this);
    const startedAt = event?.startedAt ?? (counting === undefined ? undefined : performance.now());
    const running = event === undefined ? call(startedAt) : channel.run(event, call);
    this.#running.add(running);
    let failure: readonly [error?: unknown] = succeeded;
    try {
      return await running;
    } catch (error) {
      failure = [error];
      throw error;
    } finally {
      this.#running.delete(running);
      if (startedAt !== undefined) {
        const durationMs = performance.now() - startedAt;
        counting?.trackOperation(operation, durationMs);
        if (counting !== undefined && failure.length > 0) counting.recordError(operation, failure[0]);
        if (event !== undefined) channel.settle(event, failure, durationMs);
      }
    }
  }

  /** Has the memory wait for a call before it closes, without counting it: the room that does it publishes it. */
  async #follow<T>(call: () => Promise<T>): Promise<T> {
    this.#checkOpen();
    const running = call();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  #scope(namespace: string | undefined): Scope {
    return { namespace: namespace === undefined ? this.namespace : checkNamespace(namespace) };
  }

  #used<Answer extends Recall | Research>(
    scope: Scope,
    options: Pick<CheckedRecall, "touch">,
    answer: Answer,
  ): Answer {
    this.#echoes.recalled(scope.namespace, answer.hits);
    if (options.touch)
      this.#parts.uses.add(
        scope.namespace,
        answer.hits.map((hit) => hit.memory.id),
      );
    return answer;
  }

  /** Erases what matches, and leaves neither a snapshot nor a kept vector or answer that tells of it. */
  async #erase<T>(scope: Scope, filter: MemoryFilter, erase: () => Promise<T>): Promise<T> {
    try {
      return await this.#parts.erasing(scope, filter, erase);
    } finally {
      this.#recalls.drop(scope);
    }
  }

  async #add(
    scope: Scope,
    entries: readonly UnembeddedEntry[],
    hygiene: CheckedHygiene,
    signal: AbortSignal | undefined,
  ): Promise<StoreManyResult> {
    signal?.throwIfAborted();
    const findings = entries.map(({ content }) =>
      inspectText(content, hygiene, this.#echoes, scope.namespace),
    );
    const vectors = await this.#parts.embed(scope, entries.map(vectorText), signal);
    const complete: NewEntry[] = entries.map((entry, index) => ({ ...entry, ...vectors[index]! }));
    if (hygiene.onSimilar !== "store") {
      // One entry at a time.
      const similar = await findSimilar(this.#parts, scope, complete[0]!, hygiene.similarity, signal);
      const { flags, ...found } = findings[0]!;
      if (similar) findings[0] = { ...found, flags: [...flags, "similar"], similar: similar.id };
      if (similar && hygiene.onSimilar === "return") {
        this.#parts.uses.add(scope.namespace, [similar.id]);
        return { memories: [{ memory: similar, outcome: "existing", ...findings[0]! }], evicted: [] };
      }
    }
    const { memories, evicted } = await this.#parts.store.add(scope, complete, { signal });
    return { memories: memories.map((added, at) => ({ ...added, ...findings[at]! })), evicted };
  }

  async #forgetFilter(
    scope: Scope,
    which: string | readonly string[] | FilterOptions,
  ): Promise<ReturnType<typeof checkFilter>> {
    if (typeof which !== "string" && !Array.isArray(which)) {
      const filter = checkFilter(checkOptions(which as FilterOptions, filterNames, "forget"));
      if (Object.keys(filter).length > 0) return filter;
      throw new StrataError(
        "CONFIRMATION_REQUIRED",
        "An empty filter would forget everything: use clear() to mean that.",
      );
    }
    const ids = checkIds(typeof which === "string" ? [which] : which);
    const found = await this.#parts.store.get(scope, ids);
    const missing = found.indexOf(undefined);
    if (missing >= 0)
      throw new StrataError("NOT_FOUND", `No memory has the id "${ids[missing]}"; nothing was forgotten.`);
    return { ids };
  }
}

function closedError(): StrataError {
  return new StrataError("CLOSED", "This memory was closed; open it again with openMemory().");
}

/** Lets other work of the process run between two slices. */
function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function pageOf(options: { readonly limit?: number | undefined; readonly cursor?: string | undefined }): {
  limit: number;
  cursor?: string | undefined;
} {
  return {
    limit: options.limit === undefined ? 100 : checkCount(options.limit, "limit", 1, 1_000),
    cursor: options.cursor,
  };
}
