import { expiryOf } from "./entry-rows.ts";
import type { WriteStep } from "./write-step.ts";

/** A memory or document as a move needs it. */
export interface MovableEntry {
  readonly entry: number;
  readonly document: boolean;
  readonly tier: number;
  readonly lastUsedAt: number;
  readonly expiresAt: number;
  readonly pinned: boolean;
  readonly b: number;
  readonly k: number;
  readonly version: number;
  readonly memories: number;
  readonly bytes: number;
}

/** What a move's journal row keeps for undo. */
export interface MoveBefore {
  readonly expiresAt: number;
  readonly lastUsedAt: number;
  readonly pinned?: boolean;
}

type Cells = readonly [
  entry: number,
  tier: number,
  lastUsedAt: number,
  expiresAt: number,
  pinned: number,
  b: number,
  k: number,
  version: number,
  memories: number,
  bytes: number,
];

const entryColumns = "e.id, e.tier, e.last_used_at, e.expires_at, e.pinned, e.b, e.k";
const memoryById = `select ${entryColumns}, m.version, 1, m.bytes from memory m indexed by memory_id
  cross join entry e on e.id = m.entry
  where m.namespace = ? and m.id = ? and m.chunk is null and e.expires_at > ?`;
const documentById = `select ${entryColumns}, d.version, d.chunks, d.bytes from document d indexed by document_id
  cross join entry e on e.id = d.entry where d.namespace = ? and d.id = ? and e.expires_at > ?`;

/** The visible memory of its own, or document, of that id. */
export function findMovable(step: WriteStep, id: string, document: boolean): MovableEntry | undefined {
  const sql = document ? documentById : memoryById;
  const cells = step.db.get<Cells>(sql, step.namespace, id, step.now);
  if (!cells) return undefined;
  const [entry, tier, lastUsedAt, expiresAt, pinned, b, k, version, memories, bytes] = cells;
  const isPinned = pinned === 1;
  return { entry, document, tier, lastUsedAt, expiresAt, pinned: isPinned, b, k, version, memories, bytes };
}

/** When an entry expires after a move: its time starts anew, and a promotion never shortens it. */
export function expiryAfterMove(
  step: WriteStep,
  moved: Pick<MovableEntry, "tier" | "lastUsedAt" | "expiresAt" | "pinned">,
  to: number,
): number {
  const anew = expiryOf(
    step.context,
    { tier: to, pinned: moved.pinned },
    Math.max(step.now, moved.lastUsedAt),
  );
  return to > moved.tier ? Math.max(anew, moved.expiresAt) : anew;
}

/** Puts an entry into another tier: neither its keys nor anything derived from it changes. */
export function moveEntry(step: WriteStep, moved: MovableEntry, to: number, expiresAt: number): void {
  step.db.run("update entry set tier = ?, expires_at = ? where id = ?", to, expiresAt, moved.entry);
  const { memories, bytes } = moved;
  const [entries, pinned] = moved.pinned ? [0, 1] : [1, 0];
  const documents = moved.document ? 1 : 0;
  step.count(moved.tier, {
    entries: -entries,
    pinned: -pinned,
    documents: -documents,
    memories: -memories,
    bytes: -bytes,
  });
  step.count(to, { entries, pinned, documents, memories, bytes });
  step.changed();
}

/** What undo needs of a move. */
export function moveBefore(moved: Pick<MovableEntry, "expiresAt" | "lastUsedAt" | "pinned">): string {
  const { expiresAt, lastUsedAt, pinned } = moved;
  const before: MoveBefore = { expiresAt, lastUsedAt, ...(pinned ? { pinned } : {}) };
  return JSON.stringify(before);
}
