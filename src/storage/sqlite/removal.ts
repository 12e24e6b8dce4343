import type { Memory, Metadata, StoredDocument } from "../../contract/memory.ts";
import type { JournalKind } from "../../contract/memory-store.ts";
import type { KeptChange } from "../kept-state.ts";
import { documentByEntry, toDocument } from "./document-rows.ts";
import { deleteEntry } from "./entry-rows.ts";
import {
  joinEntry,
  type MemoryRow,
  memoryColumns,
  parseMetadata,
  parseTags,
  toMemory,
} from "./memory-rows.ts";
import { countVector, deleteSideVectors } from "./side-vectors.ts";
import { never, type WriteStep } from "./write-step.ts";

/** Why something leaves and what is kept of it. */
export interface Departure {
  readonly run: string;
  readonly kind: Exclude<JournalKind, "promote" | "demote">;
  readonly reason: string;
  /** Id of the memory that takes it in, and what that one was before and is after. */
  readonly into?: string | undefined;
  readonly kept?: KeptChange<number> | undefined;
  /** Keep what undo needs. */
  readonly undoable: boolean;
  /** Leave no row in the journal at all. */
  readonly unrecorded?: boolean;
}

const selectByRow = `select ${memoryColumns} from memory m ${joinEntry} where m.row = ?`;

/** Removes one memory that lives by itself, or one chunk out of its document. */
export function removeMemory(step: WriteStep, number: number, departure: Departure): MemoryRow | undefined {
  const row = step.db.get<MemoryRow>(selectByRow, number);
  if (!row) return undefined;
  const [bytes, model, idempotencyKey] = step.db.get<[number, number | null, string | null]>(
    "select bytes, model, idempotency_key from memory where row = ?",
    number,
  )!;
  record(step, row, idempotencyKey, departure);
  const owner = { row: number, revision: row[14] === null ? undefined : row[1], visible: true };
  const beside = deleteSideVectors(step, owner);
  if (model !== null || beside === 0) countVector(step, owner, model ?? 0, -1);
  deleteMemoryRow(step, number, model);
  step.gone(number, number);
  const [entry, tags, chunk, tier, pinned] = [row[1], row[10], row[14], row[18], row[23]];
  if (chunk === null) {
    deleteEntry(step, entry, parseTags(tags));
    step.count(tier, { entries: pinned ? 0 : -1, pinned: pinned ? -1 : 0, memories: -1, bytes: -bytes });
  } else {
    step.count(tier, { memories: -1, bytes: -bytes });
    takeFromRevision(step, entry, bytes);
  }
  return row;
}

/** What the journal keeps of a memory that left: itself, and what its public form does not tell. */
export interface LeftMemory extends Memory {
  readonly row?: number;
  readonly idempotencyKey?: string;
  /** A chunk's own part; what it shares with its document is the document's. */
  readonly chunk?: {
    readonly revision: number;
    readonly version: number;
    readonly updatedAt: number;
    readonly metadata: Metadata;
  };
  readonly kept?: KeptChange<number>;
}

/** What the journal keeps of a document that left, beside its retired revision. */
export interface LeftDocument extends StoredDocument {
  readonly version?: number;
}

function record(step: WriteStep, row: MemoryRow, idempotencyKey: string | null, departure: Departure): void {
  if (departure.unrecorded) return;
  let kept: { before: string; vector: Uint8Array | undefined } | undefined;
  if (departure.undoable) {
    const vector = step.db.get<[Uint8Array]>("select data from vector where row = ?", row[0])?.[0];
    const left: LeftMemory = {
      ...toMemory(step.name, row),
      row: row[0],
      ...(idempotencyKey === null ? {} : { idempotencyKey }),
      ...(row[14] === null
        ? {}
        : {
            chunk: {
              revision: row[1],
              version: row[12],
              updatedAt: row[6],
              metadata: parseMetadata(row[11]),
            },
          }),
      ...(departure.kept ? { kept: departure.kept } : {}),
    };
    kept = { before: JSON.stringify(left), vector };
  }
  step.journal({
    run: departure.run,
    kind: departure.kind,
    id: row[2],
    document: false,
    from: row[18],
    into: departure.into,
    reason: departure.reason,
    ...kept,
  });
}

function takeFromRevision(step: WriteStep, revision: number, bytes: number): void {
  step.db.run("update revision set chunks = chunks - 1, bytes = bytes - ? where id = ?", bytes, revision);
  step.db.run("update document set chunks = chunks - 1, bytes = bytes - ? where entry = ?", bytes, revision);
}

/** Adds a revision's vectors, or takes them away, from what is counted by model. */
export function countRevision(step: WriteStep, revision: number, sign: 1 | -1): void {
  const models = step.db.all<[number, number, number]>(
    "select model, chunks, unknown from revision_model where revision = ?",
    revision,
  );
  for (const [model, chunks, unknown] of models) step.countModel(model, sign * chunks, sign * unknown);
}

/** Deletes a memory's row and vectors; its entry, figures and place in the feed are the caller's. */
export function deleteMemoryRow(step: WriteStep, number: number, model: number | null): void {
  if (model !== null) step.db.run("delete from vector where row = ?", number);
  step.db.run("delete from side_vector where row = ?", number);
  step.db.run("delete from memory where row = ?", number);
}

/** Removes a whole document at once for every reader; its chunks are swept later. Returns how many chunks left. */
export function removeDocument(step: WriteStep, entry: number, departure: Departure): number {
  const row = documentByEntry(step.db, entry);
  if (!row) return 0;
  const document = toDocument(step.name, row);
  const left: LeftDocument = { ...document, version: row[17] };
  const [tier, pinned] = step.db.get<[number, number]>("select tier, pinned from entry where id = ?", entry)!;
  const kept = departure.undoable && !departure.unrecorded;
  step.changed();
  retireRevision(step, entry, tier, kept ? never : 0);
  step.count(tier, { entries: pinned ? 0 : -1, pinned: pinned ? -1 : 0, documents: -1 });
  step.db.run("delete from document where entry = ?", entry);
  deleteEntry(step, entry, document.tags);
  if (!departure.unrecorded) {
    step.journal({
      run: departure.run,
      kind: departure.kind,
      id: document.id,
      document: true,
      from: tier,
      reason: departure.reason,
      ...(kept
        ? { before: JSON.stringify(left), revision: entry, keptBytes: revisionBytes(step, entry) }
        : {}),
    });
  }
  return document.chunks;
}

/** Takes a published revision's chunks out of the figures and the feed; they are swept once `dueAt` has passed. */
export function retireRevision(step: WriteStep, revision: number, tier: number, dueAt: number): number {
  const [chunks, bytes] = step.db.get<[number, number]>(
    "update revision set state = 2, due_at = ? where id = ? returning chunks, bytes",
    dueAt,
    revision,
  )!;
  step.count(tier, { memories: -chunks, bytes: -bytes });
  countRevision(step, revision, -1);
  const ranges = step.db.all<[number, number]>(
    "select first, last from chunk_range where revision = ? order by first",
    revision,
  );
  for (const [first, last] of ranges) step.gone(first, last);
  return chunks;
}

/** Bytes of a retired revision kept for undo: texts, and vectors at about 512 bytes. */
function revisionBytes(step: WriteStep, revision: number): number {
  const row = step.db.get<[number]>("select bytes + 512 * chunks from revision where id = ?", revision);
  return row?.[0] ?? 0;
}
