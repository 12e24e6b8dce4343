import type {
  ActionOutcome,
  ApplyResult,
  ConsolidationAction,
  MergeAction,
  MoveAction,
} from "../../contract/consolidation.ts";
import type { Evicted } from "../../contract/memory-store.ts";
import { relevance } from "../../contract/relevance.ts";
import { tiers } from "../../contract/tier.ts";
import type { KeptState } from "../kept-state.ts";
import { mergedFields } from "../merge-memories.ts";
import { assertDirection } from "../move-direction.ts";
import { evict, expireSome, leastRelevant, unprotected } from "./capacity.ts";
import { expiryAfterMove, findMovable, type MovableEntry, moveBefore, moveEntry } from "./entry-moves.ts";
import { expiryOf } from "./entry-rows.ts";
import { keptState, writeKeptState } from "./kept-memory.ts";
import { type MemoryRow, readByIds, toMemory } from "./memory-rows.ts";
import { removeMemory } from "./removal.ts";
import { tierCode, type WriteStep } from "./write-step.ts";

/** Performs what was planned, as far as nothing changed since. */
export function applyActions(
  step: WriteStep,
  run: string,
  actions: readonly ConsolidationAction[],
): ApplyResult {
  const evicted: Evicted[] = [];
  const outcomes = actions.map((action) =>
    action.kind === "merge" ? merge(step, run, action) : move(step, run, action, evicted),
  );
  return { outcomes, evicted };
}

function move(step: WriteStep, run: string, action: MoveAction, evicted: Evicted[]): ActionOutcome {
  const [from, to] = [tierCode(action.from), tierCode(action.to)];
  assertDirection(action);
  const moved = findMovable(step, action.id, action.document);
  if (!moved || moved.tier !== from || moved.version !== action.version) return "changed";
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
  moved: MovableEntry,
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
