import { randomUUID } from "node:crypto";
import { open, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { fileError } from "./file-errors.ts";
import { tooLarge } from "./readers/read-document.ts";

/** Where a document's bytes come from, as often as they are asked for. */
export interface ByteOrigin {
  readonly bytes: number;
  /** Blocks in order; a block is valid until the next is asked for. */
  blocks(signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Removes what was put down to read it again. */
  close(): Promise<void>;
}

const blockBytes = 65_536;

/** Bytes of a stream held in memory before it goes to a file. */
const spoolBytes = 8 * 1024 * 1024;

export function memoryOrigin(bytes: Uint8Array): ByteOrigin {
  return {
    bytes: bytes.length,
    async *blocks(signal) {
      for (let at = 0; at < bytes.length; at += blockBytes) {
        signal?.throwIfAborted();
        yield bytes.subarray(at, at + blockBytes);
        await setImmediate();
      }
    },
    close: async () => {},
  };
}

/** @throws FILE_NOT_FOUND, FILE_UNREADABLE (a folder too) */
export async function fileOrigin(path: string): Promise<ByteOrigin> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw Object.assign(new Error("a folder"), { code: "EISDIR" });
    return { bytes: found.size, blocks: (signal) => fileBlocks(path, signal), close: async () => {} };
  } catch (cause) {
    throw fileError(cause, path);
  }
}

async function* fileBlocks(path: string, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    await using file = await open(path);
    const buffer = Buffer.alloc(blockBytes);
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await file.read(buffer, 0, blockBytes, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (cause) {
    throw fileError(cause, path);
  }
}

/**
 * Reads a stream to its end, so that it can be read again: into memory up to 8 MB, else into a file of the folder
 * given that only this user can read and {@link ByteOrigin.close} removes.
 * @throws FILE_TOO_LARGE, and what the stream throws
 */
export async function spooledOrigin(
  stream: AsyncIterable<Uint8Array>,
  options: {
    readonly name: string;
    readonly maxBytes: number;
    readonly folder?: string | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<ByteOrigin> {
  const spool = new Spool(join(options.folder ?? tmpdir(), `strata-${randomUUID()}.spool`));
  try {
    for await (const block of stream) {
      options.signal?.throwIfAborted();
      await spool.write(block);
      if (!(spool.bytes <= options.maxBytes)) throw tooLarge(options.name, spool.bytes, options.maxBytes);
    }
    return await spool.finish();
  } catch (error) {
    await spool.discard();
    throw error;
  }
}

class Spool {
  readonly #path: string;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #file: Awaited<ReturnType<typeof open>> | undefined;
  bytes = 0;

  constructor(path: string) {
    this.#path = path;
  }

  async write(block: Uint8Array): Promise<void> {
    this.#held.push(new Uint8Array(block));
    this.#heldBytes += block.length;
    this.bytes += block.length;
    if (this.#heldBytes > spoolBytes) await this.#flush();
  }

  async finish(): Promise<ByteOrigin> {
    if (this.#file === undefined) return memoryOrigin(Buffer.concat(this.#held));
    await this.#flush();
    await this.#file.close();
    const path = this.#path;
    return {
      bytes: this.bytes,
      blocks: (signal) => fileBlocks(path, signal),
      close: () => rm(path, { force: true }),
    };
  }

  async discard(): Promise<void> {
    await this.#file?.close().catch(() => {});
    if (this.#file !== undefined) await rm(this.#path, { force: true });
  }

  async #flush(): Promise<void> {
    this.#file ??= await open(this.#path, "wx", 0o600);
    await this.#file.writeFile(Buffer.concat(this.#held));
    this.#held = [];
    this.#heldBytes = 0;
  }
}
