import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { transform } from "esbuild";
import { root } from "../scripts/repository.ts";

const command = join(root, "bin/strata.js");

/** Runs the command in a process that takes itself for another version of Node. */
function startAs(version: string): { status: number | null; stdout: string; stderr: string } {
  const disguise = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } })`;
  const preload = `data:text/javascript,${encodeURIComponent(disguise)}`;
  return spawnSync(process.execPath, ["--import", preload, command, "--version"], { encoding: "utf8" });
}

test("a Node older than 24 is told so in one sentence, with exit code 2", () => {
  for (const version of ["12.22.12", "20.20.2", "23.11.1"]) {
    const { status, stdout, stderr } = startAs(version);
    assert.equal(status, 2);
    assert.equal(stdout, "");
    assert.match(
      stderr,
      /^strata needs Node\.js 24 or later and was started with [\d.]+; [^.\n]+\.js[^.\n]+\.\n$/,
    );
    assert.ok(stderr.includes(version));
  }
});

test("an old Node can parse the command, so that it reaches that sentence", async () => {
  const source = readFileSync(command, "utf8");
  const asOf = async (target: string) => (await transform(source, { format: "esm", target })).code;
  assert.equal(await asOf("node12.20"), await asOf("esnext"));
});

test("a supported Node runs the command", () => {
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const { status, stdout, stderr } = startAs(process.versions.node);
  assert.equal(stdout.trim(), version, stderr);
  assert.equal(status, 0);
});
