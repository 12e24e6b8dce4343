import { v7 as uuidv7 } from "uuid";
import type { StoredVector } from "../../contract/memory.ts";
import type { EntryPatch, Evicted, UpdateResult } from "../../contract/memory-store.ts";
import { tiers } from "../../contract/tier.ts";
import { arrangeVectors } from "../arrange-vectors.ts";
import { assertChunkPatch, assertVersion, noSuchMemory } from "../chunk-patch.ts";
import { enforceCapacity } from "./capacity.ts";
import { expiryAfterMove, moveBefore } from "./entry-moves.ts";
import { deleteTags, expiryOf, insertTags, type Life, updateEntry } from "./entry-rows.ts";
import {
  distinctTags,
  listCell,
  type MemoryRow,
  objectCell,
  parseTags,
  readByIds,
  toMemory,
  vectorCell,
} from "./memory-rows.ts";
import { countVector, deleteSideVectors, insertSideVectors } from "./side-vectors.ts";
import { tierCode, type WriteStep } from "./write-step.ts";

export function updateMemory(
  step: WriteStep,
  id: string,
  patch: EntryPatch,
  ifVersion: number | undefined,
): UpdateResult {
  const row = readByIds(step.db, step.namespace, [id], step.now)[0];
  if (!row) throw noSuchMemory(id);
  const memory = toMemory(step.name, row);
  assertVersion(memory.version, ifVersion);
  if (memory.source) {
    assertChunkPatch(patch);
    updateDocument(step, row, patch);
  } else {
    updateText(step, row, patch);
  }
  const evicted = changeLife(step, row, patch, memory.source?.documentId ?? id);
  return { memory: toMemory(step.name, readByIds(step.db, step.namespace, [id], step.now)[0]!), evicted };
}

/** A chunk's tags and metadata are its document's. */
function updateDocument(step: WriteStep, row: MemoryRow, patch: EntryPatch): void {
  const entry = row[1];
  const tags = patch.tags === undefined ? row[27] : listCell(distinctTags(patch.tags));
  if (patch.tags !== undefined) {
    deleteTags(step, entry, parseTags(row[27]));
    insertTags(step, entry, parseTags(tags));
  }
  step.db.run(
    "update document set tags = ?, metadata = ?, version = version + 1, updated_at = ?, seq = ? where entry = ?",
    tags,
    patch.metadata === undefined ? row[28] : objectCell(patch.metadata),
    step.now,
    step.seq,
    entry,
  );
}

function updateText(step: WriteStep, row: MemoryRow, patch: EntryPatch): void {
  const [number, entry, , content, hash, createdAt, , at, thread, speaker, tags, metadata] = row;
  const [bytes, model] = step.db.get<[number, number | null]>(
    "select bytes, model from memory where row = ?",
    number,
  )!;
  const next = {
    content: patch.content?.text ?? content,
    hash: patch.content?.hash ?? hash,
    at: patch.at === undefined ? at : patch.at,
    thread: patch.thread === undefined ? thread : patch.thread,
    speaker: patch.speaker === undefined ? speaker : patch.speaker,
    tags: patch.tags === undefined ? tags : listCell(distinctTags(patch.tags)),
    metadata: patch.metadata === undefined ? metadata : objectCell(patch.metadata),
  };
  const nextBytes = patch.content ? Buffer.byteLength(patch.content.text) : bytes;
  const nextHappenedAt = next.at ?? createdAt;
  const vector = patch.vector !== undefined ? patch.vector : patch.content?.vector;
  const nextModel = vector === undefined ? model : replaceVectors(step, number, model, vector, patch);
  step.db.run(
    `update memory set content = ?, content_hash = ?, bytes = ?, model = ?, at = ?, happened_at = ?, thread = ?,
       speaker = ?, tags = ?, metadata = ?, version = version + 1, updated_at = ?, seq = ? where row = ?`,
    next.content,
    next.hash,
    nextBytes,
    nextModel,
    next.at,
    nextHappenedAt,
    next.thread,
    next.speaker,
    next.tags,
    next.metadata,
    step.now,
    step.seq,
    number,
  );
  if (patch.tags !== undefined) {
    deleteTags(step, entry, parseTags(tags));
    insertTags(step, entry, parseTags(next.tags));
  }
  if (nextBytes !== bytes) step.count(row[18], { bytes: nextBytes - bytes });
}

