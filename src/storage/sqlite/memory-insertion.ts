import type { Metadata } from "../../contract/memory.ts";
import { listCell, objectCell } from "./memory-rows.ts";
import type { WriteStep } from "./write-step.ts";

/** A memory of its own as its row holds it; its entry has the same number. */
export interface MemoryCells {
  readonly row: number;
  readonly id: string;
  readonly content: string;
  readonly contentHash: string;
  /** Of the content, UTF-8. */
  readonly bytes: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly version: number;
  readonly at: number | undefined;
  readonly thread: string | undefined;
  readonly speaker: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  readonly vector: { readonly model: number; readonly data: Uint8Array } | null;
}

/** Inserts a memory's row and vector and counts it with its model; its entry and tier's figures are the caller's. */
export function insertMemoryRow(step: WriteStep, cells: MemoryCells): void {
  const { row, content, at, thread, speaker, vector } = cells;
  const happenedAt = at ?? cells.createdAt;
  step.db.run(
    `insert into memory (row, namespace, entry, seq, id, content_hash, bytes, model, created_at, updated_at, at,
       happened_at, version, thread, speaker, idempotency_key, tags, metadata, content)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    row,
    step.namespace,
    row,
    step.seq,
    cells.id,
    cells.contentHash,
    cells.bytes,
    vector?.model ?? null,
    cells.createdAt,
    cells.updatedAt,
    at ?? null,
    happenedAt,
    cells.version,
    thread ?? null,
    speaker ?? null,
    cells.idempotencyKey ?? null,
    listCell(cells.tags),
    objectCell(cells.metadata),
    content,
  );
  if (vector) step.db.run("insert into vector values (?, ?, ?)", row, vector.model, vector.data);
  step.countModel(vector?.model ?? 0, 1);
}
