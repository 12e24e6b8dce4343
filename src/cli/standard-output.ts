import { fstatSync, writeSync } from "node:fs";
import type { Sink } from "./io.ts";

/**
 * Standard output (1) or error (2). A pipe or a file is written without the process's stream, whose making takes
 * 3 of the 20 ms of bare Node; the stream is made for a terminal, and for a pipe that another process has set not to
 * wait. When the reader has gone, as `head` does when it has enough, the process ends: nobody is left to tell.
 */
export class StandardOutput implements Sink {
  readonly #descriptor: 1 | 2;
  /** Returns how many bytes it took. */
  readonly #write: (descriptor: number, bytes: Uint8Array) => number;
  #stream: NodeJS.WriteStream | undefined;

  constructor(
    descriptor: 1 | 2,
    { write = writeSync }: { readonly write?: (descriptor: number, bytes: Uint8Array) => number } = {},
  ) {
    this.#descriptor = descriptor;
    this.#write = write;
    // Pipes are written whole before a call returns everywhere but on Windows.
    if (process.platform === "win32" || !isPipeOrFile(descriptor)) this.#open();
  }

  get isTTY(): boolean | undefined {
    return this.#stream?.isTTY;
  }

  get columns(): number | undefined {
    return this.#stream?.columns;
  }

  write(text: string): boolean {
    if (this.#stream) return this.#stream.write(text);
    let rest = Buffer.from(text);
    try {
      while (rest.length > 0) rest = rest.subarray(this.#write(this.#descriptor, rest));
    } catch (error) {
      if (codeOf(error) === "EAGAIN") return this.#open().write(rest);
      ended(error);
    }
    return true;
  }

  once(event: "drain", listener: () => void): unknown {
    return this.#open().once(event, listener);
  }

  #open(): NodeJS.WriteStream {
    this.#stream ??= (this.#descriptor === 1 ? process.stdout : process.stderr).on("error", ended);
    return this.#stream;
  }
}

function isPipeOrFile(descriptor: number): boolean {
  try {
    const found = fstatSync(descriptor);
    return found.isFIFO() || found.isFile() || found.isSocket();
  } catch {
    return false;
  }
}

function ended(error: unknown): never {
  process.exit(codeOf(error) === "EPIPE" ? 0 : 1);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? Reflect.get(error, "code") : undefined;
}
