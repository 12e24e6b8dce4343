import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { MemoryConsolidator } from "../consolidation/memory-consolidator.ts";
import { defaultTierTable } from "../contract/tier.ts";
import { createInMemoryStore } from "../storage/in-memory/in-memory-store.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { sampleEntry } from "../testing/store-samples.ts";
import { openMemory } from "./open-memory.ts";

const scope = { namespace: "default" };

/** Behaviours of the system this one carries over that must not come back; the others stand among the passes' tests. */
suite("defects of the reference's consolidator", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "strata-defects-"));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  function setup() {
    const clock = createManualClock();
    const store = createInMemoryStore({ clock });
    return { clock, store, consolidator: new MemoryConsolidator(store, { clock }) };
  }

  test("one pass does not take an entry through every tier", async () => {
    const { store, consolidator } = setup();
    await store.add(scope, [sampleEntry("a", { tier: "working", importance: 1, accessCount: 10 })]);
    await consolidator.runConsolidation();
    assert.equal((await store.get(scope, ["a"]))[0]!.tier, "short_term");
  });

  test("no promotion shortens a life", async () => {
    for (const tier of ["working", "short_term", "episodic", "long_term"] as const) {
      const { store, consolidator } = setup();
      await store.add(scope, [sampleEntry("a", { tier, importance: 1, accessCount: 10 })]);
      const [before] = await store.get(scope, ["a"]);
      await consolidator.runConsolidation();
      const [after] = await store.get(scope, ["a"]);
      assert.ok((after!.expiresAt ?? Number.POSITIVE_INFINITY) >= before!.expiresAt!, tier);
    }
  });

  test("uses grow, so that importance alone is not what promotes", async () => {
    await using memory = await openMemory({ path: join(folder, "memory.db"), configFile: false });
    const { id } = await memory.store("Ada prefers tea");
    for (let use = 0; use < 10; use++) await memory.recall("what does Ada drink?", { cache: false });
    await memory.consolidate();
    assert.equal((await memory.get(id))!.tier, "semantic");
  });

  test("the target's capacity holds", async () => {
    const { store, consolidator } = setup();
    const { capacity } = defaultTierTable.short_term;
    for (let at = 0; at < 15; at++) {
      await store.add(scope, [sampleEntry(`w${at}`, { tier: "working", importance: 0.9, accessCount: 10 })]);
    }
    for (let at = 0; at < capacity; at++) {
      await store.add(scope, [sampleEntry(`s${at}`, { tier: "short_term", importance: 0.5 })]);
    }
    const { counts } = await consolidator.runConsolidation();
    assert.deepEqual([counts.promote, counts.evict], [15, 15]);
    assert.equal((await store.stats(scope)).tiers.short_term.entries, capacity);
  });

  test("stopping returns at once and nothing runs once more", async () => {
    const { store, clock, consolidator } = setup();
    consolidator.startBackgroundTask(300_000);
    clock.advance(300_000 * 0.5);
    consolidator.stopBackgroundTask();
    await store.add(scope, [sampleEntry("a", { importance: 1, accessCount: 10 })]);
    clock.advance(3_000_000);
    await consolidator.close();
    assert.equal(consolidator.getStats().totalConsolidations, 0);
    assert.equal((await store.get(scope, ["a"]))[0]?.tier ?? "long_term", "long_term");
  });

  test("two processes at the same entries lose none, and nothing is printed", () => {
    const database = join(folder, "shared.db");
    const engine = new URL("./open-memory.ts", import.meta.url).href;
    const program = (work: string): string =>
      `import { openMemory } from ${JSON.stringify(engine)};
       await using memory = await openMemory({ path: ${JSON.stringify(database)}, configFile: false });
       ${work}`;
    const node = (work: string) =>
      spawnSync(process.execPath, ["--input-type=module-typescript", "-e", program(work)], {
        encoding: "utf8",
      });
    const filled = node(`
      const { memories } = await memory.storeMany(
        Array.from({ length: 300 }, (_, at) => ({ content: "memory " + at, importance: 1, tier: "episodic" })));
      for (let use = 0; use < 5; use++) for (const { memory: each } of memories) await memory.get(each.id);`);
    assert.equal(filled.status, 0, filled.stderr);
    const both = spawnSync(
      process.execPath,
      [
        "--input-type=module-typescript",
        "-e",
        `import { spawn } from "node:child_process";
         const worker = () => new Promise((resolve) => {
           const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", ${JSON.stringify(program("await memory.consolidate();"))}],
             { stdio: ["ignore", "inherit", "inherit"] });
           child.once("exit", resolve);
         });
         const codes = await Promise.all([worker(), worker()]);
         if (codes.some((code) => code !== 0)) process.exit(1);`,
      ],
      { encoding: "utf8" },
    );
    assert.deepEqual([both.status, both.stdout, both.stderr], [0, "", ""]);
    const told = node(`
      const { memories, tiers } = await memory.stats();
      process.stdout.write(JSON.stringify([memories, tiers.episodic.memories]));`);
    assert.deepEqual(JSON.parse(told.stdout), [300, 0]);
  });
});
