import { plainTerms } from "./plain-bm25.ts";
import { rankingHash, withMemory } from "./temporary-memory.ts";
import { cosine, textVectors } from "./text-vectors.ts";

/** Two texts to compare. */
export interface SentencePair {
  readonly s1: string;
  readonly s2: string;
}

/** What two ways of comparing say of each pair, in order. */
export interface Similarities {
  /** Cosine of the vectors a memory stores for the two texts. */
  readonly vector: readonly number[];
  /** Baseline: shared words over all words. */
  readonly tokenJaccard: readonly number[];
  readonly ranking: string;
}

/** Compares the texts of each pair by the memory's model and by their words. */
export function comparePairs(pairs: readonly SentencePair[]): Promise<Similarities> {
  return withMemory(async (memory) => {
    const vectors = await textVectors(
      memory,
      pairs.flatMap(({ s1, s2 }) => [s1, s2]),
    );
    return {
      vector: pairs.map(({ s1, s2 }) => cosine(vectors.get(s1), vectors.get(s2))),
      tokenJaccard: pairs.map(({ s1, s2 }) => jaccard(plainTerms(s1), plainTerms(s2))),
      ranking: await rankingHash(memory),
    };
  });
}

function jaccard(a: readonly string[], b: readonly string[]): number {
  const [one, other] = [new Set(a), new Set(b)];
  const all = one.union(other).size;
  return all === 0 ? 0 : one.intersection(other).size / all;
}
