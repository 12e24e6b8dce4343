/** Work that several callers wait for together. */
export class Flight<T> {
  readonly #controller = new AbortController();
  readonly #outcome = Promise.withResolvers<T>();
  readonly #onAbandoned: () => void;
  #waiting = 0;
  #ended = false;

  /**
   * @param start Begins the work at once; its signal is aborted when the last caller has left.
   * @param onAbandoned Told then, too: a listener on the signal would cost each flight half a microsecond.
   */
  constructor(start: (signal: AbortSignal) => Promise<T>, onAbandoned: () => void) {
    this.#onAbandoned = onAbandoned;
    start(this.#controller.signal).then(
      (value) => {
        this.#ended = true;
        this.#outcome.resolve(value);
      },
      (error: unknown) => {
        this.#ended = true;
        this.#outcome.reject(error);
      },
    );
    // A failure that no caller is left to see is nobody's unhandled rejection.
    this.#outcome.promise.catch(() => {});
  }

  /** The last caller has left: nobody can join any more. */
  get abandoned(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Settles as the work does, or rejects with the reason of `signal` when that is aborted first. */
  join(signal: AbortSignal | undefined): Promise<T> {
    this.#waiting += 1;
    if (!signal) return this.#outcome.promise;
    return new Promise<T>((resolve, reject) => {
      const onAbort = (): void => {
        this.#leave(signal.reason);
        reject(signal.reason);
      };
      // A synchronous start may have aborted the caller's own signal.
      if (signal.aborted) return onAbort();
      signal.addEventListener("abort", onAbort, { once: true });
      const done = (): void => signal.removeEventListener("abort", onAbort);
      this.#outcome.promise.then(resolve, reject).then(done);
    });
  }

  /** Aborts the work and rejects everyone who waits for it, with the reason; nothing when it has ended. */
  abort(reason: unknown): void {
    if (this.#ended) return;
    this.#outcome.reject(reason);
    this.#controller.abort(reason);
    this.#onAbandoned();
  }

  #leave(reason: unknown): void {
    this.#waiting -= 1;
    if (this.#waiting === 0) this.abort(reason);
  }
}
