import { v7 as uuidv7 } from "uuid";
import { operationChannels } from "../contract/operations.ts";
import type { Parts } from "./parts.ts";

const leaseName = "cleanup";

/** Removes what has expired every so often, in one process at a time. */
export class BackgroundCleanup {
  readonly #parts: Parts;
  readonly #intervalMs: number;
  readonly #holder: string = uuidv7();
  readonly #stop: AbortController = new AbortController();
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;

  /** @param intervalMs Above 0. */
  constructor(parts: Parts, intervalMs: number) {
    this.#parts = parts;
    this.#intervalMs = intervalMs;
    this.#schedule();
  }

  /** Waits for a cleanup under way; no other begins. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#cancel?.();
    await this.#running;
  }

  #schedule(): void {
    this.#cancel = this.#parts.clock.schedule(() => {
      // A failure is published with its code; the next time may find the disk free and the file unlocked.
      this.#running = operationChannels.cleanup
        .trace(this.#parts, () => this.#clean())
        .catch(() => {})
        .then(() => {
          if (!this.#stop.signal.aborted) this.#schedule();
        });
    }, this.#intervalMs);
  }

  async #clean(): Promise<void> {
    const { store, uses } = this.#parts;
    // Kept until it runs out, so that many processes clean up as often as one.
    if (!(await store.acquireLease(leaseName, this.#holder, this.#intervalMs))) return;
    // What was used lives longer: expiry counts from last use.
    await uses.flush();
    await store.cleanup({ dryRun: false }, { signal: this.#stop.signal });
  }
}
