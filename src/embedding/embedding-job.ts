import type { EmbeddingTask } from "../contract/embedding-model.ts";
import type { StrataError } from "../contract/errors.ts";
import type { CachedVector } from "../contract/vector-cache.ts";
import type { QueueItem } from "./batch-scheduler.ts";
import type { TextOutcome } from "./model-caller.ts";

interface Waiter {
  readonly call: PendingCall;
  /** Place of the text in the call. */
  readonly index: number;
}

/** One text on its way through the model, with all who wait for it. */
export class EmbeddingJob implements QueueItem {
  readonly text: string;
  readonly task: EmbeddingTask;
  readonly tokens: number;
  readonly namespace: string | undefined;
  readonly queuedAt: number;
  /** In the shared cache; empty without one. */
  readonly key: string;
  /** False: the text was erased meanwhile, and its vector goes to who waits, into no cache. */
  keep = true;
  settled = false;
  #waiters: Waiter[] = [];

  constructor(
    text: string,
    task: EmbeddingTask,
    facts: { tokens: number; namespace: string | undefined; queuedAt: number; key: string },
  ) {
    this.text = text;
    this.task = task;
    this.tokens = facts.tokens;
    this.namespace = facts.namespace;
    this.queuedAt = facts.queuedAt;
    this.key = facts.key;
  }

  get abandoned(): boolean {
    return this.#waiters.length === 0;
  }

  join(call: PendingCall, index: number): void {
    this.#waiters.push({ call, index });
  }

  leave(call: PendingCall): void {
    this.#waiters = this.#waiters.filter((waiter) => waiter.call !== call);
  }

  settle(outcome: TextOutcome): void {
    this.settled = true;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { call, index } of waiters) call.deliver(index, outcome);
  }
}

/** One caller's texts, some answered, some on their way. */
export class PendingCall {
  /** Resolves with one entry for each text, in order. */
  readonly promise: Promise<readonly CachedVector[]>;
  readonly jobs: Set<EmbeddingJob> = new Set();
  readonly #entries: (CachedVector | undefined)[];
  readonly #signal: AbortSignal | undefined;
  readonly #onLeave: (call: PendingCall, aborted: boolean) => void;
  #resolve!: (entries: readonly CachedVector[]) => void;
  #reject!: (reason: unknown) => void;
  #missing = 0;

  /**
   * @param entries What is known already; the call waits for the rest.
   * @param onLeave Told when the call was rejected, so that what nobody waits for can be taken back.
   */
  constructor(
    entries: (CachedVector | undefined)[],
    signal: AbortSignal | undefined,
    onLeave: (call: PendingCall, aborted: boolean) => void,
  ) {
    this.#entries = entries;
    this.#signal = signal;
    this.#onLeave = onLeave;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    signal?.addEventListener("abort", this.#abort, { once: true });
  }

  waitFor(job: EmbeddingJob, index: number): void {
    this.#missing++;
    this.jobs.add(job);
    job.join(this, index);
  }

  deliver(index: number, outcome: TextOutcome): void {
    if (outcome instanceof Error) {
      this.#leave(atIndex(outcome, index), false);
      return;
    }
    this.#entries[index] = outcome;
    if (--this.#missing === 0) this.complete();
  }

  /** Nothing is missing any more: answers with what is there. */
  complete(): void {
    this.#stopListening();
    this.#resolve(this.#entries as CachedVector[]);
  }

  readonly #abort = (): void => this.#leave(this.#signal?.reason, true);

  #leave(reason: unknown, aborted: boolean): void {
    this.#stopListening();
    for (const job of this.jobs) job.leave(this);
    this.#reject(reason);
    this.#onLeave(this, aborted);
  }

  #stopListening(): void {
    this.#signal?.removeEventListener("abort", this.#abort);
  }
}

/** The error as this caller sees it: its own, with the place of the text among its texts. */
function atIndex(error: StrataError, index: number): StrataError {
  const Copy = error.constructor as typeof StrataError;
  return new Copy(error.code, error.message, { cause: error.cause, details: { ...error.details, index } });
}
