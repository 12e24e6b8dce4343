import type { MemoryConsolidator } from "../consolidation/memory-consolidator.ts";
import { isPassDue, readPassState, writePassState } from "../consolidation/pass-state.ts";
import { utcDay } from "../contract/relevance.ts";
import type { Parts } from "./parts.ts";

/** How a memory is tended by itself. */
export interface TendingOptions {
  /** Above 0. */
  readonly intervalMs: number;
  /** Move memories between tiers; else only remove what has expired. */
  readonly consolidates: boolean;
  /** The namespace calls work on that name none. */
  readonly namespace: string;
}

/** Namespaces that are looked at when a memory is closed, and what a pass does then at most. */
const closingNamespaces = 4;
const closingBounds = { maxActions: 256, maxExamined: 256, similar: false, hooks: false };

/**
 * Has the consolidator tend the memory every so often while it is open, and a little when it is closed, so that the
 * memory of a program that never stays open lives too. Its code is loaded when there is something to do.
 */
export class Tending {
  readonly #parts: Parts;
  readonly #options: TendingOptions;
  #cancel: (() => void) | undefined;
  #started: Promise<MemoryConsolidator> | undefined;
  #closed = false;

  constructor(parts: Parts, options: TendingOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#cancel = parts.clock.schedule(() => {
      this.#started = this.#start();
      this.#started.catch(() => {});
    }, options.intervalMs);
  }

  /** Waits for what is under way; no other begins. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await (await this.#started?.catch(() => undefined))?.close();
    // What could not be done now is due as much for whoever comes next; a read-only file stays as it is.
    if (this.#options.consolidates) await this.#tendBeforeLeaving().catch(() => {});
  }

  async #start(): Promise<MemoryConsolidator> {
    const consolidator = await this.#parts.consolidator();
    const { intervalMs, consolidates } = this.#options;
    if (!this.#closed) {
      consolidator.startBackgroundTask(intervalMs, { atOnce: true, cleanupOnly: !consolidates });
    }
    return consolidator;
  }

  async #tendBeforeLeaving(): Promise<void> {
    const { uses, store, clock } = this.#parts;
    const used = uses.takeUsed();
    for (const namespace of new Set([this.#options.namespace, ...used.slice(0, closingNamespaces)])) {
      const scope = { namespace };
      const state = await readPassState(store, scope);
      const now = clock.now();
      if (state === undefined) {
        // The first look at a namespace only begins the wait, so that the first command of all is as quick as any.
        const isEmpty = (await store.generation(scope)) === "0";
        if (!isEmpty)
          await writePassState(store, scope, { at: now, day: utcDay(now) - 1, generation: "", more: false });
        continue;
      }
      if (now - state.at < this.#options.intervalMs) continue;
      if (!used.includes(namespace) && !(await isPassDue(store, scope, state, now))) continue;
      const consolidator = await this.#parts.consolidator();
      await consolidator.runConsolidation({ namespace, ...closingBounds });
    }
  }
}
