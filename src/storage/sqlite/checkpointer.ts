import type { Worker } from "node:worker_threads";
import type { Connection } from "./connection.ts";

/** Rows written between two checkpoints: some 1,500 pages of the log. */
const changesBetween = 2_000;
/** Pages of the log (64 MiB) from which on a writer that is never idle copies them itself. */
const mostPages = 16_384;
/** SQLite's own bound, for when there is no thread. */
const usualPages = 1_000;

/**
 * Copies the write-ahead log into the database in a thread of its own, so that no caller waits for the disk to take it,
 * and seldom, so that a page that many writes change is copied once. The thread is started by the first 2,000 rows.
 */
export class Checkpointer {
  readonly #path: string;
  readonly #connection: Connection;
  #changes = 0;
  #worker: Worker | undefined;
  #working = false;
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
    const worker = this.#worker;
    if (!worker) return;
    this.#worker = undefined;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    worker.ref();
    worker.postMessage("close");
    await ended;
  }

  #committed(changes: number): void {
    this.#changes += changes;
    if (this.#changes < changesBetween || this.#working) return;
    this.#changes = 0;
    this.#working = true;
    this.#begin().catch(() => this.#giveUp());
  }

  async #begin(): Promise<void> {
    this.#worker ??= await this.#start();
    this.#worker?.postMessage("checkpoint");
  }

  async #start(): Promise<Worker | undefined> {
    const { Worker } = await import("node:worker_threads");
    if (this.#closed) return undefined;
    const worker = new Worker(new URL("./checkpoint.worker.ts", import.meta.url), { workerData: this.#path });
    worker.on("message", () => {
      this.#working = false;
      // What came meanwhile.
      this.#committed(0);
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
    if (this.#connection.open) this.#connection.exec(`pragma wal_autocheckpoint = ${usualPages}`);
  }
}
