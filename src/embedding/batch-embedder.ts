import type { EmbedCall, Embedder, EmbeddingModel, EmbeddingReply } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import { operationChannels } from "../contract/operations.ts";
import type { CachedVector } from "../contract/vector-cache.ts";
import { AdaptiveBatching } from "./adaptive-batching.ts";
import { BatchDispatcher } from "./batch-dispatcher.ts";
import { type BatchEmbedderOptions, type ResolvedOptions, resolveOptions } from "./batch-embedder-options.ts";
import { type BatchEmbedderStats, embedderStats } from "./batch-embedder-stats.ts";
import { BatchScheduler } from "./batch-scheduler.ts";
import { CostMeter } from "./cost-meter.ts";
import { DirectEmbedding } from "./direct-embedding.ts";
import { EmbeddingJob, PendingCall } from "./embedding-job.ts";
import { InFlightTexts } from "./in-flight-texts.ts";
import { type BatchAnswer, ModelCaller } from "./model-caller.ts";
import { type EmbeddingFunction, modelOf } from "./model-source.ts";
import { QueueRoom } from "./queue-room.ts";
import { ReplyChecker } from "./reply-check.ts";
import { SharedVectors } from "./shared-vectors.ts";
import { vectorKey } from "./vector-key.ts";
import { VectorMemo } from "./vector-memo.ts";
import { replyOf } from "./vector-slab.ts";

/** How a text is embedded. */
export interface EmbedOptions {
  /** Default "document". */
  readonly task?: EmbedCall["task"] | undefined;
  /** Detaches this caller alone; the model's work is aborted when the last one who waits for it leaves. */
  readonly signal?: AbortSignal | undefined;
  /** Whose text it is, for the account of cost only. */
  readonly namespace?: string | undefined;
}

const backoff = { firstDelayMs: 200, maxDelayMs: 10_000, maxRetryAfterMs: 60_000 };

const charactersPerToken = 4;

/**
 * Embeds every text once, in full batches, and keeps nobody waiting: in front of an embedding model, or of any
 * function that turns texts into vectors. A text goes through the cache in memory, joins the same text on its way,
 * goes through the cache on disk, and leaves with others for the model.
 *
 * @example
 * ```ts
 * const embedder = new BatchEmbedder(async (texts) => texts.map((text) => [text.length, 1]));
 * const vector = await embedder.embedText("Ada prefers tea");
 * await embedder.close();
 * ```
 */
export class BatchEmbedder implements Embedder, AsyncDisposable {
  readonly model: EmbeddingModel;
  readonly #options: ResolvedOptions;
  readonly #checker: ReplyChecker;
  readonly #cost: CostMeter;
  readonly #direct: DirectEmbedding | undefined;
  readonly #memo: VectorMemo;
  readonly #inFlight: InFlightTexts;
  readonly #room: QueueRoom;
  readonly #shared: SharedVectors | undefined;
  readonly #caller: ModelCaller;
  readonly #adaptive: AdaptiveBatching | undefined;
  readonly #dispatcher: BatchDispatcher;
  /** Calls that wait for anything. */
  readonly #calls = new Set<Promise<unknown>>();
  /** Jobs whose cached vectors are to be read at the end of this turn, or are being read. */
  readonly #toRead = new Set<EmbeddingJob>();
  readonly #reading = new Set<EmbeddingJob>();
  #texts = 0;
  #memoHits = 0;
  #joins = 0;
  #started = false;
  #closing: Promise<void> | undefined;

