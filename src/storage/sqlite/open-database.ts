import { closeSync, existsSync, mkdirSync, openSync, readSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StrataError } from "../../contract/errors.ts";
import { Connection } from "./connection.ts";
import { damageOfLog } from "./log-frames.ts";
import { applicationId, migrations } from "./migrations.ts";
import { translateError } from "./sqlite-error.ts";

export interface OpenOptions {
  /** "process": survives the death of the process; "power": a power cut too, at the cost of a sync for each write. */
  readonly durability: "process" | "power";
  readonly readOnly: boolean;
  readonly create: boolean;
  readonly lockTimeoutMs: number;
}

const magic = Buffer.from("SQLite format 3\0", "latin1");
/** Less than one page is no database, however it begins. */
const smallestDatabase = 512;

/** Opens the file, makes it when it may, and brings its schema to this version. */
export async function openDatabase(path: string, options: OpenOptions): Promise<Connection> {
  prepareFile(path, options);
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(path, {
      readOnly: options.readOnly,
      timeout: 0,
      enableForeignKeyConstraints: false,
    });
  } catch (error) {
    throw translateError(error);
  }
  const connection = new Connection(database, options.lockTimeoutMs);
  try {
    await connection.outside(() => configure(connection, options));
    await migrate(connection, options);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Makes the file with mode 0600, which SQLite gives to the files beside it too, and refuses what is no database. */
function prepareFile(path: string, options: OpenOptions): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory()) {
    throw new StrataError(
      "DATABASE_IS_DIRECTORY",
      "Expected the path of a database file; got a folder. Name a file in it.",
    );
  }
  if (found === undefined) {
    if (options.readOnly || !options.create) {
      throw new StrataError(
        "DATABASE_NOT_FOUND",
        "Expected an existing database file; there is none at the path. Store something first, or name another path.",
      );
    }
    createFile(path);
    return;
  }
  if (found.size === 0) {
    // SQLite would delete a log beside an empty file; such a pair is what is left of a damaged database.
    if ((statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) throw damagedError();
    return;
  }
  if (found.size < smallestDatabase || !readStart(path).equals(magic)) {
    if (magic.indexOf(readStart(path)) === 0) throw damagedError();
    throw notOursError();
  }
  // SQLite would take what stands before the damage for all of it, and empty the log on close.
  const damage = damageOfLog(path);
  if (damage !== undefined) throw damagedError(damage);
}

function createFile(path: string): void {
  try {
    if (!existsSync(dirname(path))) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, "a", 0o600));
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
    if (code === "ENOSPC") {
      throw new StrataError(
        "DISK_FULL",
        "The disk has no room for a new database; free some space and try again.",
        {
          cause: error,
        },
      );
    }
    throw new StrataError(
      "DATABASE_READ_ONLY",
      `Expected a folder in which a database can be made; the system refused it (${String(code)}). Name another path.`,
      { cause: error },
    );
  }
}

function readStart(path: string): Buffer {
  const start = Buffer.alloc(magic.length);
  let descriptor: number;
  try {
    descriptor = openSync(path, "r");
  } catch (error) {
    throw new StrataError(
      "DATABASE_READ_ONLY",
      "The database file cannot be read with the rights of this process.",
      {
        cause: error,
      },
    );
  }
  try {
    return start.subarray(0, readSync(descriptor, start, 0, start.length, 0));
  } finally {
    closeSync(descriptor);
  }
}

function configure(connection: Connection, options: OpenOptions): void {
  const [mode] = connection.get<[string]>("pragma journal_mode")!;
  // Ours before anything is changed: the mode of a stranger's file stays as it is.
  assertOurs(connection);
  if (mode !== "wal" && !options.readOnly) connection.exec("pragma journal_mode = wal");
  connection.exec(`
    pragma synchronous = ${options.durability === "power" ? "full" : "normal"};
    pragma secure_delete = on;
    pragma temp_store = memory;
    pragma cache_size = -16000;
    pragma journal_size_limit = 67108864;
  `);
}

function assertOurs(connection: Connection): number {
  const [id] = connection.get<[number]>("pragma application_id")!;
  const [version] = connection.get<[number]>("pragma user_version")!;
  const [objects] = connection.get<[number]>("select count(*) from sqlite_schema")!;
  const untouched = id === 0 && version === 0 && objects === 0;
  if (!untouched && id !== applicationId) throw notOursError();
  if (version > migrations.length) {
    throw new StrataError(
      "DATABASE_NEWER",
      `Expected a database of schema version ${migrations.length} or older; got version ${version}. Update Strata.`,
      { details: { version, supported: migrations.length } },
    );
  }
  return version;
}

/** Two processes may open a new file at once: the version is read again inside the transaction that changes it. */
async function migrate(connection: Connection, options: OpenOptions): Promise<void> {
  const version = await connection.outside(() => assertOurs(connection));
  if (version === migrations.length) return;
  if (options.readOnly) {
    throw new StrataError(
      "DATABASE_READ_ONLY",
      `The database has schema version ${version} of ${migrations.length} and must be written once to be read. Open it with rights to write.`,
    );
  }
  await connection.write(() => {
    for (let next = assertOurs(connection); next < migrations.length; next++) {
      connection.exec(migrations[next]!);
      connection.exec(`pragma user_version = ${next + 1}`);
    }
    connection.exec(`pragma application_id = ${applicationId}`);
  });
}

function notOursError(): StrataError {
  return new StrataError(
    "NOT_A_DATABASE",
    "Expected a Strata database; the file holds something else. Name another path.",
  );
}

function damagedError(damage = "the file is cut short"): StrataError {
  return new StrataError(
    "DATABASE_CORRUPT",
    `Expected a whole database; ${damage}. Salvage what can be read with "strata doctor --repair", or restore a backup.`,
  );
}
