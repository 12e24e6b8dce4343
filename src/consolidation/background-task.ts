import { v7 as uuidv7 } from "uuid";
import type { Clock } from "../contract/clock.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import { operationChannels } from "../contract/operations.ts";
import type { Scope } from "../contract/scope.ts";
import type { ConsolidationReport } from "./consolidation-report.ts";
import { isPassDue, readPassState } from "./pass-state.ts";

/** A pass as the task runs it. */
export interface BackgroundPass {
  readonly namespace: string;
  readonly signal: AbortSignal;
  readonly maxActions: number;
  readonly maxExamined: number;
}

/** What the task needs. */
export interface BackgroundTaskSetup {
  /** Publishes the removal of what has expired. */
  readonly source: object;
  readonly store: MemoryStore;
  readonly clock: Clock;
  readonly random: () => number;
  readonly intervalMs: number;
  /** Writes uses that wait. */
  readonly prepare: (() => Promise<void>) | undefined;
  /** Runs a pass; absent: only what has expired is removed. */
  readonly consolidate: ((options: BackgroundPass) => Promise<ConsolidationReport>) | undefined;
  /** Namespaces used in this process since it was last asked. */
  readonly takeUsed: () => readonly string[];
  /** Whether there is something to do although nothing was written. */
  readonly isHookDue: (scope: Scope) => Promise<boolean>;
  /** Told when a round fails; the next may find the disk free and the file unlocked. */
  readonly onFailure: () => void;
}

/** Two duties, each under a lease of its own, so that of many processes one does it at a time. */
const cleanupLease = "cleanup";
const tendingLease = "consolidation";
const tendingLeaseMs = 60_000;
/** Share by which each wait is shorter or longer at random, so that processes do not meet. */
const jitter = 0.1;
/** Bounds of one round: namespaces asked whether they are due, passes run, and what each may do. */
const askedAtMost = 1_000;
const passesAtMost = 64;
const passBounds = { maxActions: 10_000, maxExamined: 1_000 };
/** Namespaces remembered as used here; of more, the round's own turn takes care. */
const usedAtMost = 10_000;

/**
 * Removes what has expired and runs passes over namespaces that are due, every so often. A namespace is due when it was
 * written to since its last pass, was used in this process, has something left to do, or its UTC day turned. Those
 * used here come first, then as many of all others as the bounds allow, each round going on where the last one
 * stopped, so that none waits for ever.
 */
export class BackgroundTask {
  readonly #setup: BackgroundTaskSetup;
  readonly #holder: string = uuidv7();
  readonly #stop = new AbortController();
  readonly #used = new Set<string>();
  #names: readonly string[] = [];
  #next = 0;
  #cancel: (() => void) | undefined;
  #idle: Promise<void> = Promise.resolve();

  constructor(setup: BackgroundTaskSetup) {
    this.#setup = setup;
  }

  /** @param atOnce The first round now, instead of after the first wait. */
  start(atOnce: boolean): void {
    if (atOnce) this.#begin();
    else this.#schedule();
  }

  /** No round begins any more, and one under way ends with its slice. */
  stop(): void {
    this.#stop.abort();
    this.#cancel?.();
  }

  /** Resolves when no round is under way. */
  get idle(): Promise<void> {
    return this.#idle;
  }

  #schedule(): void {
    const { clock, random, intervalMs } = this.#setup;
    const waitMs = Math.round(intervalMs * (1 + jitter * (2 * random() - 1)));
    this.#cancel = clock.schedule(() => this.#begin(), waitMs);
  }

  #begin(): void {
    this.#idle = this.#round()
      .catch(() => {
        if (!this.#stop.signal.aborted) this.#setup.onFailure();
      })
      .then(() => {
        if (!this.#stop.signal.aborted) this.#schedule();
      });
  }

  async #round(): Promise<void> {
    const { signal } = this.#stop;
    await this.#clean(signal);
    signal.throwIfAborted();
    const { store, consolidate } = this.#setup;
    if (!consolidate) return;
    if (!(await store.acquireLease(tendingLease, this.#holder, tendingLeaseMs))) return;
    try {
      await this.#tend(consolidate, signal);
    } finally {
      await store.releaseLease(tendingLease, this.#holder);
    }
  }

  async #clean(signal: AbortSignal): Promise<void> {
    const { store, intervalMs } = this.#setup;
    // Kept until it runs out, so that many processes clean up as often as one. A tenth shorter, for waits that are.
    if (!(await store.acquireLease(cleanupLease, this.#holder, Math.floor(intervalMs * (1 - jitter)))))
      return;
    // What was used lives longer: expiry counts from last use.
    await this.#setup.prepare?.();
    await operationChannels.cleanup.trace(this.#setup.source, () =>
      store.cleanup({ dryRun: false }, { signal }),
    );
  }

  async #tend(
    consolidate: (options: BackgroundPass) => Promise<ConsolidationReport>,
    signal: AbortSignal,
  ): Promise<void> {
    const { store, clock } = this.#setup;
    let renewedAt = clock.monotonic();
    let passes = 0;
    for await (const namespace of this.#turns()) {
      signal.throwIfAborted();
      if (clock.monotonic() - renewedAt > tendingLeaseMs / 4) {
        renewedAt = clock.monotonic();
        if (!(await store.acquireLease(tendingLease, this.#holder, tendingLeaseMs))) return;
      }
      const wasUsed = this.#used.delete(namespace);
      const scope = { namespace };
      const state = wasUsed ? undefined : await readPassState(store, scope);
      const isDue = await isPassDue(store, scope, state, clock.now());
      if (!isDue && !(await this.#setup.isHookDue(scope))) continue;
      await consolidate({ namespace, signal, ...passBounds });
      passes += 1;
      if (passes === passesAtMost) return;
    }
  }

  /** Half of the passes for namespaces used here, the rest for all others in turn. */
  async *#turns(): AsyncGenerator<string> {
    for (const name of this.#setup.takeUsed()) if (this.#used.size < usedAtMost) this.#used.add(name);
    yield* [...this.#used].slice(0, passesAtMost / 2);
    let asked = 0;
    if (this.#next >= this.#names.length) {
      this.#names = await this.#setup.store.namespaces();
      this.#next = 0;
    }
    while (this.#next < this.#names.length && asked < askedAtMost) {
      asked += 1;
      yield this.#names[this.#next++]!;
    }
  }
}
