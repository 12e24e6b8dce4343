import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { type LogFrames, readLogFrames } from "./log-frames.ts";

const defaultPageSize = 4_096;

/** The pages of a database file as its last committed write left them, read without SQLite. */
export class PageFile implements Disposable {
  readonly pageSize: number;
  readonly pages: number;
  readonly #file: number;
  readonly #log: LogFrames | undefined;
  readonly #inLog = new Map<number, number>();
  /** Pages whose newest state is damaged in the log: what the file has of them is out of date. */
  readonly #outdated = new Set<number>();

  constructor(path: string) {
    this.#file = openSync(path, "r");
    const header = Buffer.alloc(100);
    readSync(this.#file, header, 0, 100, 0);
    this.#log = readLogFrames(`${path}-wal`);
    const told = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
    const plausible = told >= 512 && (told & (told - 1)) === 0;
    this.pageSize = this.#log?.pageSize ?? (plausible ? told : defaultPageSize);
    const inFile = Math.ceil(fstatSync(this.#file).size / this.pageSize);
    const commits = this.#log?.frames.filter(({ commit, whole }) => commit > 0 && whole) ?? [];
    this.pages = commits.at(-1)?.commit ?? inFile;
    for (const { page, offset, whole } of this.#log?.frames ?? []) {
      if (whole) this.#inLog.set(page, offset);
      else this.#inLog.delete(page);
      if (whole) this.#outdated.delete(page);
      else this.#outdated.add(page);
    }
  }

  /** Bytes of a page, from 1; undefined when it is not there, or not as it was last. */
  page(number: number): Buffer | undefined {
    if (!(number >= 1 && number <= this.pages) || this.#outdated.has(number)) return undefined;
    const offset = this.#inLog.get(number);
    if (offset !== undefined) return this.#log!.bytes.subarray(offset, offset + this.pageSize);
    const bytes = Buffer.alloc(this.pageSize);
    const read = readSync(this.#file, bytes, 0, this.pageSize, (number - 1) * this.pageSize);
    return read === this.pageSize ? bytes : undefined;
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}
