import { v7 as uuidv7 } from "uuid";
import type { UndoResult } from "../../contract/consolidation.ts";
import type { Evicted } from "../../contract/memory-store.ts";
import { type Tier, tiers } from "../../contract/tier.ts";
import { type KeptChange, takenBack } from "../kept-state.ts";
import { noSuchRun, type UndoReason, undoneReason, undoReasons } from "../undo-reasons.ts";
import { findUnit, keptState, writeKeptState } from "./moves.ts";
import {
  type Context,
  expire,
  expiryOf,
  isVisible,
  type JournalRow,
  type Kept,
  type Namespace,
  record,
  remember,
  remove,
  removeChunk,
  shrink,
} from "./namespace.ts";
import { type DocumentRecord, isDocument, type Life, type MemoryRecord, type Unit } from "./records.ts";
import { renewExpiry, restoreMemory, visible } from "./restore-memory.ts";

/** Takes back a run, latest row first. @throws NOT_FOUND */
export function undoRun(context: Context, space: Namespace, run: string): UndoResult {
  const rows = space.journal.filter((row) => row.entry.run === run);
  if (rows.length === 0) throw noSuchRun(run);
  const former = rows.find((row) => row.undone !== undefined)?.undone;
  const isTakenBack = space.journal.some((row) => row.entry.run === former && row.undone !== undefined);
  const undo = former === undefined || isTakenBack ? uuidv7() : former;
  const skipped: UndoResult["skipped"][number][] = [];
  const back = new Set<Unit>();
  let undone = 0;
  for (const row of rows.reverse()) {
    if (row.undone !== undefined) continue;
    const result = row.kept ? takeBack(context, space, row, row.kept, undo) : undoReasons.notKept;
    if (typeof result === "string") {
      skipped.push({ id: row.entry.id, reason: result });
      continue;
    }
    undone++;
    row.kept = undefined;
    row.undone = undo;
    back.add(result);
  }
  const evicted: Evicted[] = [];
  for (const partition of space.partitions) {
    for (const tier of tiers) evicted.push(...shrink(context, space, partition, tier, back, undo));
  }
  return { run: undo, undone, skipped, evicted };
}

/** Does the opposite of one row and journals it as part of the undo. Returns what it concerned. */
function takeBack(
  context: Context,
  space: Namespace,
  row: JournalRow,
  kept: Kept,
  undo: string,
): Unit | UndoReason {
  const reason = undoneReason(row.entry.kind, row.entry.run);
  if (kept.what === "moved") return moveBack(context, space, row, kept.life, undo, reason);
  if (kept.what === "back") return takeAway(context, space, row, kept, undo, reason);
  return bringBack(context, space, row, kept, undo, reason);
}

function moveBack(
  context: Context,
  space: Namespace,
  { entry }: JournalRow,
  before: Readonly<Life>,
  undo: string,
  reason: string,
): Unit | UndoReason {
  const { id, document, from, to } = entry;
  const unit = findUnit(context, space, id, document);
  if (!unit) return undoReasons.left;
  if (unit.life.tier !== to) return undoReasons.moved;
  const life = { ...unit.life };
  unit.life.tier = from;
  unit.life.expiresAt = expiryOfReturn(context, unit.life, before);
  space.partitions[unit.partition]!.seq++;
  record(
    space,
    { run: undo, at: context.now(), kind: "undo", id, document, from: to, to: from, reason },
    { what: "moved", life },
  );
  return unit;
}

/** The expiry from before the move, later by uses since then; anew when it has passed. */
function expiryOfReturn(context: Context, life: Readonly<Life>, before: Readonly<Life>): number {
  if (life.pinned) return expiryOf(context, life, context.now());
  const own = before.pinned ? 0 : before.expiresAt;
  const isUsed = life.lastUsedAt > before.lastUsedAt;
  const expiresAt = isUsed ? Math.max(own, expiryOf(context, life, life.lastUsedAt)) : own;
  return expiresAt > context.now() ? expiresAt : expiryOf(context, life, context.now());
}

