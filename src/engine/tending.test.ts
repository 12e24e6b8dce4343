import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { dayMs } from "../contract/relevance.ts";
import { createManualClock, type ManualClock } from "../testing/manual-clock.ts";
import { type OpenOptions, openMemory } from "./open-memory.ts";
import type { Strata } from "./strata.ts";

suite("a memory that tends itself", () => {
  let folder: string;
  let clock: ManualClock;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "strata-tending-"));
    clock = createManualClock();
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  function open(options: OpenOptions = {}): Promise<Strata> {
    return openMemory({ path: join(folder, "memory.db"), configFile: false, clock, ...options });
  }

  /** Stores a memory and uses it ten times. */
  async function storeUsed(memory: Strata, text: string): Promise<string> {
    const { id } = await memory.store(text);
    for (let use = 0; use < 10; use++) await memory.get(id);
    return id;
  }

  const tierOf = async (memory: Strata, id: string) =>
    (await memory.list({ tier: "semantic" })).memories.some((each) => each.id === id)
      ? "semantic"
      : "long_term";

  test("consolidates when asked, tells what it would do, and takes it back", async () => {
    await using memory = await open();
    const id = await storeUsed(memory, "Ada prefers tea");
    assert.equal((await memory.consolidate({ dryRun: true })).counts.promote, 1);
    assert.equal(await tierOf(memory, id), "long_term");
    const { run, actions } = await memory.consolidate();
    assert.equal(actions.length, 1);
    assert.equal(await tierOf(memory, id), "semantic");
    assert.equal((await memory.journal({ run })).entries[0]?.kind, "promote");
    assert.equal((await memory.undo(run)).undone, 1);
    assert.equal(await tierOf(memory, id), "long_term");
    await assert.rejects(memory.undo("no such run"), { code: "NOT_FOUND" });
    assert.equal((await memory.consolidate({ all: true })).length, 1);
    assert.equal((await memory.consolidator).getStats().totalConsolidations, 2);
    assert.equal(memory.monitor.getReport().operations["consolidate"]?.count, 3);
  });

  test("does so by itself while it is open, all namespaces in turn", async () => {
    await using memory = await open();
    const id = await storeUsed(memory, "Ada prefers tea");
    const other = await memory.store("Grace prefers coffee", { namespace: "other" });
    for (let use = 0; use < 10; use++) await memory.get(other.id, { namespace: "other" });
    clock.advance(300_000);
    await until(async () => (await tierOf(memory, id)) === "semantic");
    await until(async () => (await memory.stats({ namespace: "other" })).tiers.semantic.memories === 1);
    const again = await storeUsed(memory, "Ben prefers water");
    await until(async () => {
      clock.advance(60_000);
      return (await tierOf(memory, again)) === "semantic";
    });
  });

  test("moves nothing by itself when it is told not to, and still removes what has expired", async () => {
    await using memory = await open({ config: { "memory.auto_consolidate": false } });
    const id = await storeUsed(memory, "Ada prefers tea");
    await memory.store("scratch", { tier: "working" });
    clock.advance(901_000);
    await until(async () => (await memory.stats()).expired === 0);
    clock.advance(400_000);
    assert.equal(await tierOf(memory, id), "long_term");
  });

  test("a process that never stays open tends a little when it closes, once the time has come", async () => {
    let id: string;
    {
      await using memory = await open();
      id = await storeUsed(memory, "Ada prefers tea");
    }
    {
      await using memory = await open();
      assert.equal(await tierOf(memory, id), "long_term");
      await memory.get(id);
    }
    clock.advance(300_000);
    {
      await using memory = await open();
      await memory.get(id);
    }
    await using memory = await open();
    assert.equal(await tierOf(memory, id), "semantic");
  });

  test("of two processes one consolidates, and stopping returns at once", async () => {
    await using one = await open();
    await using two = await open();
    for (let at = 0; at < 5; at++) await storeUsed(one, `memory ${at}`);
    await one.flush();
    const [mine, others] = await Promise.all([one.consolidate(), two.consolidate()]);
    assert.equal(mine.counts.promote + others.counts.promote, 5);
    const consolidator = await one.consolidator;
    consolidator.startBackgroundTask(1_000);
    consolidator.stopBackgroundTask();
    await storeUsed(one, "one more");
    clock.advance(10_000);
    await one.flush();
    assert.equal((await one.stats()).tiers.long_term.memories, 1);
  });

  test("why tells a memory's life and what comes next, and of one that is gone what the journal holds", async () => {
    await using memory = await open();
    const { id } = await memory.store("Ada prefers tea");
    const fresh = await memory.why(id);
    assert.deepEqual(fresh.next, [
      { kind: "promote", to: "semantic", uses: 10 },
      { kind: "expire", at: clock.now() + 30 * dayMs },
    ]);
    assert.deepEqual(
      Object.values(fresh.relevance!).map((part) => Math.round(part * 1e6) / 1e6),
      [0.55, 0.25, 0.3, 0],
    );
    assert.equal(fresh.memory?.accessCount, 0, "to ask is no use");
    await memory.forget(id);
    const gone = await memory.why(id);
    assert.equal(gone.memory, undefined);
    assert.deepEqual(
      gone.journal.map(({ kind }) => kind),
      ["forget"],
    );
    await assert.rejects(memory.why("never was"), { code: "NOT_FOUND" });
  });
});

/** Waits for something that happens on another turn of the event loop. */
async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 500; turn++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.fail("It did not come to be.");
}
