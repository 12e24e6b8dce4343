import { closeSync, openSync, readSync, renameSync, rmSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { type Clock, systemClock } from "../contract/clock.ts";
import { StrataError } from "../contract/errors.ts";
import type {
  CachedVector,
  VectorCache,
  VectorCacheEntry,
  VectorCacheStats,
} from "../contract/vector-cache.ts";

export interface SqliteVectorCacheOptions {
  /** Most bytes of vectors and keys kept. Default 512 MiB. */
  readonly maxBytes?: number | undefined;
  readonly clock?: Clock | undefined;
}

const defaultMaxBytes = 512 * 2 ** 20;

/** "Svec" in the file's header: what makes a damaged file ours to delete. */
const applicationId = 0x53766563;
const applicationIdOffset = 68;

/** An entry's own bytes beside the vector: key, times, B-tree cells. */
const entryOverheadBytes = 100;

/** Most entries one write evicts, so that a lowered bound does not hold the event loop. */
const evictAtOnce = 1_024;

/** How long opening waits for another process that is just making the file. */
const openWaitMs = 250;

/** The time of last use is written again only when it is this old: a read must not become a write. */
const useResolutionMs = 3_600_000;

/** Used keys remembered until the next write; more are forgotten, which costs accuracy of age, nothing else. */
const maxTouched = 10_000;

/** Times a write waits for another process before it is given up, and the longest of these waits. */
const lockAttempts = 6;
const lockWaitMs = 40;

const sqliteBusy = new Set([5, 6]);
const sqliteDamaged = new Set([11, 26]);

const schema = `
  PRAGMA journal_mode = WAL;
  PRAGMA application_id = ${applicationId};
  CREATE TABLE IF NOT EXISTS vectors (
    key BLOB PRIMARY KEY,
    used_at INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    unknown_share REAL,
    vector BLOB
  ) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS vectors_by_use ON vectors (used_at);
  CREATE TABLE IF NOT EXISTS fill (one INTEGER PRIMARY KEY CHECK (one = 1), entries INTEGER, bytes INTEGER);
  INSERT OR IGNORE INTO fill VALUES (1, 0, 0);
`;

interface Row {
  readonly used_at: number;
  readonly checksum: number;
  readonly unknown_share: number | null;
  readonly vector: Uint8Array | null;
}

interface Statements {
  readonly read: StatementSync;
  readonly insert: StatementSync;
  readonly touch: StatementSync;
  readonly remove: StatementSync;
  readonly fill: StatementSync;
  readonly grow: StatementSync;
  readonly oldest: StatementSync;
}

/**
 * Vectors in a SQLite file of their own, shared by the processes of one machine. It holds hashes and numbers, never a
 * text. Losing it costs computation only; so a damaged file is begun anew and counted, and a write that another
 * process holds up is given up and counted.
 */
export class SqliteVectorCache implements VectorCache {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #clock: Clock;
  readonly #touched = new Set<string>();
  #database: DatabaseSync;
  #statements: Statements;
  #evicted = 0;
  #recreated = 0;
  #skippedWrites = 0;
  #closed = false;

  /**
   * @param path Where the file is or is to be made.
   * @throws INVALID_ARGUMENT When `maxBytes` is no positive number.
   * @throws NOT_A_DATABASE When the path holds another program's database.
   */
  constructor(path: string, options: SqliteVectorCacheOptions = {}) {
    const { maxBytes = defaultMaxBytes, clock = systemClock } = options;
    if (!(maxBytes >= 1))
      throw new StrataError("INVALID_ARGUMENT", `Expected maxBytes of at least 1, got ${maxBytes}.`);
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#clock = clock;
    try {
      this.#database = this.#open();
    } catch (error) {
      if (!isDamaged(error)) throw error;
      this.#database = this.#openAnew();
    }
    this.#statements = prepare(this.#database);
  }

  getMany(keys: readonly string[]): (CachedVector | undefined)[] {
    if (this.#closed) return keys.map(() => undefined);
    return (
      this.#orAnew(() => {
        const stale = this.#clock.now() - useResolutionMs;
        return keys.map((key) => {
          const bytes = keyBytes(key);
          const row = this.#statements.read.get(bytes) as Row | undefined;
          if (row === undefined) return undefined;
          if (row.checksum !== checksumOf(bytes, row.unknown_share, row.vector)) throw new DamagedRow();
          if (row.used_at < stale && this.#touched.size < maxTouched) this.#touched.add(key);
          return { vector: numbersOf(row.vector), unknownShare: row.unknown_share ?? undefined };
        });
      }) ?? keys.map(() => undefined)
    );
  }

  async setMany(entries: readonly VectorCacheEntry[]): Promise<void> {
    if (this.#closed) return;
    const written = await this.#write(() => {
      const now = this.#clock.now();
      const { insert, grow } = this.#statements;
      let added = 0;
      let bytes = 0;
      for (const { key, vector, unknownShare } of entries) {
        const size = entryOverheadBytes + (vector?.byteLength ?? 0);
        const [name, share, numbers] = [keyBytes(key), unknownShare ?? null, bytesOf(vector)];
        const { changes } = insert.run(name, now, size, checksumOf(name, share, numbers), share, numbers);
        if (changes === 0) continue;
        added++;
        bytes += size;
      }
      grow.run(added, bytes);
      this.#writeTouches(now);
      this.#evict();
    });
    if (!written) this.#skippedWrites++;
  }

  async deleteMany(keys: readonly string[]): Promise<number> {
    if (this.#closed) return 0;
    let removed = 0;
    const written = await this.#write(() => {
      removed = 0;
      for (const key of keys) removed += this.#remove(keyBytes(key));
    });
    if (!written)
      throw new StrataError(
        "DATABASE_BUSY",
        `Expected to remove ${keys.length} vectors from the cache, but another process holds it. Try again.`,
      );
    // Deleted pages are zeroed; what the write-ahead log still holds of them goes when it is folded in.
    this.#orAnew(() => this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)"));
    return removed;
  }

  stats(): VectorCacheStats {
    const fill = this.#closed ? undefined : this.#orAnew(() => this.#fill());
    return {
      entries: fill?.entries ?? 0,
      bytes: fill?.bytes ?? 0,
      maxBytes: this.#maxBytes,
      evicted: this.#evicted,
      recreated: this.#recreated,
      skippedWrites: this.#skippedWrites,
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    if (this.#touched.size > 0) await this.#write(() => this.#writeTouches(this.#clock.now()));
    this.#closed = true;
    this.#database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(): DatabaseSync {
    // Vectors tell much of their texts: the file, and the log SQLite gives its mode, are the owner's alone.
    closeSync(openSync(this.#path, "a", 0o600));
    const database = new DatabaseSync(this.#path, { timeout: openWaitMs });
    try {
      const tables = database.prepare("SELECT count(*) AS n FROM sqlite_schema").get() as { n: number };
      const { application_id: id } = database.prepare("PRAGMA application_id").get() as {
        application_id: number;
      };
      if (tables.n > 0 && id !== applicationId)
        throw new StrataError(
          "NOT_A_DATABASE",
          "Expected the path of a vector cache, got another program's database. Give the cache a path of its own.",
        );
      createSchema(database);
      // From here on nobody waits inside a call: the event loop would wait with it.
      database.exec("PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON; PRAGMA busy_timeout = 0");
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  #openAnew(): DatabaseSync {
    this.#recreated++;
    this.#touched.clear();
    putAside(this.#path);
    return this.#open();
  }

  /** Runs `work`; undefined when the file turned out damaged, which is then begun anew, or was held by another. */
  #orAnew<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (isBusy(error)) return undefined;
      if (!isDamaged(error)) throw error;
      this.#database.close();
      this.#database = this.#openAnew();
      this.#statements = prepare(this.#database);
      return undefined;
    }
  }

  /** One transaction; waits for other processes on the event loop, not in it. @returns Whether it was written. */
  async #write(work: () => void): Promise<boolean> {
    for (let attempt = 1; attempt <= lockAttempts && !this.#closed; attempt++) {
      const written = this.#orAnew(() => {
        this.#database.exec("BEGIN IMMEDIATE");
        try {
          work();
          this.#database.exec("COMMIT");
          return true;
        } catch (error) {
          if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
          throw error;
        }
      });
      if (written === true) return true;
      const waitMs = 1 + Math.random() * Math.min(lockWaitMs, 2 ** attempt);
      // Not on the clock, whose timers hold no process: an awaited write must not end with it.
      await sleep(waitMs);
    }
    return false;
  }

  #writeTouches(now: number): void {
    for (const key of this.#touched) this.#statements.touch.run(now, keyBytes(key));
    this.#touched.clear();
  }

  #evict(): void {
    let { bytes } = this.#fill();
    if (bytes <= this.#maxBytes) return;
    for (const row of this.#statements.oldest.all() as { key: Uint8Array; bytes: number }[]) {
      if (bytes <= this.#maxBytes) return;
      this.#evicted += this.#remove(row.key);
      bytes -= row.bytes;
    }
  }

  #remove(key: Uint8Array): number {
    const row = this.#statements.remove.get(key) as { bytes: number } | undefined;
    if (row === undefined) return 0;
    this.#statements.grow.run(-1, -row.bytes);
    return 1;
  }

  #fill(): { entries: number; bytes: number } {
    return this.#statements.fill.get() as { entries: number; bytes: number };
  }
}

