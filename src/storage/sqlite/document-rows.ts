import type { StoredDocument } from "../../contract/memory.ts";
import { tiers } from "../../contract/tier.ts";
import type { Connection } from "./connection.ts";
import { parseMetadata, parseTags } from "./memory-rows.ts";
import { never } from "./write-step.ts";

const documentColumns = `d.entry, d.id, d.uri, d.title, d.hash, e.tier, e.importance, e.access_count, d.created_at,
  d.updated_at, e.last_used_at, e.expires_at, e.pinned, d.tags, d.metadata, d.chunks, d.characters,
  d.version`;

export type DocumentRow = readonly [
  entry: number,
  id: string,
  uri: string,
  title: string | null,
  hash: string,
  tier: number,
  importance: number,
  accessCount: number,
  createdAt: number,
  updatedAt: number,
  lastUsedAt: number,
  expiresAt: number,
  pinned: number,
  tags: string | null,
  metadata: string | null,
  chunks: number,
  characters: number,
  version: number,
];

export function toDocument(namespace: string, row: DocumentRow): StoredDocument {
  const [, id, uri, title, hash, tier, importance, accessCount, createdAt, updatedAt, lastUsedAt] = row;
  const [expiresAt, pinned, tags, metadata, chunks, characters] = row.slice(11) as [
    number,
    number,
    string | null,
    string | null,
    number,
    number,
  ];
  return {
    id,
    namespace,
    uri,
    ...(title === null ? {} : { title }),
    hash,
    tier: tiers[tier]!,
    importance,
    accessCount,
    createdAt,
    updatedAt,
    lastUsedAt,
    ...(expiresAt === never ? {} : { expiresAt }),
    pinned: pinned === 1,
    tags: parseTags(tags),
    metadata: parseMetadata(metadata),
    chunks,
    characters,
  };
}

export function documentByEntry(db: Connection, entry: number): DocumentRow | undefined {
  return db.get<DocumentRow>(
    `select ${documentColumns} from document d cross join entry e on e.id = d.entry where d.entry = ?`,
    entry,
  );
}

/** The document of that name, expired or not. */
export function documentByUri(db: Connection, namespace: number, uri: string): DocumentRow | undefined {
  return db.get<DocumentRow>(
    `select ${documentColumns} from document d cross join entry e on e.id = d.entry
     where d.namespace = ? and d.uri = ?`,
    namespace,
    uri,
  );
}

/** Visible documents after a name, by name. */
export function documentsAfter(
  db: Connection,
  namespace: number,
  uri: string,
  now: number,
  limit: number,
): DocumentRow[] {
  return db.all<DocumentRow>(
    `select ${documentColumns} from document d cross join entry e on e.id = d.entry
     where d.namespace = ? and d.uri > ? and e.expires_at > ? order by d.uri limit ?`,
    namespace,
    uri,
    now,
    limit,
  );
}
