import { existsSync } from "node:fs";
import { type ConfigOverrides, loadConfig } from "../config/config.ts";
import { type Clock, systemClock } from "../contract/clock.ts";
import { StrataError } from "../contract/errors.ts";
import type { RepairReport } from "../storage/sqlite/repair-report.ts";
import { checkFlag, checkOptions } from "./check-values.ts";

/** Which memory is repaired, and how. */
export interface RepairMemoryOptions extends ConfigOverrides {
  /** Put the repaired memory in the damaged one's place, which is kept beside it. Default false. */
  readonly replace?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For tests. Default: the machine's time. */
  readonly clock?: Clock | undefined;
}

const optionNames = ["path", "namespace", "durability", "config", "configFile", "replace", "signal", "clock"];

/**
 * Salvages all that can be read of a damaged memory, row by row, into a new file beside it named `….repaired`; the
 * damaged one is only read. What is missing is told by id where anything still knows it. No process may have it open.
 * @throws DATABASE_NOT_FOUND, DATABASE_EXISTS, DATABASE_BUSY, DATABASE_NEWER, NOT_A_DATABASE, DISK_FULL
 */
export async function repairMemory(options?: RepairMemoryOptions): Promise<RepairReport> {
  const {
    replace,
    signal,
    clock = systemClock,
    ...overrides
  } = checkOptions(options, optionNames, "repairMemory");
  const inPlace = replace !== undefined && checkFlag(replace, "replace");
  const { database, decayRate } = await loadConfig(overrides);
  const { path } = database;
  const target = `${path}.repaired`;
  if (!existsSync(path)) {
    throw new StrataError("DATABASE_NOT_FOUND", "There is no memory at the path in use.", {
      details: { path },
    });
  }
  if (!inPlace && existsSync(target)) {
    throw new StrataError(
      "DATABASE_EXISTS",
      "An earlier repair stands beside the memory; move it away first.",
      {
        details: { path: target },
      },
    );
  }
  const { repairDatabase } = await import("../storage/sqlite/repair-database.ts");
  return repairDatabase(path, target, { decayRate, now: clock.now(), replace: inPlace, signal });
}
