import { isRepeat } from "../../contract/exact-duplicates.ts";
import type { Memory } from "../../contract/memory.ts";
import type { AddResult, Evicted, NewEntry } from "../../contract/memory-store.ts";
import { arrangeVectors } from "../arrange-vectors.ts";
import { repeatPatch } from "../repeats.ts";
import { resolveEntries } from "../resolve-entries.ts";
import { enforceCapacity, expired } from "./capacity.ts";
import { expiryOf, insertEntry, type Life, touchEntries } from "./entry-rows.ts";
import { insertMemoryRow } from "./memory-insertion.ts";
import { distinctTags, readByIds, readByRows, toMemory, vectorCell } from "./memory-rows.ts";
import { removeMemory } from "./removal.ts";
import { insertSideVectors } from "./side-vectors.ts";
import { updateMemory } from "./update-memory.ts";
import { never, tierCode, type WriteStep } from "./write-step.ts";

/** Adds entries, or finds them there already, and evicts what no longer fits. */
export function addMemories(step: WriteStep, entries: readonly NewEntry[]): AddResult {
  const resolutions = resolveEntries(entries, {
    byKey: (key) => find(step, "key", key),
    byId: (id) => find(step, "id", id),
    byContent: (entry) => findRepeated(step, entry),
  });
  const first = step.allocate(entries.length);
  const evicted: Evicted[] = [];
  const memories: AddResult["memories"][number][] = [];
  for (const [index, entry] of entries.entries()) {
    const resolution = resolutions[index]!;
    let known: Memory | undefined;
    if (resolution.kind === "existing") known = resolution.memory;
    else if (resolution.kind === "repeated") known = memories[resolution.index]!.memory;
    // One that this very call evicted is added again.
    if (known && resolution.kind !== "new" && resolution.said) known = repeat(step, known.id, entry, evicted);
    if (known) memories.push({ memory: known, outcome: "existing" });
    else {
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

/** How many of the memories of one content are looked at. */
const repeatBound = 32;
const rowsByContent = `select row from memory indexed by memory_content
  where namespace = ? and substr(content_hash, 1, 16) = substr(?, 1, 16) and thread is ? and chunk is null
    and speaker is ? and at is ? order by row limit ${repeatBound}`;

/** The visible memory that an entry repeats, the first added of several. */
function findRepeated(step: WriteStep, entry: NewEntry): Memory | undefined {
  const rows = step.db.all<[number]>(
    rowsByContent,
    step.namespace,
    entry.contentHash,
    entry.thread ?? null,
    entry.speaker ?? null,
    entry.at ?? null,
  );
  if (rows.length === 0) return undefined;
  return readByRows(
    step.db,
    step.namespace,
    rows.map(([row]) => row),
    step.now,
  )
    .map((row) => toMemory(step.name, row))
    .find((memory) => isRepeat(entry, memory));
}

/** Uses a memory once more and gives it what an entry that repeats it asks for; undefined when it has left. */
function repeat(step: WriteStep, id: string, entry: NewEntry, evicted: Evicted[]): Memory | undefined {
  const read = () =>
    readByIds(step.db, step.namespace, [id], step.now).map((row) => toMemory(step.name, row))[0];
  const memory = read();
  if (!memory) return undefined;
  step.repeated();
  touchEntries(step, [{ id, count: 1, lastUsedAt: step.now }]);
  const patch = repeatPatch(memory, entry);
  if (patch) evicted.push(...updateMemory(step, id, patch, undefined).evicted);
  return read();
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
