import { type ErrorCode, StrataError } from "../../contract/errors.ts";

const codes: Readonly<Record<number, { readonly code: ErrorCode; readonly advice: string }>> = {
  5: { code: "DATABASE_BUSY", advice: "Another process holds the database; try again." },
  6: { code: "DATABASE_BUSY", advice: "Another process holds the database; try again." },
  8: { code: "DATABASE_READ_ONLY", advice: "Open it with rights to write, or only read from it." },
  10: {
    code: "DATABASE_CORRUPT",
    advice: "The disk failed to read or write; check it, then restore a backup.",
  },
  11: {
    code: "DATABASE_CORRUPT",
    advice: 'Salvage what can be read with "strata doctor --repair", or restore a backup.',
  },
  13: { code: "DISK_FULL", advice: "Nothing of the write was kept; free some space and try again." },
  14: {
    code: "DATABASE_READ_ONLY",
    advice: "The file or its folder cannot be opened for writing, or the process has too many files open.",
  },
  26: {
    code: "NOT_A_DATABASE",
    advice: "Name the path of a Strata database or of a file that does not exist.",
  },
};

/** Extended codes of a write or a log index that found no room although the system did not name a full disk. */
const noRoom: ReadonlySet<unknown> = new Set([778, 4_874]);

/** SQLite's primary result code of an error it threw, or undefined. */
export function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || Reflect.get(error, "code") !== "ERR_SQLITE_ERROR") return undefined;
  const extended: unknown = Reflect.get(error, "errcode");
  if (noRoom.has(extended)) return 13;
  return typeof extended === "number" ? extended & 0xff : undefined;
}

/** True when another connection holds the lock. */
export function isBusy(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === 5 || code === 6;
}

/** SQLite's error as one of ours; any other comes back as it is. */
export function translateError(error: unknown): unknown {
  const code = sqliteCode(error);
  if (code === undefined || !(error instanceof Error)) return error;
  const known = codes[code];
  if (known === undefined) {
    return new StrataError(
      "INTERNAL",
      `SQLite refused a statement of the store (code ${code}). Report this.`,
      {
        cause: error,
      },
    );
  }
  return new StrataError(known.code, `The database gave "${error.message}". ${known.advice}`, {
    cause: error,
  });
}
