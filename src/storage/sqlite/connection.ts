import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { StrataError } from "../../contract/errors.ts";
import { isBusy, translateError } from "./sqlite-error.ts";

/** One value of a row; rows come as arrays, which cost about 3 µs each where objects cost twice that. */
export type Cell = SQLOutputValue | Uint8Array;
export type Row = readonly Cell[];

/** Forbids an `async` step: a transaction ends before anything else runs. */
export type Synchronous<T> = T extends PromiseLike<unknown> ? never : T;

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Statements held ready. Those built from filters differ by shape, so there is a bound. */
const statementBound = 300;

/** Steps of one turn of the event loop together take about this long; the next one waits for the next turn. */
const turnMs = 8;

/** One connection: prepared statements and short synchronous transactions, whose locks are waited for asynchronously. */
export class Connection {
  readonly #database: DatabaseSync;
  readonly #lockTimeoutMs: number;
  readonly #statements = new LRUCache<string, StatementSync>({ max: statementBound });
  #closed = false;
  /** Time that steps have taken in this turn of the event loop. */
  #spentMs = 0;
  /** Rows that statements of the step under way have written. */
  #changes = 0;
  /** Called after each transaction that writes, with the rows it wrote. */
  onCommit: ((changes: number) => void) | undefined;

  constructor(database: DatabaseSync, lockTimeoutMs: number) {
    this.#database = database;
    this.#lockTimeoutMs = lockTimeoutMs;
  }

  all<R extends Row>(sql: string, ...parameters: SQLInputValue[]): R[] {
    return this.#prepare(sql).all(...parameters) as unknown as R[];
  }

  get<R extends Row>(sql: string, ...parameters: SQLInputValue[]): R | undefined {
    return this.#prepare(sql).get(...parameters) as unknown as R | undefined;
  }

  /** Returns how many rows changed. */
  run(sql: string, ...parameters: SQLInputValue[]): number {
    const changes = Number(this.#prepare(sql).run(...parameters).changes);
    this.#changes += changes;
    return changes;
  }

  exec(sql: string): void {
    this.#database.exec(sql);
  }

  /** Makes a function that statements can call; the same arguments give the same answer. */
  define(name: string, call: (...cells: SQLOutputValue[]) => number): void {
    this.#database.function(name, { deterministic: true, varargs: true }, call);
  }

  /**
   * Runs `step` in one transaction that writes. All of it is kept, or none when it throws.
   * @throws DATABASE_BUSY, DISK_FULL, DATABASE_READ_ONLY, CLOSED
   */
  async write<T>(step: () => Synchronous<T>, options?: WaitOptions): Promise<T> {
    const result = await this.#transaction("begin immediate", step, options);
    this.onCommit?.(this.#changes);
    this.#changes = 0;
    return result;
  }

  /** Runs `step` on one unchanging state of the database. */
  async read<T>(step: () => Synchronous<T>, options?: WaitOptions): Promise<T> {
    return this.#transaction("begin", step, options);
  }

  /** Runs a few reads on one unchanging state, inside the transaction under way or in one of their own. */
  atOnce<T>(step: () => Synchronous<T>): T {
    return this.#database.isTransaction ? step() : this.#within("begin", step);
  }

  /** Runs statements that must stand outside a transaction, again until the lock is free. */
  async outside<T>(step: () => Synchronous<T>, options?: WaitOptions): Promise<T> {
    return this.#untilFree(step, options);
  }

  get open(): boolean {
    return !this.#closed;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#statements.clear();
    this.#database.close();
  }

  async #transaction<T>(begin: string, step: () => Synchronous<T>, options?: WaitOptions): Promise<T> {
    return this.#untilFree<T>(() => this.#within(begin, step) as Synchronous<T>, options);
  }

  #within<T>(begin: string, step: () => Synchronous<T>): T {
    this.#prepare(begin).run();
    try {
      const result = step();
      this.#prepare("commit").run();
      return result;
    } catch (error) {
      // A full disk or a failed read has rolled back by itself already.
      if (this.#database.isTransaction) this.#database.exec("rollback");
      throw error;
    }
  }

  async #untilFree<T>(step: () => Synchronous<T>, options?: WaitOptions): Promise<T> {
    const signal = options?.signal;
    // The machine's own time: a lock is held by another process, whatever clock the store was given.
    const startedAt = performance.now();
    for (let attempt = 0; ; attempt++) {
      // Steps that follow each other without a pause would leave everything else no turn.
      if (this.#spentMs >= turnMs) await new Promise(setImmediate);
      signal?.throwIfAborted();
      if (this.#closed) throw closedError();
      try {
        return this.#timed(step);
      } catch (error) {
        const waitedMs = performance.now() - startedAt;
        if (!isBusy(error) || waitedMs >= this.#lockTimeoutMs) throw translateError(error);
        const ceilingMs = Math.min(50, 2 ** Math.min(attempt, 6), this.#lockTimeoutMs - waitedMs);
        await sleep(Math.random() * ceilingMs, undefined, signal ? { signal } : undefined).catch((reason) => {
          signal?.throwIfAborted();
          throw reason;
        });
      }
    }
  }

  #timed<T>(step: () => T): T {
    const began = performance.now();
    try {
      return step();
    } finally {
      if (this.#spentMs === 0) {
        setImmediate(() => {
          this.#spentMs = 0;
        });
      }
      this.#spentMs += performance.now() - began;
    }
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const statement = this.#database.prepare(sql);
    statement.setReturnArrays(true);
    this.#statements.set(sql, statement);
    return statement;
  }
}

/** What every call of a closed store rejects with. */
export function closedError(): StrataError {
  return new StrataError("CLOSED", "The store was closed before the call; open it again.");
}
