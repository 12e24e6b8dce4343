import type {
  ActionOutcome,
  ApplyResult,
  Candidate,
  CandidatePage,
  CandidateQuery,
  MergeAction,
  MoveAction,
  StoreAction,
} from "../../contract/consolidation.ts";
import type { Evicted } from "../../contract/memory-store.ts";
import { isAtLeast, relevance, relevanceKeys, relevanceOffset } from "../../contract/relevance.ts";
import { type Tier, tiers } from "../../contract/tier.ts";
import { decodeCursor, encodeCursor, halvesOf, ofHalves } from "../cursor.ts";
import type { KeptState } from "../kept-state.ts";
import { mergedFields } from "../merge-memories.ts";
import { assertDirection } from "../move-direction.ts";
import {
  type Context,
  expiryOf,
  findRoom,
  isVisible,
  type Namespace,
  record,
  remove,
  units,
} from "./namespace.ts";
import { isDocument, type Life, type MemoryRecord, numberOf, toMemory, type Unit } from "./records.ts";
import { restoreAs } from "./restore-memory.ts";

/** A page of candidates, by a scan of everything. */
export function candidatesOf(context: Context, space: Namespace, query: CandidateQuery): CandidatePage {
  const { decayRate } = context;
  const offset = relevanceOffset(query.day, decayRate);
  const direction = query.side === "below" ? 1 : -1;
  const found = [...units(space)]
    .filter(({ life }) => life.tier === query.tier && !life.pinned)
    .filter((unit) => isVisible(context, unit) && !(query.memoriesOnly && isDocument(unit)))
    .map((unit) => {
      const keys = relevanceKeys(unit.life, decayRate);
      return { unit, keys, value: relevance(keys, offset), number: numberOf(unit) };
    })
    .filter(({ keys }) => isAtLeast(keys, query.threshold, offset) === (query.side === "at-least"))
    .sort((one, other) => direction * (one.value - other.value || one.number - other.number));
  let rest = found;
  if (query.cursor !== undefined) {
    const [low, high, number] = decodeCursor("candidates", query.cursor, 3) as [number, number, number];
    const value = ofHalves(low, high);
    rest = found.filter((one) => direction * (one.value - value || one.number - number) > 0);
  }
  const page = rest.slice(0, query.limit);
  const last = page.at(-1);
  return {
    candidates: page.map(({ unit, keys }) => toCandidate(unit, keys)),
    ...(rest.length > page.length && last
      ? { cursor: encodeCursor("candidates", [...halvesOf(last.value), last.number]) }
      : {}),
  };
}

function toCandidate(unit: Unit, keys: Candidate["keys"]): Candidate {
  const { tier, importance, accessCount, lastUsedAt, expiresAt } = unit.life;
  return {
    id: unit.id,
    document: isDocument(unit),
    tier,
    importance,
    accessCount,
    createdAt: unit.createdAt,
    lastUsedAt,
    ...(Number.isFinite(expiresAt) ? { expiresAt } : {}),
    version: unit.version,
    keys,
  };
}

/** Performs what was planned, as far as nothing changed since. */
export function applyActions(
  context: Context,
  space: Namespace,
  run: string,
  actions: readonly StoreAction[],
): ApplyResult {
  for (const action of actions)
    if (action.kind === "promote" || action.kind === "demote") assertDirection(action);
  const evicted: Evicted[] = [];
  const moved = new Set<number>();
  const outcomes = actions.map((action) => {
    if (action.kind === "merge") return merge(context, space, run, action);
    if (action.kind === "restore") return restoreAs(context, space, run, action, evicted);
    return move(context, space, run, action, evicted, moved);
  });
  for (const partition of moved) space.partitions[partition]!.seq++;
  return { outcomes, evicted };
}

function move(
  context: Context,
  space: Namespace,
  run: string,
  { kind, id, document, from, to, version, reason }: MoveAction,
  evicted: Evicted[],
  moved: Set<number>,
): ActionOutcome {
  const unit = findUnit(context, space, id, document);
  if (!unit || unit.life.tier !== from) return "changed";
  if (version !== undefined && unit.version !== version) return "changed";
  if (!findRoom(context, space, run, unit, to, evicted)) return "full";
  const life = { ...unit.life };
  unit.life.expiresAt = expiryAfterMove(context, life, to);
  unit.life.tier = to;
  moved.add(unit.partition);
  record(space, { run, at: context.now(), kind, id, document, from, to, reason }, { what: "moved", life });
  return "done";
}

/** The visible memory of its own, or document, of that id. */
export function findUnit(
  context: Context,
  space: Namespace,
  id: string,
  document: boolean,
): Unit | undefined {
  const unit = document ? [...space.documents.values()].find((one) => one.id === id) : space.ids.get(id);
  const isOwn = unit !== undefined && (isDocument(unit) || unit.document === undefined);
  return isOwn && isVisible(context, unit) ? unit : undefined;
}

/** When an entry expires after a move: its time starts anew, and a promotion never shortens it. */
export function expiryAfterMove(context: Context, life: Readonly<Life>, to: Tier): number {
  const anew = expiryOf(context, { tier: to, pinned: life.pinned }, Math.max(context.now(), life.lastUsedAt));
  return tiers.indexOf(to) > tiers.indexOf(life.tier) ? Math.max(anew, life.expiresAt) : anew;
}

function merge(
  context: Context,
  space: Namespace,
  run: string,
  { keep: kept, absorb: absorbed, reason }: MergeAction,
): ActionOutcome {
  const keep = mergeable(context, space, kept);
  const absorb = mergeable(context, space, absorbed);
  if (!keep || !absorb || keep === absorb) return "changed";
  const before = keptState(keep);
  const fields = mergedFields(toMemory(space.name, keep), toMemory(space.name, absorb));
  const after: KeptState<Tier> = {
    ...fields,
    version: before.version + 1,
    updatedAt: context.now(),
    tier: before.tier,
    expiresAt: Math.max(before.expiresAt, expiryOf(context, keep.life, fields.lastUsedAt)),
  };
  remove(context, space, absorb, { run, kind: "merge", reason, into: kept.id, change: { before, after } });
  writeKeptState(space, keep, after);
  return "done";
}

/** A visible memory of its own, not pinned, if it has that version still. */
function mergeable(
  context: Context,
  space: Namespace,
  { id, version }: { readonly id: string; readonly version: number },
): MemoryRecord | undefined {
  const memory = space.ids.get(id);
  const isOwn = memory !== undefined && !memory.document && !memory.life.pinned && isVisible(context, memory);
  return isOwn && memory.version === version ? memory : undefined;
}

export function keptState({ version, updatedAt, tags, metadata, life }: MemoryRecord): KeptState<Tier> {
  const { tier, importance, accessCount, lastUsedAt, expiresAt } = life;
  return { version, updatedAt, tags, metadata, tier, importance, accessCount, lastUsedAt, expiresAt };
}

/** Makes a memory what it shall be; its tier stays. */
export function writeKeptState(space: Namespace, memory: MemoryRecord, state: KeptState<Tier>): void {
  const { tags, metadata, version, updatedAt, importance, accessCount, lastUsedAt, expiresAt } = state;
  Object.assign(memory, { tags, metadata, version, updatedAt });
  Object.assign(memory.life, { importance, accessCount, lastUsedAt, expiresAt });
  memory.seq = ++space.partitions[memory.partition]!.seq;
}
