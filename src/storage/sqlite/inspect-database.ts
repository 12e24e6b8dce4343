import { DatabaseSync } from "node:sqlite";
import { checkConsistency } from "./check-consistency.ts";
import { damageOfLog } from "./log-frames.ts";
import { migrations } from "./migrations.ts";
import { translateError } from "./sqlite-error.ts";

/** What a database file says of itself, read without changing it. */
export interface DatabaseInspection {
  readonly schemaVersion: number;
  /** The newest this Strata knows; an older file is brought to it when it is opened. */
  readonly supportedVersion: number;
  /**
   * What SQLite's integrity check found, at most ten; if nothing, what the log hides and what does not agree of all that
   * is kept twice. Empty for a whole file.
   */
  readonly damages: readonly string[];
}

/**
 * Reads every page of the file once: seconds for gigabytes, on the calling thread.
 * @throws NOT_A_DATABASE, DATABASE_CORRUPT, DATABASE_READ_ONLY, DATABASE_BUSY
 */
export function inspectDatabase(path: string): DatabaseInspection {
  try {
    using database = new DatabaseSync(path, { readOnly: true, timeout: 0 });
    const version = database.prepare("pragma user_version").get();
    const found = database.prepare("pragma integrity_check(10)").all();
    const torn = found.map((row) => String(row["integrity_check"])).filter((message) => message !== "ok");
    const schemaVersion = Number(version?.["user_version"]);
    // An older schema lacks tables that are compared; it is brought to this one when it is opened.
    const isComparable = schemaVersion === migrations.length && torn.length === 0;
    const log = damageOfLog(path);
    return {
      schemaVersion,
      supportedVersion: migrations.length,
      damages: [
        ...torn,
        ...(log === undefined ? [] : [log]),
        ...(isComparable ? checkConsistency(database) : []),
      ],
    };
  } catch (error) {
    throw translateError(error);
  }
}
