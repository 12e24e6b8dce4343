import type { Clock } from "../contract/clock.ts";
import type { MemoryStore, Use } from "../contract/memory-store.ts";

/** A crash loses at most the uses of this long. */
const flushAfterMs = 1_000;
/** Uses waiting for the store; more are written at once. */
const maxWaiting = 10_000;
/** Namespaces remembered as used. */
const maxUsed = 10_000;

/** Gathers the uses of memories, so that reading never waits for a write. */
export class UseBuffer {
  readonly #store: MemoryStore;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Map<string, Use>>();
  readonly #used = new Set<string>();
  #count = 0;
  #cancel: (() => void) | undefined;
  #flushing: Promise<void> = Promise.resolve();
  #lastError: unknown;

  constructor(store: MemoryStore, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Counts one use of each memory, now. */
  add(namespace: string, ids: readonly string[]): void {
    const lastUsedAt = this.#clock.now();
    if (ids.length > 0 && this.#used.size < maxUsed) this.#used.add(namespace);
    const uses = this.#waiting.get(namespace) ?? new Map<string, Use>();
    this.#waiting.set(namespace, uses);
    for (const id of ids) {
      const before = uses.get(id);
      if (!before) this.#count += 1;
      uses.set(id, { id, count: (before?.count ?? 0) + 1, lastUsedAt });
    }
    if (this.#count > maxWaiting) void this.flush().catch(() => {});
    else this.#cancel ??= this.#clock.schedule(() => void this.flush().catch(() => {}), flushAfterMs);
  }

  /** Namespaces of which memories were used since this was last asked; of very many, some. */
  takeUsed(): string[] {
    const names = [...this.#used];
    this.#used.clear();
    return names;
  }

  /** Memories whose uses wait to be written. */
  get size(): number {
    return this.#count;
  }

  /** Why the last flush failed, if it did: uses are worth less than an answer, so a recall never throws for them. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** Writes what waits; resolves when it is written. */
  flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    const batch = [...this.#waiting];
    this.#waiting.clear();
    this.#count = 0;
    if (batch.length > 0) this.#flushing = this.#flushing.catch(() => {}).then(() => this.#write(batch));
    return this.#flushing;
  }

  async #write(batch: readonly (readonly [string, Map<string, Use>])[]): Promise<void> {
    try {
      for (const [namespace, uses] of batch) await this.#store.touch({ namespace }, [...uses.values()]);
      this.#lastError = undefined;
    } catch (error) {
      this.#lastError = error;
      throw error;
    }
  }
}
