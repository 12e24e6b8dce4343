/** Work that several callers wait for together. */
export class Flight<T> {
  readonly #controller = new AbortController();
  readonly #outcome = Promise.withResolvers<T>();
  #waiting = 0;
  #invalidated = false;

  /** @param start Begins the work at once; its signal is aborted when the last caller has left. */
  constructor(start: (signal: AbortSignal) => Promise<T> | T) {
    const work = (async () => start(this.#controller.signal))();
    work.then(this.#outcome.resolve, this.#outcome.reject);
    // A failure that no caller is left to see is nobody's unhandled rejection.
    this.#outcome.promise.catch(() => {});
  }

  /** What it works on changed meanwhile: its callers get the result, but nobody may keep it. */
  get invalidated(): boolean {
    return this.#invalidated;
  }

  invalidate(): void {
    this.#invalidated = true;
  }

  /** The last caller has left: nobody can join any more. */
  get abandoned(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Settles as the work does, or rejects with the reason of `signal` when that is aborted first. */
  join(signal: AbortSignal | undefined): Promise<T> {
    this.#waiting += 1;
    if (!signal) return this.#outcome.promise;
    if (signal.aborted) {
      this.#leave(signal.reason);
      return Promise.reject(signal.reason);
    }
    return new Promise<T>((resolve, reject) => {
      const onAbort = (): void => {
        this.#leave(signal.reason);
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#outcome.promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    });
  }

  /** Aborts the work and rejects everyone who waits for it, with the reason; nothing when it has ended. */
  abort(reason: unknown): void {
    this.#outcome.reject(reason);
    this.#controller.abort(reason);
  }

  #leave(reason: unknown): void {
    this.#waiting -= 1;
    if (this.#waiting === 0) this.abort(reason);
  }
}
