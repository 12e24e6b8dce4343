import { StrataError } from "../contract/errors.ts";
import type { ChangePage, MemoryStore } from "../contract/memory-store.ts";
import type { Scope } from "../contract/scope.ts";

/** A page of the change feed; of a cursor that the store forgot, from the beginning. */
export async function changesSince(
  store: MemoryStore,
  scope: Scope,
  cursor: string | undefined,
  limit: number,
): Promise<ChangePage> {
  try {
    return await store.changes(scope, cursor, limit);
  } catch (error) {
    const isLost =
      StrataError.isInstance(error) && (error.code === "FEED_TRUNCATED" || error.code === "INVALID_CURSOR");
    if (cursor === undefined || !isLost) throw error;
    return store.changes(scope, undefined, limit);
  }
}
