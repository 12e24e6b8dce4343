import type { KeptChange } from "../kept-state.ts";
import { type UndoReason, undoReasons } from "../undo-reasons.ts";
import { find } from "./add-memories.ts";
import { expired } from "./capacity.ts";
import { documentByUri } from "./document-rows.ts";
import { expiryOf, insertEntry, type Life } from "./entry-rows.ts";
import { insertMemoryRow } from "./memory-insertion.ts";
import { listCell, objectCell } from "./memory-rows.ts";
import { countRevision, type LeftDocument, type LeftMemory, removeDocument } from "./removal.ts";
import { countVector } from "./side-vectors.ts";
import { never, tierCode, type WriteStep } from "./write-step.ts";

/** An entry that is there again. */
export interface Restored {
  readonly entry: number;
  readonly tier: number;
}

/** What a journal row keeps of a memory or document that came back. */
export interface CameBack {
  readonly version: number;
  readonly kept?: KeptChange<number>;
}

/** Puts back a memory that left, as it was; an expiry that has passed starts anew. */
export function restoreMemory(
  step: WriteStep,
  left: LeftMemory,
  vector: Uint8Array | null,
): Restored | UndoReason {
  if (find(step, "id", left.id)) return undoReasons.idTaken;
  const row = left.row ?? step.allocate(1);
  const isKeyFree = left.idempotencyKey !== undefined && !find(step, "key", left.idempotencyKey);
  const life = lifeOf(left);
  const bytes = Buffer.byteLength(left.content);
  insertEntry(step, row, false, life, expiryAgain(step, life, left.expiresAt), left.tags);
  insertMemoryRow(step, {
    ...left,
    row,
    bytes,
    at: left.at,
    thread: left.thread,
    speaker: left.speaker,
    idempotencyKey: isKeyFree ? left.idempotencyKey : undefined,
    vector: left.model !== undefined && vector ? { model: step.modelCode(left.model), data: vector } : null,
  });
  step.count(life.tier, { entries: life.pinned ? 0 : 1, pinned: life.pinned ? 1 : 0, memories: 1, bytes });
  return { entry: row, tier: life.tier };
}

/** Puts a chunk back into its document, if that is still the one it was taken from. */
export function restoreChunk(
  step: WriteStep,
  left: LeftMemory,
  vector: Uint8Array | null,
): Restored | UndoReason {
  const { row, source, chunk } = left;
  if (row === undefined || !source || !chunk) return undoReasons.notKept;
  const document = documentByUri(step.db, step.namespace, source.uri);
  if (!document || document[0] !== chunk.revision || document[11] <= step.now)
    return undoReasons.documentLeft;
  if (find(step, "id", left.id)) return undoReasons.idTaken;
  const [entry, , , , , tier] = document;
  const bytes = Buffer.byteLength(left.content);
  const model = left.model !== undefined && vector ? step.modelCode(left.model) : null;
  step.db.run(
    `insert into memory (row, namespace, entry, seq, id, content_hash, bytes, model, created_at, updated_at,
       happened_at, version, chunk, start_offset, end_offset, headings, metadata, content)
     values (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    row,
    step.namespace,
    entry,
    left.id,
    left.contentHash,
    bytes,
    model,
    left.createdAt,
    chunk.updatedAt,
    left.createdAt,
    chunk.version,
    source.chunk,
    source.start,
    source.end,
    listCell(source.headings),
    objectCell(chunk.metadata),
    left.content,
  );
  if (model !== null) step.db.run("insert into vector values (?, ?, ?)", row, model, vector);
  step.db.run("update revision set chunks = chunks + 1, bytes = bytes + ? where id = ?", bytes, entry);
  step.db.run(
    "update document set chunks = chunks + 1, bytes = bytes + ?, seq = ? where entry = ?",
    bytes,
    step.seq,
    entry,
  );
  countVector(step, { revision: entry, visible: true }, model ?? 0, 1);
  step.count(tier, { memories: 1, bytes });
  return { entry, tier };
}

/** Publishes a retired revision again, as the document it was. */
export function restoreDocument(
  step: WriteStep,
  left: LeftDocument,
  revision: number | null,
): Restored | UndoReason {
  const kept = step.db.get<[number, number]>(
    "select chunks, bytes from revision where id = ? and state = 2",
    revision,
  );
  if (revision === null || !kept) return undoReasons.notKept;
  const [chunks, bytes] = kept;
  const other = documentByUri(step.db, step.namespace, left.uri);
  if (other && other[11] > step.now) return undoReasons.nameTaken;
  if (isChunkTaken(step, revision)) return undoReasons.idTaken;
  if (other) removeDocument(step, other[0], expired());
  const life = lifeOf(left);
  insertEntry(step, revision, true, life, expiryAgain(step, life, left.expiresAt), left.tags);
  step.db.run(
    `insert into document (entry, namespace, seq, id, uri, title, hash, created_at, updated_at, version, tags,
       metadata, chunks, bytes, characters) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    revision,
    step.namespace,
    step.seq,
    left.id,
    left.uri,
    left.title ?? null,
    left.hash,
    left.createdAt,
    left.updatedAt,
    left.version ?? 0,
    listCell(left.tags),
    objectCell(left.metadata),
    chunks,
    bytes,
    left.characters,
  );
  step.db.run("update revision set state = 1, due_at = 0 where id = ?", revision);
  countRevision(step, revision, 1);
  step.count(life.tier, {
    entries: life.pinned ? 0 : 1,
    pinned: life.pinned ? 1 : 0,
    documents: 1,
    memories: chunks,
    bytes,
  });
  return { entry: revision, tier: life.tier };
}

/** True when a visible memory has the id of one of a retired revision's chunks. */
function isChunkTaken(step: WriteStep, revision: number): boolean {
  const taken = step.db.get(
    `select 1 from chunk_range r cross join memory m on m.row between r.first and r.last
     cross join memory o indexed by memory_id on o.namespace = m.namespace and o.id = m.id and o.row <> m.row
     cross join entry e on e.id = o.entry and e.expires_at > ?
     where r.revision = ? limit 1`,
    step.now,
    revision,
  );
  return taken !== undefined;
}

function lifeOf(left: LeftMemory | LeftDocument): Life {
  const { importance, accessCount, lastUsedAt, pinned } = left;
  return { tier: tierCode(left.tier), importance, accessCount, lastUsedAt, pinned };
}

/** An expiry that has passed starts anew. */
function expiryAgain(step: WriteStep, life: Life, expiresAt: number = never): number {
  return expiresAt > step.now ? expiresAt : expiryOf(step.context, life, step.now);
}
