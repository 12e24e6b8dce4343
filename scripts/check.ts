/**
 * Runs every check that continuous integration runs, or the ones named: `npm run check -- types lint`.
 * All run even when one fails; the tests come last, so that their closing lines are the last thing to read.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { packPackage } from "./pack.ts";
import { root, toolEnvironment } from "./repository.ts";

/** A step that takes longer hangs: a test's own time limit cannot end a loop that never yields. */
const stepTimeoutMs = 15 * 60_000;

function passes(command: string, ...args: string[]): boolean {
  const done = spawnSync(command, args, {
    cwd: root,
    env: toolEnvironment(),
    stdio: "inherit",
    timeout: stepTimeoutMs,
  });
  if (done.error) console.error(done.error.message);
  return done.status === 0;
}

/** Holds the tarball, not the working tree, to what resolvers and type checkers of all kinds expect. */
function checkPackage(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "strata-package-"));
  try {
    const tarball = packPackage(folder);
    const linted = passes("publint", "run", "--strict", tarball);
    return passes("attw", "--profile", "esm-only", "--format", "ascii", tarball) && linted;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Tests beside the source and whole-package tests; a process for each file, so that none can spoil another's. */
function runTests(): boolean {
  return passes(
    process.execPath,
    "--test",
    // Its default leaves one core idle, which here is half the machine.
    `--test-concurrency=${availableParallelism()}`,
    "--test-timeout=240000",
    "--experimental-test-coverage",
    "--test-coverage-include=src/**/*.ts",
    "--test-coverage-exclude=src/**/*.test.ts",
    "--test-coverage-lines=90",
    "src/**/*.test.ts",
    "{test,evals,benchmarks,scripts}/**/*.test.ts",
  );
}

const steps: Readonly<Record<string, () => boolean>> = {
  types: () => passes("tsc", "-p", "."),
  // `biome ci` colours every letter by itself even where no terminal reads it.
  lint: () => passes("biome", "ci", ...(process.stdout.isTTY ? [] : ["--colors=off"])),
  unused: () => passes("knip", "--no-progress"),
  package: checkPackage,
  tests: runTests,
};

const names = process.argv.slice(2);
const unknown = names.find((name) => !Object.hasOwn(steps, name));
if (unknown !== undefined) {
  console.error(`Expected some of ${Object.keys(steps).join(", ")}; got "${unknown}".`);
  process.exit(2);
}

const failed: string[] = [];
for (const [name, step] of Object.entries(steps)) {
  if (names.length > 0 && !names.includes(name)) continue;
  console.log(`\n# ${name}`);
  if (!step()) failed.push(name);
}
if (failed.length > 0) {
  console.error(`\nFailed: ${failed.join(", ")}`);
  process.exitCode = 1;
}
