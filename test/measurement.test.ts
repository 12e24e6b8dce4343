import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { dataFolder } from "../scripts/measurement.ts";
import { root } from "../scripts/repository.ts";
import { renderResult } from "../scripts/result-table.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-measurement-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const dispatcher = pathToFileURL(join(root, "scripts/measurement.ts")).href;
writeFileSync(
  join(folder, "main.mts"),
  `import { runMeasurement } from "${dispatcher}";
   process.exitCode = await runMeasurement(import.meta.dirname, process.argv.slice(2));`,
);
writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
writeFileSync(
  join(folder, "sum.ts"),
  `import { parseArgs } from "node:util";
import { dataFolder } from "${dispatcher}";
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { data: { type: "string" }, by: { type: "string" } } });
  dataFolder(values.data);
  console.error("counting");
  return { total: 2 * Number(values.by) };
}`,
);
writeFileSync(join(folder, "shared-by-sums.ts"), "export const unit = 1;");

function start(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [join(folder, "main.mts"), ...args], { encoding: "utf8" });
}

describe("measurements by name", () => {
  test("print one JSON object that says what was measured, how, and on what", () => {
    const { status, stdout, stderr } = start("sum", "--data", folder, "--by", "21", "--json");
    const { measuredOn, ...report } = JSON.parse(stdout);
    assert.equal(status, 0);
    assert.equal(stderr, "counting\n");
    assert.equal(report.total, 42);
    assert.deepEqual(report.args, ["--data", folder, "--by", "21"]);
    assert.equal(measuredOn.node, process.versions.node);
    assert.equal(typeof measuredOn.dirty, "boolean");
  });

  test("print a table without --json", () => {
    assert.match(start("sum", "--data", folder, "--by", "21").stdout, /^total +42$/m);
  });

  test("a wrong name is answered with the right ones", () => {
    for (const args of [[], ["product"]]) {
      const { status, stdout, stderr } = start(...args);
      assert.equal(status, 2);
      assert.equal(stdout, "");
      assert.match(stderr, /^Expected one of sum; got /);
    }
  });

  test("missing data and unknown options are wrong calls, not crashes", () => {
    assert.equal(start("sum").status, 2);
    assert.match(start("sum").stderr, /^Expected --data DIR, [^\n]+\n$/);
    assert.match(start("sum", "--data", join(folder, "none")).stderr, /^Expected a folder after --data;/);
    assert.match(start("sum", "--colour").stderr, /^Unknown option '--colour'/);
    assert.equal(start("sum", "--colour").status, 2);
    assert.equal(dataFolder(folder), folder);
  });
});

test("results are rendered with nested parts and rows in columns", () => {
  const rendered = renderResult({
    total: 1 / 3,
    parts: { a: 1 },
    rows: [
      { name: "x", p50: 1 },
      { name: "long", p50: 10 },
    ],
  });
  assert.deepEqual(rendered.split("\n"), [
    "total  0.33333",
    "parts",
    "  a  1",
    "rows",
    "  name  p50",
    "  x       1",
    "  long   10",
  ]);
});
