import type { Work } from "./sealed-postings.ts";

/** Milliseconds of work before others run. */
const sliceMs = 4;

/** Steps through work beside others. */
export class SlicedWork {
  readonly #work: Work;
  /** True when a step must not be made now. */
  readonly #pauses: () => boolean;
  #done = false;
  #waiting: Promise<void> | undefined;
  #failure: { readonly reason: unknown } | undefined;
  #hadItsTurn = true;

  constructor(work: Work, pauses: () => boolean) {
    this.#work = work;
    this.#pauses = pauses;
  }

  /** Does a little of it at once, unless it had its turn since the last time. */
  hasten(): void {
    // A failure is told to who runs it.
    if (!this.#hadItsTurn && !this.#failure) this.#step();
    this.#hadItsTurn = false;
  }

  /** Goes on to the end, or until it is to be given up. */
  async run(givenUp: () => boolean): Promise<void> {
    try {
      while (!this.#done && !givenUp()) {
        await (this.#waiting ?? new Promise((resolve) => setImmediate(resolve)));
        this.#hadItsTurn = true;
        const until = performance.now() + sliceMs;
        while (!this.#done && !this.#waiting && !givenUp() && performance.now() < until) {
          if (this.#pauses()) break;
          this.#step();
        }
      }
    } finally {
      this.#done = true;
      this.#work.return();
    }
  }

  #step(): void {
    if (this.#done || this.#waiting || this.#pauses()) return;
    const failure = this.#failure;
    this.#failure = undefined;
    const { done, value } = failure ? this.#work.throw(failure.reason) : this.#work.next();
    this.#done = done === true;
    if (done || !value) return;
    this.#waiting = value.then(
      () => {
        this.#waiting = undefined;
      },
      (reason: unknown) => {
        this.#waiting = undefined;
        this.#failure = { reason };
      },
    );
  }
}
