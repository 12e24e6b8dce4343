import type { StoredVector } from "../contract/memory.ts";
import type { ModelVector } from "../contract/memory-store.ts";

/** The vectors of a memory as they are kept: one of its own where there is any, the others beside it. */
export interface ArrangedVectors {
  readonly own: StoredVector | null;
  readonly side: readonly ModelVector[];
}

/** A memory without a vector of its own takes the first of the others that is one; each model stands once. */
export function arrangeVectors(
  vector: StoredVector | null,
  others: readonly ModelVector[] = [],
): ArrangedVectors {
  const first = others.find(({ values }) => values !== null);
  const own = vector ?? (first ? { model: first.model, values: first.values! } : null);
  const side = new Map<string, ModelVector>();
  for (const other of others) if (other.model !== own?.model) side.set(other.model, other);
  return { own, side: [...side.values()] };
}
