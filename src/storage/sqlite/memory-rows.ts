import type { ChunkSource, Memory, Metadata, StoredVector } from "../../contract/memory.ts";

import { tiers } from "../../contract/tier.ts";
import type { Connection } from "./connection.ts";
import { never } from "./write-step.ts";

/** Joins a memory `m` to what it lives by; with a check of `e.expires_at` this is what visible means. */
export const joinEntry: string = `cross join entry e on e.id = m.entry
  left join document d on m.chunk is not null and d.entry = m.entry`;

/** Columns of a memory, in the order {@link toMemory} reads. */
export const memoryColumns: string = `m.row, m.entry, m.id, m.content, m.content_hash, m.created_at, m.updated_at,
  m.at, m.thread, m.speaker, m.tags, m.metadata, m.version, (select name from model where id = m.model),
  m.chunk, m.start_offset, m.end_offset, m.headings, e.tier, e.importance, e.access_count, e.last_used_at,
  e.expires_at, e.pinned, d.id, d.uri, d.title, d.tags, d.metadata, d.updated_at, d.version`;

export type MemoryRow = readonly [
  row: number,
  entry: number,
  id: string,
  content: string,
  contentHash: string,
  createdAt: number,
  updatedAt: number,
  at: number | null,
  thread: string | null,
  speaker: string | null,
  tags: string | null,
  metadata: string | null,
  version: number,
  model: string | null,
  chunk: number | null,
  start: number | null,
  end: number | null,
  headings: string | null,
  tier: number,
  importance: number,
  accessCount: number,
  lastUsedAt: number,
  expiresAt: number,
  pinned: number,
  documentId: string | null,
  uri: string | null,
  title: string | null,
  documentTags: string | null,
  documentMetadata: string | null,
  documentUpdatedAt: number | null,
  documentVersion: number | null,
];

/** An object while it is put together. */
export type Writable<T> = { -readonly [Name in keyof T]: T[Name] };

/** A row of {@link memoryColumns} as a memory. A chunk shows its document's tags and, beneath its own, its metadata. */
export function toMemory(namespace: string, row: MemoryRow): Memory {
  // Cells by their places: to take a row apart by a pattern allocates as much as the row.
  const chunk = row[14];
  const memory: Writable<Memory> = {
    id: row[2],
    namespace,
    tier: tiers[row[18]]!,
    content: row[3],
    contentHash: row[4],
    importance: row[19],
    accessCount: row[20],
    createdAt: row[5],
    updatedAt: chunk === null ? row[6] : Math.max(row[6], row[29] ?? 0),
    lastUsedAt: row[21],
    tags: parseTags(chunk === null ? row[10] : row[27]),
    metadata:
      chunk === null ? parseMetadata(row[11]) : { ...parseMetadata(row[28]), ...parseMetadata(row[11]) },
    pinned: row[23] === 1,
    version: chunk === null ? row[12] : row[12] + (row[30] ?? 0),
  };
  if (row[22] !== never) memory.expiresAt = row[22];
  if (row[7] !== null) memory.at = row[7];
  if (row[8] !== null) memory.thread = row[8];
  if (row[9] !== null) memory.speaker = row[9];
  if (row[13] !== null) memory.model = row[13];
  if (chunk !== null) {
    memory.source = chunkSource(row[24]!, row[25]!, row[26], row[17], chunk, row[15]!, row[16]!);
  }
  return memory;
}

/** Where a chunk stands in its document, from the cells that tell it. */
export function chunkSource(
  documentId: string,
  uri: string,
  title: string | null,
  headings: string | null,
  chunk: number,
  start: number,
  end: number,
): ChunkSource {
  return {
    documentId,
    uri,
    ...(title === null ? {} : { title }),
    headings: parseTags(headings),
    chunk,
    start,
    end,
  };
}

export function parseTags(text: string | null): readonly string[] {
  return text === null ? [] : JSON.parse(text);
}

export function parseMetadata(text: string | null): Metadata {
  return text === null ? {} : JSON.parse(text);
}

/** Lists and objects are stored only when there is something in them. */
export function listCell(values: readonly string[]): string | null {
  return values.length === 0 ? null : JSON.stringify(values);
}

export function objectCell(value: Metadata): string | null {
  const text = JSON.stringify(value);
  return text === "{}" ? null : text;
}

/** Tags as they are kept: each once, in the order given. */
export function distinctTags(tags: readonly string[]): readonly string[] {
  return tags.length < 2 ? tags : [...new Set(tags)];
}

/** A vector as its row keeps it: float16. */
export function vectorCell(vector: StoredVector): Uint8Array {
  return new Uint8Array(new Float16Array(vector.values).buffer);
}

/** The float16 numbers of a blob, in memory of their own. */
export function vectorOf(data: Uint8Array): Float16Array {
  // SQLite's answer may start at an odd byte, and float16 views may not.
  const aligned = data.byteOffset % 2 === 0 ? data : new Uint8Array(data);
  return new Float16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
}

/** Number of a namespace; undefined while nothing was written to it. */
export function namespaceCode(db: Connection, name: string): number | undefined {
  return db.get<[number]>("select id from namespace where name = ?", name)?.[0];
}

const selectRows = `select ${memoryColumns} from json_each(?) j cross join memory m on m.row = j.value ${joinEntry}
     where e.expires_at > ? and m.namespace =`;
const selectByName = `${selectRows} (select id from namespace where name = ?)`;
const selectByRows = `${selectRows} ?`;

/** Visible memories by row, of a namespace by its name: one statement, which opens and closes one read. */
export function readByName(db: Connection, name: string, rows: readonly number[], now: number): MemoryRow[] {
  return db.all<MemoryRow>(selectByName, JSON.stringify(rows), now, name);
}

/** Visible memories by row. */
export function readByRows(
  db: Connection,
  namespace: number,
  rows: readonly number[],
  now: number,
): MemoryRow[] {
  return db.all<MemoryRow>(selectByRows, JSON.stringify(rows), now, namespace);
}

// The index holds the first half of a hash.
const selectByHashes = `select ${memoryColumns} from json_each(?) j
     cross join memory m indexed by memory_content on m.namespace = ? and m.chunk is null
       and substr(m.content_hash, 1, 16) = substr(j.value, 1, 16) and m.content_hash = j.value ${joinEntry}
     where e.expires_at > ? limit ?`;

/** Visible memories of their own whose content has one of the hashes. */
export function readByHashes(
  db: Connection,
  namespace: number,
  hashes: readonly string[],
  limit: number,
  now: number,
): MemoryRow[] {
  return db.all<MemoryRow>(selectByHashes, JSON.stringify(hashes), namespace, now, limit);
}

const selectByIds = `select ${memoryColumns} from json_each(?) j
     cross join memory m indexed by memory_id on m.namespace = ? and m.id = j.value ${joinEntry}
     where e.expires_at > ?`;

/** Visible memories by id. */
export function readByIds(
  db: Connection,
  namespace: number,
  ids: readonly string[],
  now: number,
): MemoryRow[] {
  return db.all<MemoryRow>(selectByIds, JSON.stringify(ids), namespace, now);
}
