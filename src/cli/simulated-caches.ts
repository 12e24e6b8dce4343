import { ResultCache } from "../caching/result-cache.ts";
import { VectorMemo } from "../embedding/vector-memo.ts";
import type { SimulatedCache } from "../tuning/simulate-caches.ts";

const forever = Number.POSITIVE_INFINITY;

/** The query cache itself, its answers standing for their bytes alone. */
export function simulatedQueries(): SimulatedCache {
  const cache = new ResultCache(1_000_000, 1, () => {});
  return {
    look(name) {
      const kept = cache.get(name);
      if (kept) cache.answered(kept);
      return kept !== undefined;
    },
    keep(name, bytes) {
      const shared = { give: () => undefined, bytes, isolated: true };
      const times = { keptAt: 0, freshUntil: forever, staleUntil: forever, expiresAt: forever, uses: 0 };
      cache.keep(name, {
        shared,
        failed: false,
        namespace: "",
        key: name,
        tags: [],
        generation: undefined,
        ...times,
      });
    },
    resize: (maxBytes) => cache.resize(maxBytes),
    watchDepths: (maxBytes) => cache.watchDepths(maxBytes),
    takeDepths: () => cache.takeDepths(),
  };
}

/** The embeddings' cache itself, one slab standing for all vectors. */
export function simulatedEmbeddings(dimensions: number): SimulatedCache {
  const memo = new VectorMemo({ maxBytes: 1, symmetric: true });
  const vector = new Float32Array(dimensions);
  return {
    look: (name) => memo.get(name, "document") !== undefined,
    keep: (name) => memo.set(name, "document", { vector }),
    resize: (maxBytes) => memo.resize(maxBytes),
    watchDepths: (maxBytes) => memo.watchDepths(maxBytes),
    takeDepths: () => memo.takeDepths(),
  };
}
