import { vectorText } from "../contract/index-text.ts";

import type { NewChunk, NewEntry, StagedDocument } from "../contract/memory-store.ts";
import type { Scope } from "../contract/scope.ts";
import { checkOptions } from "./check-values.ts";
import { checkedLines, type DocumentLine, decodeVector, type MemoryLine } from "./export-format.ts";
import { MemoryIds } from "./memory-ids.ts";
import type { Parts, TextVectors } from "./parts.ts";
import { checkEntry, contentHash, type MemoryFields } from "./store-options.ts";

/** Memories written in one step. */
const sliceSize = 128;

export interface ImportOptions {
  readonly namespace?: string | undefined;
  /** Called after each slice that is stored. */
  readonly onProgress?: ((progress: { readonly done: number }) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ImportReport {
  /** Memories and chunks stored. */
  readonly stored: number;
  /** Memories and chunks that were there already. */
  readonly existing: number;
  /** Documents published. */
  readonly documents: number;
  /** Entries that left a full tier for them. */
  readonly evicted: number;
}

/**
 * Stores what `export` wrote: memories keep ids, times and uses; a taken id with the same content stays as it is; a document
 * whose bytes are known is left alone. The checksum is known only at the end: verify a file first with {@link verifyExport}.
 * @throws CHECKSUM_MISMATCH, FILE_UNREADABLE, ALREADY_EXISTS
 */
export async function importMemories(
  parts: Parts,
  scope: Scope,
  lines: AsyncIterable<string> | Iterable<string>,
  given?: ImportOptions,
): Promise<ImportReport> {
  const options = checkOptions(given, ["namespace", "onProgress", "signal"], "import");
  const importer = new Importer(parts, scope, options);
  try {
    for await (const line of checkedLines(lines)) {
      options.signal?.throwIfAborted();
      await importer.take(line);
    }
    await importer.finish();
  } catch (error) {
    await importer.discard();
    throw error;
  }
  return importer.report;
}

/** Gathers lines into slices and documents into revisions. */
class Importer {
  readonly #ids = new MemoryIds();
  readonly #parts: Parts;
  readonly #scope: Scope;
  readonly #options: ImportOptions;
  #slice: MemoryLine[] = [];
  #staged: StagedDocument | undefined;
  /** Chunks of a document that is there already are passed over. */
  #passing = false;
  #counts = { stored: 0, existing: 0, documents: 0, evicted: 0 };

  constructor(parts: Parts, scope: Scope, options: ImportOptions) {
    this.#parts = parts;
    this.#scope = scope;
    this.#options = options;
  }

  get report(): ImportReport {
    return this.#counts;
  }

  async take(line: MemoryLine | DocumentLine): Promise<void> {
    if (line.type === "document") {
      await this.#finishGroup();
      await this.#begin(line);
      return;
    }
    if (line.type === "chunk" && this.#passing) {
      this.#counts.existing += 1;
      return;
    }
    this.#slice.push(line);
    if (this.#slice.length >= sliceSize) await this.#write();
  }

  finish(): Promise<void> {
    return this.#finishGroup();
  }

  async discard(): Promise<void> {
    if (this.#staged) await this.#parts.store.discardDocument(this.#staged);
  }

  async #begin(document: DocumentLine): Promise<void> {
    const there = await this.#parts.store.document(this.#scope, document.uri);
    this.#passing = there?.hash === document.hash;
    if (!this.#passing)
      this.#staged = await this.#parts.store.stageDocument(this.#scope, document, this.#options);
  }

  async #finishGroup(): Promise<void> {
    await this.#write();
    if (!this.#staged) return;
    const { evicted } = await this.#parts.store.publishDocument(this.#staged, this.#options);
    this.#staged = undefined;
    this.#counts.documents += 1;
    this.#counts.evicted += evicted.length;
  }

  async #write(): Promise<void> {
    const slice = this.#slice;
    if (slice.length === 0) return;
    this.#slice = [];
    const vectors = await this.#vectors(slice);
    if (this.#staged) {
      await this.#parts.store.addChunks(
        this.#staged,
        slice.map((line, index) => chunkOf(line, vectors[index]!)),
        this.#options,
      );
      this.#counts.stored += slice.length;
    } else {
      const entries = slice.map((line, index): NewEntry => entryOf(line, vectors[index]!, this.#ids));
      const { memories, evicted } = await this.#parts.store.add(this.#scope, entries, this.#options);
      const stored = memories.filter((result) => result.outcome === "stored").length;
      this.#counts.stored += stored;
      this.#counts.existing += memories.length - stored;
      this.#counts.evicted += evicted.length;
    }
    this.#options.onProgress?.({ done: this.#counts.stored + this.#counts.existing });
  }

  /** Written vectors of the models in use, others made anew. */
  #vectors(slice: readonly MemoryLine[]): Promise<TextVectors[]> {
    const written = slice.map(({ model, vector }) =>
      model !== undefined && vector !== undefined ? decodeVector(model, vector) : undefined,
    );
    return this.#parts.embed(this.#scope, slice.map(vectorText), this.#options.signal, written);
  }
}

function entryOf(line: MemoryLine, vectors: TextVectors, ids: MemoryIds): NewEntry {
  const { id, tier, importance, tags, metadata, thread, speaker, at, pinned } = line;
  const fields: MemoryFields = { id, tier, importance, tags, metadata, thread, speaker, at, pinned };
  const { createdAt, lastUsedAt, accessCount } = line;
  return { ...checkEntry(line.content, fields, ids), ...vectors, createdAt, lastUsedAt, accessCount };
}

function chunkOf(line: MemoryLine, vectors: TextVectors): NewChunk {
  const { headings, chunk, start, end } = line.source!;
  return {
    id: line.id,
    content: line.content,
    contentHash: contentHash(line.content),
    metadata: line.metadata,
    source: { headings, chunk, start, end },
    ...vectors,
  };
}
