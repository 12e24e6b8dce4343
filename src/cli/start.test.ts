import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const bin = join(root, "bin", "strata.js");
const folder = mkdtempSync(join(tmpdir(), "strata-start-"));
after(() => rmSync(folder, { recursive: true }));

/** Prints the URL of every module that is loaded, Node's own left out, to standard error. */
const spy = join(folder, "spy.mjs");
writeFileSync(
  spy,
  `import { registerHooks } from "node:module";
   import { writeSync } from "node:fs";
   registerHooks({ load(url, context, next) {
     if (!url.startsWith("node:")) writeSync(2, url + "\\n");
     return next(url, context);
   } });`,
);

/** Modules a command loads, from the root of the package. */
function loadedBy(...argv: string[]): { loaded: string[]; stdout: string } {
  const done = spawnSync(process.execPath, ["--import", pathToFileURL(spy).href, bin, ...argv], {
    cwd: folder,
    encoding: "utf8",
    env: { ...environment, NODE_COMPILE_CACHE: "" },
  });
  const base = pathToFileURL(root).href;
  const loaded = done.stderr.split("\n").filter((line) => line.startsWith(base));
  return { loaded: loaded.map((url) => url.slice(base.length)), stdout: done.stdout };
}

const environment = { PATH: process.env["PATH"], HOME: folder };

describe("the start", () => {
  test("--version loads three files and nothing else", () => {
    const { loaded, stdout } = loadedBy("--version");
    assert.match(stdout, /^\d+\.\d+\.\d+\S*\n$/);
    assert.deepEqual(loaded, ["bin/strata.js", "src/cli/main.ts", "src/cli/package-version.ts"]);
  });

  test("a command loads no other command, and no engine before it needs one", () => {
    const { loaded } = loadedBy("recall", "--help");
    assert.ok(loaded.includes("src/cli/commands/recall.ts"));
    assert.deepEqual(
      loaded.filter((path) => path.startsWith("src/cli/commands/")),
      ["src/cli/commands/recall.ts"],
    );
    assert.deepEqual(
      loaded.filter(
        (path) =>
          !/^(bin|src\/cli|src\/contract|src\/config)\/|^node_modules\/(commander|picocolors)\//.test(path),
      ),
      [],
    );
  });
});

describe("the process", () => {
  test("a reader that has enough is no error", async () => {
    const child = spawn(process.execPath, [bin, "completion", "bash"], { cwd: folder, env: environment });
    child.stdout.destroy();
    let said = "";
    child.stderr.on("data", (piece) => {
      said += piece;
    });
    const code = await new Promise((resolve) => child.on("close", resolve));
    assert.deepEqual({ code, said }, { code: 0, said: "" });
  });

  test("an interrupt ends a command that waits for input with 130", async () => {
    const child = spawn(process.execPath, [bin, "store", "-", "--db", join(folder, "x.db")], {
      cwd: folder,
      env: environment,
    });
    // The command says nothing while it waits, so it is asked until it has begun to listen.
    const asking = setInterval(() => child.kill("SIGINT"), 400);
    const code = await new Promise((resolve) => child.on("close", resolve));
    clearInterval(asking);
    assert.equal(code, 130);
  });
});
