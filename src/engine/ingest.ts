import { hash } from "node:crypto";
import { access } from "node:fs/promises";
import { resolve, sep } from "node:path";
import { v7 as uuidv7 } from "uuid";
import { type DocumentSource, openSource, type SourceInput } from "../chunking/document-source.ts";
import { type SkipReason, walkSources } from "../chunking/folder-walker.ts";
import type { Chunk, TokenCounter } from "../contract/chunk.ts";
import { type ErrorCode, StrataError } from "../contract/errors.ts";
import { vectorText } from "../contract/index-text.ts";
import type { Evicted, NewChunk, StagedDocument } from "../contract/memory-store.ts";
import { operationChannels } from "../contract/operations.ts";
import type { Scope } from "../contract/scope.ts";
import { findSecrets } from "./hygiene/find-secrets.ts";
import { secretDetected } from "./hygiene/write-hygiene.ts";
import {
  type CheckedIngest,
  checkIngest,
  type IngestDefaults,
  type IngestedDocument,
  type IngestOptions,
  type IngestReport,
  type IngestSource,
} from "./ingest-options.ts";
import type { Parts } from "./parts.ts";
import { contentHash } from "./store-options.ts";

/** Chunks embedded and written in one step: a few milliseconds of work. */
const sliceSize = 32;

/** Files of a folder that were meant to be read but could not be; the other reasons are what folders hold anyway. */
const failures: Partial<Record<SkipReason, ErrorCode>> = {
  unreadable: "FILE_UNREADABLE",
  "too-large": "FILE_TOO_LARGE",
};

/**
 * Reads documents, cuts, embeds and stores them, one after another.
 * @throws FILE_NOT_FOUND, NO_READABLE_FILES; the one document's own error when only one was named
 */
export async function ingest(
  parts: Parts,
  scope: Scope,
  source: IngestSource,
  given: IngestOptions | undefined,
  defaults: IngestDefaults,
): Promise<IngestReport> {
  const options = checkIngest(given, defaults);
  const ingestion = new Ingestion(parts, scope, options);
  if (typeof source === "object" && !Array.isArray(source)) await ingestion.take(source as SourceInput);
  else await ingestion.walk(typeof source === "string" ? [source] : (source as readonly string[]));
  return ingestion.report();
}

/** Counters and lists of one run. */
class Ingestion {
  readonly #parts: Parts;
  readonly #scope: Scope;
  readonly #options: CheckedIngest;
  readonly #documents: IngestedDocument[] = [];
  readonly #errors: unknown[] = [];
  readonly #skipped: Record<string, number> = {};
  readonly #evicted: Evicted[] = [];
  readonly #pruned: string[] = [];
  #chunks = 0;
  #withoutVector = 0;
  #secrets = 0;
  #bytes = 0;

  constructor(parts: Parts, scope: Scope, options: CheckedIngest) {
    this.#parts = parts;
    this.#scope = scope;
    this.#options = options;
  }

  async walk(paths: readonly string[]): Promise<void> {
    const { signal, prune } = this.#options;
    for await (const entry of walkSources(paths, { signal })) {
      if (entry.skipped === undefined) await this.take(entry.path);
      else this.#skip(entry.path, entry.skipped);
    }
    if (prune) for (const path of paths) await this.#prune(resolve(path));
  }

