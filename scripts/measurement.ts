import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./repository.ts";
import { renderResult } from "./result-table.ts";

/** One evaluation or benchmark: a file beside the dispatcher that exports `run`. */
export interface Measurement {
  /** @returns What was measured, as plain JSON data; the dispatcher prints it. Progress goes to standard error. */
  run(args: string[]): Promise<unknown>;
}

/** The call was wrong, not the measurement: reported as one sentence, with exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/**
 * The folder that `--data` names.
 * @param value What the caller gave, undefined when nothing.
 * @throws UsageError When it was left out or is no folder.
 */
export function dataFolder(value: string | undefined): string {
  if (value === undefined)
    throw new UsageError("Expected --data DIR, the folder of the data sets; got none.");
  const stats = statSync(value, { throwIfNoEntry: false });
  if (!stats?.isDirectory()) throw new UsageError(`Expected a folder after --data; "${value}" is none.`);
  return value;
}

/** On what, and on which source, a figure was measured. */
export interface MeasuredOn {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly platform: string;
  readonly node: string;
  readonly commit: string;
  /** The source had changes that no commit holds. */
  readonly dirty: boolean;
}

function measuredOn(): MeasuredOn {
  const git = (...args: string[]) => {
    try {
      const stdio: ["ignore", "pipe", "ignore"] = ["ignore", "pipe", "ignore"];
      return execFileSync("git", args, { cwd: root, encoding: "utf8", stdio }).trim();
    } catch {
      return undefined;
    }
  };
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    commit: git("rev-parse", "HEAD") ?? "unknown",
    dirty: git("status", "--porcelain") !== "",
  };
}

/** Names of the measurements in a folder: its files that export `run`. */
function measurementsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .filter((file) => /^export (async )?function run\(/m.test(readFileSync(join(folder, file), "utf8")))
    .map((file) => file.slice(0, -".ts".length))
    .toSorted();
}

function takeFlag(args: string[], flag: string): boolean {
  const at = args.indexOf(flag);
  if (at >= 0) args.splice(at, 1);
  return at >= 0;
}

/**
 * Runs the measurement the first argument names and prints its result: with `--json` exactly one object on standard
 * output, else a table. `--save` keeps it under benchmarks/results/. All other arguments go to the measurement.
 * @param folder Where the measurements are.
 * @returns Exit code: 0, or 2 for a wrong call.
 */
export async function runMeasurement(folder: string, argv: readonly string[]): Promise<number> {
  const args = [...argv];
  const json = takeFlag(args, "--json");
  const save = takeFlag(args, "--save");
  const name = args.shift();
  const names = measurementsIn(folder);
  try {
    if (name === undefined || !names.includes(name)) {
      const came = name === undefined ? "none" : `"${name}"`;
      throw new UsageError(`Expected one of ${names.join(", ") || "(none written yet)"}; got ${came}.`);
    }
    const measurement: Measurement = await import(pathToFileURL(join(folder, `${name}.ts`)).href);
    const result = await measurement.run(args);
    const facts = { at: new Date().toISOString(), args, measuredOn: measuredOn() };
    const report = { name, ...(isRecord(result) ? result : { result }), ...facts };
    console.log(json ? JSON.stringify(report) : renderResult(report));
    if (save) saveReport(`${relative(root, folder)}-${name}`, report);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError || isBadOption(error))) throw error;
    console.error(error.message);
    return 2;
  }
}

function saveReport(name: string, report: { readonly at: string }): void {
  const folder = join(root, "benchmarks/results");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${report.at.slice(0, 10)}-${name}.json`);
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  console.error(`Saved ${relative(root, file)}`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An option that `parseArgs` does not know. */
function isBadOption(error: unknown): error is Error {
  return error instanceof Error && String(Reflect.get(error, "code")).startsWith("ERR_PARSE_ARGS_");
}
