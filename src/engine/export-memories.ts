import { createHash, type Hash } from "node:crypto";
import type { Memory, StoredDocument } from "../contract/memory.ts";
import type { MemoryFilter, Scope } from "../contract/scope.ts";
import { checkFlag, checkOptions } from "./check-values.ts";
import { encodeVector, formatVersion } from "./export-format.ts";
import type { Parts } from "./parts.ts";

/** Memories read in one step. */
const pageSize = 128;

export interface ExportOptions {
  readonly namespace?: string | undefined;
  /** Write vectors too, so that an import need not embed again. Default false. */
  readonly vectors?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The namespace as JSON Lines, each ending in a line feed: a head, memories, documents each before its chunks, and an
 * end with counts and the SHA-256 of everything before it.
 */
export async function* exportMemories(
  parts: Parts,
  scope: Scope,
  given?: ExportOptions,
): AsyncGenerator<string> {
  const options = checkOptions(given, ["namespace", "vectors", "signal"], "export");
  const vectors = options.vectors !== undefined && checkFlag(options.vectors, "vectors");
  await parts.uses.flush();
  const sum = createHash("sha256");
  const counts = { memories: 0, documents: 0 };
  const head = {
    type: "strata-export",
    version: formatVersion,
    namespace: scope.namespace,
    exportedAt: new Date(parts.clock.now()).toISOString(),
    vectors,
  };
  yield summed(sum, head);
  for await (const memories of memoryPages(parts, scope, {}, options.signal)) {
    const notes = memories.filter((memory) => !memory.source);
    counts.memories += notes.length;
    yield* memoryLines(parts, scope, notes, "memory", vectors, sum);
  }
  for await (const document of documentsOf(parts, scope, options.signal)) {
    counts.documents += 1;
    yield summed(sum, { type: "document", ...document });
    for await (const chunks of memoryPages(parts, scope, { document: document.uri }, options.signal)) {
      counts.memories += chunks.length;
      yield* memoryLines(parts, scope, chunks, "chunk", vectors, sum);
    }
  }
  yield `${JSON.stringify({ type: "end", ...counts, sha256: sum.digest("hex") })}\n`;
}

function summed(sum: Hash, value: object): string {
  const line = `${JSON.stringify(value)}\n`;
  sum.update(line);
  return line;
}

/** The memories that match, newest first, page by page. */
export async function* memoryPages(
  parts: Parts,
  scope: Scope,
  filter: MemoryFilter,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Memory[]> {
  let cursor: string | undefined;
  do {
    signal?.throwIfAborted();
    const page = await parts.store.list(scope, filter, { limit: pageSize, cursor });
    yield page.memories;
    cursor = page.cursor;
  } while (cursor !== undefined);
}

async function* documentsOf(
  parts: Parts,
  scope: Scope,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoredDocument> {
  let cursor: string | undefined;
  do {
    signal?.throwIfAborted();
    const page = await parts.store.documents(scope, { limit: pageSize, cursor });
    yield* page.documents;
    cursor = page.cursor;
  } while (cursor !== undefined);
}

async function* memoryLines(
  parts: Parts,
  scope: Scope,
  memories: readonly Memory[],
  type: "memory" | "chunk",
  vectors: boolean,
  sum: Hash,
): AsyncGenerator<string> {
  const found = vectors
    ? await parts.store.vectors(
        scope,
        memories.map((memory) => memory.id),
      )
    : [];
  for (const [index, memory] of memories.entries()) {
    const vector = found[index];
    yield summed(sum, { type, ...memory, ...(vector && { vector: encodeVector(vector) }) });
  }
}
