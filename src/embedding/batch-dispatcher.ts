import type { Clock } from "../contract/clock.ts";
import type { StrataError } from "../contract/errors.ts";
import type { AdaptiveBatching } from "./adaptive-batching.ts";
import type { BatchScheduler, Departure } from "./batch-scheduler.ts";
import type { EmbeddingJob } from "./embedding-job.ts";
import type { BatchAnswer, ModelCaller } from "./model-caller.ts";

export interface BatchDispatcherOptions {
  readonly clock: Clock;
  /** Calls back at the end of the current turn of the event loop. */
  readonly defer: (callback: () => void) => void;
  /** Told of every batch that was answered or failed, not of one that was stopped. */
  onBatchEnd(jobs: readonly EmbeddingJob[], answer: BatchAnswer): void;
}

interface RunningBatch {
  readonly jobs: readonly EmbeddingJob[];
  readonly abort: AbortController;
}

/** Performs what the scheduler decides: sends batches to the model and hands their answers to who waits. */
export class BatchDispatcher {
  readonly #scheduler: BatchScheduler<EmbeddingJob>;
  readonly #caller: ModelCaller;
  readonly #adaptive: AdaptiveBatching | undefined;
  readonly #options: BatchDispatcherOptions;
  readonly #running = new Map<EmbeddingJob, RunningBatch>();
  #wakePlanned = false;
  #cancelTimer: (() => void) | undefined;
  #batches = 0;
  #batchedTexts = 0;
  #busyMs = 0;

  constructor(
    scheduler: BatchScheduler<EmbeddingJob>,
    caller: ModelCaller,
    adaptive: AdaptiveBatching | undefined,
    options: BatchDispatcherOptions,
  ) {
    this.#scheduler = scheduler;
    this.#caller = caller;
    this.#adaptive = adaptive;
    this.#options = options;
  }

  get queued(): number {
    return this.#scheduler.queued;
  }

  /** Batches with the model now. */
  get inFlight(): number {
    return this.#scheduler.inFlight;
  }

  /** Batches that ended, their texts, and the time they took, summed. */
  get totals(): { batches: number; texts: number; busyMs: number } {
    return { batches: this.#batches, texts: this.#batchedTexts, busyMs: this.#busyMs };
  }

  /** Queues jobs; they leave at the end of the current turn at the earliest. */
  submit(jobs: readonly EmbeddingJob[]): void {
    for (const job of jobs) this.#scheduler.add(job);
    this.#wake();
  }

  /** Sends what can leave now. */
  flush(): void {
    const { clock } = this.#options;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    for (;;) {
      const next = this.#scheduler.take(clock.monotonic());
      if (next === undefined) return;
      if (typeof next === "number") {
        this.#cancelTimer = clock.schedule(() => this.flush(), next);
        return;
      }
      void this.#run(next);
    }
  }

  /**
   * A job nobody waits for leaves the queue; one with the model ends its batch when nobody waits for any text of it.
   * @param evenRunning False: what the model is working on is let finish, for the caches.
   * @returns The jobs that left.
   */
  withdraw(job: EmbeddingJob, evenRunning: boolean): readonly EmbeddingJob[] {
    if (this.#scheduler.remove(job)) return [job];
    const batch = this.#running.get(job);
    if (batch === undefined || !evenRunning || !batch.jobs.every((each) => each.abandoned)) return [];
    this.#forget(batch);
    batch.abort.abort();
    return batch.jobs;
  }

  /** Takes everything that waits out of the queue and stops everything with the model; returns all those jobs. */
  stop(reason: StrataError): EmbeddingJob[] {
    const jobs = this.#scheduler.removeAll();
    const batches = new Set(this.#running.values());
    for (const batch of batches) {
      jobs.push(...batch.jobs);
      this.#forget(batch);
      batch.abort.abort(reason);
    }
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    return jobs;
  }

  pause(delayMs: number): void {
    this.#scheduler.pauseUntil(this.#options.clock.monotonic() + delayMs);
  }

  #wake(): void {
    if (this.#wakePlanned) return;
    this.#wakePlanned = true;
    this.#options.defer(() => {
      this.#wakePlanned = false;
      this.flush();
    });
  }

  async #run(departure: Departure<EmbeddingJob>): Promise<void> {
    const { clock, onBatchEnd } = this.#options;
    const jobs = departure.items;
    const batch: RunningBatch = { jobs, abort: new AbortController() };
    for (const job of jobs) this.#running.set(job, batch);
    const departedAt = clock.monotonic();
    const texts = jobs.map((job) => job.text);
    const answer = await this.#caller.embed(texts, departure.task, batch.abort.signal);
    const answeredAt = clock.monotonic();
    this.#scheduler.finish();
    this.#forget(batch);
    const last = answer?.calls.at(-1);
    if (last !== undefined) {
      this.#scheduler.learn(last.durationMs);
      this.#batches++;
      this.#batchedTexts += jobs.length;
      this.#busyMs += answeredAt - departedAt;
      this.#adapt(departure, departedAt, answeredAt);
    }
    // Before the answers, which may keep the turn: the slot should not wait for them.
    this.flush();
    if (answer !== undefined) onBatchEnd(jobs, answer);
  }

  #adapt(departure: Departure<EmbeddingJob>, departedAt: number, answeredAt: number): void {
    if (this.#adaptive === undefined) return;
    const { items, saturated } = departure;
    let tokens = 0;
    for (const job of items) tokens += job.tokens;
    this.#adaptive.observe({ departedAt, answeredAt, texts: items.length, tokens, saturated });
    this.#scheduler.setLimits(this.#adaptive.limits);
  }

  #forget(batch: RunningBatch): void {
    for (const job of batch.jobs) if (this.#running.get(job) === batch) this.#running.delete(job);
  }
}
