import { v7 as uuidv7 } from "uuid";
import type { Clock } from "../contract/clock.ts";
import { StrataError } from "../contract/errors.ts";
import type { MemoryStore } from "../contract/memory-store.ts";

/** A worker that is not heard from for so long is dead. */
const leaseMs = 10_000;
const renewMs = 2_500;
const retryMs = 250;

/** A duty that one worker has at a time: its lease is renewed until it is let go. */
export class DutyLease {
  readonly #store: MemoryStore;
  readonly #clock: Clock;
  readonly #name: string;
  readonly #holder: string = uuidv7();
  #cancel: (() => void) | undefined;
  #renewal: Promise<void> = Promise.resolve();
  #lost = false;

  constructor(store: MemoryStore, clock: Clock, name: string) {
    this.#store = store;
    this.#clock = clock;
    this.#name = name;
  }

  /**
   * Takes the lease; a dead worker's is waited for.
   * @param onWait Called before each time it is tried again.
   * @throws DATABASE_BUSY Another worker has it and is alive.
   */
  async take(signal: AbortSignal | undefined, onWait: () => void): Promise<void> {
    const until = this.#clock.monotonic() + leaseMs + retryMs;
    while (!(await this.#store.acquireLease(this.#name, this.#holder, leaseMs))) {
      if (this.#clock.monotonic() >= until) throw this.#taken();
      onWait();
      await pause(this.#clock, signal);
    }
    this.#schedule();
  }

  /** @throws DATABASE_BUSY It passed on to another worker, because this one was not heard from. */
  assertHeld(): void {
    if (this.#lost) throw this.#taken();
  }

  async release(): Promise<void> {
    this.#cancel?.();
    this.#cancel = undefined;
    await this.#renewal;
    await this.#store.releaseLease(this.#name, this.#holder);
  }

  #schedule(): void {
    this.#cancel = this.#clock.schedule(() => {
      this.#renewal = this.#store.acquireLease(this.#name, this.#holder, leaseMs).then(
        (held) => {
          this.#lost ||= !held;
        },
        // A file locked for a moment; the next renewal comes long before the lease runs out.
        () => {},
      );
      this.#schedule();
    }, renewMs);
  }

  #taken(): StrataError {
    return new StrataError(
      "DATABASE_BUSY",
      "Expected no other process at this work; one is, and alive. Wait until it has ended.",
      { details: { lease: this.#name } },
    );
  }
}

function pause(clock: Clock, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.schedule(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, retryMs);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
