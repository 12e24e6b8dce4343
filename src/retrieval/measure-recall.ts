import type { NamespaceIndex } from "./namespace-index.ts";
import type { VectorPath } from "./vector-rows.ts";

/** How much of what comparing all vectors finds an index finds. */
export interface MeasuredRecall {
  readonly path: VectorPath;
  /** Memories of the index when it was measured. */
  readonly memories: number;
  /** Stored vectors that were asked for. */
  readonly questions: number;
  /** Share 0..1 of the ten nearest that were among the ten it found; 1 on the exact path. */
  readonly recallAt10: number;
  /** Where the words are read from: a file when the index is larger than the bound by itself. */
  readonly words: "memory" | "disk";
}

const nearest = 10;
/** Vectors compared before others run: about a millisecond. */
const sliceSize = 16_384;

/**
 * Asks an index for the neighbours of some of its own vectors, evenly chosen, and compares all others in slices between
 * which the index may be used and changed. What changed meanwhile is left out of the comparison.
 * @returns undefined when the index was dropped or renumbered meanwhile, or holds no vector.
 */
export async function measureRecall(
  index: NamespaceIndex,
  questions: number,
): Promise<MeasuredRecall | undefined> {
  const { columns, vectors } = index;
  const words = index.postings.onDisk ? "disk" : "memory";
  const { path } = vectors;
  const memories = index.size;
  if (path === "exact") return { path, memories, questions: 0, recallAt10: 1, words };
  const step = Math.max(1, Math.floor(columns.size / questions));
  const size = columns.size;
  let asked = 0;
  let share = 0;
  for (let slot = step >> 1; slot < size && asked < questions; slot += step) {
    if (!vectors.holds(slot)) continue;
    const query = Float32Array.from(vectors.halves(slot));
    const exact: { readonly slot: number; readonly cosine: number }[] = [];
    for (let from = 0; from < size; from += sliceSize) {
      await new Promise((resolve) => setImmediate(resolve));
      if (index.released || index.columns !== columns) return undefined;
      const cosines = vectors.cosinesAt(query, from, Math.min(size, from + sliceSize));
      let least = exact.length < nearest ? Number.NEGATIVE_INFINITY : exact.at(-1)!.cosine;
      for (let i = 0; i < cosines.length; i++) {
        if (cosines[i]! <= least || !vectors.holds(from + i)) continue;
        exact.push({ slot: from + i, cosine: cosines[i]! });
        exact.sort((a, b) => b.cosine - a.cosine);
        exact.length = Math.min(exact.length, nearest);
        if (exact.length === nearest) least = exact.at(-1)!.cosine;
      }
    }
    // Of equal cosines any may be found: what counts is how near they are.
    const found = vectors.nearest(query, nearest, undefined, undefined).scores.toSorted().reverse();
    const last = exact.at(-1)!.cosine;
    const good = found.slice(0, exact.length).filter((cosine) => cosine >= last).length;
    share += good / exact.length;
    asked++;
  }
  if (asked === 0) return undefined;
  return { path, memories, questions: asked, recallAt10: share / asked, words };
}
