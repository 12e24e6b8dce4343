import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { packPackage } from "../scripts/pack.ts";
import { publicEntries, readManifest, root, runCommand } from "../scripts/repository.ts";

const manifest = readManifest();

/** What a user writes first; valid as TypeScript and as JavaScript. */
const program = `
import { openMemory } from "strata-memory";

await using memory = await openMemory({ path: "memory.db" });
await memory.store("Ada prefers tea");
const { hits } = await memory.recall("what does Ada drink?");
const first = hits[0];
if (first === undefined) throw new Error("nothing was recalled");
console.log(first.memory.content);
`;

const strictest = {
  target: "esnext",
  module: "nodenext",
  types: ["node"],
  noEmit: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  // Declarations are checked as strictly as the program that uses them.
  skipLibCheck: false,
};

describe("the packed package", () => {
  let work: string;
  /** An empty project that installed the tarball; its path has a space. */
  let project: string;

  before(() => {
    work = mkdtempSync(join(tmpdir(), "strata-packed-"));
    project = join(work, "an empty project");
    mkdirSync(project);
    const typesOfNode = join(root, "node_modules/@types/node");
    const devDependencies = { "@types/node": typesVersion(typesOfNode) };
    writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module", devDependencies }));
    runCommand("npm", ["install", "--prefer-offline", "--no-audit", "--no-fund", packPackage(work)], project);
  });

  after(() => rmSync(work, { recursive: true, force: true }));

  test("runs from plain JavaScript", () => {
    writeFileSync(join(project, "program.js"), program);
    assert.equal(runCommand(process.execPath, ["program.js"], project), "Ada prefers tea\n");
  });

  test("type-checks strictly, and runs, from TypeScript", () => {
    writeFileSync(join(project, "program.ts"), program);
    const doors = [...publicEntries(manifest).keys()].map((door) => door.replace(".", manifest.name));
    const imports = doors.map(
      (door, index) => `import * as door${index} from "${door}"; void door${index};\n`,
    );
    writeFileSync(join(project, "doors.ts"), imports.join(""));
    const files = ["program.ts", "doors.ts"];
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: strictest, files }));
    runCommand("tsc", ["-p", project], project);
    for (const file of files) runCommand(process.execPath, [file], project);
  });

  test("runs as a command, under both of its names", () => {
    for (const name of ["strata-memory", "strata"]) {
      assert.equal(runCommand("npx", ["--no-install", name, "--version"], project).trim(), manifest.version);
    }
  });

  test("stores and recalls as a command", () => {
    const strata = (...args: string[]) =>
      runCommand("npx", ["--no-install", "strata-memory", ...args, "--db", "command.db"], project);
    strata("store", "Grace prefers coffee");
    assert.match(strata("recall", "what does Grace drink?"), /Grace prefers coffee/);
  });

  test("keeps the code that a command compiled for its next run, and needs none", () => {
    const command = join(project, "node_modules", manifest.name, "bin", "strata.js");
    const recall = (environment: NodeJS.ProcessEnv): string => {
      const words = [command, "recall", "tea?", "--db", "memory.db"];
      const env = { ...process.env, ...environment };
      const done = spawnSync(process.execPath, words, { cwd: project, env, encoding: "utf8" });
      assert.equal(done.stderr, "");
      // The first line tells the score, to which the last recall has added.
      return done.stdout.slice(done.stdout.indexOf("\n"));
    };
    const expected = recall({ NODE_DISABLE_COMPILE_CACHE: "1" });
    assert.match(expected, /Ada prefers tea/);
    const compiled = join(project, "compiled");
    const keeping = { NODE_COMPILE_CACHE: compiled };
    assert.equal(recall(keeping), expected);
    const kept = keptFiles(compiled);
    assert.equal(kept.length, 1);
    const [path] = kept as [string];
    assert.match(path, /strata-\w+-recall$/);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const written = () => statSync(path).mtimeMs;
    const first = written();
    assert.equal(recall(keeping), expected);
    assert.equal(written(), first);
    // What others may write is not run, and what V8 refuses is made anew.
    chmodSync(path, 0o666);
    assert.equal(recall(keeping), expected);
    const whole = readFileSync(path);
    writeFileSync(path, whole.subarray(0, 5_000), { mode: 0o600 });
    chmodSync(path, 0o600);
    assert.equal(recall(keeping), expected);
    assert.ok(statSync(path).size > 5_000);
    assert.equal(keptFiles(compiled).length, 1);
  });

  test("holds what runs and nothing of how it is made", () => {
    const folder = join(project, "node_modules", manifest.name);
    assert.deepEqual(readdirSync(folder).toSorted(), [
      "LICENSE",
      "NOTICE",
      "README.md",
      "bin",
      "dist",
      "models",
      "package.json",
    ]);
    const files = readdirSync(join(folder, "dist"), { recursive: true, encoding: "utf8" });
    assert.deepEqual(
      files.filter(
        (file) => /\.test\.|tsconfig|\.map$/.test(file) || (/\.ts$/.test(file) && !/\.d\.ts$/.test(file)),
      ),
      [],
    );
  });
});

/** What the command keeps itself; Node's own files have names of hexadecimal digits. */
function keptFiles(folder: string): string[] {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return files.filter((file) => file.includes("strata-")).map((file) => join(folder, file));
}

function typesVersion(folder: string): string {
  return JSON.parse(
    runCommand(process.execPath, ["-p", 'JSON.stringify(require("./package.json").version)'], folder),
  );
}
