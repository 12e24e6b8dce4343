import type { TokenCounter } from "../contract/chunk.ts";
import type { Clock } from "../contract/clock.ts";
import type { Embedder } from "../contract/embedding-model.ts";
import { vectorText } from "../contract/index-text.ts";
import type { StoredVector } from "../contract/memory.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import type { MemoryFilter, Scope } from "../contract/scope.ts";
import type { BatchEmbedder } from "../embedding/batch-embedder.ts";
import type { CacheFigures } from "../monitoring/prometheus.ts";
import type { Retriever } from "../retrieval/retriever.ts";
import { UseBuffer } from "./use-buffer.ts";

/** An embedder as the engine owns it. */
export type OwnEmbedder = Embedder & Pick<BatchEmbedder, "close" | "forget" | "getStats" | "model">;

/** How the parts that cost time to load are made, each when it is first needed. */
export interface PartMakers {
  embedder(): Promise<OwnEmbedder>;
  retriever(embedder: Embedder): Promise<Retriever>;
  /** For a model that does not count its tokens. */
  counter(): Promise<TokenCounter>;
}

/** The rooms as one memory uses them. */
export class Parts {
  readonly store: MemoryStore;
  readonly clock: Clock;
  readonly uses: UseBuffer;
  /** Whatever publishes operations of this memory. */
  readonly sources: object[] = [this];
  readonly #makers: PartMakers;
  readonly #closers: (() => Promise<void> | void)[] = [];
  #embedder: Promise<OwnEmbedder> | undefined;
  #loaded: OwnEmbedder | undefined;
  #retriever: Promise<Retriever> | undefined;

  constructor(store: MemoryStore, clock: Clock, makers: PartMakers) {
    this.store = store;
    this.clock = clock;
    this.uses = new UseBuffer(store, clock);
    this.#makers = makers;
  }

  embedder(): Promise<Embedder> {
    this.#embedder ??= this.#makers
      .embedder()
      .then((embedder) => {
        this.#loaded = embedder;
        return this.#published(embedder);
      })
      .catch((error: unknown) => {
        this.#embedder = undefined;
        throw error;
      });
    return this.#embedder;
  }

  retriever(): Promise<Retriever> {
    this.#retriever ??= this.embedder()
      .then((embedder) => this.#makers.retriever(embedder))
      .then((retriever) => this.#published(retriever))
      .catch((error: unknown) => {
        this.#retriever = undefined;
        throw error;
      });
    return this.#retriever;
  }

  /** Figures of the cache of vectors, once there is one; a model cheaper than a look-up has none. */
  embeddingCache(): CacheFigures | undefined {
    if (this.#loaded === undefined || this.#loaded.model.cheap === true) return undefined;
    const { cacheHits, cacheMisses, l1 } = this.#loaded.getStats();
    return {
      hits: cacheHits,
      misses: cacheMisses,
      entries: l1.entries,
      bytes: l1.bytes,
      maxBytes: l1.maxBytes,
    };
  }

  /** Has `step` run when the parts are closed, before any of them is; later ones first. */
  onClose(step: () => Promise<void> | void): void {
    this.#closers.unshift(step);
  }

  #published<T extends object>(part: T): T {
    this.sources.push(part);
    return part;
  }

  /** Counts tokens as the model does, or else as the built-in one would. */
  async counter(): Promise<TokenCounter> {
    const { model } = await this.embedder();
    if (!model.countTokens) return this.#makers.counter();
    return { id: model.id, count: (text) => model.countTokens!(text) };
  }

  /** Vectors for texts that are stored, with the model's id; null where the model knows nothing. */
  async embed(texts: readonly string[], signal: AbortSignal | undefined): Promise<(StoredVector | null)[]> {
    const embedder = await this.embedder();
    const { vectors } = await embedder.embed(texts, { task: "document", signal });
    return vectors.map((values) => (values === null ? null : { model: embedder.model.id, values }));
  }

  /** Erases what matches, and whatever snapshots of indexes and caches of vectors keep of it. */
  async erasing<T>(scope: Scope, filter: MemoryFilter, erase: () => Promise<T>): Promise<T> {
    const retriever = await this.retriever();
    await this.#forgetVectors(scope, filter);
    await retriever.forgetSnapshots(scope);
    try {
      return await erase();
    } finally {
      // Another process may have written one meanwhile.
      await retriever.forgetSnapshots(scope);
    }
  }

  async #forgetVectors(scope: Scope, filter: MemoryFilter): Promise<void> {
    const embedder = await this.#embedder;
    if (embedder === undefined || this.#loaded?.model.cheap === true) return;
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await this.store.list(scope, filter, { limit: 500, cursor });
      await this.#loaded?.forget(page.memories.map(vectorText));
      cursor = page.cursor;
    }
  }

  /** Writes what waits and closes everything that was made; every part is closed even when one fails. */
  async close(): Promise<void> {
    const steps = [
      ...this.#closers.map((step) => async () => step()),
      () => this.uses.flush(),
      async () => (await this.#retriever)?.close(),
      async () => (await this.#embedder)?.close(),
      () => this.store.close(),
    ];
    const failures: unknown[] = [];
    for (const step of steps) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }
}
