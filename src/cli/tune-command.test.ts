import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { openMemory } from "../engine/open-memory.ts";
import { openSqliteStore } from "../storage/sqlite/sqlite-store.ts";
import { type Recording, recordRun } from "./recorded-run.ts";

suite("strata tune", () => {
  let folder: string;
  let database: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "strata-tune-"));
    database = join(folder, "memory.db");
    await using memory = await openMemory({ path: database, configFile: false });
    await memory.store("Ada prefers tea");
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const strata = (...argv: string[]): Promise<Recording> =>
    recordRun([...argv, "--db", database], { cwd: folder });

  test("shows decisions with what was before and after", async () => {
    assert.match((await strata("tune")).stderr, /Nothing was tuned yet/);
    const store = await openSqliteStore(database);
    const decision = {
      parameter: "candidates",
      before: 100,
      after: 75,
      reason: "kept: recalls 20.0 % faster",
    };
    await store.noteTuning({ at: Date.UTC(2026, 0, 1), ...decision });
    await store.close();
    assert.match((await strata("tune")).stdout, /candidates +100 +75 +kept: recalls 20\.0 % faster/);
    const { decisions } = JSON.parse((await strata("tune", "--json")).stdout);
    assert.deepEqual(decisions, [{ at: "2026-01-01T00:00:00.000Z", ...decision }]);
  });

  test("plays a recorded workload and changes nothing", async () => {
    const record = join(folder, "workload.jsonl");
    const steps = Array.from({ length: 12_000 }, (_, at) => ({
      op: "embed",
      key: `t${at % 60}`,
      length: 20,
    }));
    writeFileSync(record, steps.map((step) => JSON.stringify(step)).join("\n"));
    const config = join(folder, "small.toml");
    writeFileSync(config, "[query_cache]\nmax_bytes = 80000\n[embedding]\ncache_bytes = 80000\n");
    const run = async (...more: string[]) => strata("tune", "--dry-run", record, "--config", config, ...more);
    const { moves, ratio, steps: played } = JSON.parse((await run("--json")).stdout);
    assert.equal(played, 12_000);
    assert.deepEqual(
      moves.map(({ verdict }: { verdict: string }) => verdict),
      ["tried", "kept"],
    );
    assert.ok(ratio < 0.8, String(ratio));
    assert.match((await run()).stdout, /^misses cost [\d,]+ ms as configured, [\d,]+ ms tuned/m);
    assert.equal((await strata("tune")).stdout, "");
  });

  test("a record that is none is refused by its line", async () => {
    const record = join(folder, "workload.jsonl");
    for (const line of ["{}", "not json", '{"op":"embed","key":"a","length":-1}']) {
      writeFileSync(record, `{"op":"write","namespace":"n"}\n${line}\n`);
      const { exitCode, stderr } = await strata("tune", "--dry-run", record);
      assert.notEqual(exitCode, 0);
      assert.match(stderr, /Line 2 of the workload: expected a step/);
    }
    const missing = await strata("tune", "--dry-run", join(folder, "none.jsonl"));
    assert.match(missing.stderr, /FILE_NOT_FOUND/);
  });
});
