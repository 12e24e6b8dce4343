import { randomUUID } from "node:crypto";
import { constants, existsSync, statSync } from "node:fs";
import { chmod, copyFile, link, mkdir, rename, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StrataError } from "../../contract/errors.ts";
import { asFull, makeWhole, putInPlace } from "./backup-database.ts";
import { isBusy, translateError } from "./sqlite-error.ts";
import type { DatabaseReport } from "./verify-database.ts";
import { verifyOnThread } from "./verify-on-thread.ts";

export interface RestoreOptions {
  readonly signal?: AbortSignal | undefined;
  /** Take the place of a memory that is there, which is kept under another name. Default false. */
  readonly force?: boolean | undefined;
  /** For the name under which the former one is kept. */
  readonly now: number;
}

export interface Restored extends DatabaseReport {
  readonly path: string;
  /** Where the memory is that stood there before; absent: there was none. */
  readonly kept?: string;
}

/**
 * Puts a copy of a backup where a memory is or is to be. It is verified first; the former memory stays beside it.
 * @throws DATABASE_NOT_FOUND, DATABASE_EXISTS, DATABASE_BUSY, DATABASE_CORRUPT, DATABASE_NEWER, NOT_A_DATABASE, DISK_FULL
 */
export async function restoreDatabase(
  file: string,
  path: string,
  options: RestoreOptions,
): Promise<Restored> {
  const { signal, force = false, now } = options;
  signal?.throwIfAborted();
  const source = statSync(file, { throwIfNoEntry: false });
  if (!source?.isFile()) {
    throw new StrataError("DATABASE_NOT_FOUND", "Expected a backup file; there is none at the path.", {
      details: { path: file },
    });
  }
  if (resolve(file) === resolve(path)) {
    throw new StrataError("INVALID_ARGUMENT", "Expected a backup; got the memory itself.");
  }
  if (existsSync(path) && !force) {
    throw new StrataError(
      "DATABASE_EXISTS",
      "A memory stands at the path already, and was left as it is. Say that it may be replaced: it is then kept under another name.",
      { details: { path } },
    );
  }
  const partial = `${path}.${randomUUID()}.partial`;
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await copyFile(file, partial, constants.COPYFILE_EXCL);
    await chmod(partial, 0o600);
    // A plain copy of a memory in use has its latest writes in a log beside it.
    if (existsSync(`${file}-wal`)) await copyFile(`${file}-wal`, `${partial}-wal`);
    makeWhole(partial);
    const report = await verifyOnThread(partial, signal);
    if (report.damages.length > 0) {
      throw new StrataError(
        "DATABASE_CORRUPT",
        `Expected a whole backup; ${report.damages[0]}. Nothing was changed.`,
      );
    }
    signal?.throwIfAborted();
    const kept = existsSync(path) ? await replace(path, partial, now) : await putInPlace(partial, path);
    // Indexes of what stood there before would tell of memories that are no more.
    await rm(`${path}-index`, { recursive: true, force: true });
    return { ...report, path, ...(kept !== undefined && { kept }) };
  } catch (error) {
    for (const suffix of ["", "-journal", "-wal", "-shm"]) await rm(partial + suffix, { force: true });
    throw asFull(translateError(error));
  }
}

/**
 * Puts a whole file in the place of a database that nobody has open, and keeps that one, with its log, under another
 * name. There is a memory at the path at every instant.
 * @param damaged Keep it to the byte: asking a damaged database who has it may change it.
 * @returns Where the former one is.
 * @throws DATABASE_BUSY
 */
export async function replace(path: string, partial: string, now: number, damaged = false): Promise<string> {
  const time = new Date(now).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  const kept = `${path}.${damaged ? "damaged" : "replaced"}-${time}`;
  const keep = async (by: (file: string, name: string) => Promise<void>): Promise<void> => {
    for (const suffix of ["-wal", ""]) if (existsSync(path + suffix)) await by(path + suffix, kept + suffix);
  };
  const copy = (file: string, name: string) =>
    copyFile(file, name, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  if (damaged) await keep(copy);
  try {
    using _ = holdAlone(path);
    if (!damaged) await keep(keepUnder);
    for (const suffix of ["-wal", "-shm"]) await rm(path + suffix, { force: true });
    await putInPlace(partial, path);
  } catch (error) {
    if (damaged) await keep((_file, name) => rm(name, { force: true }));
    throw error;
  }
  return kept;
}

async function keepUnder(file: string, name: string): Promise<void> {
  try {
    await link(file, name);
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, "code") === "EEXIST") throw error;
    // A file system without links: for a moment nothing stands at the path.
    await rename(file, name);
  }
}

/**
 * Holds a database that no other process has open, its log copied into it. One that is damaged cannot be asked who has
 * it; its files are taken as they are.
 */
function holdAlone(path: string): Disposable {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    // Leaving the log's mode takes the file alone.
    database.exec("pragma journal_mode = delete");
    database.exec("begin exclusive");
  } catch (error) {
    database?.close();
    database = undefined;
    if (isBusy(error)) {
      throw new StrataError(
        "DATABASE_BUSY",
        "Another process has the memory open; end it, and try again. Nothing was changed.",
        { cause: error },
      );
    }
  }
  // Windows renames no file that is open.
  if (process.platform === "win32") {
    database?.close();
    database = undefined;
  }
  return { [Symbol.dispose]: () => database?.close() };
}
