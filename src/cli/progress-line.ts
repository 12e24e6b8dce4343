import type { Sink } from "./io.ts";
import { truncate } from "./terminal-text.ts";

/** Fewest milliseconds between two drawings. */
const frameMs = 80;

/** One line of a terminal that is drawn over and over, and removed at the end; without a sink, nothing. */
export class ProgressLine {
  readonly #sink: Sink | undefined;
  readonly #now: () => number;
  #drawnAt = Number.NEGATIVE_INFINITY;
  #drawn = false;

  constructor(sink: Sink | undefined, now: () => number = () => performance.now()) {
    this.#sink = sink;
    this.#now = now;
  }

  /** Draws the text, unless it was drawn a moment ago. */
  show(text: () => string): void {
    if (!this.#sink || this.#now() - this.#drawnAt < frameMs) return;
    this.#drawnAt = this.#now();
    this.#drawn = true;
    this.#sink.write(`\r\u001b[K${truncate(text(), (this.#sink.columns ?? 80) - 1)}`);
  }

  clear(): void {
    if (this.#drawn) this.#sink?.write("\r\u001b[K");
    this.#drawn = false;
    this.#drawnAt = Number.NEGATIVE_INFINITY;
  }
}
