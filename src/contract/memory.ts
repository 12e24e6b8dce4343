import type { Tier } from "./tier.ts";

/** Plain JSON data. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Caller's own data on a memory. */
export type Metadata = Readonly<Record<string, Json>>;

/** Where a chunk stands in its document. */
export interface ChunkSource {
  /** Id of the document. */
  readonly documentId: string;
  /** What names the document in its namespace: a path, a URL, or a name the caller gave. */
  readonly uri: string;
  /** Title of the document, when its format or the caller gave one. */
  readonly title?: string;
  /** Headings above the chunk, outermost first. */
  readonly headings: readonly string[];
  /** Number of the chunk in its document, from 0. */
  readonly chunk: number;
  /** First UTF-16 unit of the chunk in the document's text. */
  readonly start: number;
  /** One past its last UTF-16 unit: `text.slice(start, end)` is the chunk. */
  readonly end: number;
}

/** Most tags of one memory. */
export const maxTags = 64;

/** One memory, as every verb returns it. Times are milliseconds since 1970. */
export interface Memory {
  /** UUIDv7, or what the caller gave; unique in its namespace. */
  readonly id: string;
  readonly namespace: string;
  /** For a chunk, its document's: a document moves as a whole. So are importance, uses, expiry and pin. */
  readonly tier: Tier;
  readonly content: string;
  /** SHA-256 of the content, hexadecimal. */
  readonly contentHash: string;
  /** 0..1. */
  readonly importance: number;
  readonly accessCount: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly lastUsedAt: number;
  /** When it becomes invisible; absent: never. Counts from last use. */
  readonly expiresAt?: number;
  /** When what it tells happened, for ranking and filters only. */
  readonly at?: number;
  /** Conversation or other sequence this memory is a turn of. */
  readonly thread?: string;
  readonly speaker?: string;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  /** Present for a chunk of a document. */
  readonly source?: ChunkSource;
  readonly pinned: boolean;
  /** Grows by one with each update; 1 when stored. */
  readonly version: number;
  /** Id of the model whose vector is stored; absent when the model knew nothing in the text. */
  readonly model?: string;
}

/** One ingested document. Its chunks share its tier, importance, uses, expiry and pin. */
export interface StoredDocument {
  readonly id: string;
  readonly namespace: string;
  readonly uri: string;
  readonly title?: string;
  /** SHA-256 of the ingested bytes and of the options that shape chunks, hexadecimal. */
  readonly hash: string;
  readonly tier: Tier;
  readonly importance: number;
  readonly accessCount: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly lastUsedAt: number;
  readonly expiresAt?: number;
  readonly pinned: boolean;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  /** Visible chunks. */
  readonly chunks: number;
  /** UTF-16 units of its text. */
  readonly characters: number;
}

/** A vector with the model that made it. */
export interface StoredVector {
  readonly model: string;
  /** Unit length; drivers keep float16. */
  readonly values: Float32Array;
}
