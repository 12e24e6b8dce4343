import type { ChunkSource, Memory } from "../contract/memory.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import type { Hit, Passage } from "../contract/recall.ts";
import type { Scope } from "../contract/scope.ts";

type Chunk = Memory & { readonly source: ChunkSource };

const readSlice = 256;

/** Gives each chunk among the hits the passage it stands in: up to `around` chunks before it and after it. */
export async function joinChunks(
  hits: readonly Hit[],
  around: number,
  store: MemoryStore,
  scope: Scope,
): Promise<Hit[]> {
  const rowsOf = new Map<string, Float64Array>();
  const widened: Hit[] = [];
  for (const hit of hits) {
    const { memory } = hit;
    if (!isChunk(memory)) {
      widened.push(hit);
      continue;
    }
    const { uri } = memory.source;
    const rows = rowsOf.get(uri) ?? (await store.matchingRows(scope, { document: uri }));
    rowsOf.set(uri, rows);
    widened.push({ ...hit, passage: joined(await neighbours(memory, around, rows, store, scope)) });
  }
  return widened;
}

function isChunk(memory: Memory | undefined): memory is Chunk {
  return memory?.source !== undefined;
}

/** The chunk and what stands around it, in the order of the text. */
async function neighbours(
  chunk: Chunk,
  around: number,
  rows: Float64Array,
  store: MemoryStore,
  scope: Scope,
): Promise<Chunk[]> {
  const { documentId, chunk: number } = chunk.source;
  const wanted = (memory: Memory | undefined): memory is Chunk =>
    isChunk(memory) &&
    memory.source.documentId === documentId &&
    Math.abs(memory.source.chunk - number) <= around;
  const first = Math.max(0, number - around);
  const count = Math.min(rows.length - 1, number + around) - first + 1;
  // Rows of a document are in the order of its chunks, unless a driver made them side by side.
  let found = (await store.read(scope, [...rows.subarray(first, first + count)])).filter(wanted);
  if (found.length < count) {
    found = [];
    for (let at = 0; at < rows.length; at += readSlice) {
      found.push(...(await store.read(scope, [...rows.subarray(at, at + readSlice)])).filter(wanted));
    }
  }
  const others = found.filter(({ source }) => source.chunk !== number);
  return [chunk, ...others].sort((a, b) => a.source.chunk - b.source.chunk);
}

/** Chunks as one text: what two of them share stands once, the white space between two is a line or a space. */
function joined(chunks: readonly Chunk[]): Passage {
  const [first, last] = [chunks[0]!.source, chunks.at(-1)!.source];
  let content = "";
  let end = first.start;
  for (const { source, content: text } of chunks) {
    if (source.start > end && content !== "") content += "\n";
    content += text.slice(Math.max(0, end - source.start));
    end = Math.max(end, source.end);
  }
  return { content, firstChunk: first.chunk, lastChunk: last.chunk, start: first.start, end };
}
