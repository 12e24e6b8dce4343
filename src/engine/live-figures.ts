import { randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PerformanceReport } from "../monitoring/performance-report.ts";
import type { CacheFigures } from "../monitoring/prometheus.ts";
import type { RetrieverStats } from "../retrieval/retriever.ts";
import type { Parts } from "./parts.ts";
import type { TuningReport } from "./self-tuning.ts";

/** What a process with the memory open tells of itself: figures, never what they are about. */
export interface ProcessFigures {
  readonly pid: number;
  /** Milliseconds since 1970, as is `writtenAt`. */
  readonly startedAt: number;
  readonly writtenAt: number;
  /** Resident memory of the process. */
  readonly rssBytes: number;
  readonly report: PerformanceReport;
  /** By name: "queries", "embeddings". */
  readonly caches: Readonly<Record<string, CacheFigures>>;
  readonly tuning: TuningReport;
  /** Absent until something was recalled or searched. */
  readonly indexes?: RetrieverStats | undefined;
}

const intervalMs = 1_000;
/** A sign of life of a process that does nothing. */
const idleMs = 5_000;
/** After this long without a word a process is taken for gone. */
const silentMs = 10_000;
/** Files read at most, and bytes of each: whatever else lies in the folder. */
const maxFiles = 100;
const maxBytes = 2 ** 20;

/** The folder beside a database in which processes tell their figures. */
function folderOf(databasePath: string): string {
  return `${databasePath}-figures`;
}

/**
 * Tells the figures of this process, at most every second, in a small file beside the database:
 * that is how `strata stats --watch` sees others at work. A process that lives shorter leaves no trace.
 */
export class LiveFigures {
  readonly #folder: string;
  #file: string | undefined;
  readonly #parts: Parts;
  readonly #read: () => Pick<ProcessFigures, "report" | "caches" | "tuning" | "indexes">;
  readonly #startedAt: number;
  #cancel: (() => void) | undefined;
  #writing: Promise<void> = Promise.resolve();
  #writtenAt: number | undefined;
  #operations = 0;
  #closed = false;

  constructor(
    parts: Parts,
    databasePath: string,
    read: () => Pick<ProcessFigures, "report" | "caches" | "tuning" | "indexes">,
  ) {
    this.#parts = parts;
    this.#folder = folderOf(databasePath);
    this.#read = read;
    this.#startedAt = parts.clock.now();
    this.#schedule();
  }

  /** Takes the file away. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#writing;
    if (this.#file !== undefined) await rm(this.#file, { force: true }).catch(() => {});
  }

  #schedule(): void {
    this.#cancel = this.#parts.clock.schedule(() => {
      // A folder that cannot be written, or a full disk, costs the watcher its view and nobody anything else.
      this.#writing = this.#write()
        .catch(() => {})
        .then(() => {
          if (!this.#closed) this.#schedule();
        });
    }, intervalMs);
  }

  async #write(): Promise<void> {
    const read = this.#read();
    const now = this.#parts.clock.now();
    const operations = Object.values(read.report.operations).reduce((sum, { count }) => sum + count, 0);
    const idle = operations === this.#operations && now - (this.#writtenAt ?? 0) < idleMs;
    if (idle) return;
    this.#operations = operations;
    const figures: ProcessFigures = {
      pid: process.pid,
      startedAt: this.#startedAt,
      writtenAt: now,
      rssBytes: process.memoryUsage.rss(),
      ...read,
    };
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    this.#file ??= join(this.#folder, `${process.pid}-${randomUUID()}.json`);
    const temporary = `${this.#file}.new`;
    await writeFile(temporary, JSON.stringify(figures), { mode: 0o600 });
    await rename(temporary, this.#file);
    this.#writtenAt = now;
  }
}

/** Figures of the processes that have the memory open, the oldest first; files of those that are gone are removed. */
export async function readLiveFigures(
  databasePath: string,
  now: number = Date.now(),
): Promise<ProcessFigures[]> {
  const folder = folderOf(databasePath);
  const names = await readdir(folder).catch(() => []);
  const figures: ProcessFigures[] = [];
  for (const name of names.slice(0, maxFiles)) {
    const path = join(folder, name);
    const found = name.endsWith(".json") ? parse(await readFile(path, "utf8").catch(() => "")) : undefined;
    if (found && now - found.writtenAt < silentMs) figures.push(found);
    else if (found) await rm(path, { force: true }).catch(() => {});
  }
  return figures.sort((a, b) => a.startedAt - b.startedAt);
}

/** Undefined for what no process of this version wrote. */
function parse(text: string): ProcessFigures | undefined {
  if (text.length > maxBytes) return undefined;
  try {
    const value = JSON.parse(text);
    const whole = Number.isFinite(value?.writtenAt) && typeof value?.report?.operations === "object";
    return whole ? value : undefined;
  } catch {
    return undefined;
  }
}
