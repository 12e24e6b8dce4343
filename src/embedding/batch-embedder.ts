import type { EmbedCall, Embedder, EmbeddingModel, EmbeddingReply } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import type { GhostDepths } from "../contract/ghost-stack.ts";
import { operationChannels } from "../contract/operations.ts";
import { type BatchEmbedderOptions, type ResolvedOptions, resolveOptions } from "./batch-embedder-options.ts";
import { type BatchEmbedderStats, embedderStats } from "./batch-embedder-stats.ts";
import { CostMeter } from "./cost-meter.ts";
import { DirectEmbedding } from "./direct-embedding.ts";
import { type EmbeddingFunction, modelOf } from "./model-source.ts";
import { QueuedEmbedding } from "./queued-embedding.ts";
import { ReplyChecker } from "./reply-check.ts";

/** How a text is embedded. */
export interface EmbedOptions {
  /** Default "document". */
  readonly task?: EmbedCall["task"] | undefined;
  /** Detaches this caller alone; the model's work is aborted when the last one who waits for it leaves. */
  readonly signal?: AbortSignal | undefined;
  /** Whose text it is, for the account of cost only. */
  readonly namespace?: string | undefined;
}

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
  /** Absent for a model that is not cheap. */
  readonly #direct: DirectEmbedding | undefined;
  readonly #queue: QueuedEmbedding;
  #texts = 0;
  #started = false;
  #closing: Promise<void> | undefined;

  /**
   * @param source A model, or a function that gives one vector for each text, in order.
   * @throws INVALID_ARGUMENT, UNKNOWN_OPTION
   */
  constructor(source: EmbeddingModel | EmbeddingFunction, options: BatchEmbedderOptions = {}) {
    const model = modelOf(source, options);
    this.#options = resolveOptions(options, model);
    const { clock, vectorCache } = this.#options;
    if (vectorCache !== undefined && (model.dimensions === 0 || model.id === "function"))
      throw new StrataError(
        "INVALID_ARGUMENT",
        "Expected an id and dimensions for the function whose vectors are to be kept, got none: without them they " +
          "could be taken for another model's.",
      );
    const checker = new ReplyChecker(model.id, model.dimensions);
    this.model = typeof source === "function" ? withDimensionsOf(model, checker) : model;
    this.#checker = checker;
    this.#cost = new CostMeter(this.#options);
    this.#direct = model.cheap === true ? new DirectEmbedding(model, checker, this.#cost, clock) : undefined;
    this.#queue = new QueuedEmbedding(model, checker, this.#cost, this.#options, this);
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
      const entry = this.#queue.cached(text, task);
      if (entry !== undefined) {
        this.#texts++;
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
    return (this.#direct ?? this.#queue).embed(texts, call);
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
    if (options.drain === false) this.#queue.rejectAll(closedError());
    await this.#queue.drain();
  }

  /**
   * Removes texts from both caches for good; what is on its way is answered, and kept nowhere.
   * @returns How many entries there were.
   */
  forget(texts: readonly string[]): Promise<number> {
    return this.#queue.forget(texts);
  }

  /**
   * Keeps vectors in memory to another bound on bytes from now on; what is too much leaves at once. Without effect
   * where none are kept.
   * @throws INVALID_ARGUMENT
   */
  resizeCache(maxBytes: number): void {
    if (!(maxBytes >= 1))
      throw new StrataError("INVALID_ARGUMENT", `Expected maxBytes to be at least 1, got ${maxBytes}.`);
    this.#queue.memo.resize(maxBytes);
  }

  /** From now on {@link takeDepths} tells which sizes of the cache in memory of up to so many bytes would have answered. */
  watchDepths(maxBytes: number): void {
    this.#queue.memo.watchDepths(maxBytes);
  }

  /** Look-ups since the last call, by the size of a cache that would have answered; undefined while nobody watches. */
  takeDepths(): GhostDepths | undefined {
    return this.#queue.memo.takeDepths();
  }

  getStats(): BatchEmbedderStats {
    const queue = this.#queue.stats;
    const direct = this.#direct?.totals;
    return embedderStats({
      ...queue,
      ...(direct === undefined ? {} : { totals: direct, calls: { ...queue.calls, calls: direct.batches } }),
      model: this.model.id,
      texts: this.#texts,
      checker: this.#checker,
      maxQueue: this.#options.maxQueue,
      running: this.#closing === undefined && (this.#started || this.#queue.busy),
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
    this.#started = false;
    await this.#queue.close(closedError());
    await this.model.close?.();
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
}

function closedError(): StrataError {
  return new StrataError("CLOSED", "The embedder was stopped or closed before the text was embedded.");
}

/** A plain function's dimensions become known with its first vector. */
function withDimensionsOf(model: EmbeddingModel, checker: ReplyChecker): EmbeddingModel {
  return Object.defineProperty({ ...model }, "dimensions", {
    get: () => checker.dimensions,
    enumerable: true,
  });
}
