import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { StrataError } from "../../contract/errors.ts";
import { checkConsistency } from "./check-consistency.ts";
import { applicationId, migrations } from "./migrations.ts";
import { translateError } from "./sqlite-error.ts";

/** What a database file that nobody writes to holds, read from its first byte to its last. */
export interface DatabaseReport {
  readonly schemaVersion: number;
  readonly bytes: number;
  /** SHA-256 of the file, hexadecimal. */
  readonly sha256: string;
  /** Live memories, expired ones not yet removed included. */
  readonly memories: number;
  readonly documents: number;
  readonly namespaces: number;
  /** What SQLite's integrity check and the comparison of all that is kept twice found; empty: it is whole. */
  readonly damages: readonly string[];
}

const readBytes = 1 << 20;

/**
 * Reads all of a file on the calling thread.
 * @throws NOT_A_DATABASE, DATABASE_NEWER, DATABASE_CORRUPT
 */
export function verifyDatabase(path: string): DatabaseReport {
  try {
    using database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    const number = (sql: string) => Number(Object.values(database.prepare(sql).get() ?? {})[0]);
    const schemaVersion = number("pragma user_version");
    if (number("pragma application_id") !== applicationId) {
      throw new StrataError("NOT_A_DATABASE", "Expected a Strata database; the file holds something else.");
    }
    if (schemaVersion > migrations.length) {
      throw new StrataError(
        "DATABASE_NEWER",
        `Expected a database of schema version ${migrations.length} or older; got version ${schemaVersion}. Update Strata.`,
        { details: { version: schemaVersion, supported: migrations.length } },
      );
    }
    const integrity = database.prepare("pragma integrity_check(10)").all();
    const torn = integrity.map((row) => String(row["integrity_check"])).filter((message) => message !== "ok");
    // An older schema lacks tables that are compared; it is brought to this one when it is opened.
    const isCurrent = schemaVersion === migrations.length && torn.length === 0;
    return {
      schemaVersion,
      ...hashFile(path),
      memories: number("select coalesce(sum(memories), 0) from tier_count"),
      documents: number("select count(*) from document"),
      namespaces: number("select count(distinct namespace) from tier_count where entries + pinned > 0"),
      damages: isCurrent ? checkConsistency(database) : torn,
    };
  } catch (error) {
    throw translateError(error);
  }
}

function hashFile(path: string): { readonly bytes: number; readonly sha256: string } {
  const hash = createHash("sha256");
  const buffer = Buffer.alloc(readBytes);
  const file = openSync(path, "r");
  try {
    let bytes = 0;
    for (let read = -1; read !== 0; bytes += read) {
      read = readSync(file, buffer);
      hash.update(buffer.subarray(0, read));
    }
    return { bytes, sha256: hash.digest("hex") };
  } finally {
    closeSync(file);
  }
}
