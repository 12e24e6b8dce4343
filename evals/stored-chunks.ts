import type { Strata } from "../src/index.ts";
import type { CheckedChunk } from "./chunk-violations.ts";

/** A chunk as the memory lists it. */
export interface StoredChunk extends CheckedChunk {
  /** Id of the model of its vector; absent when it has none. */
  readonly model?: string | undefined;
}

/** All stored chunks of a document, in any order. */
export async function storedChunks(memory: Strata, uri: string): Promise<StoredChunk[]> {
  const chunks: StoredChunk[] = [];
  let cursor: string | undefined;
  do {
    const page = await memory.list({ document: uri, limit: 1_000, cursor });
    for (const { content, source, model } of page.memories) {
      if (!source) throw new Error(`Expected chunks of ${uri} alone; got a memory without source.`);
      chunks.push({ content, chunk: source.chunk, start: source.start, end: source.end, model });
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  return chunks;
}
