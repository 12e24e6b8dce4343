import type { EmbeddingTask } from "../contract/embedding-model.ts";
import type { EmbeddingJob } from "./embedding-job.ts";

/** Node.js allows no longer timer; how often it fires matters to nobody. */
const keepAliveMs = 2 ** 31 - 1;

/** Texts on their way, so that nobody sends one a second time. While there are any, the process stays alive. */
export class InFlightTexts {
  readonly #jobs: Readonly<Record<EmbeddingTask, Map<string, EmbeddingJob>>>;
  #keepAlive: NodeJS.Timeout | undefined;

  /** @param symmetric A text on its way as query is joined as document, too. */
  constructor(symmetric: boolean) {
    const document = new Map<string, EmbeddingJob>();
    this.#jobs = { document, query: symmetric ? document : new Map() };
  }

  get(text: string, task: EmbeddingTask): EmbeddingJob | undefined {
    return this.#jobs[task].get(text);
  }

  add(job: EmbeddingJob): void {
    this.#jobs[job.task].set(job.text, job);
    // Deadlines and pauses before a retry hold no process; who awaits a vector must not see it end before them.
    this.#keepAlive ??= setInterval(() => undefined, keepAliveMs);
  }

  delete(job: EmbeddingJob): void {
    const jobs = this.#jobs[job.task];
    if (jobs.get(job.text) === job) jobs.delete(job.text);
    if (this.#jobs.document.size > 0 || this.#jobs.query.size > 0) return;
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
  }

  all(): Set<EmbeddingJob> {
    return new Set([...this.#jobs.query.values(), ...this.#jobs.document.values()]);
  }
}
