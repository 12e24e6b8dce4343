import { DatabaseSync } from "node:sqlite";

/** Bytes of 256 dimensions in float16. */
const vector = new Uint8Array(512).fill(60);

/**
 * The floor of a durable write: one table of texts and blobs on bare SQLite, under the same durability as a memory
 * (write-ahead log, no sync at commit), without index, checks, journal or search.
 */
export class BareSqlite implements Disposable {
  readonly #database: DatabaseSync;
  readonly #insert: ReturnType<DatabaseSync["prepare"]>;

  constructor(path: string) {
    this.#database = new DatabaseSync(path);
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    this.#database.exec("CREATE TABLE entries (row INTEGER PRIMARY KEY, content TEXT, vector BLOB) STRICT");
    this.#insert = this.#database.prepare("INSERT INTO entries (content, vector) VALUES (?, ?)");
  }

  /** Inserts one text in a transaction of its own. */
  insert(content: string): void {
    this.#insert.run(content, vector);
  }

  /** Inserts the texts in transactions of `slice` rows. */
  insertMany(contents: readonly string[], slice: number): void {
    for (let start = 0; start < contents.length; start += slice) {
      this.#database.exec("BEGIN IMMEDIATE");
      for (const content of contents.slice(start, start + slice)) this.insert(content);
      this.#database.exec("COMMIT");
    }
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }
}
