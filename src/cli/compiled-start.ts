import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire, getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { constants, Script } from "node:vm";

/** Set by the build: hash of start.cjs, so that code compiled from another release is never taken for it. */
declare const startHash: string;
/** Set by the build: the commands, each of which needs other functions. */
declare const commandNames: readonly string[];

type Start = typeof import("./start.ts")["start"];

/**
 * Stands in for `start` in the built command: the same, from code that an earlier run of the same command compiled.
 *
 * Node's own compile cache keeps what is compiled when a file is loaded, and that is its outermost function: the 700
 * functions below it that a recall runs were compiled by each start, 20 of its 110 ms. Here the code is kept after the
 * command has run, with all that it ran. It lies where Node's cache lies, under the same switches, and is of use to
 * the same Node alone: V8 refuses what another version or other flags have compiled.
 */
export async function start(): Promise<void> {
  const path = fileURLToPath(new URL("./start.cjs", import.meta.url));
  const kept = keptCode();
  const cachedData = kept === undefined ? undefined : readOwn(kept);
  const script = new Script(readFileSync(path, "latin1"), {
    filename: path,
    cachedData,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const module = { exports: {} as { start: Start } };
  script.runInThisContext()(module.exports, createRequire(path), module, path, dirname(path));
  await module.exports.start();
  if (kept && (cachedData === undefined || script.cachedDataRejected === true)) keep(kept, script);
}

/** The file for this command's code; undefined when nothing is to be kept. */
function keptCode(): string | undefined {
  const folder = getCompileCacheDir();
  const command = process.argv.slice(2).find((word) => commandNames.includes(word));
  return folder === undefined || command === undefined
    ? undefined
    : `${folder}/strata-${startHash}-${command}`;
}

/** Compiled code is run unseen, so it must be this user's, whom nobody else may write for. */
function readOwn(path: string): Buffer | undefined {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, "r");
    const { uid, mode } = fstatSync(descriptor);
    // On Windows every file says 0o666, and the folder is the user's own.
    const own = process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0);
    return own ? readFileSync(descriptor) : undefined;
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** V8 looks at the beginning alone, so a file that is there must be whole: it is on the disk before it has its name. */
function keep(path: string, script: Script): void {
  const partial = `${path}.${process.pid}.partial`;
  try {
    const descriptor = openSync(partial, "wx", 0o600);
    try {
      writeFileSync(descriptor, script.createCachedData());
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(partial, path);
  } catch {
    // The next run is as slow as this one was.
    rmSync(partial, { force: true });
  }
}
