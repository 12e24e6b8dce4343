import { relevance, relevanceKeys, relevanceOffset, utcDay } from "../../contract/relevance.ts";
import type { Tier } from "../../contract/tier.ts";
import { type MemoryRecord, memoriesOf, numberOf, type Unit } from "./records.ts";

/** One partition's order of writes, its units and its tombstones. A thread or a document never spans two. */
export interface Partition {
  seq: number;
  /** Last number whose tombstones may be gone. */
  trimmed: number;
  readonly units: Set<Unit>;
  readonly gone: { readonly seq: number; readonly row: number }[];
}

export function createPartition(): Partition {
  return { seq: 0, trimmed: 0, units: new Set(), gone: [] };
}

/** A partition's equal share of a namespace's capacity; 0 stays unlimited, and no share of a limit is 0. */
export function shareOf(capacity: number, partitions: number): number {
  return capacity === 0 ? 0 : Math.max(1, Math.floor(capacity / partitions));
}

/** Relevance of a unit, by looking at it alone. */
export function relevanceOf(unit: Unit, now: number, decayRate: number): number {
  return relevance(relevanceKeys(unit.life, decayRate), relevanceOffset(utcDay(now), decayRate));
}

/** Units of a tier that count against its capacity. */
export function countedUnits(partition: Partition, tier: Tier): Unit[] {
  return [...partition.units].filter((unit) => unit.life.tier === tier && !unit.life.pinned);
}

/** The least relevant of some units, the oldest of equal ones: a full scan, which a map in memory can afford. */
export function leastRelevant(units: readonly Unit[], now: number, decayRate: number): Unit | undefined {
  let least: Unit | undefined;
  let lowest = Number.POSITIVE_INFINITY;
  for (const unit of units) {
    const value = relevanceOf(unit, now, decayRate);
    if (value < lowest || (value === lowest && least && numberOf(unit) < numberOf(least))) {
      least = unit;
      lowest = value;
    }
  }
  return least;
}

/** Where a follower of one partition stands: see the feed of the SQLite driver. */
export interface Position {
  readonly seq: number;
  readonly row: number;
  readonly horizon: number;
}

export const wholeWrite: number = Number.MAX_SAFE_INTEGER;

export interface PartitionPage {
  readonly records: readonly MemoryRecord[];
  readonly removed: readonly number[];
  readonly end: Position;
}

/** What changed in a partition after a position: at most `limit` records. */
export function changesIn(partition: Partition, position: Position, limit: number): PartitionPage {
  const { seq, row, horizon } = position;
  if (seq === partition.seq && row === wholeWrite) return { records: [], removed: [], end: position };
  const changed = [...partition.units]
    .flatMap(memoriesOf)
    .filter((record) => record.seq > seq || (record.seq === seq && record.row > row))
    .sort((one, other) => one.seq - other.seq || one.row - other.row);
  const records = changed.slice(0, limit);
  const last = records.at(-1);
  const end: Position =
    changed.length > limit && last
      ? { seq: last.seq, row: last.row, horizon }
      : { seq: partition.seq, row: wholeWrite, horizon };
  const removed = partition.gone
    .filter((tombstone) => tombstone.seq > Math.max(seq, horizon) && tombstone.seq <= end.seq)
    .map((tombstone) => tombstone.row);
  return { records, removed, end };
}
