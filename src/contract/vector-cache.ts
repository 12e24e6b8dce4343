/** What a cache keeps of one text. */
export interface CachedVector {
  /** As the model gave it, of unit length, float32; null: the model knows nothing in the text. */
  readonly vector: Float32Array | null;
  /** Share 0..1 of the text's pieces the model does not know; absent: the model does not say. */
  readonly unknownShare?: number | undefined;
}

/** One entry to write. */
export interface VectorCacheEntry extends CachedVector {
  readonly key: string;
}

/** Fill and faults of a vector cache. */
export interface VectorCacheStats {
  readonly entries: number;
  readonly bytes: number;
  readonly maxBytes: number;
  /** Since it was opened. */
  readonly evicted: number;
  /** Times its storage was found damaged and started anew. */
  readonly recreated: number;
  /** Writes given up, because another process held the storage or it had no room. */
  readonly skippedWrites: number;
}

/**
 * Port of a cache of vectors that outlives the process. It holds no text: a key is a SHA-256, lower-case hexadecimal,
 * over model, dimensions, task and text. It may forget anything at any time; what it returns is exactly what was set.
 */
export interface VectorCache {
  /** One answer for each key, in order; undefined where nothing is kept. The caller owns the vectors. */
  getMany(
    keys: readonly string[],
  ): Promise<readonly (CachedVector | undefined)[]> | readonly (CachedVector | undefined)[];
  setMany(entries: readonly VectorCacheEntry[]): Promise<void> | void;
  /** Removes entries for good; @returns how many there were. */
  deleteMany(keys: readonly string[]): Promise<number> | number;
  stats(): Promise<VectorCacheStats> | VectorCacheStats;
  close(): Promise<void> | void;
}
