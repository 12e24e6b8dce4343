import type { Clock } from "../contract/clock.ts";
import type { CachedVector, VectorCache, VectorCacheEntry } from "../contract/vector-cache.ts";

/** Keys of one read, so that a cache that answers on the event loop holds it for a few milliseconds only. */
const keysAtOnce = 512;

/** Writes under way at once; more are skipped, so that a slow cache cannot gather memory. */
const maxWrites = 8;

/** A cache that takes longer is passed over: the model answers instead. */
const readTimeoutMs = 2_000;

export interface SharedVectorsStats {
  readonly hits: number;
  readonly misses: number;
  /** Calls of the cache that failed or took too long; what they asked for was computed. */
  readonly errors: number;
  readonly skippedWrites: number;
  /** Milliseconds of all reads. */
  readonly readMs: number;
}

/** A vector cache as the batcher uses it: it may be slow, full or broken, and costs its callers nothing but time. */
export class SharedVectors {
  readonly #cache: VectorCache;
  readonly #clock: Clock;
  readonly #accepts: (entry: CachedVector) => boolean;
  readonly #writes = new Set<Promise<void>>();
  #hits = 0;
  #misses = 0;
  #errors = 0;
  #skippedWrites = 0;
  #readMs = 0;

  /** @param accepts Whether an entry that was read may be used. */
  constructor(cache: VectorCache, clock: Clock, accepts: (entry: CachedVector) => boolean) {
    this.#cache = cache;
    this.#clock = clock;
    this.#accepts = accepts;
  }

  get stats(): SharedVectorsStats {
    return {
      hits: this.#hits,
      misses: this.#misses,
      errors: this.#errors,
      skippedWrites: this.#skippedWrites,
      readMs: this.#readMs,
    };
  }

  /** One answer for each key, in order. Rejects never. */
  async read(keys: readonly string[]): Promise<(CachedVector | undefined)[]> {
    const found: (CachedVector | undefined)[] = [];
    for (let start = 0; start < keys.length; start += keysAtOnce) {
      if (start > 0) await new Promise((resolve) => setImmediate(resolve));
      const part = keys.slice(start, start + keysAtOnce);
      const began = this.#clock.monotonic();
      const entries = await this.#readPart(part);
      this.#readMs += this.#clock.monotonic() - began;
      for (let i = 0; i < part.length; i++) {
        const entry = entries?.[i];
        const usable = entry !== undefined && this.#accepts(entry);
        found.push(usable ? entry : undefined);
        if (usable) this.#hits++;
        else this.#misses++;
      }
    }
    return found;
  }

  /** Starts writing; nobody waits for it but {@link settled}. */
  write(entries: readonly VectorCacheEntry[]): void {
    if (entries.length === 0) return;
    if (this.#writes.size >= maxWrites) {
      this.#skippedWrites++;
      return;
    }
    const write = Promise.try(() => this.#cache.setMany(entries))
      .catch(() => {
        this.#errors++;
      })
      .finally(() => this.#writes.delete(write));
    this.#writes.add(write);
  }

  async delete(keys: readonly string[]): Promise<number> {
    // A write under way may hold what is to go.
    await this.settled();
    return this.#cache.deleteMany(keys);
  }

  async settled(): Promise<void> {
    await Promise.all(this.#writes);
  }

  async close(): Promise<void> {
    await this.settled();
    await this.#cache.close();
  }

  async #readPart(keys: readonly string[]): Promise<readonly (CachedVector | undefined)[] | undefined> {
    let cancel: (() => void) | undefined;
    try {
      const answer = this.#cache.getMany(keys);
      if (!(answer instanceof Promise)) return answer;
      const late = new Promise<undefined>((resolve) => {
        cancel = this.#clock.schedule(() => {
          this.#errors++;
          resolve(undefined);
        }, readTimeoutMs);
      });
      return await Promise.race([answer, late]);
    } catch {
      this.#errors++;
      return undefined;
    } finally {
      cancel?.();
    }
  }
}
