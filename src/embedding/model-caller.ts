import type { Clock } from "../contract/clock.ts";
import type { EmbeddingModel, EmbeddingReply, EmbeddingTask } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import { operationChannels } from "../contract/operations.ts";
import type { CachedVector } from "../contract/vector-cache.ts";
import { type RetryPolicy, readFailure, retryDelayMs } from "./call-failure.ts";
import type { ReplyChecker } from "./reply-check.ts";

/** What became of one text. */
export type TextOutcome = CachedVector | StrataError;

/** Figures of one call that was answered. */
export interface AnsweredCall {
  readonly texts: number;
  readonly durationMs: number;
  /** As the model counts them, when it says. */
  readonly tokens: number | undefined;
}

/** What became of a batch. */
export interface BatchAnswer {
  /** One for each text, in order. */
  readonly outcomes: readonly TextOutcome[];
  /** The calls that were answered, whatever the answer holds; several, when the batch was halved. */
  readonly calls: readonly AnsweredCall[];
}

/** A batch under way. */
interface Work {
  readonly task: EmbeddingTask;
  readonly signal: AbortSignal;
  readonly calls: AnsweredCall[];
  /** Failed calls in a row after which the model, not a text, is taken to be the cause. */
  readonly failuresAllowed: number;
  failuresLeft: number;
}

export interface ModelCallerOptions {
  /** For one call; the model's own work is aborted when it passes. */
  readonly timeoutMs: number;
  readonly retry: RetryPolicy;
  readonly clock: Clock;
  readonly random: () => number;
  /** Named in what is published of a call. */
  readonly source: object;
  /** The service asked everyone to stay away for so long. */
  onRetryAfter(delayMs: number): void;
}

export interface CallCounts {
  calls: number;
  failures: number;
  retries: number;
  timeouts: number;
  rateLimited: number;
  /** Batches cut in two to find a text that fails. */
  bisections: number;
}

/** Calls the model: with a deadline, again after a passing fault, and in halves around a text that fails. */
export class ModelCaller {
  readonly counts: CallCounts = {
    calls: 0,
    failures: 0,
    retries: 0,
    timeouts: 0,
    rateLimited: 0,
    bisections: 0,
  };
  readonly #model: EmbeddingModel;
  readonly #checker: ReplyChecker;
  readonly #options: ModelCallerOptions;

  constructor(model: EmbeddingModel, checker: ReplyChecker, options: ModelCallerOptions) {
    this.#model = model;
    this.#checker = checker;
    this.#options = options;
  }

  /** Rejects never; undefined when the signal fired. */
  async embed(
    texts: readonly string[],
    task: EmbeddingTask,
    signal: AbortSignal,
  ): Promise<BatchAnswer | undefined> {
    // Enough to find two bad texts that stand first.
    const allowed = 2 * Math.ceil(Math.log2(texts.length + 1)) + 2;
    const work: Work = { task, signal, calls: [], failuresAllowed: allowed, failuresLeft: allowed };
    try {
      return { outcomes: await this.#embedOrHalve(texts, work), calls: work.calls };
    } catch (error) {
      if (signal.aborted) return undefined;
      const { error: wrapped } = readFailure(error, this.#model.id, this.#options.clock.now());
      return { outcomes: texts.map(() => wrapped), calls: work.calls };
    }
  }

  async #embedOrHalve(texts: readonly string[], work: Work): Promise<TextOutcome[]> {
    try {
      const reply = await this.#callWithRetries(texts, work);
      work.failuresLeft = work.failuresAllowed;
      return this.#checker.checkEach(reply);
    } catch (error) {
      work.signal.throwIfAborted();
      const failure = readFailure(error, this.#model.id, this.#options.clock.now());
      if (texts.length === 1 || !failure.mayBeContent || work.failuresLeft-- <= 0)
        return texts.map(() => failure.error);
    }
    this.counts.bisections++;
    const middle = texts.length >> 1;
    const first = await this.#embedOrHalve(texts.slice(0, middle), work);
    return first.concat(await this.#embedOrHalve(texts.slice(middle), work));
  }

  async #callWithRetries(texts: readonly string[], work: Work): Promise<EmbeddingReply> {
    const { clock, retry, random, source, onRetryAfter } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        const facts = { count: texts.length, model: this.#model.id };
        return await operationChannels["model-call"].trace(source, () => this.#callOnce(texts, work), facts);
      } catch (error) {
        work.signal.throwIfAborted();
        this.counts.failures++;
        const failure = readFailure(error, this.#model.id, clock.now());
        if (failure.rateLimited) this.counts.rateLimited++;
        const delayMs = retryDelayMs(failure, attempt, retry, random);
        if (delayMs === undefined) throw error;
        if (failure.retryAfterMs !== undefined) onRetryAfter(failure.retryAfterMs);
        await sleep(delayMs, clock, work.signal);
        this.counts.retries++;
      }
    }
  }

  async #callOnce(texts: readonly string[], work: Work): Promise<EmbeddingReply> {
    const { clock, timeoutMs } = this.#options;
    const { task, signal } = work;
    // Between a pause and the call that follows it, it may have been called off.
    signal.throwIfAborted();
    const startedAt = clock.monotonic();
    this.counts.calls++;
    const deadline = new AbortController();
    const cancel = clock.schedule(() => {
      this.counts.timeouts++;
      deadline.abort(this.#timeout(texts.length));
    }, timeoutMs);
    const leave = (): void => deadline.abort(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    try {
      const call = { task, signal: deadline.signal };
      const reply = await settleOrAbort(() => this.#model.doEmbed(texts, call), deadline.signal);
      const durationMs = clock.monotonic() - startedAt;
      work.calls.push({ texts: texts.length, durationMs, tokens: reply?.tokens });
      this.#checker.checkLength(reply, texts.length);
      return reply;
    } finally {
      cancel();
      signal.removeEventListener("abort", leave);
    }
  }

  #timeout(texts: number): StrataError {
    const { timeoutMs } = this.#options;
    return new StrataError(
      "EMBEDDING_TIMEOUT",
      `Expected ${texts} vectors from the embedding model ${this.#model.id} within ${timeoutMs} ms, got none. ` +
        "Raise timeoutMs or lower batchSize.",
    );
  }
}

/** The work's own end, or the signal's, whichever comes first: a model that ignores its signal holds nobody. */
function settleOrAbort<T>(work: () => Promise<T> | T, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    Promise.try(work).then(resolve, reject);
  });
}

function sleep(delayMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      cancel();
      reject(signal.reason);
    };
    const cancel = clock.schedule(() => {
      signal.removeEventListener("abort", leave);
      resolve();
    }, delayMs);
    signal.addEventListener("abort", leave, { once: true });
  });
}
