import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { openMemory } from "../engine/open-memory.ts";
import { type Recording, recordRun } from "./recorded-run.ts";

suite("consolidation on the command line", () => {
  let folder: string;
  let database: string;
  let id: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "strata-consolidate-"));
    database = join(folder, "memory.db");
    await using memory = await openMemory({ path: database, configFile: false });
    ({ id } = await memory.store("Ada prefers tea"));
    for (let use = 0; use < 10; use++) await memory.get(id);
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const strata = (...argv: string[]): Promise<Recording> =>
    recordRun([...argv, "--db", database], { cwd: folder });
  const json = async (...argv: string[]) => JSON.parse((await strata(...argv, "--json")).stdout);

  test("a plan with reasons, the pass, and back again", async () => {
    const plan = await strata("consolidate", "--dry-run");
    assert.match(plan.stdout, /^Would be: 1 promoted/);
    assert.match(
      plan.stdout,
      /promote from long_term to semantic \(1\)\n {2}\S+ {2}relevance 0\.75, at least 0\.75/,
    );
    assert.equal((await json("get", id)).memory.tier, "long_term");
    const done = await json("consolidate");
    assert.deepEqual([done.dryRun, done.counts.promote, done.actions[0].to], [false, 1, "semantic"]);
    assert.match(
      (await strata("journal")).stdout,
      /1 promoted {2}run \S+\n {2}promote {2}long_term → semantic/,
    );
    const undone = await strata("undo");
    assert.match(undone.stderr, new RegExp(`Taking back ${done.run} of .*: 1 promoted`));
    assert.match(undone.stdout, /^Took back 1 move/);
    assert.equal((await json("get", id)).memory.tier, "long_term");
    assert.equal((await strata("undo")).exitCode, 3);
    assert.equal((await strata("undo", "no-such-run")).exitCode, 3);
  });

  test("all namespaces at once, and nothing to do", async () => {
    const { namespaces } = await json("consolidate", "--all");
    assert.equal(namespaces.length, 1);
    assert.equal((await strata("consolidate", "--all")).stdout, "1 namespace: nothing to do\n");
    assert.match((await strata("consolidate")).stdout, /^Done: nothing/);
  });

  test("a run, a kind and an empty journal", async () => {
    const { run } = await json("consolidate");
    assert.equal((await json("journal", "--run", run)).entries.length, 1);
    assert.equal((await json("journal", "--kind", "promote")).entries.length, 1);
    const none = await strata("journal", "--kind", "evict");
    assert.deepEqual([none.stdout, none.exitCode], ["", 0]);
    assert.match(none.stderr, /^Nothing was moved/);
    assert.equal((await strata("journal", "--kind", "promotion")).exitCode, 2);
  });

  test("a memory's life, and that of one that is gone", async () => {
    const before = await strata("why", id);
    assert.match(before.stdout, /^Ada prefers tea\n\n\S+ \S+ +stored as /);
    assert.match(before.stdout, /relevance +0\.75 = 0\.25 importance \+ 0\.30 recency \+ 0\.20 uses/);
    assert.match(
      before.stdout,
      /next +promoted to semantic at the next consolidation\n.*expires in 30 days unless used/,
    );
    await strata("forget", id);
    const gone = await strata("why", id);
    assert.match(gone.stdout, /is gone\.\n\n.*forget from long_term: /);
    assert.deepEqual((await json("why", id)).next, []);
    assert.match((await strata("undo")).stdout, /^Took back 1 move/);
    assert.equal((await json("why", id)).memory.content, "Ada prefers tea");
    assert.equal((await strata("why", "never-was")).exitCode, 3);
  });
});
