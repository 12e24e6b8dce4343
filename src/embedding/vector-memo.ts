import { LRUCache } from "lru-cache";
import type { EmbeddingTask } from "../contract/embedding-model.ts";
import type { CachedVector } from "../contract/vector-cache.ts";

export interface VectorMemoOptions {
  /** Bytes of texts and vectors kept; 0: nothing is kept. */
  readonly maxBytes: number;
  /** Most entries; absent: bytes alone bound it. */
  readonly maxEntries?: number | undefined;
  /** One vector serves both tasks; otherwise each task has half of the bounds. */
  readonly symmetric: boolean;
}

/** What an entry costs beside its text and its numbers: objects, links and the slot in the map, measured roughly. */
const entryOverheadBytes = 250;

/**
 * Vectors in memory, least recently used first to go, keyed by the text itself: no hash to collide and none to
 * compute. It belongs to one model. What it returns is its own and must not be changed.
 */
export class VectorMemo {
  readonly #caches: Readonly<Record<EmbeddingTask, LRUCache<string, CachedVector> | undefined>>;
  readonly #maxBytes: number;

  constructor(options: VectorMemoOptions) {
    this.#maxBytes = options.maxBytes;
    const document = newCache(options);
    this.#caches = { document, query: options.symmetric ? document : newCache(options) };
  }

  get(text: string, task: EmbeddingTask): CachedVector | undefined {
    return this.#caches[task]?.get(text);
  }

  /** Keeps the entry itself: the caller gives it up. */
  set(text: string, task: EmbeddingTask, entry: CachedVector): void {
    this.#caches[task]?.set(text, entry);
  }

  /** Removes a text for both tasks. @returns Whether it was kept. */
  delete(text: string): boolean {
    const document = this.#caches.document?.delete(text) ?? false;
    return (this.#caches.query?.delete(text) ?? false) || document;
  }

  stats(): { entries: number; bytes: number; maxBytes: number } {
    const caches = new Set([this.#caches.document, this.#caches.query]);
    let entries = 0;
    let bytes = 0;
    for (const cache of caches) {
      entries += cache?.size ?? 0;
      bytes += cache?.calculatedSize ?? 0;
    }
    return { entries, bytes, maxBytes: this.#maxBytes };
  }
}

function newCache(options: VectorMemoOptions): LRUCache<string, CachedVector> | undefined {
  const share = options.symmetric ? 1 : 2;
  const maxSize = Math.floor(options.maxBytes / share);
  const max = options.maxEntries === undefined ? undefined : Math.floor(options.maxEntries / share);
  // lru-cache reads 0 as unlimited.
  if (maxSize < 1 || max === 0) return undefined;
  return new LRUCache({
    maxSize,
    ...(max === undefined ? {} : { max }),
    sizeCalculation: ({ vector }, text) => 2 * text.length + (vector?.byteLength ?? 0) + entryOverheadBytes,
  });
}
