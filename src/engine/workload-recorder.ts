import { createHmac, randomBytes } from "node:crypto";
import { appendFile } from "node:fs/promises";
import type { Clock } from "../contract/clock.ts";
import type { WorkloadStep } from "../contract/workload.ts";

const intervalMs = 1_000;
/** After so many bytes of a process nothing more is recorded. */
const maxBytes = 256 * 2 ** 20;
/** Namespaces whose state is remembered. */
const maxNamespaces = 10_000;

/**
 * Writes what a memory is asked and told to a file, a JSON object a line, for `strata tune --dry-run`. It holds hashes
 * under a key that nobody keeps, lengths and times: nobody can tell a text from it, unless texts were asked for.
 */
export class WorkloadRecorder {
  readonly #path: string;
  readonly #texts: boolean;
  readonly #clock: Clock;
  readonly #key = randomBytes(32);
  readonly #generations = new Map<string, string>();
  #lines: string[] = [];
  #bytes = 0;
  #cancel: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  /** @param texts Also write the texts of questions. */
  constructor(path: string, texts: boolean, clock: Clock) {
    this.#path = path;
    this.#texts = texts;
    this.#clock = clock;
    this.#schedule();
  }

  /**
   * @param key What the answer depends on, beside its namespace and that one's state.
   * @param made Of an answer that was computed: its bytes and milliseconds.
   */
  recall(
    namespace: string,
    generation: string,
    key: string,
    text: string,
    made: { readonly bytes: number; readonly ms: number } | undefined,
  ): void {
    const hashed = this.#hash(namespace);
    const known = this.#generations.get(namespace);
    if (known !== generation) {
      if (known !== undefined) this.#add({ op: "write", namespace: hashed });
      if (this.#generations.size >= maxNamespaces) this.#generations.clear();
      this.#generations.set(namespace, generation);
    }
    this.#add({
      op: "recall",
      namespace: hashed,
      key: this.#hash(key),
      question: this.#hash(text),
      length: text.length,
      ...made,
      ...(this.#texts && { text }),
    });
  }

  /** Texts that are stored. */
  embed(texts: readonly string[]): void {
    for (const text of texts) this.#add({ op: "embed", key: this.#hash(text), length: text.length });
  }

  /** Writes what waits. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#writing;
    await this.#write().catch(() => {});
  }

  #add(step: WorkloadStep): void {
    if (this.#closed || this.#bytes >= maxBytes) return;
    const line = `${JSON.stringify(step)}\n`;
    this.#bytes += line.length;
    this.#lines.push(line);
  }

  #hash(text: string): string {
    return createHmac("sha256", this.#key).update(text).digest("hex").slice(0, 16);
  }

  #schedule(): void {
    this.#cancel = this.#clock.schedule(() => {
      // A file that cannot be written costs the record, and nobody anything else.
      this.#writing = this.#write()
        .catch(() => {})
        .then(() => {
          if (!this.#closed) this.#schedule();
        });
    }, intervalMs);
  }

  async #write(): Promise<void> {
    const lines = this.#lines;
    if (lines.length === 0) return;
    this.#lines = [];
    await appendFile(this.#path, lines.join(""), { mode: 0o600 });
  }
}
