import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { type Recording, recordRun } from "./recorded-run.ts";

suite("strata config", () => {
  let folder: string;

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), "strata-config-")));
    mkdirSync(join(folder, ".strata"));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const strata = (argv: readonly string[], environment = {}): Promise<Recording> =>
    recordRun(argv, { cwd: folder, environment });

  test("init writes a file that check finds sound, and never over another", async () => {
    const file = join(folder, "strata.toml");
    assert.equal((await strata(["config", "init"])).stdout, `${file}\n`);
    assert.ok(existsSync(file));
    const { stdout, exitCode } = await strata(["config", "check", file]);
    assert.match(stdout, /^Sound: 1 file/);
    assert.equal(exitCode, 0);
    const again = await strata(["config", "init"]);
    assert.equal(again.exitCode, 2);
    assert.match(again.stderr, /already/);
  });

  test("show tells every value as a file would have it, and where it comes from", async () => {
    writeFileSync(join(folder, "other.toml"), "[memory]\nworking_ttl = 60\n");
    const { stdout } = await strata(
      ["config", "show", "--origin", "--changed", "--config", "other.toml", "--namespace", "ada"],
      { STRATA_DURABILITY: "power" },
    );
    assert.match(stdout, /^namespace = "ada" +# given$/m);
    assert.match(stdout, /^durability = "power" +# STRATA_DURABILITY$/m);
    assert.match(stdout, /^\[memory\]\nworking_ttl = 60 +# .*other\.toml$/m);
    assert.doesNotMatch(stdout, /short_term_ttl/);
  });

  test("check tells every problem and notice at once, and exits as bad use does", async () => {
    const lines = ["[memory]", "workin_ttl = 1", 'working_ttl = "15m"', "[redis]", "pool_size = 5"];
    writeFileSync(join(folder, "bad.toml"), lines.join("\n"));
    const { stdout, exitCode } = await strata(["config", "check", "bad.toml"]);
    assert.match(stdout, /unknown key; did you mean "memory.working_ttl"\?/);
    assert.match(stdout, /whole number of seconds .* that is 900\./);
    assert.match(stdout, /notice +redis\.pool_size: Without effect/);
    assert.match(stdout, /2 problems/);
    assert.equal(exitCode, 2);
    const { problems } = JSON.parse((await strata(["config", "check", "bad.toml", "--json"])).stdout);
    assert.deepEqual(
      problems.map(({ details }: { details: { key: string } }) => details.key),
      ["memory.workin_ttl", "memory.working_ttl"],
    );
  });

  test("a file that is missing is an error", async () => {
    const { exitCode, stdout } = await strata(["config", "check", "missing.toml"]);
    assert.equal(exitCode, 6);
    assert.match(stdout, /FILE_NOT_FOUND/);
  });

  test("another word after config is refused with those there are", async () => {
    const { exitCode, stderr } = await strata(["config"]);
    assert.equal(exitCode, 2);
    assert.match(stderr, /show, check, init/);
  });
});