  /** Ingests one document; its failure is part of the report, the failure of the store or the model is not. */
  async take(input: SourceInput): Promise<void> {
    const { signal, maxFileBytes } = this.#options;
    const uri = typeof input === "string" ? input : (input.uri ?? input.name);
    try {
      await using source = await openSource(input, { maxBytes: maxFileBytes, signal });
      const document = operationChannels["ingest-document"].trace(this.#parts, () => this.#store(source));
      this.#documents.push(await document);
      this.#bytes += source.bytes;
    } catch (error) {
      if (!isAboutFile(error)) throw error;
      this.#fail(uri, error);
    }
    this.#progress(uri, 0);
  }

  report(): IngestReport {
    const count = (outcome: IngestedDocument["outcome"]): number =>
      this.#documents.filter((document) => document.outcome === outcome).length;
    if (this.#documents.length === 1 && this.#errors.length === 1) throw this.#errors[0];
    if (this.#documents.length === 0) {
      const skipped = Object.values(this.#skipped).reduce((sum, each) => sum + each, 0);
      throw new StrataError(
        "NO_READABLE_FILES",
        `Expected files that can be read, found none and skipped ${skipped}.`,
        {
          details: { ...this.#skipped },
        },
      );
    }
    return {
      documents: this.#documents,
      added: count("added"),
      replaced: count("replaced"),
      unchanged: count("unchanged"),
      failed: count("failed"),
      skipped: this.#skipped,
      pruned: this.#pruned,
      chunks: this.#chunks,
      withoutVector: this.#withoutVector,
      secrets: this.#secrets,
      evicted: this.#evicted,
    };
  }

  async #store(source: DocumentSource): Promise<IngestedDocument> {
    const { store } = this.#parts;
    const { signal, tier, importance, pinned, tags, metadata } = this.#options;
    const counter = await this.#parts.counter();
    const documentHash = this.#documentHash(await source.hash(signal), counter);
    const former = await store.document(this.#scope, source.uri);
    if (former?.hash === documentHash)
      return { uri: source.uri, outcome: "unchanged", chunks: former.chunks };
    const document = await source.read(signal);
    const fields = {
      uri: source.uri,
      title: document.title,
      hash: documentHash,
      tier,
      importance,
      pinned,
      tags,
      metadata,
    };
    const staged = await store.stageDocument(this.#scope, fields, { signal });
    /** Where they begin: what two chunks share is one. */
    const secrets = new Set<number>();
    try {
      const limits = { counter, chunkTokens: this.#options.chunkSize, overlapTokens: this.#options.overlap };
      const chunks = this.#inspected(document.chunks(limits, signal), secrets);
      const stored = await this.#addChunks(staged, source, document.title, chunks);
      const published = await store.publishDocument(staged, { signal });
      this.#evicted.push(...published.evicted);
      this.#secrets += secrets.size;
      const outcome = former ? "replaced" : "added";
      return { uri: source.uri, outcome, chunks: stored, ...(secrets.size > 0 && { secrets: secrets.size }) };
    } catch (error) {
      await store.discardDocument(staged);
      throw error;
    }
  }

  /** @throws SECRET_DETECTED Where the policy is to refuse the document. */
  async *#inspected(chunks: AsyncIterable<Chunk>, secrets: Set<number>): AsyncGenerator<Chunk> {
    const { onSecret } = this.#options;
    for await (const chunk of chunks) {
      const found = onSecret === "off" ? [] : findSecrets(chunk.text);
      if (found[0] && onSecret === "refuse") throw secretDetected(found[0], found.length, chunk.start);
      for (const { start } of found) secrets.add(chunk.start + start);
      yield chunk;
    }
  }

  async #addChunks(
    staged: StagedDocument,
    source: DocumentSource,
    title: string | undefined,
    chunks: AsyncIterable<Chunk>,
  ): Promise<number> {
    let number = 0;
    let slice: Chunk[] = [];
    const write = async (): Promise<void> => {
      const first = number - slice.length;
      await this.#parts.store.addChunks(staged, await this.#embedded(slice, first, title), {
        signal: this.#options.signal,
      });
      this.#chunks += slice.length;
      const read = slice.at(-1)?.end ?? 0;
      slice = [];
      this.#progress(source.uri, Math.min(read, source.bytes));
    };
    for await (const chunk of chunks) {
      slice.push(chunk);
      number += 1;
      if (slice.length === sliceSize) await write();
    }
    if (slice.length > 0) await write();
    return number;
  }

  async #embedded(slice: readonly Chunk[], first: number, title: string | undefined): Promise<NewChunk[]> {
    const texts = slice.map(({ text, headings }) => {
      return vectorText({ content: text, source: { headings, ...(title !== undefined && { title }) } });
    });
    const vectors = await this.#parts.embed(this.#scope, texts, this.#options.signal);
    this.#withoutVector += vectors.filter(({ vector }) => vector === null).length;
    return slice.map(({ text, start, end, headings }, index) => ({
      id: uuidv7(),
      content: text,
      contentHash: contentHash(text),
      metadata: {},
      source: { headings, chunk: first + index, start, end },
      ...vectors[index]!,
    }));
  }

  /** Bytes and whatever shapes chunks: other limits cut the same bytes otherwise. */
  #documentHash(bytesHash: string, counter: TokenCounter): string {
    const { chunkSize, overlap } = this.#options;
    return hash("sha256", `${bytesHash}\n${JSON.stringify({ chunkSize, overlap, counter: counter.id })}`);
  }

  async #prune(folder: string): Promise<void> {
    let cursor: string | undefined;
    const gone: string[] = [];
    do {
      const page = await this.#parts.store.documents(this.#scope, { limit: 500, cursor });
      for (const { uri } of page.documents) {
        if (uri.startsWith(folder + sep) && !(await exists(uri))) gone.push(uri);
      }
      cursor = page.cursor;
    } while (cursor !== undefined);
    for (const uri of gone) {
      await this.#parts.store.forget(this.#scope, { document: uri }, { signal: this.#options.signal });
      this.#pruned.push(uri);
    }
  }

  #skip(path: string, reason: SkipReason): void {
    const code = failures[reason];
    if (code === undefined) this.#skipped[reason] = (this.#skipped[reason] ?? 0) + 1;
    else this.#fail(path, new StrataError(code, `The file is ${reason.replace("-", " ")} and was left out.`));
  }

  #fail(uri: string, error: StrataError): void {
    const { code, message } = error;
    this.#errors.push(error);
    this.#documents.push({ uri, outcome: "failed", chunks: 0, error: { code, message } });
  }

  #progress(uri: string, bytes: number): void {
    this.#options.onProgress({
      uri,
      documents: this.#documents.length,
      chunks: this.#chunks,
      bytes: this.#bytes + bytes,
    });
  }
}

/** Errors that concern one document, after which the others go on. */
function isAboutFile(error: unknown): error is StrataError {
  if (!StrataError.isInstance(error)) return false;
  return (
    error.code.startsWith("FILE_") ||
    error.code === "INVALID_UTF8" ||
    ["MISSING_PACKAGE", "SECRET_DETECTED"].includes(error.code)
  );
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