  /**
   * @param source A model, or a function that gives one vector for each text, in order.
   * @throws INVALID_ARGUMENT, UNKNOWN_OPTION
   */
  constructor(source: EmbeddingModel | EmbeddingFunction, options: BatchEmbedderOptions = {}) {
    const model = modelOf(source, options);
    this.#options = resolveOptions(options, model);
    const { clock, random, timeoutMs, maxRetries, maxQueue, whenFull, vectorCache } = this.#options;
    if (vectorCache !== undefined && (model.dimensions === 0 || model.id === "function"))
      throw new StrataError(
        "INVALID_ARGUMENT",
        "Expected an id and dimensions for the function whose vectors are to be kept, got none: without them they " +
          "could be taken for another model's.",
      );
    const symmetric = model.symmetric === true;
    const checker = new ReplyChecker(model.id, model.dimensions);
    this.model = typeof source === "function" ? withDimensionsOf(model, checker) : model;
    this.#checker = checker;
    this.#cost = new CostMeter(this.#options);
    this.#direct = model.cheap === true ? new DirectEmbedding(model, checker, this.#cost, clock) : undefined;
    this.#memo = new VectorMemo({
      maxBytes: this.#options.cacheBytes,
      maxEntries: this.#options.cacheEntries,
      symmetric,
    });
    this.#inFlight = new InFlightTexts(symmetric);
    this.#room = new QueueRoom({ maxTexts: maxQueue, whenFull, queued: () => this.#queued });
    if (vectorCache !== undefined)
      this.#shared = new SharedVectors(vectorCache, clock, ({ vector }) =>
        vector === null ? true : vector.length === model.dimensions,
      );
    this.#caller = new ModelCaller(model, checker, {
      timeoutMs,
      retry: { maxRetries, ...backoff },
      clock,
      random,
      source: this,
      onRetryAfter: (delayMs) => this.#dispatcher.pause(delayMs),
    });
    this.#adaptive = this.#options.adaptive ? newAdaptive(this.#options) : undefined;
    this.#dispatcher = new BatchDispatcher(new BatchScheduler(this.#options), this.#caller, this.#adaptive, {
      clock,
      defer: this.#options.defer,
      onBatchEnd: (jobs, answer) => this.#onBatchEnd(jobs, answer),
    });
  }

  /**
   * The vector of one text, `Float32Array[dimensions]`, which the caller may change; null where the model knows
   * nothing.
   * @throws INVALID_ARGUMENT, EMBEDDING_FAILED, EMBEDDING_INVALID, EMBEDDING_TIMEOUT, EMBEDDING_RATE_LIMITED,
   *   QUEUE_FULL, BUDGET_EXCEEDED, CLOSED, or the signal's reason.
   */
  embedText(text: string, options: EmbedOptions = {}): Promise<Float32Array | null> {
    const { task = "document", signal, namespace } = options;
    if (typeof text === "string" && this.#closing === undefined && signal?.aborted !== true) {
      const entry = this.#memo.get(text, task);
      if (entry !== undefined) {
        this.#texts++;
        this.#memoHits++;
        return Promise.resolve(entry.vector === null ? null : entry.vector.slice());
      }
    }
    return this.embed([text], { task, signal, namespace }).then(({ vectors }) => vectors[0]!);
  }

  /**
   * Vectors of the texts, in order: views of one fresh slab, which the caller may change; null where the model knows
   * nothing. One text that fails rejects the call, with its place in `details.index`; the others are computed, and
   * cached, nevertheless.
   * @throws As {@link embedText}.
   */
  async embedBatch(texts: readonly string[], options: EmbedOptions = {}): Promise<(Float32Array | null)[]> {
    const { task = "document", signal, namespace } = options;
    const { vectors } = await this.embed(texts, { task, signal, namespace });
    return vectors as (Float32Array | null)[];
  }

  /** {@inheritDoc Embedder.embed} */
  embed(texts: readonly string[], call: EmbedCall): Promise<EmbeddingReply> {
    const facts = { count: texts?.length, model: this.model.id };
    return operationChannels.embed.trace(this, () => this.#embed(texts, call), facts);
  }

  async #embed(texts: readonly string[], call: EmbedCall): Promise<EmbeddingReply> {
    this.#check(texts, call);
    this.#texts += texts.length;
    if (this.#direct !== undefined) return this.#direct.embed(texts, call);
    const entries = this.#lookUp(texts, call.task);
    if (entries.includes(undefined)) {
      const work = this.#embedMissing(texts, call, entries);
      this.#calls.add(work);
      try {
        return replyOf(await work, this.#checker.dimensions);
      } finally {
        this.#calls.delete(work);
      }
    }
    return replyOf(entries as CachedVector[], this.#checker.dimensions);
  }

  /**
   * Kept from the reference; nothing waits for it, as the first text that is queued starts the work.
   * @throws CLOSED
   */
  startBackgroundProcessor(): void {
    if (this.#closing !== undefined) throw closedError();
    this.#started = true;
  }

  /**
   * Ends what is under way. With `drain` (the default) resolves when everybody who waits now is answered; without,
   * they are rejected with CLOSED at once and the model's work is aborted. The embedder stays usable.
   */
  async stopBackgroundProcessor(options: { readonly drain?: boolean | undefined } = {}): Promise<void> {
    this.#started = false;
    if (options.drain === false) this.#rejectAll();
    await Promise.allSettled([...this.#calls]);
    await this.#shared?.settled();
  }

  /**
   * Removes texts from both caches for good; what is on its way is answered, and kept nowhere.
   * @returns How many entries there were.
   */
  async forget(texts: readonly string[]): Promise<number> {
    let removed = 0;
    const keys: string[] = [];
    for (const text of new Set(texts)) {
      for (const task of ["query", "document"] as const) {
        const job = this.#inFlight.get(text, task);
        if (job !== undefined) job.keep = false;
        if (this.#shared !== undefined) keys.push(this.#keyOf(text, task));
      }
      if (this.#memo.delete(text)) removed++;
    }
    return removed + ((await this.#shared?.delete([...new Set(keys)])) ?? 0);
  }

  getStats(): BatchEmbedderStats {
    const direct = this.#direct?.totals;
    return embedderStats({
      model: this.model.id,
      texts: this.#texts,
      joins: this.#joins,
      memo: { hits: this.#memoHits, ...this.#memo.stats() },
      shared: this.#shared?.stats,
      totals: direct ?? this.#dispatcher.totals,
      calls: direct === undefined ? this.#caller.counts : { ...this.#caller.counts, calls: direct.batches },
      checker: this.#checker,
      queued: this.#queued,
      maxQueue: this.#options.maxQueue,
      room: this.#room,
      inFlight: this.#dispatcher.inFlight,
      running: this.#closing === undefined && (this.#started || this.#calls.size > 0),
      batching: this.#adaptive?.state ?? this.#options,
      cost: this.#cost,
    });
  }

  /** Answers everybody who waits, then closes the model and the cache it was given. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.stopBackgroundProcessor();
    // What nobody waits for any more may still be with the model.
    this.#rejectAll();
    await this.#shared?.close();
    await this.model.close?.();
  }

  get #queued(): number {
    return this.#dispatcher.queued + this.#toRead.size + this.#reading.size;
  }

  #check(texts: readonly string[], call: EmbedCall): void {
    if (this.#closing !== undefined) throw closedError();
    call.signal?.throwIfAborted();
    if (call.task !== "document" && call.task !== "query")
      throw new StrataError("INVALID_ARGUMENT", 'Expected the task "query" or "document".');
    if (!Array.isArray(texts))
      throw new StrataError("INVALID_ARGUMENT", `Expected an array of texts, got ${typeof texts}.`);
    for (let i = 0; i < texts.length; i++)
      if (typeof texts[i] !== "string")
        throw new StrataError("INVALID_ARGUMENT", `Expected texts, got ${typeof texts[i]} at index ${i}.`);
  }

  /** Fills the gaps of `entries` with what is in memory. */
  #lookUp(
    texts: readonly string[],
    task: EmbedCall["task"],
    entries: (CachedVector | undefined)[] = new Array(texts.length),
  ): (CachedVector | undefined)[] {
    for (let i = 0; i < texts.length; i++) {
      if (entries[i] !== undefined) continue;
      const entry = this.#memo.get(texts[i]!, task);
      if (entry !== undefined) this.#memoHits++;
      entries[i] = entry;
    }
    return entries;
  }

  /** Fills the gaps of `entries` by joining what is on its way and by queueing the rest. */
  async #embedMissing(
    texts: readonly string[],
    call: EmbedCall,
    entries: (CachedVector | undefined)[],
  ): Promise<readonly CachedVector[]> {
    const wanted = this.#newJobs(texts, call, entries).length;
    const room = wanted === 0 ? undefined : this.#room.enter(wanted, call.signal);
    if (room !== undefined) {
      await room;
      // Others may have brought some of the texts meanwhile.
      this.#lookUp(texts, call.task, entries);
    }
    try {
      call.signal?.throwIfAborted();
      const jobs = this.#newJobs(texts, call, entries);
      this.#cost.reserve(jobs);
      const pending = new PendingCall(entries, call.signal, (left, aborted) => this.#onLeave(left, aborted));
      for (const job of jobs) this.#inFlight.add(job);
      this.#joinAll(pending, texts, call, entries, jobs.length);
      this.#queue(jobs);
      return pending.promise;
    } finally {
      if (wanted > 0) this.#room.entered(wanted);
      this.#room.advance();
    }
  }

  /** Jobs for the texts that are neither known nor on their way, each once. */
  #newJobs(
    texts: readonly string[],
    { task, namespace }: EmbedCall,
    entries: readonly (CachedVector | undefined)[],
  ): EmbeddingJob[] {
    const jobs = new Map<string, EmbeddingJob>();
    const queuedAt = this.#options.clock.monotonic();
    for (let i = 0; i < texts.length; i++) {
      const text = texts[i]!;
      if (entries[i] !== undefined || jobs.has(text) || this.#inFlight.get(text, task) !== undefined)
        continue;
      const key = this.#shared === undefined ? "" : this.#keyOf(text, task);
      jobs.set(
        text,
        new EmbeddingJob(text, task, { tokens: this.#tokensOf(text), namespace, queuedAt, key }),
      );
    }
    return [...jobs.values()];
  }

  #joinAll(
    pending: PendingCall,
    texts: readonly string[],
    { task }: EmbedCall,
    entries: readonly (CachedVector | undefined)[],
    newJobs: number,
  ): void {
    let missing = 0;
    for (let i = 0; i < texts.length; i++) {
      if (entries[i] !== undefined) continue;
      missing++;
      pending.waitFor(this.#inFlight.get(texts[i]!, task)!, i);
    }
    this.#joins += missing - newJobs;
    if (missing === 0) pending.complete();
  }

  #queue(jobs: EmbeddingJob[]): void {
    if (jobs.length === 0) return;
    if (this.#shared === undefined) {
      this.#dispatcher.submit(jobs);
      return;
    }
    if (this.#toRead.size === 0) this.#options.defer(() => void this.#readShared());
    for (const job of jobs) this.#toRead.add(job);
  }

  /** Looks up what this turn brought in the shared cache, in one read; the rest goes to the model in the same turn. */
  async #readShared(): Promise<void> {
    const jobs = [...this.#toRead];
    this.#toRead.clear();
    for (const job of jobs) this.#reading.add(job);
    const found = await this.#shared!.read(jobs.map((job) => job.key));
    const missing: EmbeddingJob[] = [];
    for (const [i, job] of jobs.entries()) {
      // Gone when its callers left or were rejected meanwhile.
      if (!this.#reading.delete(job)) continue;
      const entry = found[i];
      if (entry === undefined) missing.push(job);
      else this.#settle(job, entry);
    }
    this.#dispatcher.submit(missing);
    this.#dispatcher.flush();
    this.#room.advance();
  }

  #onBatchEnd(jobs: readonly EmbeddingJob[], { outcomes, calls }: BatchAnswer): void {
    if (calls.length > 0) {
      let tokens: number | undefined = 0;
      for (const call of calls)
        tokens = tokens === undefined || call.tokens === undefined ? undefined : tokens + call.tokens;
      this.#cost.charge(jobs, calls.length, tokens);
    }
    const toKeep = [];
    for (const [i, job] of jobs.entries()) {
      const outcome = outcomes[i]!;
      if (outcome instanceof Error || !job.keep) continue;
      if (this.#shared !== undefined) toKeep.push({ key: job.key, ...outcome });
    }
    this.#shared?.write(toKeep);
    // Failures last: they reject calls, whose other texts should have their vectors by then.
    for (const failed of [false, true])
      for (const [i, job] of jobs.entries())
        if (outcomes[i] instanceof Error === failed) this.#settle(job, outcomes[i]!);
    this.#room.advance();
  }

  #settle(job: EmbeddingJob, outcome: CachedVector | StrataError): void {
    this.#inFlight.delete(job);
    this.#cost.release([job]);
    if (!(outcome instanceof Error) && job.keep) {
      // A view of a slab would keep all of the slab in memory.
      const { vector } = outcome;
      const own = vector === null || vector.byteLength === vector.buffer.byteLength ? vector : vector.slice();
      this.#memo.set(job.text, job.task, { ...outcome, vector: own });
    }
    job.settle(outcome);
  }

  /** A caller left: what nobody waits for any more need not be computed. */
  #onLeave(call: PendingCall, aborted: boolean): void {
    for (const job of call.jobs) {
      if (job.settled || !job.abandoned) continue;
      const left =
        this.#reading.delete(job) || this.#toRead.delete(job)
          ? [job]
          : this.#dispatcher.withdraw(job, aborted);
      for (const each of left) {
        this.#inFlight.delete(each);
        this.#cost.release([each]);
      }
    }
    this.#room.advance();
  }

  #rejectAll(): void {
    const reason = closedError();
    this.#room.rejectAll(reason);
    this.#toRead.clear();
    this.#reading.clear();
    this.#dispatcher.stop(reason);
    for (const job of this.#inFlight.all()) this.#settle(job, reason);
  }

  #keyOf(text: string, task: EmbedCall["task"]): string {
    const { id, dimensions, symmetric = false } = this.model;
    return vectorKey({ modelId: id, dimensions, symmetric }, task, text);
  }

  /** An estimate: counting would cost about as much as a cheap model's embedding. */
  #tokensOf(text: string): number {
    const estimate = Math.max(1, Math.ceil(text.length / charactersPerToken));
    return Math.min(estimate, this.model.maxTokens ?? estimate);
  }
}

function closedError(): StrataError {
  return new StrataError("CLOSED", "The embedder was stopped or closed before the text was embedded.");
}

function newAdaptive(options: ResolvedOptions): AdaptiveBatching {
  return new AdaptiveBatching({
    start: options,
    max: { batchSize: options.maxBatchSize, concurrency: options.maxConcurrency },
    latencyTargetMs: options.latencyTargetMs,
  });
}

/** A plain function's dimensions become known with its first vector. */
function withDimensionsOf(model: EmbeddingModel, checker: ReplyChecker): EmbeddingModel {
  return Object.defineProperty({ ...model }, "dimensions", {
    get: () => checker.dimensions,
    enumerable: true,
  });
}
