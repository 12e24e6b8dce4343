import { createHash } from "node:crypto";
import { basename, resolve } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Chunk } from "../contract/chunk.ts";
import { StrataError } from "../contract/errors.ts";
import { type ByteOrigin, fileOrigin, memoryOrigin, spooledOrigin } from "./byte-origin.ts";
import { type DocumentKind, kindOfText, type Sniffed, sniffBytes, sniffKind } from "./document-kind.ts";
import { defaultMaxBytes, readDocument, tooLarge } from "./readers/read-document.ts";
import { StrictDecoder } from "./readers/text-decoder.ts";
import { markdownTitle } from "./splitters/markdown-lines.ts";
import { type ChunkingOptions, partLength, splitStream } from "./splitters/split-text.ts";

/** One document to ingest: a path to a file, or a name with its text, bytes or stream. */
export type SourceInput =
  | string
  | { readonly name: string; readonly uri?: string; readonly title?: string; readonly text: string }
  | { readonly name: string; readonly uri?: string; readonly title?: string; readonly bytes: Uint8Array }
  | {
      readonly name: string;
      readonly uri?: string;
      readonly title?: string;
      readonly stream: AsyncIterable<Uint8Array>;
    };

export interface SourceOptions {
  /** Largest document of a format that is read as a whole (HTML, PDF, DOCX), in bytes. Default 50 MB. */
  readonly maxBytes?: number | undefined;
  /** Largest text, code, Markdown or JSON, which is read as a stream, in bytes. Default 4 GiB. */
  readonly maxTextBytes?: number | undefined;
  /** Where a stream over 8 MB is put down while it is read twice. Default the system's temporary folder. */
  readonly spoolFolder?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A document that can be hashed before it is read, and read as often as wanted. Close it when done. */
export interface DocumentSource extends AsyncDisposable {
  /** What names the document: the absolute path of a file, else the uri or name given. */
  readonly uri: string;
  /** Last part of a file's path, else the name given. */
  readonly name: string;
  readonly bytes: number;
  /**
   * SHA-256 of the bytes (of a text, of its UTF-8), hexadecimal. Reads them once in blocks; later calls remember.
   * @throws FILE_NOT_FOUND, FILE_UNREADABLE
   */
  hash(signal?: AbortSignal): Promise<string>;
  /**
   * Looks into the document: its format, its title, and its chunks as they are asked for.
   * @throws FILE_BINARY, FILE_ENCRYPTED, FILE_TOO_LARGE, FILE_UNREADABLE, FILE_NOT_FOUND, INVALID_UTF8, MISSING_PACKAGE
   */
  read(signal?: AbortSignal): Promise<OpenDocument>;
  /** Removes a stream's spool file. Idempotent. */
  close(): Promise<void>;
}

/** A document whose format is known. */
export interface OpenDocument {
  readonly kind: DocumentKind;
  /** Given by the caller, else by the format. */
  readonly title?: string;
  /** Of source code and data. */
  readonly language?: string;
  /**
   * Its chunks in order; each call starts again. Plain text, Markdown, code and JSON stream from the bytes in bounded
   * memory. The last step rejects with FILE_UNREADABLE if the bytes read are not those hashed: publish nothing then.
   * @throws INVALID_UTF8, INVALID_ARGUMENT, FILE_NOT_FOUND, FILE_UNREADABLE
   */
  chunks(options: ChunkingOptions, signal?: AbortSignal): AsyncIterable<Chunk>;
  /** UTF-16 units of its text; of a streamed one, known once its chunks have been read to the end. */
  characters(): number;
}

/**
 * Opens one document. A stream is read to its end first: into memory up to 8 MB, else into a private temporary file.
 * @throws FILE_NOT_FOUND, FILE_UNREADABLE (a folder too: walk it), FILE_TOO_LARGE
 */
export async function openSource(input: SourceInput, options: SourceOptions = {}): Promise<DocumentSource> {
  options.signal?.throwIfAborted();
  const limits: Limits = {
    maxBytes: options.maxBytes ?? defaultMaxBytes,
    maxTextBytes: options.maxTextBytes ?? 4 * 1024 ** 3,
  };
  if (typeof input === "string") {
    const uri = resolve(input);
    return new ByteSource({ uri, name: basename(uri) }, await fileOrigin(uri), limits);
  }
  const label = { uri: input.uri ?? input.name, name: input.name, title: input.title };
  if ("text" in input) return new TextSource(label, input.text, limits);
  if ("bytes" in input) return new ByteSource(label, memoryOrigin(input.bytes), limits);
  const maxBytes = Math.max(limits.maxBytes, limits.maxTextBytes);
  const spool = { name: input.name, maxBytes, folder: options.spoolFolder, signal: options.signal };
  return new ByteSource(label, await spooledOrigin(input.stream, spool), limits);
}

interface Limits {
  readonly maxBytes: number;
  readonly maxTextBytes: number;
}

interface Label {
  readonly uri: string;
  readonly name: string;
  readonly title?: string | undefined;
}

/** Title and headings of a text that streams are looked for in its first bytes. */
const titleBytes = 65_536;

class ByteSource implements DocumentSource {
  readonly uri: string;
  readonly name: string;
  readonly #title: string | undefined;
  readonly #origin: ByteOrigin;
  readonly #limits: Limits;
  #hash: string | undefined;

  constructor(label: Label, origin: ByteOrigin, limits: Limits) {
    this.uri = label.uri;
    this.name = label.name;
    this.#title = label.title;
    this.#origin = origin;
    this.#limits = limits;
  }

  get bytes(): number {
    return this.#origin.bytes;
  }

