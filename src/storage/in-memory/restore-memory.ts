import type { ActionOutcome, RestoreAction } from "../../contract/consolidation.ts";
import type { Evicted } from "../../contract/memory-store.ts";
import { type UndoReason, undoReasons } from "../undo-reasons.ts";
import {
  type Context,
  expire,
  expiryOf,
  findRoom,
  isVisible,
  type Namespace,
  partitionOf,
  record,
  remember,
  remove,
} from "./namespace.ts";
import { keepVectors, type MemoryRecord, type Unit } from "./records.ts";

/**
 * The memory that is there leaves, and one that says what it said before takes its place: two rows of the journal, so that
 * an undo takes the one away and brings the other back.
 */
export function restoreAs(
  context: Context,
  space: Namespace,
  run: string,
  { memory, vector, version, reason }: RestoreAction,
  evicted: Evicted[],
): ActionOutcome {
  const found = space.ids.get(memory.id);
  const current = found && isVisible(context, found) ? found : undefined;
  if (current?.version !== version || current?.document) return "changed";
  const now = context.now();
  const { tier, accessCount, lastUsedAt, expiresAt } = current?.life ?? {
    ...memory,
    lastUsedAt: now,
    expiresAt: 0,
  };
  const { importance, pinned } = memory;
  const partition = partitionOf(context, memory.thread ?? memory.id);
  const restored: MemoryRecord = {
    row: context.nextNumber(),
    id: memory.id,
    // An expiry that has passed begins anew; a pin decides it too.
    life: {
      tier,
      importance,
      accessCount,
      lastUsedAt,
      pinned,
      expiresAt: current?.life.pinned === pinned ? expiresAt : 0,
    },
    partition,
    seq: 0,
    content: memory.content,
    contentHash: memory.contentHash,
    createdAt: memory.createdAt,
    updatedAt: now,
    at: memory.at,
    thread: memory.thread,
    speaker: memory.speaker,
    idempotencyKey: current?.idempotencyKey,
    tags: memory.tags,
    metadata: structuredClone(memory.metadata),
    version: (current?.version ?? memory.version) + 1,
    ...keepVectors(vector, undefined),
    document: undefined,
    place: undefined,
  };
  if (current) remove(context, space, current, { run, kind: "restore", reason });
  else if (!findRoom(context, space, run, restored, tier, evicted)) return "full";
  restoreMemory(context, space, restored);
  record(
    space,
    { run, at: now, kind: "restore", id: memory.id, document: false, from: tier, to: tier, reason },
    { what: "back", version: restored.version },
  );
  return "done";
}

/** Puts back a memory that left, as it was. */
export function restoreMemory(context: Context, space: Namespace, memory: MemoryRecord): Unit | UndoReason {
  const other = space.ids.get(memory.id);
  if (visible(context, other)) return undoReasons.idTaken;
  if (other && !other.document) expire(context, space, other);
  const { idempotencyKey: key } = memory;
  const holder = key === undefined ? undefined : space.keys.get(key);
  if (holder && !isVisible(context, holder)) expire(context, space, holder);
  if (visible(context, holder)) memory.idempotencyKey = undefined;
  renewExpiry(context, memory);
  const partition = space.partitions[memory.partition]!;
  memory.seq = ++partition.seq;
  partition.units.add(memory);
  remember(space, memory);
  if (memory.idempotencyKey !== undefined) space.keys.set(memory.idempotencyKey, memory);
  return memory;
}

export function visible(context: Context, memory: MemoryRecord | undefined): MemoryRecord | undefined {
  return memory && isVisible(context, memory) ? memory : undefined;
}

/** An expiry that has passed starts anew. */
export function renewExpiry(context: Context, unit: Unit): void {
  if (!isVisible(context, unit)) unit.life.expiresAt = expiryOf(context, unit.life, context.now());
}
