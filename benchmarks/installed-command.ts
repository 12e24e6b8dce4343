import { spawn } from "node:child_process";
import { cp, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { root, runCommand } from "../scripts/repository.ts";

/** Builds the package and lays it out as an installation; returns the path of its command. */
export async function installedCommand(folder: string): Promise<string> {
  runCommand(process.execPath, ["scripts/build.ts"]);
  await mkdir(folder);
  for (const part of ["bin", "dist", "models", "package.json"])
    await cp(join(root, part), join(folder, part), { recursive: true });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  return join(folder, "bin/strata.js");
}

/**
 * Milliseconds from the start of a Node process to the last of what it writes on standard output.
 * @throws When it fails, with its error output.
 */
export function answerMs(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const start = performance.now();
  const child = spawn(process.execPath, words, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  let [error, ms] = ["", 0];
  child.stdout.on("data", () => {
    ms = performance.now() - start;
  });
  child.stderr.setEncoding("utf8").on("data", (part: string) => {
    error += part;
  });
  child.on("error", reject);
  child.on("close", (code) => {
    if (code === 0) resolve(ms);
    else reject(new Error(`A process ended with ${code}: ${error}`));
  });
  return promise;
}
