import { createHash } from "node:crypto";
import type { StoredVector } from "../contract/memory.ts";
import type { NewChunk, NewDocument, NewEntry } from "../contract/memory-store.ts";

/** Hash of a text as memories carry it. */
export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

/** A unit vector of four numbers that float16 holds exactly. */
export function sampleVector(axis: number): StoredVector {
  const values = new Float32Array(4);
  values[axis % 4] = 1;
  return { model: "sample-model", values };
}

/** An entry with everything decided; `fields` decides otherwise. */
export function sampleEntry(id: string, fields: Partial<NewEntry> = {}): NewEntry {
  const content = fields.content ?? `text of ${id}`;
  return {
    id,
    content,
    contentHash: hashOf(content),
    tier: "long_term",
    importance: 0.5,
    tags: [],
    metadata: {},
    pinned: false,
    vector: sampleVector(content.length),
    ...fields,
  };
}

export function sampleDocument(uri: string, fields: Partial<NewDocument> = {}): NewDocument {
  return {
    uri,
    hash: hashOf(uri),
    tier: "semantic",
    importance: 0.5,
    pinned: false,
    tags: [],
    metadata: {},
    ...fields,
  };
}

/** Chunks that cover the texts one after the other. */
export function sampleChunks(prefix: string, texts: readonly string[]): NewChunk[] {
  let start = 0;
  return texts.map((content, chunk) => {
    const source = { headings: [], chunk, start, end: start + content.length };
    start = source.end;
    return {
      id: `${prefix}-${chunk}`,
      content,
      contentHash: hashOf(content),
      metadata: {},
      source,
      vector: sampleVector(chunk),
    };
  });
}
