import { StrataError } from "../contract/errors.ts";
import { canRepeat, isRepeat } from "../contract/exact-duplicates.ts";
import type { Memory } from "../contract/memory.ts";
import type { NewEntry } from "../contract/memory-store.ts";

/**
 * What becomes of an entry: it is new, it is a memory that is there, or it is an earlier entry of the call; `said` tells
 * that its content says so, not its key or id.
 */
export type Resolution =
  | { readonly kind: "new" }
  | { readonly kind: "existing"; readonly memory: Memory; readonly said: boolean }
  | { readonly kind: "repeated"; readonly index: number; readonly said: boolean };

/** How the visible memories of a namespace are found. */
export interface EntryFinder {
  byKey(key: string): Memory | undefined;
  byId(id: string): Memory | undefined;
  /** The first added of those that the entry repeats. */
  byContent(entry: NewEntry): Memory | undefined;
}

/**
 * Decides for all entries of a call, before any is added, which are there already: by idempotency key first, then by
 * id, then by what they say.
 * @throws ALREADY_EXISTS An id is taken by other content.
 */
export function resolveEntries(entries: readonly NewEntry[], find: EntryFinder): Resolution[] {
  const keys = new Map<string, number>();
  const ids = new Map<string, number>();
  const contents = new Map<string, number[]>();
  return entries.map((entry, index): Resolution => {
    const key = entry.idempotencyKey;
    const byKey = key === undefined ? undefined : (find.byKey(key) ?? keys.get(key));
    if (byKey !== undefined) return found(byKey, false);
    const byId = entry.isNewId === true ? undefined : (find.byId(entry.id) ?? ids.get(entry.id));
    if (byId !== undefined) {
      const hash = typeof byId === "number" ? entries[byId]!.contentHash : byId.contentHash;
      if (hash === entry.contentHash) return found(byId, false);
      throw new StrataError(
        "ALREADY_EXISTS",
        "Expected a new id; a memory of other content has it. Update that memory, or store under another id.",
        { details: { id: entry.id } },
      );
    }
    const alike = contents.get(entry.contentHash) ?? [];
    if (entry.foldRepeat === true && canRepeat(entry)) {
      const said = find.byContent(entry) ?? alike.find((earlier) => isRepeat(entry, entries[earlier]!));
      if (said !== undefined) return found(said, true);
    }
    ids.set(entry.id, index);
    if (key !== undefined) keys.set(key, index);
    contents.set(entry.contentHash, [...alike, index]);
    return { kind: "new" };
  });
}

function found(known: Memory | number, said: boolean): Resolution {
  return typeof known === "number"
    ? { kind: "repeated", index: known, said }
    : { kind: "existing", memory: known, said };
}