  async hash(signal?: AbortSignal): Promise<string> {
    if (this.#hash === undefined) {
      const hash = createHash("sha256");
      for await (const block of this.#origin.blocks(signal)) hash.update(block);
      this.#hash = hash.digest("hex");
    }
    return this.#hash;
  }

  async read(signal?: AbortSignal): Promise<OpenDocument> {
    const head = await this.#head(signal);
    const sniffed = sniffKind(head.subarray(0, sniffBytes), this.name);
    const isWhole = sniffed.kind === "html" || sniffed.kind === "pdf" || sniffed.kind === "docx";
    const maxBytes = isWhole ? this.#limits.maxBytes : this.#limits.maxTextBytes;
    if (!(this.bytes <= maxBytes)) throw tooLarge(this.name, this.bytes, maxBytes);
    return isWhole ? this.#readWhole(maxBytes, signal) : this.#readStream(sniffed, head);
  }

  async close(): Promise<void> {
    await this.#origin.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #head(signal: AbortSignal | undefined): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const block of this.#origin.blocks(signal)) {
      parts.push(new Uint8Array(block.subarray(0, titleBytes - bytes)));
      bytes += parts.at(-1)!.length;
      if (bytes >= titleBytes) break;
    }
    return Buffer.concat(parts);
  }

  async #readWhole(maxBytes: number, signal: AbortSignal | undefined): Promise<OpenDocument> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const block of this.#origin.blocks(signal)) {
      parts.push(new Uint8Array(block));
      length += block.length;
      // A file may have grown since its size was asked for.
      if (!(length <= maxBytes)) throw tooLarge(this.name, length, maxBytes);
    }
    const bytes = Buffer.concat(parts);
    this.#checkHash(createHash("sha256").update(bytes).digest("hex"));
    const document = await readDocument(bytes, { name: this.name, maxBytes });
    return openText({ ...document, title: this.#title ?? document.title }, document.text);
  }

  #readStream(sniffed: Sniffed, head: Uint8Array): OpenDocument {
    const { kind, language, encoding } = sniffed;
    const start = new TextDecoder(encoding).decode(head, { stream: true });
    const title = this.#title ?? (kind === "markdown" ? markdownTitle(start) : undefined);
    let characters = 0;
    const parts = (signal?: AbortSignal): AsyncIterable<string> =>
      this.#decoded(encoding, signal, (total) => {
        characters = total;
      });
    return {
      kind,
      ...(title && { title }),
      ...(language && { language }),
      chunks: (options, signal) => splitStream(parts(signal), { ...options, kind }),
      characters: () => characters,
    };
  }

  async *#decoded(
    encoding: Sniffed["encoding"],
    signal: AbortSignal | undefined,
    atEnd: (characters: number) => void,
  ): AsyncGenerator<string, void, undefined> {
    const decoder = new StrictDecoder(encoding, this.name);
    const hash = createHash("sha256");
    let characters = 0;
    for await (const block of this.#origin.blocks(signal)) {
      hash.update(block);
      const part = decoder.decode(block);
      characters += part.length;
      yield part;
    }
    const rest = decoder.finish();
    this.#checkHash(hash.digest("hex"));
    atEnd(characters + rest.length);
    yield rest;
  }

  #checkHash(hash: string): void {
    if (this.#hash === undefined || this.#hash === hash) return;
    throw new StrataError("FILE_UNREADABLE", `${this.name} changed while it was read. Ingest it again.`, {
      details: { name: this.name },
    });
  }
}

/** A text the caller holds: never decoded, so that offsets count in the very string given. */
class TextSource implements DocumentSource {
  readonly uri: string;
  readonly name: string;
  readonly bytes: number;
  readonly #title: string | undefined;
  readonly #text: string;
  readonly #limits: Limits;

  constructor(label: Label, text: string, limits: Limits) {
    this.uri = label.uri;
    this.name = label.name;
    this.bytes = Buffer.byteLength(text);
    this.#title = label.title;
    this.#text = text;
    this.#limits = limits;
  }

  async hash(): Promise<string> {
    return createHash("sha256").update(this.#text, "utf8").digest("hex");
  }

  async read(): Promise<OpenDocument> {
    const sniffed = kindOfText(this.#text.slice(0, sniffBytes).trimStart(), this.name);
    if (sniffed.kind === "html") {
      const { maxBytes } = this.#limits;
      const document = await readDocument(Buffer.from(this.#text), { name: this.name, maxBytes });
      return openText({ ...document, title: this.#title ?? document.title }, document.text);
    }
    if (!(this.bytes <= this.#limits.maxTextBytes))
      throw tooLarge(this.name, this.bytes, this.#limits.maxTextBytes);
    const title = this.#title ?? (sniffed.kind === "markdown" ? markdownTitle(this.#text) : undefined);
    return openText({ ...sniffed, title }, this.#text);
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

function openText(
  facts: { kind: DocumentKind; title?: string | undefined; language?: string | undefined },
  text: string,
): OpenDocument {
  const { kind, title, language } = facts;
  return {
    kind,
    ...(title && { title }),
    ...(language && { language }),
    chunks: (options, signal) => splitStream(partsOf(text, signal), { ...options, kind }),
    characters: () => text.length,
  };
}

/** A held text in parts, with a turn of the event loop after each. */
async function* partsOf(text: string, signal?: AbortSignal): AsyncGenerator<string, void, undefined> {
  for (let at = 0; at < text.length; at += partLength) {
    signal?.throwIfAborted();
    yield text.slice(at, at + partLength);
    await setImmediate();
  }
}
