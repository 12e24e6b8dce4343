import { LRUCache } from "lru-cache";
import type { EmbeddingTask } from "../contract/embedding-model.ts";
import { type GhostDepths, GhostStack, ghostHash } from "../contract/ghost-stack.ts";
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
  readonly #caches: Readonly<Record<EmbeddingTask, TaskMemo | undefined>>;
  #maxBytes: number;

  constructor(options: VectorMemoOptions) {
    this.#maxBytes = options.maxBytes;
    const document = newMemo(options);
    this.#caches = { document, query: options.symmetric ? document : newMemo(options) };
  }

  get(text: string, task: EmbeddingTask): CachedVector | undefined {
    return this.#caches[task]?.get(text);
  }

  /** Keeps the entry itself: the caller gives it up. */
  set(text: string, task: EmbeddingTask, entry: CachedVector): void {
    this.#caches[task]?.set(text, entry);
  }

  /** Keeps to another bound on bytes from now on; what is too much leaves at once. Nothing where nothing is kept. */
  resize(maxBytes: number): void {
    const caches = this.#memos();
    if (caches.length > 0) this.#maxBytes = maxBytes;
    for (const cache of caches) cache.resize(maxBytes / caches.length);
  }

  /** From now on tells which sizes of up to so many bytes would have answered. */
  watchDepths(maxBytes: number): void {
    const caches = this.#memos();
    for (const cache of caches) cache.watchDepths(maxBytes / caches.length);
  }

  /** Look-ups since the last call, by size of both tasks together; undefined while nobody watches. */
  takeDepths(): GhostDepths | undefined {
    const [first, second] = this.#memos().map((cache) => cache.takeDepths());
    if (!first || !second) return first;
    return {
      lookups: first.lookups + second.lookups,
      hits: first.hits.map((count, part) => count + second.hits[part]!),
    };
  }

  /** Removes a text for both tasks. @returns Whether it was kept. */
  delete(text: string): boolean {
    const document = this.#caches.document?.delete(text) ?? false;
    return (this.#caches.query?.delete(text) ?? false) || document;
  }

  stats(): { entries: number; bytes: number; maxBytes: number } {
    let entries = 0;
    let bytes = 0;
    for (const cache of this.#memos()) {
      entries += cache.size;
      bytes += cache.bytes;
    }
    return { entries, bytes, maxBytes: this.#maxBytes };
  }

  #memos(): TaskMemo[] {
    return [...new Set([this.#caches.document, this.#caches.query])].filter((cache) => cache !== undefined);
  }
}

/** Vectors of one task, or of both where one vector serves them. */
class TaskMemo {
  readonly #entries: LRUCache<string, CachedVector>;
  /** Absent while nobody asks how another size would do. */
  #ghosts: GhostStack | undefined;
  #maxBytes: number;

  constructor(maxBytes: number, maxEntries: number | undefined) {
    this.#maxBytes = maxBytes;
    this.#entries = new LRUCache({
      // The bound on bytes may change, which this one cannot: it is kept by `#trim`.
      maxSize: Number.MAX_SAFE_INTEGER,
      ...(maxEntries === undefined ? {} : { max: maxEntries }),
    });
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  get(text: string): CachedVector | undefined {
    const entry = this.#entries.get(text);
    if (entry !== undefined && this.#ghosts) this.#ghosts.look(ghostHash(text), sizeOf(entry, text));
    return entry;
  }

  set(text: string, entry: CachedVector): void {
    const size = sizeOf(entry, text);
    this.#ghosts?.look(ghostHash(text), size);
    // One that fills the whole cache would leave none of the others.
    if (size > this.#maxBytes) this.#entries.delete(text);
    else this.#entries.set(text, entry, { size });
    this.#trim();
  }

  delete(text: string): boolean {
    return this.#entries.delete(text);
  }

  resize(maxBytes: number): void {
    this.#maxBytes = Math.floor(maxBytes);
    this.#trim();
  }

  watchDepths(maxBytes: number): void {
    this.#ghosts = new GhostStack(maxBytes);
  }

  takeDepths(): GhostDepths | undefined {
    return this.#ghosts?.take();
  }

  #trim(): void {
    while (this.#entries.calculatedSize > this.#maxBytes) this.#entries.pop();
  }
}

function sizeOf({ vector }: CachedVector, text: string): number {
  return 2 * text.length + (vector?.byteLength ?? 0) + entryOverheadBytes;
}

function newMemo(options: VectorMemoOptions): TaskMemo | undefined {
  const share = options.symmetric ? 1 : 2;
  const maxSize = Math.floor(options.maxBytes / share);
  const max = options.maxEntries === undefined ? undefined : Math.floor(options.maxEntries / share);
  // lru-cache reads 0 as unlimited.
  if (maxSize < 1 || max === 0) return undefined;
  return new TaskMemo(maxSize, max);
}
