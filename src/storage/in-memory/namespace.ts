import { v7 as uuidv7 } from "uuid";
import type {
  Evicted,
  JournalEntry,
  JournalKind,
  NewChunk,
  NewDocument,
} from "../../contract/memory-store.ts";
import type { MemoryFilter } from "../../contract/scope.ts";
import type { SnapshotItem } from "../../contract/snapshot.ts";
import type { Tier, TierTable } from "../../contract/tier.ts";
import type { KeptChange } from "../kept-state.ts";
import {
  countedUnits,
  createPartition,
  leastRelevant,
  type Partition,
  relevanceOf,
  shareOf,
} from "./partition.ts";
import {
  type DocumentRecord,
  isDocument,
  type Life,
  type MemoryRecord,
  memoriesOf,
  type Unit,
} from "./records.ts";

/** What every part of the driver works with. */
export interface Context {
  readonly now: () => number;
  readonly partitions: number;
  readonly tiers: TierTable;
  readonly decayRate: number;
  readonly feedReach: number;
  readonly forgetRetentionMs: number;
  /** The next number of a memory, a document or a revision. */
  readonly nextNumber: () => number;
}

export interface Namespace {
  readonly name: string;
  readonly partitions: readonly Partition[];
  readonly rows: Map<number, MemoryRecord>;
  readonly ids: Map<string, MemoryRecord>;
  readonly keys: Map<string, MemoryRecord>;
  readonly documents: Map<string, DocumentRecord>;
  readonly staged: Map<number, Staging>;
  readonly state: Map<string, string>;
  /** By model, rows that were given a vector of it beside others, after the first `dropped`, in that order. */
  readonly put: Map<string, { readonly dropped: number; readonly rows: number[] }>;
  readonly snapshots: Map<string, SavedSnapshot>;
  journal: JournalRow[];
  lastJournalNumber: number;
  evicted: number;
  repeated: number;
}

export interface SavedSnapshot {
  readonly createdAt: number;
  readonly filter: MemoryFilter;
  items: SnapshotItem[];
}

export interface Staging {
  readonly documentId: string;
  readonly plan: NewDocument;
  readonly chunks: { readonly row: number; readonly chunk: NewChunk; readonly at: number }[];
  touchedAt: number;
}

/** What undo needs: what left, as it left; a few numbers of what moved or came back. */
export type Kept =
  | { readonly what: "left"; readonly unit: Unit; readonly change?: KeptChange<Tier> | undefined }
  | { readonly what: "chunk"; readonly record: MemoryRecord }
  | { readonly what: "moved"; readonly life: Readonly<Life> }
  | { readonly what: "back"; readonly version: number; readonly change?: KeptChange<Tier> | undefined };

export interface JournalRow {
  readonly number: number;
  readonly entry: Omit<JournalEntry, "undoable">;
  /** Absent when there is nothing to undo, or not any more. */
  kept: Kept | undefined;
  /** The run that took it back. */
  undone: string | undefined;
}

/** Most rows of the journal. */
const journalBound = 100_000;

export const expiredReason = "unused for longer than its tier keeps";

export function createNamespace(name: string, partitions: number): Namespace {
  return {
    name,
    partitions: Array.from({ length: partitions }, createPartition),
    rows: new Map(),
    ids: new Map(),
    keys: new Map(),
    documents: new Map(),
    staged: new Map(),
    put: new Map(),
    state: new Map(),
    snapshots: new Map(),
    journal: [],
    lastJournalNumber: 0,
    evicted: 0,
    repeated: 0,
  };
}

/** Where an entry belongs: its thread or its document keeps it together with others, else its id spreads it. */
export function partitionOf(context: Context, name: string): number {
  let hash = 0;
  for (const character of name) hash = (hash * 31 + character.codePointAt(0)!) >>> 0;
  return hash % context.partitions;
}

export function* units(space: Namespace): Iterable<Unit> {
  for (const partition of space.partitions) yield* partition.units;
}

export function isVisible(context: Context, unit: Unit): boolean {
  return unit.life.expiresAt > context.now();
}

/** When an entry expires that was last used at a time; a pinned one never does. */
export function expiryOf(context: Context, life: Pick<Life, "tier" | "pinned">, lastUsedAt: number): number {
  const { ttlSeconds } = context.tiers[life.tier];
  return life.pinned || ttlSeconds === 0 ? Number.POSITIVE_INFINITY : lastUsedAt + ttlSeconds * 1_000;
}

/** Evicts from the tier and partition of a unit what no longer fits, the kept ones only when nothing else is left. */
export function makeRoom(context: Context, space: Namespace, unit: Unit, kept: ReadonlySet<Unit>): Evicted[] {
  if (unit.life.pinned) return [];
  return shrink(context, space, space.partitions[unit.partition]!, unit.life.tier, kept);
}

/** Makes room for a unit in a full tier if the tier holds something expired, or less relevant. */
export function findRoom(
  context: Context,
  space: Namespace,
  run: string,
  unit: Unit,
  tier: Tier,
  evicted: Evicted[],
): boolean {
  const { now, decayRate } = context;
  const capacity = shareOf(context.tiers[tier].capacity, context.partitions);
  const partition = space.partitions[unit.partition]!;
  while (capacity > 0 && !unit.life.pinned) {
    const counted = countedUnits(partition, tier);
    if (counted.length < capacity) return true;
    const spent = counted.find((one) => !isVisible(context, one));
    if (spent) {
      expire(context, space, spent);
      continue;
    }
    const least = leastRelevant(counted, now(), decayRate)!;
    if (relevanceOf(least, now(), decayRate) >= relevanceOf(unit, now(), decayRate)) return false;
    evicted.push(evict(context, space, least, run));
  }
  return true;
}

