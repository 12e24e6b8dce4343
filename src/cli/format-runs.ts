import type { JournalKind } from "../contract/memory-store.ts";
import { plural } from "./units.ts";

const done: Readonly<Record<JournalKind, string>> = {
  promote: "promoted",
  demote: "demoted",
  merge: "merged",
  evict: "evicted",
  expire: "expired",
  forget: "forgotten",
  undo: "taken back",
  restore: "restored",
};

export const journalKinds: readonly JournalKind[] = Object.keys(done) as JournalKind[];

/** "3 promoted, 1 evicted"; "nothing" when there is nothing. */
export function countsLine(counts: Readonly<Partial<Record<JournalKind, number>>>): string {
  const parts = (Object.entries(counts) as [JournalKind, number][])
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${plural(count, done[kind], done[kind])}`);
  return parts.length === 0 ? "nothing" : parts.join(", ");
}

/** How many entries of each kind. */
export function countKinds(
  entries: readonly { readonly kind: JournalKind }[],
): Partial<Record<JournalKind, number>> {
  const counts: Partial<Record<JournalKind, number>> = {};
  for (const { kind } of entries) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
