import type { Memory } from "../../contract/memory.ts";
import type { AddResult, Evicted, NewEntry } from "../../contract/memory-store.ts";
import { arrangeVectors } from "../arrange-vectors.ts";
import { resolveEntries } from "../resolve-entries.ts";
import { enforceCapacity, expired } from "./capacity.ts";
import { expiryOf, insertEntry, type Life } from "./entry-rows.ts";
import { insertMemoryRow } from "./memory-insertion.ts";
import { distinctTags, readByRows, toMemory, vectorCell } from "./memory-rows.ts";
import { removeMemory } from "./removal.ts";
import { insertSideVectors } from "./side-vectors.ts";
import { never, tierCode, type WriteStep } from "./write-step.ts";

/** Adds entries, or finds them there already, and evicts what no longer fits. */
export function addMemories(step: WriteStep, entries: readonly NewEntry[]): AddResult {
  const resolutions = resolveEntries(entries, (name, value) => find(step, name, value));
  const first = step.allocate(entries.length);
  const evicted: Evicted[] = [];
  const memories: AddResult["memories"][number][] = [];
  for (const [index, entry] of entries.entries()) {
    const resolution = resolutions[index]!;
    if (resolution.kind === "existing") memories.push({ memory: resolution.memory, outcome: "existing" });
    else if (resolution.kind === "repeated") {
      memories.push({ memory: memories[resolution.index]!.memory, outcome: "existing" });
    } else {
      memories.push({ memory: insertMemory(step, first + index, entry), outcome: "stored" });
      if (!entry.pinned) {
        evicted.push(...enforceCapacity(step, tierCode(entry.tier), { from: first, entry: 0 }));
      }
    }
  }
  return { memories, evicted };
}

const rowsById = "select row from memory indexed by memory_id where namespace = ? and id = ?";
const rowsByKey =
  "select row from memory indexed by memory_idempotency where namespace = ? and idempotency_key = ?";

/** The visible memory that has a key or an id; an expired one gives it up. */
export function find(step: WriteStep, name: "key" | "id", value: string): Memory | undefined {
  const sql = name === "key" ? rowsByKey : rowsById;
  const rows = step.db.all<[number]>(sql, step.namespace, value).map(([row]) => row);
  if (rows.length === 0) return undefined;
  const visible = readByRows(step.db, step.namespace, rows, step.now)[0];
  if (visible) return toMemory(step.name, visible);
  for (const row of rows) expireRow(step, row);
  return undefined;
}

/** Removes a memory that has expired; chunks leave with their document. */
function expireRow(step: WriteStep, row: number): void {
  const isOwn = step.db.get<[number]>("select chunk is null from memory where row = ?", row)?.[0] === 1;
  if (isOwn) removeMemory(step, row, expired());
}

function insertMemory(step: WriteStep, row: number, entry: NewEntry): Memory {
  const createdAt = entry.createdAt ?? step.now;
  const life: Life = {
    tier: tierCode(entry.tier),
    importance: entry.importance,
    accessCount: entry.accessCount ?? 0,
    lastUsedAt: entry.lastUsedAt ?? createdAt,
    pinned: entry.pinned,
  };
  const expiresAt = expiryOf(step.context, life, life.lastUsedAt);
  const tags = distinctTags(entry.tags);
  const bytes = Buffer.byteLength(entry.content);
  const { own, side } = arrangeVectors(entry.vector, entry.sideVectors);
  insertEntry(step, row, false, life, expiresAt, tags);
  insertMemoryRow(step, {
    row,
    id: entry.id,
    content: entry.content,
    contentHash: entry.contentHash,
    bytes,
    createdAt,
    updatedAt: createdAt,
    version: 1,
    at: entry.at,
    thread: entry.thread,
    speaker: entry.speaker,
    idempotencyKey: entry.idempotencyKey,
    tags,
    metadata: entry.metadata,
    vector: own && { model: step.modelCode(own.model), data: vectorCell(own) },
  });
  insertSideVectors(step, { row, revision: undefined, visible: true }, side);
  step.count(life.tier, { entries: life.pinned ? 0 : 1, pinned: life.pinned ? 1 : 0, memories: 1, bytes });
  return {
    id: entry.id,
    namespace: step.name,
    tier: entry.tier,
    content: entry.content,
    contentHash: entry.contentHash,
    importance: life.importance,
    accessCount: life.accessCount,
    createdAt,
    updatedAt: createdAt,
    lastUsedAt: life.lastUsedAt,
    ...(expiresAt === never ? {} : { expiresAt }),
    ...(entry.at === undefined ? {} : { at: entry.at }),
    ...(entry.thread === undefined ? {} : { thread: entry.thread }),
    ...(entry.speaker === undefined ? {} : { speaker: entry.speaker }),
    tags,
    metadata: entry.metadata,
    pinned: life.pinned,
    version: 1,
    ...(own ? { model: own.model } : {}),
  };
}
