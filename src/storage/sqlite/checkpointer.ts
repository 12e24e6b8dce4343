import { statSync } from "node:fs";
import type { Worker } from "node:worker_threads";
import type { Connection } from "./connection.ts";

/** Rows written between two checkpoints: some 1,500 pages of the log. */
const changesBetween = 2_000;
/** Pages of the log (64 MiB) from which on a writer that is never idle copies them itself. */
const mostPages = 16_384;
/** A log of more bytes is emptied once nothing was written for so long, so that nobody who opens the file reads it. */
const emptiedBytes = 16 * 2 ** 20;
const restMs = 1_000;
/** SQLite's own bound, for when there is no thread. */
const usualPages = 1_000;

/**
 * Copies the write-ahead log into the database in a thread of its own, so that no caller waits for the disk to take it,
 * and seldom, so that a page that many writes change is copied once. The thread is started by the first 2,000 rows, or by
 * a large log when nothing is written any more.
 */
export class Checkpointer {
  readonly #path: string;
  readonly #connection: Connection;
  #changes = 0;
  #worker: Worker | undefined;
  #working = false;
  #rest: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(path: string, connection: Connection) {
    this.#path = path;
    this.#connection = connection;
    connection.exec(`pragma wal_autocheckpoint = ${mostPages}`);
    connection.onCommit = (changes) => this.#committed(changes);
  }

  /** Ends the thread. When it closes the database last, it empties the log. To be called after the connection's close. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#connection.onCommit = undefined;
    clearTimeout(this.#rest);
    const worker = this.#worker;
    if (!worker) return;
    this.#worker = undefined;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.ref();
    worker.postMessage("close");
    await ended;
  }

  #committed(changes: number): void {
    this.#rest = this.#rest?.refresh() ?? setTimeout(() => this.#rested(), restMs).unref();
    this.#changes += changes;
    if (this.#changes >= changesBetween) this.#ask("copy");
  }

  /** Again and again while another's reading keeps the log from being emptied. */
  #rested(): void {
    const bytes = statSync(`${this.#path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    if (bytes <= emptiedBytes || this.#closed) return;
    this.#ask("empty");
    this.#rest?.refresh();
  }

  #ask(request: "copy" | "empty"): void {
    if (this.#working) return;
    this.#changes = 0;
    this.#working = true;
    this.#send(request).catch(() => this.#giveUp());
  }

  async #send(request: "copy" | "empty"): Promise<void> {
    this.#worker ??= await this.#start();
    this.#worker?.postMessage(request);
  }

  async #start(): Promise<Worker | undefined> {
    const { Worker } = await import("node:worker_threads");
    if (this.#closed) return undefined;
    const worker = new Worker(new URL("./checkpoint.worker.ts", import.meta.url), { workerData: this.#path });
    worker.on("message", () => {
      this.#working = false;
      if (this.#changes >= changesBetween) this.#ask("copy");
    });
    worker.on("error", () => this.#giveUp());
    // After its listeners, which would keep the process.
    worker.unref();
    return worker;
  }

  /** Where no thread may be started, or it cannot read the file, SQLite copies the log as it usually does. */
  #giveUp(): void {
    this.#worker = undefined;
    this.#connection.onCommit = undefined;
    clearTimeout(this.#rest);
    if (this.#connection.open) this.#connection.exec(`pragma wal_autocheckpoint = ${usualPages}`);
  }
}
