import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { readLogFrames } from "./log-frames.ts";

const defaultPageSize = 4_096;

/** The pages of a database file as its last committed write left them, read without SQLite. */
export class PageFile implements Disposable {
  readonly pageSize: number;
  readonly pages: number;
  readonly #file: number;
  readonly #log: number | undefined;
  readonly #inLog = new Map<number, number>();
  /** Pages whose newest state is damaged in the log: what the file has of them is out of date. */
  readonly #outdated = new Set<number>();

  constructor(path: string) {
    this.#file = openSync(path, "r");
    const header = Buffer.alloc(100);
    readSync(this.#file, header, 0, 100, 0);
    const log = readLogFrames(`${path}-wal`);
    if (log) this.#log = openSync(`${path}-wal`, "r");
    const told = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16);
    const plausible = told >= 512 && (told & (told - 1)) === 0;
    this.pageSize = log?.pageSize ?? (plausible ? told : defaultPageSize);
    const inFile = Math.ceil(fstatSync(this.#file).size / this.pageSize);
    const commits = log?.frames.filter(({ commit, whole }) => commit > 0 && whole) ?? [];
    this.pages = commits.at(-1)?.commit ?? inFile;
    for (const { page, offset, whole } of log?.frames ?? []) {
      if (whole) this.#inLog.set(page, offset);
      else this.#inLog.delete(page);
      if (whole) this.#outdated.delete(page);
      else this.#outdated.add(page);
    }
  }

  /** Bytes of a page, from 1; undefined when it is not there, or not as it was last. */
  page(number: number): Buffer | undefined {
    if (!(number >= 1 && number <= this.pages) || this.#outdated.has(number)) return undefined;
    const inLog = this.#inLog.get(number);
    const bytes = Buffer.alloc(this.pageSize);
    const [file, offset] =
      inLog === undefined ? [this.#file, (number - 1) * this.pageSize] : [this.#log!, inLog];
    return readSync(file, bytes, 0, this.pageSize, offset) === this.pageSize ? bytes : undefined;
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
    if (this.#log !== undefined) closeSync(this.#log);
  }
}
