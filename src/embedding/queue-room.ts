import { StrataError } from "../contract/errors.ts";

export interface QueueRoomOptions {
  /** Texts that may wait for the model; one call may pass it when nothing waits. */
  readonly maxTexts: number;
  readonly whenFull: "wait" | "reject";
  /** Texts that wait now. */
  readonly queued: () => number;
}

/** Callers that may stand in line; each holds its texts in memory. */
const maxInLine = 10_000;

interface InLine {
  readonly texts: number;
  readonly enter: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Back-pressure: callers whose texts find no room stand in line, first come first served, or are refused. */
export class QueueRoom {
  readonly #options: QueueRoomOptions;
  readonly #line = new Set<InLine>();
  /** Texts whose callers were let in and have not queued them yet. */
  #entering = 0;
  #refused = 0;

  constructor(options: QueueRoomOptions) {
    this.#options = options;
  }

  /** Callers in line. */
  get waiting(): number {
    return this.#line.size;
  }

  /** Callers turned away since the start. */
  get refused(): number {
    return this.#refused;
  }

  /**
   * Undefined when there is room now; otherwise resolves when there is, after which the caller queues its texts and
   * calls {@link entered}.
   * @throws QUEUE_FULL
   */
  enter(texts: number, signal: AbortSignal | undefined): Promise<void> | undefined {
    const { whenFull } = this.#options;
    if (this.#line.size === 0 && this.#fits(texts)) {
      this.#entering += texts;
      return undefined;
    }
    if (whenFull === "reject" || this.#line.size >= maxInLine) throw this.#full(texts);
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        signal?.removeEventListener("abort", leave);
        this.#line.delete(inLine);
      };
      const inLine: InLine = {
        texts,
        enter: () => {
          stop();
          this.#entering += texts;
          resolve();
        },
        reject: (reason) => {
          stop();
          reject(reason);
        },
      };
      const leave = (): void => {
        inLine.reject(signal?.reason);
        this.advance();
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#line.add(inLine);
    });
  }

  entered(texts: number): void {
    this.#entering -= texts;
  }

  /** The queue became shorter: lets in who fits, in order. */
  advance(): void {
    for (const inLine of this.#line) {
      if (!this.#fits(inLine.texts)) return;
      inLine.enter();
    }
  }

  rejectAll(reason: unknown): void {
    for (const inLine of [...this.#line]) inLine.reject(reason);
  }

  #fits(texts: number): boolean {
    const ahead = this.#options.queued() + this.#entering;
    return ahead === 0 || ahead + texts <= this.#options.maxTexts;
  }

  #full(texts: number): StrataError {
    this.#refused++;
    const queued = this.#options.queued();
    return new StrataError(
      "QUEUE_FULL",
      `Expected room for ${texts} more texts; ${queued} of at most ${this.#options.maxTexts} wait for the embedding ` +
        "model. Try again later, raise maxQueue, or set whenFull to wait.",
      { details: { texts, queued } },
    );
  }
}
