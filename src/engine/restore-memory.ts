import { type ConfigOverrides, loadConfig } from "../config/config.ts";
import { type Clock, systemClock } from "../contract/clock.ts";
import type { Restored } from "../storage/sqlite/restore-database.ts";
import { checkFlag, checkName, checkOptions } from "./check-values.ts";

/** Which memory is restored, and how. */
export interface RestoreMemoryOptions extends ConfigOverrides {
  /** Take the place of a memory that is there, which is kept beside it under another name. Default false. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For tests. Default: the machine's time. */
  readonly clock?: Clock | undefined;
}

const optionNames = ["path", "namespace", "durability", "config", "configFile", "force", "signal", "clock"];

/**
 * Puts a copy of a backup where the memory is that `openMemory` with the same options would open. The copy is verified
 * first; derived indexes are made anew. No process may have the memory open.
 * @throws DATABASE_NOT_FOUND, DATABASE_EXISTS, DATABASE_BUSY, DATABASE_CORRUPT, DATABASE_NEWER, NOT_A_DATABASE, DISK_FULL
 */
export async function restoreMemory(backup: string, options?: RestoreMemoryOptions): Promise<Restored> {
  const {
    force,
    signal,
    clock = systemClock,
    ...overrides
  } = checkOptions(options, optionNames, "restoreMemory");
  const { database } = await loadConfig(overrides);
  const { restoreDatabase } = await import("../storage/sqlite/restore-database.ts");
  return restoreDatabase(checkName(backup, "backup"), database.path, {
    signal,
    force: force !== undefined && checkFlag(force, "force"),
    now: clock.now(),
  });
}
