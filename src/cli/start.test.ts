import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
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

  test("a folder is followed until an interrupt, which ends the command with 130", async () => {
    const docs = join(folder, "docs");
    mkdirSync(docs);
    writeFileSync(join(docs, "one.md"), "# One\n\nThe first document.\n");
    const argv = [bin, "ingest", "docs", "--watch", "--json", "--db", join(folder, "watched.db")];
    const child = spawn(process.execPath, argv, { cwd: folder, env: environment });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const nextReport = async () => JSON.parse((await lines.next()).value ?? "{}");
    assert.equal((await nextReport()).added, 1);
    // The watch begins after the first report, and a change before that would be seen by nobody: change until it tells.
    let number = 0;
    const changing = setInterval(() => {
      number += 1;
      writeFileSync(join(folder, "next.md"), `# Two\n\nVersion ${number} of the second.\n`);
      renameSync(join(folder, "next.md"), join(docs, "two.md"));
    }, 300);
    const second = await nextReport();
    clearInterval(changing);
    assert.deepEqual([second.added, second.unchanged], [1, 1]);
    const closed = new Promise((resolve) => child.on("close", resolve));
    child.kill("SIGINT");
    assert.equal(await closed, 130);
  });

  test("what one process stores, the next one recalls, from any folder below a .strata folder", () => {
    const strata = (cwd: string, ...argv: string[]) =>
      spawnSync(process.execPath, [bin, ...argv], { cwd, env: environment, encoding: "utf8" });
    const project = join(folder, "a project");
    mkdirSync(join(project, "below"), { recursive: true });
    assert.equal(strata(project, "init").status, 0);
    assert.equal(strata(join(project, "below"), "store", "Ada prefers tea").status, 0);
    const { status, stdout, stderr } = strata(project, "recall", "what does Ada drink?");
    assert.deepEqual({ status, stderr }, { status: 0, stderr: "" });
    assert.match(stdout, /Ada prefers tea/);
    const refused = spawnSync(process.execPath, [bin, "stats"], {
      cwd: project,
      env: { ...environment, STRATA_NAMESPAC: "x" },
      encoding: "utf8",
    });
    assert.equal(refused.status, 2);
    assert.match(refused.stderr, /did you mean "STRATA_NAMESPACE"\? \[INVALID_CONFIGURATION\]/);
  });
});
