import type { Memory, Metadata, StoredDocument, StoredVector } from "../../contract/memory.ts";
import type { IndexRow, ModelVector } from "../../contract/memory-store.ts";
import type { Tier } from "../../contract/tier.ts";
import { arrangeVectors } from "../arrange-vectors.ts";

/** What a memory or a document lives by; the chunks of a document share their document's. */
export interface Life {
  tier: Tier;
  importance: number;
  accessCount: number;
  lastUsedAt: number;
  /** `Infinity`: never. */
  expiresAt: number;
  pinned: boolean;
}

export interface DocumentRecord {
  readonly number: number;
  readonly life: Life;
  readonly partition: number;
  readonly id: string;
  readonly uri: string;
  readonly title: string | undefined;
  readonly hash: string;
  readonly createdAt: number;
  updatedAt: number;
  version: number;
  tags: readonly string[];
  metadata: Metadata;
  readonly characters: number;
  readonly chunks: Set<MemoryRecord>;
}

export interface ChunkPlace {
  readonly headings: readonly string[];
  readonly chunk: number;
  readonly start: number;
  readonly end: number;
}

export interface MemoryRecord {
  readonly row: number;
  readonly id: string;
  readonly life: Life;
  partition: number;
  /** Number of the last write to it in its partition's feed. */
  seq: number;
  content: string;
  contentHash: string;
  readonly createdAt: number;
  updatedAt: number;
  at: number | undefined;
  thread: string | undefined;
  speaker: string | undefined;
  idempotencyKey: string | undefined;
  tags: readonly string[];
  metadata: Metadata;
  version: number;
  vector: { readonly model: string; readonly values: Float16Array } | null;
  /** Of further models; null: the model knows nothing in the text. */
  side: Map<string, Float16Array | null>;
  readonly document: DocumentRecord | undefined;
  readonly place: ChunkPlace | undefined;
}

/** What is evicted, expires and counts as one. */
export type Unit = MemoryRecord | DocumentRecord;

export function isDocument(unit: Unit): unit is DocumentRecord {
  return "chunks" in unit;
}

export function numberOf(unit: Unit): number {
  return isDocument(unit) ? unit.number : unit.row;
}

export function unitOf(record: MemoryRecord): Unit {
  return record.document ?? record;
}

export function memoriesOf(unit: Unit): readonly MemoryRecord[] {
  return isDocument(unit) ? [...unit.chunks] : [unit];
}

/** Vectors as a record keeps them. */
export function keepVectors(
  vector: StoredVector | null,
  others: readonly ModelVector[] | undefined,
): Pick<MemoryRecord, "vector" | "side"> {
  const { own, side } = arrangeVectors(vector, others);
  return {
    vector: own && { model: own.model, values: new Float16Array(own.values) },
    side: new Map(side.map(({ model, values }) => [model, values && new Float16Array(values)])),
  };
}

export function toMemory(namespace: string, record: MemoryRecord): Memory {
  const { life, document } = record;
  return {
    id: record.id,
    namespace,
    tier: life.tier,
    content: record.content,
    contentHash: record.contentHash,
    importance: life.importance,
    accessCount: life.accessCount,
    createdAt: record.createdAt,
    updatedAt: Math.max(record.updatedAt, document?.updatedAt ?? 0),
    lastUsedAt: life.lastUsedAt,
    ...(Number.isFinite(life.expiresAt) ? { expiresAt: life.expiresAt } : {}),
    ...optional(record),
    tags: [...(document ?? record).tags],
    metadata: structuredClone({ ...document?.metadata, ...record.metadata }),
    ...sourceOf(record),
    pinned: life.pinned,
    version: record.version + (document?.version ?? 0),
    ...(record.vector ? { model: record.vector.model } : {}),
  };
}

function optional(record: MemoryRecord): Pick<Memory, "at" | "thread" | "speaker"> {
  return {
    ...(record.at === undefined ? {} : { at: record.at }),
    ...(record.thread === undefined ? {} : { thread: record.thread }),
    ...(record.speaker === undefined ? {} : { speaker: record.speaker }),
  };
}

function sourceOf(record: MemoryRecord): Pick<Memory, "source"> {
  const { document, place } = record;
  if (!document || !place) return {};
  const title = document.title === undefined ? {} : { title: document.title };
  return { source: { documentId: document.id, uri: document.uri, ...title, ...place } };
}

/** @param asked The model whose vector is wanted where there is one. */
export function toIndexRow(record: MemoryRecord, asked: string | undefined): IndexRow {
  const beside = asked === undefined ? undefined : record.side.get(asked);
  const own = record.vector ?? undefined;
  const vector = beside === undefined ? own : beside && { model: asked!, values: beside };
  return {
    row: record.row,
    id: record.id,
    content: record.content,
    ...optional(record),
    ...sourceOf(record),
    tier: record.life.tier,
    createdAt: record.createdAt,
    importance: record.life.importance,
    pinned: record.life.pinned,
    tags: [...(record.document ?? record).tags],
    ...(vector ? { model: vector.model } : {}),
    vector: vector?.values.slice() ?? null,
  };
}

export function toDocument(namespace: string, document: DocumentRecord): StoredDocument {
  const { life } = document;
  return {
    id: document.id,
    namespace,
    uri: document.uri,
    ...(document.title === undefined ? {} : { title: document.title }),
    hash: document.hash,
    tier: life.tier,
    importance: life.importance,
    accessCount: life.accessCount,
    createdAt: document.createdAt,
    updatedAt: document.updatedAt,
    lastUsedAt: life.lastUsedAt,
    ...(Number.isFinite(life.expiresAt) ? { expiresAt: life.expiresAt } : {}),
    pinned: life.pinned,
    tags: [...document.tags],
    metadata: structuredClone(document.metadata),
    chunks: document.chunks.size,
    characters: document.characters,
  };
}
