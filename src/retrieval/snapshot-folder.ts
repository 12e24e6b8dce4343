import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ByteSource } from "./index-snapshot.ts";

/** A folder of files, one for each namespace that has a snapshot, readable by their owner alone. */
export class SnapshotFolder {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Calls `use` with the namespace's file; undefined when there is none that can be read. */
  async read<T>(namespace: string, use: (source: ByteSource) => Promise<T>): Promise<T | undefined> {
    const path = this.#file(namespace);
    // Most namespaces have none, and asking so costs a tenth of an attempt to open it.
    if (!existsSync(path)) return undefined;
    try {
      await using file = await open(path, "r");
      const { size } = await file.stat();
      return await use({
        size,
        read: async (into, offset) => {
          let filled = 0;
          while (filled < into.length) {
            const { bytesRead } = await file.read(into, filled, into.length - filled, offset + filled);
            if (bytesRead === 0) return false;
            filled += bytesRead;
          }
          return true;
        },
      });
    } catch (error) {
      if (isSystemError(error)) return undefined;
      throw error;
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

  /** Removes a namespace's file, and what a dead process left of one. */
  async remove(namespace: string): Promise<void> {
    const name = basename(this.#file(namespace));
    const files = await readdir(this.#path).catch(() => []);
    for (const file of files) if (file.startsWith(name)) await rm(join(this.#path, file), { force: true });
  }

  #file(namespace: string): string {
    const name = createHash("sha256").update(namespace).digest("hex").slice(0, 32);
    return join(this.#path, `${name}.index`);
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}