/** Replaces a memory's vectors by those of its new text. @returns The number of its own one's model. */
function replaceVectors(
  step: WriteStep,
  row: number,
  model: number | null,
  vector: StoredVector | null,
  { sideVectors }: EntryPatch,
): number | null {
  const { own, side } = arrangeVectors(vector, sideVectors);
  const owner = { row, revision: undefined, visible: true };
  const next = own && step.modelCode(own.model);
  if (own === null) step.db.run("delete from vector where row = ?", row);
  else step.db.run("insert or replace into vector values (?, ?, ?)", row, next, vectorCell(own));
  const beside = deleteSideVectors(step, owner);
  if (model !== null || beside === 0) countVector(step, owner, model ?? 0, -1);
  countVector(step, owner, next ?? 0, 1);
  insertSideVectors(step, owner, side);
  return next;
}

/** Changes tier, importance and pin of a memory's entry. A move or an unpinning starts its time to live anew. */
function changeLife(step: WriteStep, row: MemoryRow, patch: EntryPatch, id: string): Evicted[] {
  if (patch.tier === undefined && patch.importance === undefined && patch.pinned === undefined) return [];
  const entry = row[1];
  const [tier, importance, accessCount, lastUsedAt, expiresAt] = [
    row[18],
    row[19],
    row[20],
    row[21],
    row[22],
  ];
  const pinned = row[23] === 1;
  const life: Life = {
    tier: patch.tier === undefined ? tier : tierCode(patch.tier),
    importance: patch.importance ?? importance,
    accessCount,
    lastUsedAt,
    pinned: patch.pinned ?? pinned,
  };
  const isMoved = life.tier !== tier;
  const isSame = !isMoved && life.pinned === pinned;
  const place = { tier, lastUsedAt, expiresAt, pinned };
  let newExpiry = expiresAt;
  if (life.pinned !== pinned) newExpiry = expiryOf(step.context, life, Math.max(step.now, lastUsedAt));
  else if (isMoved) newExpiry = expiryAfterMove(step, place, life.tier);
  updateEntry(step, entry, life, newExpiry);
  if (isSame) return [];
  const sums = sumsOf(step, row);
  step.count(tier, { ...negated(sums), entries: pinned ? 0 : -1, pinned: pinned ? -1 : 0 });
  step.count(life.tier, { ...sums, entries: life.pinned ? 0 : 1, pinned: life.pinned ? 1 : 0 });
  if (isMoved) {
    step.journal({
      run: uuidv7(),
      kind: life.tier > tier ? "promote" : "demote",
      id,
      document: sums.documents === 1,
      from: tier,
      to: life.tier,
      reason: `moved by hand to ${tiers[life.tier]}`,
      before: moveBefore(place),
    });
  }
  return life.pinned ? [] : enforceCapacity(step, life.tier, { from: Number.MAX_SAFE_INTEGER, entry });
}

interface Sums {
  readonly documents: number;
  readonly memories: number;
  readonly bytes: number;
}

function sumsOf(step: WriteStep, row: MemoryRow): Sums {
  if (row[14] === null) {
    const [bytes] = step.db.get<[number]>("select bytes from memory where row = ?", row[0])!;
    return { documents: 0, memories: 1, bytes };
  }
  const [chunks, bytes] = step.db.get<[number, number]>(
    "select chunks, bytes from document where entry = ?",
    row[1],
  )!;
  return { documents: 1, memories: chunks, bytes };
}

function negated(sums: Sums): Sums {
  return { documents: -sums.documents, memories: -sums.memories, bytes: -sums.bytes };
}