/** Restores what left, and takes back what a merge changed of the memory that took it in. */
function bringBack(
  context: Context,
  space: Namespace,
  { entry }: JournalRow,
  kept: Extract<Kept, { what: "left" | "chunk" }>,
  undo: string,
  reason: string,
): Unit | UndoReason {
  const change = kept.what === "left" ? kept.change : undefined;
  const keeper = change && findKeeper(context, space, entry.into, change);
  if (change && !keeper) return undoReasons.keeperChanged;
  const unit = kept.what === "left" ? kept.unit : kept.record;
  const restored = isDocument(unit)
    ? restoreDocument(context, space, unit)
    : unit.document
      ? restoreChunk(context, space, unit)
      : restoreMemory(context, space, unit);
  if (typeof restored === "string") return restored;
  const { tier } = unit.life;
  const { id, document, into } = entry;
  const back = { what: "back", version: unit.version } as const;
  record(
    space,
    {
      run: undo,
      at: context.now(),
      kind: "undo",
      id,
      document,
      from: tier,
      to: tier,
      ...(into === undefined ? {} : { into }),
      reason,
    },
    keeper ? { ...back, change: changeBack(context, space, keeper, change!) } : back,
  );
  return restored;
}

/** Takes away again what an undo restored. */
function takeAway(
  context: Context,
  space: Namespace,
  { entry }: JournalRow,
  back: Extract<Kept, { what: "back" }>,
  undo: string,
  reason: string,
): Unit | UndoReason {
  const { id, document, into } = entry;
  const departure = { run: undo, kind: "undo", reason } as const;
  const unit = document ? findUnit(context, space, id, true) : visible(context, space.ids.get(id));
  if (!unit) return undoReasons.left;
  if (unit.version !== back.version) return undoReasons.changed;
  const keeper = back.change && findKeeper(context, space, into, back.change);
  if (back.change && !keeper) return undoReasons.keeperChanged;
  const change = keeper && changeBack(context, space, keeper, back.change!);
  if (!isDocument(unit) && unit.document) removeChunk(context, space, unit, departure);
  else remove(context, space, unit, change ? { ...departure, into, change } : departure);
  return unit;
}

/** Puts a chunk back into its document, if that is still the one it was taken from. */
function restoreChunk(context: Context, space: Namespace, chunk: MemoryRecord): Unit | UndoReason {
  const document = chunk.document!;
  const isThere = space.documents.get(document.uri) === document && isVisible(context, document);
  if (!isThere) return undoReasons.documentLeft;
  if (visible(context, space.ids.get(chunk.id))) return undoReasons.idTaken;
  document.chunks.add(chunk);
  chunk.seq = ++space.partitions[document.partition]!.seq;
  remember(space, chunk);
  return document;
}

/** Publishes a document again, as it was. */
function restoreDocument(context: Context, space: Namespace, document: DocumentRecord): Unit | UndoReason {
  const other = space.documents.get(document.uri);
  if (other && isVisible(context, other)) return undoReasons.nameTaken;
  for (const { id } of document.chunks) {
    if (visible(context, space.ids.get(id))) return undoReasons.idTaken;
  }
  if (other) expire(context, space, other);
  renewExpiry(context, document);
  const partition = space.partitions[document.partition]!;
  const seq = ++partition.seq;
  for (const chunk of document.chunks) {
    chunk.seq = seq;
    remember(space, chunk);
  }
  partition.units.add(document);
  space.documents.set(document.uri, document);
  return document;
}

/** The memory that took another in, if it is as that left it. */
function findKeeper(
  context: Context,
  space: Namespace,
  id: string | undefined,
  change: KeptChange<Tier>,
): MemoryRecord | undefined {
  const memory = visible(context, space.ids.get(id ?? ""));
  return memory && !memory.document && memory.version === change.after.version ? memory : undefined;
}

/** Takes a keeper's change back. Returns what was done as the change that it is. */
function changeBack(
  context: Context,
  space: Namespace,
  memory: MemoryRecord,
  change: KeptChange<Tier>,
): KeptChange<Tier> {
  const now = keptState(memory);
  const then = takenBack(now, change, context.now(), (at) => expiryOf(context, memory.life, at));
  writeKeptState(space, memory, then);
  return { before: now, after: then };
}
