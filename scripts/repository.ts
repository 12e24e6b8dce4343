import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's folder. */
export const root: string = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");

/** The fields of package.json that the scripts read. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** package.json as it is now. */
export function readManifest(): Manifest {
  return JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
}

/**
 * The source file behind each public door: `"./testing"` gives `src/testing/testing.ts`. Doors onto plain files,
 * such as package.json itself, have none.
 */
export function publicEntries(manifest: Manifest): Map<string, string> {
  const entries = new Map<string, string>();
  for (const [door, target] of Object.entries(manifest.exports)) {
    if (typeof target === "string") continue;
    entries.set(door, target.default.replace(/^\.\/dist\//, "src/").replace(/\.js$/, ".ts"));
  }
  return entries;
}

/** Environment in which `node` is the one that runs this script and installed commands are found. */
export function toolEnvironment(): NodeJS.ProcessEnv {
  const path = [dirname(process.execPath), join(root, "node_modules/.bin"), process.env["PATH"]];
  return { ...process.env, PATH: path.join(delimiter) };
}

/**
 * Runs a command to its end and returns what it wrote to standard output.
 * @throws When it fails, with all it wrote.
 */
export function runCommand(command: string, args: readonly string[], cwd: string = root): string {
  const done = spawnSync(command, args, {
    cwd,
    env: toolEnvironment(),
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (done.error) throw done.error;
  if (done.status !== 0) {
    const ended = done.status === null ? `was ended by ${done.signal}` : `exited with ${done.status}`;
    throw new Error(`${command} ${args.join(" ")} ${ended}\n${done.stdout}${done.stderr}`);
  }
  return done.stdout;
}
