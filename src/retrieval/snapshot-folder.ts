import { createHash, randomUUID } from "node:crypto";
import { closeSync, fstatSync, openSync, read, readSync, statSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ByteSource } from "./checked-reader.ts";
import type { PartFile } from "./part-file.ts";

/** Bytes of a namespace's name up to which its file's name tells it. */
const plainNameBytes = 32;

/** A folder of files, one for each namespace that has a snapshot, readable by their owner alone. */
export class SnapshotFolder {
  readonly #path: string;
  readonly #onTheSpot: boolean;

  /** @param onTheSpot Read without letting others run. */
  constructor(path: string, onTheSpot = false) {
    this.#path = path;
    this.#onTheSpot = onTheSpot;
  }

  /** Calls `use` with the namespace's file; undefined when there is none that can be read. */
  async read<T>(namespace: string, use: (source: ByteSource) => Promise<T>): Promise<T | undefined> {
    const path = this.#file(namespace);
    let descriptor: number | undefined;
    try {
      // Most namespaces have none: to throw for each would take ten times as long.
      if (!statSync(path, { throwIfNoEntry: false })) return undefined;
      // Opened on the spot and read by plain callbacks: fs/promises takes 1.5 ms to load.
      descriptor = openSync(path, "r");
      const { size } = fstatSync(descriptor);
      const file = descriptor;
      return await use({
        size,
        read: (into, offset) => fill(file, into, offset),
        readNow: this.#onTheSpot ? (into, offset) => fillNow(file, into, offset) : undefined,
      });
    } catch (error) {
      if (isSystemError(error)) return undefined;
      throw error;
    } finally {
      if (descriptor !== undefined) closeSync(descriptor);
    }
  }

  /** Writes a namespace's file anew; readers see the former one or this one, whole. */
  async write(namespace: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const target = this.#file(namespace);
    const partial = `${target}.${randomUUID()}.partial`;
    await mkdir(this.#path, { recursive: true, mode: 0o700 });
    try {
      const file = await open(partial, "wx", 0o600);
      try {
        for await (const piece of pieces) await file.writeFile(piece);
      } finally {
        await file.close();
      }
      await rename(partial, target);
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
  }

  /** A file for this process alone: it has no name any more when this resolves, and is gone with the process. */
  async openScratch(): Promise<PartFile> {
    await mkdir(this.#path, { recursive: true, mode: 0o700 });
    const path = join(this.#path, `${randomUUID()}.scratch`);
    const file = await open(path, "wx+", 0o600);
    try {
      await rm(path);
    } catch (error) {
      await file.close();
      throw error;
    }
    return {
      async read(into, at) {
        for (let filled = 0; filled < into.length; ) {
          const { bytesRead } = await file.read(into, filled, into.length - filled, at + filled);
          if (bytesRead === 0) throw Object.assign(new Error("The file ended too early."), { code: "EIO" });
          filled += bytesRead;
        }
      },
      async write(bytes, at) {
        for (let written = 0; written < bytes.length; ) {
          const done = await file.write(bytes, written, bytes.length - written, at + written);
          written += done.bytesWritten;
        }
      },
      close: () => file.close(),
    };
  }

  /** Removes a namespace's file, and what a dead process left of one. */
  async remove(namespace: string): Promise<void> {
    const name = basename(this.#file(namespace));
    const files = await readdir(this.#path).catch(() => []);
    for (const file of files)
      if (file === name || file.startsWith(`${name}.`)) await rm(join(this.#path, file), { force: true });
  }

  #file(namespace: string): string {
    const bytes = Buffer.from(namespace);
    // Short names, which nearly all are, stand as they are: to load what hashes takes 4 ms of a command's start.
    const name =
      bytes.length <= plainNameBytes
        ? `n${bytes.toString("hex")}`
        : createHash("sha256").update(bytes).digest("hex").slice(0, 32);
    return join(this.#path, `${name}.index`);
  }
}

/** Fills `into` from `offset` of a file on; false when there are not so many bytes. */
function fill(descriptor: number, into: Uint8Array, offset: number): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  const next = (filled: number): void => {
    if (filled === into.length) {
      resolve(true);
      return;
    }
    read(descriptor, into, filled, into.length - filled, offset + filled, (error, bytes) => {
      if (error) reject(error);
      else if (bytes === 0) resolve(false);
      else next(filled + bytes);
    });
  };
  next(0);
  return promise;
}

function fillNow(descriptor: number, into: Uint8Array, offset: number): boolean {
  for (let filled = 0; filled < into.length; ) {
    const bytes = readSync(descriptor, into, filled, into.length - filled, offset + filled);
    if (bytes === 0) return false;
    filled += bytes;
  }
  return true;
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}
