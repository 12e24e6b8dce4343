import { StrataError } from "../contract/errors.ts";
import type { Memory } from "../contract/memory.ts";
import type { NewEntry } from "../contract/memory-store.ts";

/** What becomes of an entry: it is new, it is a memory that is there, or it repeats an earlier entry of the call. */
export type Resolution =
  | { readonly kind: "new" }
  | { readonly kind: "existing"; readonly memory: Memory }
  | { readonly kind: "repeated"; readonly index: number };

/**
 * Decides for all entries of a call, before any is added, which are there already: by idempotency key first, then by
 * id.
 * @param find The visible memory that has a key or an id.
 * @throws ALREADY_EXISTS An id is taken by other content.
 */
export function resolveEntries(
  entries: readonly NewEntry[],
  find: (name: "key" | "id", value: string) => Memory | undefined,
): Resolution[] {
  const keys = new Map<string, number>();
  const ids = new Map<string, number>();
  return entries.map((entry, index): Resolution => {
    const key = entry.idempotencyKey;
    const byKey = key === undefined ? undefined : (find("key", key) ?? keys.get(key));
    if (byKey !== undefined) return found(byKey);
    const byId = find("id", entry.id) ?? ids.get(entry.id);
    if (byId === undefined) {
      ids.set(entry.id, index);
      if (key !== undefined) keys.set(key, index);
      return { kind: "new" };
    }
    const hash = typeof byId === "number" ? entries[byId]!.contentHash : byId.contentHash;
    if (hash === entry.contentHash) return found(byId);
    throw new StrataError(
      "ALREADY_EXISTS",
      "Expected a new id; a memory of other content has it. Update that memory, or store under another id.",
      { details: { id: entry.id } },
    );
  });
}

function found(known: Memory | number): Resolution {
  return typeof known === "number" ? { kind: "repeated", index: known } : { kind: "existing", memory: known };
}