/** Evicts from one tier of one partition what no longer fits, the kept ones only when nothing else is left. */
export function shrink(
  context: Context,
  space: Namespace,
  partition: Partition,
  tier: Tier,
  kept: ReadonlySet<Unit>,
  run?: string,
): Evicted[] {
  const { now, tiers: table, partitions, decayRate } = context;
  const capacity = shareOf(table[tier].capacity, partitions);
  const evicted: Evicted[] = [];
  if (capacity === 0) return evicted;
  for (;;) {
    const counted = countedUnits(partition, tier);
    if (counted.length <= capacity) return evicted;
    const spent = counted.find((one) => !isVisible(context, one));
    if (spent) {
      expire(context, space, spent);
      continue;
    }
    const others = counted.filter((one) => !kept.has(one));
    const least = leastRelevant(others.length > 0 ? others : counted, now(), decayRate)!;
    evicted.push(evict(context, space, least, run));
  }
}

/** Evicts one unit, journaled under `run`. */
export function evict(context: Context, space: Namespace, unit: Unit, run: string = uuidv7()): Evicted {
  const { now, tiers: table, partitions, decayRate } = context;
  const { tier } = unit.life;
  const capacity = shareOf(table[tier].capacity, partitions);
  const relevance = relevanceOf(unit, now(), decayRate);
  const reason = `least relevant (${relevance.toFixed(4)}) of a tier at its capacity of ${capacity}`;
  remove(context, space, unit, { kind: "evict", reason, run });
  space.evicted++;
  return { id: unit.id, document: isDocument(unit), tier, relevance };
}

export function expire(context: Context, space: Namespace, unit: Unit): void {
  remove(context, space, unit, { kind: "expire", reason: expiredReason, run: uuidv7() });
}

/** Why something leaves; erased, it leaves no row in the journal. */
export interface Departure {
  readonly run: string;
  readonly kind: Exclude<JournalKind, "promote" | "demote">;
  readonly reason: string;
  readonly isErased?: boolean;
  readonly into?: string | undefined;
  readonly change?: KeptChange<Tier> | undefined;
}

export function remove(context: Context, space: Namespace, unit: Unit, departure: Departure): void {
  if (!space.partitions[unit.partition]!.units.has(unit)) return;
  drop(context, space, unit);
  const kept =
    departure.kind === "expire" ? undefined : ({ what: "left", unit, change: departure.change } as const);
  // Of a memory its own vector is kept.
  if (!isDocument(unit)) unit.side.clear();
  if (!departure.isErased) recordDeparture(context, space, unit, departure, kept);
}

export function removeChunk(
  context: Context,
  space: Namespace,
  record: MemoryRecord,
  departure: Departure,
): void {
  const partition = space.partitions[record.partition]!;
  record.document!.chunks.delete(record);
  unlist(context, space, partition, record, ++partition.seq);
  record.side.clear();
  if (!departure.isErased) recordDeparture(context, space, record, departure, { what: "chunk", record });
}

function recordDeparture(
  context: Context,
  space: Namespace,
  unit: Unit,
  { run, kind, reason, into }: Departure,
  kept: Kept | undefined,
): void {
  const document = isDocument(unit);
  record(
    space,
    {
      run,
      at: context.now(),
      kind,
      id: unit.id,
      document,
      from: unit.life.tier,
      ...(into === undefined ? {} : { into }),
      reason,
    },
    kept,
  );
}

/** Takes a unit out of the partition and of every list, and tells the feed. */
export function drop(context: Context, space: Namespace, unit: Unit): void {
  const partition = space.partitions[unit.partition]!;
  const seq = ++partition.seq;
  partition.units.delete(unit);
  for (const memory of memoriesOf(unit)) unlist(context, space, partition, memory, seq);
  if (isDocument(unit) && space.documents.get(unit.uri) === unit) space.documents.delete(unit.uri);
}

function unlist(
  context: Context,
  space: Namespace,
  partition: Partition,
  memory: MemoryRecord,
  seq: number,
): void {
  space.rows.delete(memory.row);
  if (space.ids.get(memory.id) === memory) space.ids.delete(memory.id);
  if (memory.idempotencyKey !== undefined && space.keys.get(memory.idempotencyKey) === memory) {
    space.keys.delete(memory.idempotencyKey);
  }
  partition.gone.push({ seq, row: memory.row });
  const trimmed = partition.seq - context.feedReach;
  while (partition.gone.length > 0 && partition.gone[0]!.seq <= trimmed) partition.gone.shift();
  partition.trimmed = Math.max(partition.trimmed, trimmed);
}

/** Enters a memory into every list. */
export function remember(space: Namespace, memory: MemoryRecord): void {
  space.rows.set(memory.row, memory);
  space.ids.set(memory.id, memory);
}

export function record(
  space: Namespace,
  entry: Omit<JournalEntry, "undoable">,
  kept?: Kept | undefined,
): void {
  space.journal.push({ number: ++space.lastJournalNumber, entry, kept, undone: undefined });
  if (space.journal.length > journalBound) space.journal.shift();
}
