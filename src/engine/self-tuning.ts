import type { QueryOptimizer } from "../caching/query-optimizer.ts";
import type { TuningDecision } from "../contract/tuning.ts";
import type { CacheTuner, CacheTunerState, CacheWindow } from "../tuning/cache-tuner.ts";
import type { SearchMove, SearchTuner, SearchTunerState } from "../tuning/search-tuner.ts";
import type { OwnEmbedder } from "./model-parts.ts";
import type { Parts } from "./parts.ts";

/** What a memory tunes of itself, and where that stands. */
export interface TuningReport {
  readonly enabled: boolean;
  /** How the bytes of both caches are divided; absent while there is nothing to divide. */
  readonly caches?: CacheTunerState & { readonly totalBytes: number };
  /** How wide recalls search; absent unless `tuning.search` is set. */
  readonly search?: SearchTunerState;
  /** The objective of adaptive batching: p95 of a batch's time that is not to be passed. */
  readonly latencyTargetMs: number;
  /** Decisions of this process. */
  readonly decisions: number;
}

export interface SelfTuningOptions {
  readonly enabled: boolean;
  readonly queryBytes: number;
  readonly embeddingBytes: number;
  readonly latencyTargetMs: number;
}

/** Milliseconds between two looks at the figures. */
const intervalMs = 5_000;
/** Look-ups in both caches that make a window. */
const windowLookups = 500;
/** Decisions that wait for a store that cannot be written now. */
const maxWaiting = 100;

/** Figures that only grow. */
interface Figures {
  readonly lookups: number;
  readonly queryMisses: number;
  readonly queryMs: number;
  readonly embeddingMisses: number;
  readonly embeddingMs: number;
}

/** Watches the figures of one memory and does what the tuners decide, every decision in the journal. */
export class SelfTuning {
  readonly #parts: Parts;
  readonly #queries: QueryOptimizer;
  readonly #options: SelfTuningOptions;
  readonly #waiting: TuningDecision[] = [];
  #caches: { readonly tuner: CacheTuner; readonly embedder: OwnEmbedder; before: Figures } | undefined;
  #search: SearchTuner | undefined;
  #decisions = 0;
  #cancel: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(parts: Parts, queries: QueryOptimizer, options: SelfTuningOptions) {
    this.#parts = parts;
    this.#queries = queries;
    this.#options = options;
    if (options.enabled) this.#schedule();
  }

  get report(): TuningReport {
    const { enabled, queryBytes, embeddingBytes, latencyTargetMs } = this.#options;
    return {
      enabled,
      ...(this.#caches && {
        caches: { ...this.#caches.tuner.state, totalBytes: queryBytes + embeddingBytes },
      }),
      ...(this.#search && { search: this.#search.state }),
      latencyTargetMs,
      decisions: this.#decisions,
    };
  }

  /** Reports this tuner's state too. */
  set search(tuner: SearchTuner) {
    this.#search = tuner;
  }

  /** A decision about the search. */
  noteSearch({ parameter, before, after, verdict, reason }: SearchMove): void {
    this.#note(parameter, before, after, `${verdict}: ${reason}`);
  }

  /** Looks at the figures now; by itself every five seconds. */
  async look(): Promise<void> {
    await this.#tuneCaches();
    await this.#write();
  }

  /** Waits for a look under way and writes what was decided; no other begins. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#running;
    await this.#write();
  }

  #schedule(): void {
    this.#cancel = this.#parts.clock.schedule(() => {
      // What cannot be tuned now may be the next time; nobody waits for it.
      this.#running = this.look()
        .catch(() => {})
        .then(() => {
          if (!this.#closed) this.#schedule();
        });
    }, intervalMs);
  }

  async #tuneCaches(): Promise<void> {
    const { queryBytes, embeddingBytes } = this.#options;
    const embedder = this.#parts.loaded;
    // A model cheaper than a look-up keeps no vectors: there is nothing to divide.
    if (embedder === undefined || embedder.model.cheap === true || embeddingBytes === 0) return;
    const totalBytes = queryBytes + embeddingBytes;
    if (this.#caches?.embedder !== embedder) {
      const { CacheTuner } = await import("../tuning/cache-tuner.ts");
      this.#queries.resize(queryBytes);
      for (const cache of [this.#queries, embedder]) cache.watchDepths(totalBytes);
      const tuner = new CacheTuner({ totalBytes, queryBytes });
      this.#caches = { tuner, embedder, before: await this.#figures(embedder) };
      return;
    }
    const { tuner, before } = this.#caches;
    const now = await this.#figures(embedder);
    if (now.lookups - before.lookups < windowLookups) return;
    this.#caches.before = now;
    const queries = windowOf(
      this.#queries,
      now.queryMisses - before.queryMisses,
      now.queryMs - before.queryMs,
    );
    const embeddings = windowOf(
      embedder,
      now.embeddingMisses - before.embeddingMisses,
      now.embeddingMs - before.embeddingMs,
    );
    if (!queries || !embeddings) return;
    const move = tuner.observe({ queries, embeddings });
    if (!move) return;
    const { state } = tuner;
    // What shrinks gives up its bytes before the other takes them.
    const [first, second] =
      move.after < move.before
        ? [() => this.#queries.resize(state.queryBytes), () => embedder.resizeCache(state.embeddingBytes)]
        : [() => embedder.resizeCache(state.embeddingBytes), () => this.#queries.resize(state.queryBytes)];
    first();
    second();
    this.#note("query-cache-bytes", move.before, move.after, `${move.verdict}: ${move.reason}`);
  }

  async #figures(embedder: OwnEmbedder): Promise<Figures> {
    const { hits, misses, computedMs } = this.#queries.getStats();
    const { texts, joins, l1, l2, totalEmbeddings, averageTimePerEmbeddingMs } = embedder.getStats();
    const retriever = await this.#parts.madeRetriever();
    return {
      lookups: hits + misses + texts,
      queryMisses: misses,
      // A question's vector is the other cache's affair.
      queryMs: Math.max(0, computedMs - (retriever?.stats().embedMs ?? 0)),
      embeddingMisses: Math.max(0, texts - joins - l1.hits),
      // What is on disk need not be computed, but read.
      embeddingMs: totalEmbeddings * averageTimePerEmbeddingMs + (l2?.readMs ?? 0),
    };
  }

  #note(parameter: string, before: number, after: number, reason: string): void {
    this.#decisions++;
    this.#waiting.push({ at: this.#parts.clock.now(), parameter, before, after, reason });
    if (this.#waiting.length > maxWaiting) this.#waiting.shift();
  }

  /** What cannot be written now is written the next time. */
  async #write(): Promise<void> {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        await this.#parts.store.noteTuning(next);
      } catch {
        return;
      }
      this.#waiting.shift();
    }
  }
}

function windowOf(
  cache: Pick<QueryOptimizer, "takeDepths">,
  misses: number,
  missMs: number,
): CacheWindow | undefined {
  const depths = cache.takeDepths();
  return depths && { depths, misses, missMs: Math.max(0, missMs) };
}