function createSchema(database: DatabaseSync): void {
  const made = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'fill'").get();
  if (made === undefined) database.exec(schema);
}

function prepare(database: DatabaseSync): Statements {
  return {
    read: database.prepare("SELECT used_at, checksum, unknown_share, vector FROM vectors WHERE key = ?"),
    insert: database.prepare("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?, ?, ?, ?)"),
    touch: database.prepare("UPDATE vectors SET used_at = ? WHERE key = ?"),
    remove: database.prepare("DELETE FROM vectors WHERE key = ? RETURNING bytes"),
    fill: database.prepare("SELECT entries, bytes FROM fill"),
    grow: database.prepare("UPDATE fill SET entries = entries + ?, bytes = bytes + ?"),
    oldest: database.prepare(`SELECT key, bytes FROM vectors ORDER BY used_at LIMIT ${evictAtOnce}`),
  };
}

/** A damaged file of ours is deleted; what may be anything else is kept beside its place. */
function putAside(path: string): void {
  for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
  if (isOurs(path)) rmSync(path, { force: true });
  else renameSync(path, `${path}.damaged`);
}

function isOurs(path: string): boolean {
  const header = Buffer.alloc(applicationIdOffset + 4);
  const file = openSync(path, "r");
  try {
    readSync(file, header, 0, header.length, 0);
  } finally {
    closeSync(file);
  }
  return header.readUInt32BE(applicationIdOffset) === applicationId;
}

function resultCode(error: unknown): number | undefined {
  const code: unknown = error instanceof Error ? Reflect.get(error, "errcode") : undefined;
  // The low byte is the primary code of SQLite.
  return typeof code === "number" ? code & 0xff : undefined;
}

function isBusy(error: unknown): boolean {
  return sqliteBusy.has(resultCode(error) ?? 0);
}

function isDamaged(error: unknown): boolean {
  return error instanceof DamagedRow || sqliteDamaged.has(resultCode(error) ?? 0);
}

/** A row's numbers are not those that were written; SQLite itself does not look at them. */
class DamagedRow extends Error {}

function checksumOf(key: Uint8Array, unknownShare: number | null, vector: Uint8Array | null): number {
  const ofHead = crc32(`${unknownShare} ${vector?.byteLength}`, crc32(key));
  return vector === null ? ofHead : crc32(vector, ofHead);
}

function keyBytes(key: string): Uint8Array {
  return Buffer.from(key, "hex");
}

function bytesOf(vector: Float32Array | null): Uint8Array | null {
  return vector === null ? null : new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** A copy: the bytes of a row need not lie on a boundary of four. */
function numbersOf(bytes: Uint8Array | null): Float32Array | null {
  if (bytes === null) return null;
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
