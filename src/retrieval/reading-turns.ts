import type { NamespaceIndex } from "./namespace-index.ts";

/** Lets questions read what they need of one namespace's postings in files, one question after the other. */
export class ReadingTurns {
  #last: Promise<void> = Promise.resolve();
  #lent = false;

  /** True while a question has what it needs: nothing may be renumbered or merged. */
  get lent(): boolean {
    return this.#lent;
  }

  /**
   * Reads what a question asks for; it stays at hand until others run.
   * @param ask Asks the index for all of it, and has no other effect.
   * @param onEnd Called when it is given back.
   * @returns False when the index was dropped meanwhile.
   * @throws What the files throw.
   */
  async read(
    index: NamespaceIndex,
    signal: AbortSignal | undefined,
    ask: (index: NamespaceIndex) => void,
    onEnd: () => void,
  ): Promise<boolean> {
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    const before = this.#last;
    this.#last = ended;
    await before;
    try {
      while (!index.released) {
        signal?.throwIfAborted();
        const disk = index.postings.onDisk;
        disk?.begin();
        ask(index);
        if (!disk?.lacking) {
          disk?.settle();
          this.#lent = true;
          return true;
        }
        await disk.fetch();
      }
      return false;
    } finally {
      setImmediate(() => {
        this.#lent = false;
        index.postings.onDisk?.giveBack();
        onEnd();
        resolve();
      });
    }
  }
}
