import { canRepeat, isRepeat } from "../../contract/exact-duplicates.ts";
import { vectorText } from "../../contract/index-text.ts";
import type { Memory } from "../../contract/memory.ts";
import type { NewEntry } from "../../contract/memory-store.ts";
import { areNearDuplicates, nearDuplicateThresholds } from "../../contract/near-duplicates.ts";
import type { Scope } from "../../contract/scope.ts";
import type { Parts } from "../parts.ts";

/** Nearest memories whose words are compared. */
const candidates = 5;

/**
 * The nearest memory that says the same as an entry in another form: the vectors propose, the words decide.
 * None where the store will find the same text itself, and take over what it lacks, or where what is said twice was said twice.
 * @param similarity Least cosine.
 */
export async function findSimilar(
  parts: Parts,
  scope: Scope,
  entry: NewEntry,
  similarity: number,
  signal: AbortSignal | undefined,
): Promise<Memory | undefined> {
  if (entry.vector === null || !canRepeat(entry)) return undefined;
  const { thread, speaker } = entry;
  const { hits } = await parts.ask(scope, (retriever) =>
    retriever.recall(scope, vectorText(entry), {
      mode: "vector",
      limit: candidates,
      thread,
      speaker,
      rerank: false,
      signal,
    }),
  );
  const memories = hits.map(({ memory }) => memory).filter(({ source }) => source === undefined);
  if (entry.foldRepeat === true && memories.some((memory) => isRepeat(entry, memory))) return undefined;
  const vectors = await parts.store.vectors(
    scope,
    memories.map(({ id }) => id),
  );
  const thresholds = { ...nearDuplicateThresholds, cosine: similarity };
  return memories.find((memory, at) =>
    areNearDuplicates(entry, { ...memory, vector: vectors[at]! }, thresholds),
  );
}
