import type { EmbeddingReply } from "../contract/embedding-model.ts";
import type { CachedVector } from "../contract/vector-cache.ts";

/**
 * The answer to a caller: copies, which may be changed, as views of one fresh slab. One allocation for a hundred
 * vectors takes a tenth of the time of a hundred.
 */
export function replyOf(entries: readonly CachedVector[], dimensions: number): EmbeddingReply {
  let known = 0;
  let shares = true;
  for (const { vector, unknownShare } of entries) {
    if (vector !== null) known++;
    if (unknownShare === undefined) shares = false;
  }
  const { buffer } = new Float32Array(known * dimensions);
  const vectors: (Float32Array | null)[] = new Array(entries.length);
  let offset = 0;
  for (let i = 0; i < entries.length; i++) {
    const { vector } = entries[i]!;
    if (vector === null) {
      vectors[i] = null;
      continue;
    }
    const view = new Float32Array(buffer, offset, dimensions);
    view.set(vector);
    vectors[i] = view;
    offset += 4 * dimensions;
  }
  return shares ? { vectors, unknownShares: entries.map((entry) => entry.unknownShare!) } : { vectors };
}
