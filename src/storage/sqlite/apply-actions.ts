import type {
  ActionOutcome,
  ApplyResult,
  MergeAction,
  MoveAction,
  RestoreAction,
  StoreAction,
} from "../../contract/consolidation.ts";
import type { Evicted } from "../../contract/memory-store.ts";
import { relevance, relevanceKeys } from "../../contract/relevance.ts";
import { tiers } from "../../contract/tier.ts";
import type { KeptState } from "../kept-state.ts";
import { mergedFields } from "../merge-memories.ts";
import { assertDirection } from "../move-direction.ts";
import { evict, expireSome, leastRelevant, unprotected } from "./capacity.ts";
import { expiryAfterMove, findMovable, type MovableEntry, moveBefore, moveEntry } from "./entry-moves.ts";
import { expiryOf } from "./entry-rows.ts";
import { keptState, writeKeptState } from "./kept-memory.ts";
import { type MemoryRow, readByIds, toMemory, vectorCell } from "./memory-rows.ts";
import { removeMemory } from "./removal.ts";
import { type CameBack, restoreMemory } from "./restoration.ts";
import { never, tierCode, type WriteStep } from "./write-step.ts";

/** Performs what was planned, as far as nothing changed since. */
export function applyActions(step: WriteStep, run: string, actions: readonly StoreAction[]): ApplyResult {
  const evicted: Evicted[] = [];
  const outcomes = actions.map((action) => {
    if (action.kind === "merge") return merge(step, run, action);
    if (action.kind === "restore") return restore(step, run, action, evicted);
    return move(step, run, action, evicted);
  });
  return { outcomes, evicted };
}

function move(step: WriteStep, run: string, action: MoveAction, evicted: Evicted[]): ActionOutcome {
  const [from, to] = [tierCode(action.from), tierCode(action.to)];
  assertDirection(action);
  const moved = findMovable(step, action.id, action.document);
  if (!moved || moved.tier !== from) return "changed";
  if (action.version !== undefined && moved.version !== action.version) return "changed";
  // What makes room is journaled before what takes it, so that an undo goes back through the same states.
  if (!makeRoom(step, run, moved, to, evicted)) return "full";
  moveEntry(step, moved, to, expiryAfterMove(step, moved, to));
  step.journal({
    run,
    kind: action.kind,
    id: action.id,
    document: action.document,
    from,
    to,
    reason: action.reason,
    before: moveBefore(moved),
  });
  return "done";
}

/** Makes room for an entry in a full tier if the tier holds something expired, or less relevant. */
function makeRoom(
  step: WriteStep,
  run: string,
  moved: Pick<MovableEntry, "b" | "k" | "pinned">,
  tier: number,
  evicted: Evicted[],
): boolean {
  const { capacity } = step.context.tiers[tiers[tier]!];
  if (capacity === 0 || moved.pinned || step.entriesIn(tier) < capacity) return true;
  expireSome(step, tier, step.entriesIn(tier) - capacity + 1);
  while (step.entriesIn(tier) >= capacity) {
    const head = leastRelevant(step, tier, unprotected);
    if (!head || head.relevance >= relevance(moved, step.offset)) return false;
    evicted.push(evict(step, tier, head, capacity, run));
  }
  return true;
}

function merge(step: WriteStep, run: string, action: MergeAction): ActionOutcome {
  const keep = mergeable(step, action.keep);
  const absorb = mergeable(step, action.absorb);
  if (!keep || !absorb || keep[0] === absorb[0]) return "changed";
  const before = keptState(keep);
  const fields = mergedFields(toMemory(step.name, keep), toMemory(step.name, absorb));
  const anew = expiryOf(step.context, { tier: before.tier, pinned: false }, fields.lastUsedAt);
  const after: KeptState<number> = {
    ...fields,
    version: before.version + 1,
    updatedAt: step.now,
    tier: before.tier,
    expiresAt: Math.max(before.expiresAt, anew),
  };
  removeMemory(step, absorb[0], {
    run,
    kind: "merge",
    reason: action.reason,
    undoable: true,
    into: action.keep.id,
    kept: { before, after },
  });
  writeKeptState(step, keep, after);
  return "done";
}

/** A visible memory of its own, not pinned, if it has that version still. */
function mergeable(
  step: WriteStep,
  { id, version }: { readonly id: string; readonly version: number },
): MemoryRow | undefined {
  const row = readByIds(step.db, step.namespace, [id], step.now)[0];
  const isOwn = row !== undefined && row[14] === null && row[23] === 0;
  return isOwn && row[12] === version ? row : undefined;
}

/**
 * The memory that is there leaves, and one that says what it said before takes its place: two rows of the journal, so that
 * an undo takes the one away and brings the other back.
 */
function restore(
  step: WriteStep,
  run: string,
  { memory, vector, version, reason }: RestoreAction,
  evicted: Evicted[],
): ActionOutcome {
  const row = readByIds(step.db, step.namespace, [memory.id], step.now)[0];
  if (row?.[12] !== version || (row && row[14] !== null)) return "changed";
  const current = row && toMemory(step.name, row);
  const { tier, accessCount, lastUsedAt } = current ?? { ...memory, lastUsedAt: step.now };
  const code = tierCode(tier);
  const life = { importance: memory.importance, accessCount, lastUsedAt };
  const keys = relevanceKeys(life, step.context.decayRate);
  const key = row && keyOf(step, row[0]);
  if (row) removeMemory(step, row[0], { run, kind: "restore", reason, undoable: true });
  else if (!makeRoom(step, run, { ...keys, pinned: memory.pinned }, code, evicted)) return "full";
  const next = (current?.version ?? memory.version) + 1;
  // An expiry that has passed begins anew; a pin decides it too.
  const expiresAt = current && current.pinned === memory.pinned ? (current.expiresAt ?? never) : 0;
  const { model: _, ...said } = memory;
  const left = {
    ...said,
    ...life,
    ...(key === undefined ? {} : { idempotencyKey: key }),
    tier,
    expiresAt,
    version: next,
    updatedAt: step.now,
  };
  restoreMemory(step, vector ? { ...left, model: vector.model } : left, vector && vectorCell(vector));
  step.journal({
    run,
    kind: "restore",
    id: memory.id,
    document: false,
    from: code,
    to: code,
    reason,
    before: JSON.stringify({ version: next } satisfies CameBack),
  });
  return "done";
}

function keyOf(step: WriteStep, row: number): string | undefined {
  const [key] = step.db.get<[string | null]>("select idempotency_key from memory where row = ?", row)!;
  return key ?? undefined;
}
