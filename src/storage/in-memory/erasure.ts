import type { MemoryFilter } from "../../contract/scope.ts";
import { documentMatches, matchesFilter } from "../filter-match.ts";
import { withoutOrigin } from "../merge-memories.ts";
import type { Context, JournalRow, Namespace } from "./namespace.ts";
import { isDocument, toDocument, toMemory } from "./records.ts";

/** Takes out of the journal what it keeps of memories of these ids, and of those that match as it keeps them. */
export function eraseFromJournal(
  context: Context,
  space: Namespace,
  ids: ReadonlySet<string>,
  filter: MemoryFilter,
): void {
  for (const row of space.journal) {
    const isLeft = row.kept?.what === "left" || row.kept?.what === "chunk";
    if (!(isLeft && ids.has(row.entry.id)) && !matches(space, row, filter)) continue;
    row.kept = undefined;
    eraseMerged(space, [row.entry.id]);
    const keeper = space.ids.get(row.entry.into ?? "");
    if (!keeper || keeper.document) continue;
    keeper.metadata = withoutOrigin(keeper.metadata, row.entry.id);
    keeper.version++;
    keeper.updatedAt = context.now();
    keeper.seq = ++space.partitions[keeper.partition]!.seq;
  }
}

function matches(space: Namespace, { kept }: JournalRow, filter: MemoryFilter): boolean {
  if (kept?.what === "chunk") return matchesFilter(toMemory(space.name, kept.record), filter);
  if (kept?.what !== "left") return false;
  return isDocument(kept.unit)
    ? documentMatches(toDocument(space.name, kept.unit), filter)
    : matchesFilter(toMemory(space.name, kept.unit), filter);
}

/** Takes out of the journal what these memories took in, and what it keeps of them as others took them in. */
export function eraseMerged(space: Namespace, ids: readonly string[]): void {
  const open = [...ids];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    for (const row of space.journal) {
      const { id: own, into } = row.entry;
      if (!row.kept || into === undefined || (into !== id && own !== id)) continue;
      row.kept = undefined;
      if (into === id) open.push(own);
    }
  }
}
