import { randomUUID } from "node:crypto";
import { open, rename, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { StrataError } from "../../contract/errors.ts";
import { translateError } from "./sqlite-error.ts";
import type { DatabaseReport } from "./verify-database.ts";
import { verifyOnThread } from "./verify-on-thread.ts";

export interface CopyOptions {
  readonly signal?: AbortSignal | undefined;
  /** Take the place of a file that is there. Default false. */
  readonly overwrite?: boolean | undefined;
  /** Pages copied so far, and all of them. */
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

/** Pages copied before progress is told: 4 MiB. */
const pagesAtOnce = 1_024;

/**
 * Copies a database that is in use: one unchanging state of it, however much is written meanwhile, off the event loop.
 * The copy is one file in itself, verified before it takes its name; a failure leaves nothing, and a former copy as it
 * was.
 * @throws DATABASE_EXISTS, DATABASE_BUSY, DATABASE_CORRUPT, DISK_FULL, the signal's reason
 */
export async function backupDatabase(
  source: string,
  target: string,
  options: CopyOptions = {},
): Promise<DatabaseReport> {
  const { signal, overwrite = false, onProgress } = options;
  signal?.throwIfAborted();
  await assertFree(source, target, overwrite);
  const partial = `${target}.${randomUUID()}.partial`;
  try {
    await (await open(partial, "wx", 0o600)).close();
    await copyPages(source, partial, signal, onProgress);
    makeWhole(partial);
    const report = await verifyOnThread(partial, signal);
    if (report.damages.length > 0) {
      throw new StrataError(
        "DATABASE_CORRUPT",
        `Expected a whole database to back up; ${report.damages[0]}. Run "strata doctor --repair"; nothing was written.`,
      );
    }
    signal?.throwIfAborted();
    await putInPlace(partial, target);
    return report;
  } catch (error) {
    for (const suffix of ["", "-journal", "-wal", "-shm"]) await rm(partial + suffix, { force: true });
    signal?.throwIfAborted();
    throw asFull(translateError(error));
  }
}

async function copyPages(
  source: string,
  partial: string,
  signal: AbortSignal | undefined,
  onProgress: CopyOptions["onProgress"],
): Promise<void> {
  using database = new DatabaseSync(source, { readOnly: true, timeout: 5_000 });
  // Held open, this keeps the copy to one state: without it, each write of another process begins the copy again.
  database.exec("begin");
  database.prepare("select count(*) from sqlite_schema").get();
  const total = await backup(database, partial, {
    rate: pagesAtOnce,
    progress({ totalPages, remainingPages }) {
      signal?.throwIfAborted();
      onProgress?.({ done: totalPages - remainingPages, total: totalPages });
    },
  });
  // The last step is not told.
  onProgress?.({ done: total, total });
}

/** Makes a copy one file that needs no log beside it; opened to write, it gets one again. */
export function makeWhole(path: string): void {
  using database = new DatabaseSync(path, { timeout: 0 });
  database.exec("pragma journal_mode = delete");
}

async function assertFree(source: string, target: string, overwrite: boolean): Promise<void> {
  const found = await stat(target).catch(() => undefined);
  if (!found) return;
  if (found.isDirectory()) {
    throw new StrataError(
      "DATABASE_IS_DIRECTORY",
      "Expected the path of a file; got a folder. Name a file in it.",
    );
  }
  const own = await stat(source);
  const log = await stat(`${target}-wal`).catch(() => undefined);
  if (resolve(source) === resolve(target) || (own.dev === found.dev && own.ino === found.ino) || log) {
    throw new StrataError(
      "DATABASE_EXISTS",
      "Expected a path that no memory in use has; got one that has. Name another file.",
    );
  }
  if (!overwrite) {
    throw new StrataError(
      "DATABASE_EXISTS",
      "A file stands at the path already, and was left as it is. Name another one, or say that it may be replaced.",
    );
  }
}

/** Flushes a file and gives it its name; a reader of the name sees what was there, or this. */
export async function putInPlace(partial: string, target: string): Promise<void> {
  await flush(partial);
  await rename(partial, target);
  // Windows opens no folders.
  if (process.platform !== "win32") await flush(dirname(resolve(target)));
}

async function flush(path: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}

/** A system's full disk, as SQLite's. */
export function asFull(error: unknown): unknown {
  const code: unknown = error instanceof Error ? Reflect.get(error, "code") : undefined;
  if (code === "ENOSPC" || code === "EFBIG" || code === "EDQUOT") {
    return new StrataError("DISK_FULL", "The disk has no room for the copy; nothing of it was kept.", {
      cause: error,
    });
  }
  if (code === "EACCES" || code === "EROFS" || code === "EPERM" || code === "ENOENT" || code === "EMFILE") {
    return new StrataError(
      "DATABASE_READ_ONLY",
      `Expected a folder in which the copy can be made; the system refused it (${String(code)}). Name another path.`,
      { cause: error },
    );
  }
  return error;
}
