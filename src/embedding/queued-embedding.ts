import type { EmbedCall, EmbeddingModel, EmbeddingReply } from "../contract/embedding-model.ts";
import type { StrataError } from "../contract/errors.ts";
import type { CachedVector } from "../contract/vector-cache.ts";
import { AdaptiveBatching } from "./adaptive-batching.ts";
import { BatchDispatcher } from "./batch-dispatcher.ts";
import type { ResolvedOptions } from "./batch-embedder-options.ts";
import type { StatsSources } from "./batch-embedder-stats.ts";
import { BatchScheduler } from "./batch-scheduler.ts";
import type { CostMeter } from "./cost-meter.ts";
import { EmbeddingJob, PendingCall } from "./embedding-job.ts";
import { InFlightTexts } from "./in-flight-texts.ts";
import { type BatchAnswer, ModelCaller } from "./model-caller.ts";
import { QueueRoom } from "./queue-room.ts";
import type { ReplyChecker } from "./reply-check.ts";
import { SharedVectors } from "./shared-vectors.ts";
import { vectorKey } from "./vector-key.ts";
import { VectorMemo } from "./vector-memo.ts";
import { replyOf } from "./vector-slab.ts";

const backoff = { firstDelayMs: 200, maxDelayMs: 10_000, maxRetryAfterMs: 60_000 };

const charactersPerToken = 4;

/**
 * The way of texts to a model that is worth sparing: the cache in memory, the same text on its way, the shared cache,
 * and the queue, in this order.
 */
export class QueuedEmbedding {
  readonly #model: EmbeddingModel;
  readonly #options: ResolvedOptions;
  readonly #checker: ReplyChecker;
  readonly #cost: CostMeter;
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
  #memoHits = 0;
  #joins = 0;

  /** @param source The embedder, for whom calls of the model are traced. */
  constructor(
    model: EmbeddingModel,
    checker: ReplyChecker,
    cost: CostMeter,
    options: ResolvedOptions,
    source: object,
  ) {
    this.#model = model;
    this.#checker = checker;
    this.#cost = cost;
    this.#options = options;
    const { clock, random, defer, timeoutMs, maxRetries, maxQueue, whenFull, vectorCache } = options;
    const symmetric = model.symmetric === true;
    this.#memo = new VectorMemo({
      maxBytes: options.cacheBytes,
      maxEntries: options.cacheEntries,
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
      source,
      onRetryAfter: (delayMs) => this.#dispatcher.pause(delayMs),
    });
    this.#adaptive = options.adaptive ? newAdaptive(options) : undefined;
    this.#dispatcher = new BatchDispatcher(new BatchScheduler(options), this.#caller, this.#adaptive, {
      clock,
      defer,
      onBatchEnd: (jobs, answer) => this.#onBatchEnd(jobs, answer),
    });
  }

  /** Callers wait. */
  get busy(): boolean {
    return this.#calls.size > 0;
  }

  /** What the cache in memory holds of a text, counted as a hit. It is the cache's own and must not be changed. */
  cached(text: string, task: EmbedCall["task"]): CachedVector | undefined {
    const entry = this.#memo.get(text, task);
    if (entry !== undefined) this.#memoHits++;
    return entry;
  }

  async embed(texts: readonly string[], call: EmbedCall): Promise<EmbeddingReply> {
    const entries: (CachedVector | undefined)[] = new Array(texts.length);
    this.#lookUp(texts, call.task, entries);
    if (!entries.includes(undefined)) return replyOf(entries as CachedVector[], this.#checker.dimensions);
    const work = this.#embedMissing(texts, call, entries);
    this.#calls.add(work);
    try {
      return replyOf(await work, this.#checker.dimensions);
    } finally {
      this.#calls.delete(work);
    }
  }

  /** Resolves when everybody who waits now is answered and what they brought is written. */
  async drain(): Promise<void> {
    await Promise.allSettled([...this.#calls]);
    await this.#shared?.settled();
  }

  /** Rejects everybody who waits and aborts the model's work. */
  rejectAll(reason: StrataError): void {
    this.#room.rejectAll(reason);
    this.#toRead.clear();
    this.#reading.clear();
    this.#dispatcher.stop(reason);
    for (const job of this.#inFlight.all()) this.#settle(job, reason);
  }

  /** Removes texts from both caches for good. @returns How many entries there were. */
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

  /** The cache in memory. */
  get memo(): VectorMemo {
    return this.#memo;
  }

  /** Answers everybody, and closes the shared cache. */
  async close(reason: StrataError): Promise<void> {
    await this.drain();
    // What nobody waits for any more may still be with the model.
    this.rejectAll(reason);
    await this.#shared?.close();
  }

  get stats(): Pick<
    StatsSources,
    "joins" | "memo" | "shared" | "totals" | "calls" | "queued" | "room" | "inFlight" | "batching"
  > {
    return {
      joins: this.#joins,
      memo: { hits: this.#memoHits, ...this.#memo.stats() },
      shared: this.#shared?.stats,
      totals: this.#dispatcher.totals,
      calls: this.#caller.counts,
      queued: this.#queued,
      room: this.#room,
      inFlight: this.#dispatcher.inFlight,
      batching: this.#adaptive?.state ?? this.#options,
    };
  }

  get #queued(): number {
    return this.#dispatcher.queued + this.#toRead.size + this.#reading.size;
  }

  /** Fills the gaps of `entries` with what is in memory. */
  #lookUp(texts: readonly string[], task: EmbedCall["task"], entries: (CachedVector | undefined)[]): void {
    for (let i = 0; i < texts.length; i++) entries[i] ??= this.cached(texts[i]!, task);
  }

  /** Fills the gaps of `entries` by joining what is on its way and by queueing the rest. */
  async #embedMissing(
    texts: readonly string[],
    call: EmbedCall,
    entries: (CachedVector | undefined)[],
  ): Promise<readonly CachedVector[]> {
    let jobs = this.#newJobs(texts, call, entries);
    const wanted = jobs.length;
    const room = wanted === 0 ? undefined : this.#room.enter(wanted, call.signal);
    if (room !== undefined) {
      await room;
      // Others may have brought some of the texts meanwhile.
      this.#lookUp(texts, call.task, entries);
      jobs = this.#newJobs(texts, call, entries);
    }
    try {
      call.signal?.throwIfAborted();
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

  #keyOf(text: string, task: EmbedCall["task"]): string {
    const { id, dimensions, symmetric = false } = this.#model;
    return vectorKey({ modelId: id, dimensions, symmetric }, task, text);
  }

  /** An estimate: counting would cost about as much as a cheap model's embedding. */
  #tokensOf(text: string): number {
    const estimate = Math.max(1, Math.ceil(text.length / charactersPerToken));
    return Math.min(estimate, this.#model.maxTokens ?? estimate);
  }
}

function newAdaptive(options: ResolvedOptions): AdaptiveBatching {
  return new AdaptiveBatching({
    start: options,
    max: { batchSize: options.maxBatchSize, concurrency: options.maxConcurrency },
    latencyTargetMs: options.latencyTargetMs,
  });
}
