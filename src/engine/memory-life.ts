import { nextMoves, type TendingRules } from "../consolidation/next-moves.ts";
import { StrataError } from "../contract/errors.ts";
import type { Memory } from "../contract/memory.ts";
import type { JournalEntry, MemoryStore } from "../contract/memory-store.ts";
import { relevance, relevanceKeys, relevanceOffset, utcDay } from "../contract/relevance.ts";
import type { Scope } from "../contract/scope.ts";
import type { MemoryLife, MemoryRelevance } from "./consolidate-options.ts";

/** Entries of the journal that are told. */
const toldAtMost = 1_000;

/** A memory's life: what it is, what happened to it, what would happen next. @throws NOT_FOUND */
export async function memoryLife(
  store: MemoryStore,
  scope: Scope,
  id: string,
  rules: TendingRules,
): Promise<MemoryLife> {
  const [memory] = await store.get(scope, [id]);
  const own = await store.journal(scope, { limit: toldAtMost, memoryId: id });
  const { source } = memory ?? {};
  const ofDocument = source
    ? (await store.journal(scope, { limit: toldAtMost, memoryId: source.documentId })).entries
    : [];
  const journal = [...own.entries, ...ofDocument].toSorted(byTime).slice(0, toldAtMost);
  if (memory === undefined) {
    if (journal.length > 0) return { id, journal, next: [] };
    throw new StrataError(
      "NOT_FOUND",
      `No memory has the id "${id}", and the journal knows nothing of it either.`,
      { details: { id } },
    );
  }
  const next = nextMoves({ ...memory, document: source !== undefined }, rules);
  return { id, memory, journal, relevance: relevanceOf(memory, rules), next };
}

function byTime(a: JournalEntry, b: JournalEntry): number {
  return b.at - a.at;
}

function relevanceOf(memory: Memory, { decayRate, now }: TendingRules): MemoryRelevance {
  const keys = relevanceKeys(memory, decayRate);
  const value = relevance(keys, relevanceOffset(utcDay(now), decayRate));
  const uses = 0.2 * Math.min(1, memory.accessCount / 10);
  return { value, importance: 0.5 * memory.importance, recency: value - keys.b, uses };
}
