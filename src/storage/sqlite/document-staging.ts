import { v7 as uuidv7 } from "uuid";
import { StrataError } from "../../contract/errors.ts";
import type { NewChunk, NewDocument, PublishResult, StagedDocument } from "../../contract/memory-store.ts";
import { arrangeVectors } from "../arrange-vectors.ts";
import { enforceCapacity, expired } from "./capacity.ts";
import { type DocumentRow, documentByEntry, documentByUri, toDocument } from "./document-rows.ts";
import { deleteEntry, expiryOf, insertEntry, type Life } from "./entry-rows.ts";
import { distinctTags, listCell, objectCell, parseTags, vectorCell } from "./memory-rows.ts";
import { countRevision, removeDocument, retireRevision } from "./removal.ts";
import { countVector, insertSideVectors } from "./side-vectors.ts";
import { tierCode, type WriteStep } from "./write-step.ts";

/** A staged revision nobody has added to for so long was left by a process that died. */
const stagingLeaseMs: number = 15 * 60_000;

export function stage(step: WriteStep, document: NewDocument): StagedDocument {
  tierCode(document.tier);
  const revision = step.allocate(1);
  const known = documentByUri(step.db, step.namespace, document.uri);
  const documentId = known && known[11] > step.now ? known[1] : uuidv7();
  step.db.run(
    "insert into revision (id, namespace, state, due_at, document_id, plan) values (?, ?, 0, ?, ?, ?)",
    revision,
    step.namespace,
    step.now + stagingLeaseMs,
    documentId,
    JSON.stringify(document),
  );
  return { documentId, namespace: step.name, revision };
}

interface Staged {
  readonly documentId: string;
  readonly plan: NewDocument;
  readonly chunks: number;
  readonly bytes: number;
  readonly characters: number;
}

/** @throws NOT_FOUND when the revision was published, discarded or swept. */
function stagedRevision(step: WriteStep, revision: number): Staged {
  const row = step.db.get<[string, string, number, number, number]>(
    `select document_id, plan, chunks, bytes, characters from revision
     where id = ? and namespace = ? and state = 0`,
    revision,
    step.namespace,
  );
  if (!row) {
    throw new StrataError(
      "NOT_FOUND",
      "Expected a staged document; it was published, discarded, or left alone for too long. Stage it again.",
      { details: { revision } },
    );
  }
  const [documentId, plan, chunks, bytes, characters] = row;
  return { documentId, plan: JSON.parse(plan), chunks, bytes, characters };
}

export function addStagedChunks(step: WriteStep, staged: StagedDocument, chunks: readonly NewChunk[]): void {
  stagedRevision(step, staged.revision);
  if (chunks.length === 0) return;
  const first = step.allocate(chunks.length);
  let bytes = 0;
  let characters = 0;
  for (const [index, chunk] of chunks.entries()) {
    const size = Buffer.byteLength(chunk.content);
    insertChunk(step, staged.revision, first + index, size, chunk);
    bytes += size;
    characters = Math.max(characters, chunk.source.end);
  }
  step.db.run("insert into chunk_range values (?, ?, ?)", staged.revision, first, first + chunks.length - 1);
  step.db.run(
    `update revision set chunks = chunks + ?, bytes = bytes + ?, characters = max(characters, ?), due_at = ?
     where id = ?`,
    chunks.length,
    bytes,
    characters,
    step.now + stagingLeaseMs,
    staged.revision,
  );
}

function insertChunk(step: WriteStep, revision: number, row: number, bytes: number, chunk: NewChunk): void {
  const { own, side } = arrangeVectors(chunk.vector, chunk.sideVectors);
  const model = own ? step.modelCode(own.model) : null;
  step.db.run(
    `insert into memory (row, namespace, entry, seq, id, content_hash, bytes, model, created_at, updated_at,
       happened_at, version, chunk, start_offset, end_offset, headings, metadata, content)
     values (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?)`,
    row,
    step.namespace,
    revision,
    chunk.id,
    chunk.contentHash,
    bytes,
    model,
    step.now,
    step.now,
    step.now,
    chunk.source.chunk,
    chunk.source.start,
    chunk.source.end,
    listCell(chunk.source.headings),
    objectCell(chunk.metadata),
    chunk.content,
  );
  if (own) step.db.run("insert into vector values (?, ?, ?)", row, model, vectorCell(own));
  const owner = { row, revision, visible: false };
  countVector(step, owner, model ?? 0, 1);
  insertSideVectors(step, owner, side);
}

/** Makes a staged revision the document, in a transaction whose size does not depend on the document's. */
export function publish(step: WriteStep, staged: StagedDocument): PublishResult {
  const { plan, documentId, chunks, bytes, characters } = stagedRevision(step, staged.revision);
  const former = takeFormer(step, plan.uri);
  const life: Life = {
    tier: tierCode(plan.tier),
    importance: plan.importance,
    accessCount: former?.[7] ?? 0,
    lastUsedAt: step.now,
    pinned: plan.pinned,
  };
  const tags = distinctTags(plan.tags);
  insertEntry(step, staged.revision, true, life, expiryOf(step.context, life, step.now), tags);
  step.db.run(
    `insert into document (entry, namespace, seq, id, uri, title, hash, created_at, updated_at, version, tags,
       metadata, chunks, bytes, characters) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    staged.revision,
    step.namespace,
    step.seq,
    former?.[1] ?? documentId,
    plan.uri,
    plan.title ?? null,
    plan.hash,
    former?.[8] ?? step.now,
    step.now,
    // A version never comes back: who read the former revision finds that it changed.
    former ? former[17] + 1 : 0,
    listCell(tags),
    objectCell(plan.metadata),
    chunks,
    bytes,
    characters,
  );
  step.db.run("update revision set state = 1 where id = ?", staged.revision);
  countRevision(step, staged.revision, 1);
  step.count(life.tier, {
    entries: life.pinned ? 0 : 1,
    pinned: life.pinned ? 1 : 0,
    documents: 1,
    memories: chunks,
    bytes,
  });
  const evicted = enforceCapacity(step, life.tier, {
    from: Number.MAX_SAFE_INTEGER,
    entry: staged.revision,
  });
  const document = toDocument(step.name, documentByEntry(step.db, staged.revision)!);
  return { document, replaced: former?.[15] ?? 0, evicted };
}

/** Takes away the document a publication replaces, and gives back what it was; undefined when none was visible. */
function takeFormer(step: WriteStep, uri: string): DocumentRow | undefined {
  const former = documentByUri(step.db, step.namespace, uri);
  if (!former) return undefined;
  const [entry, , , , , tier] = former;
  if (former[11] <= step.now) {
    removeDocument(step, entry, expired());
    return undefined;
  }
  retireRevision(step, entry, tier, 0);
  const pinned = former[12] === 1;
  step.count(tier, { entries: pinned ? 0 : -1, pinned: pinned ? -1 : 0, documents: -1 });
  step.db.run("delete from document where entry = ?", entry);
  deleteEntry(step, entry, parseTags(former[13]));
  return former;
}

export function discard(step: WriteStep, staged: StagedDocument): void {
  step.db.run(
    "update revision set state = 2, due_at = 0 where id = ? and namespace = ? and state = 0",
    staged.revision,
    step.namespace,
  );
}
