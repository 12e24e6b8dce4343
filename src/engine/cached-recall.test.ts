import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { createManualClock } from "../testing/manual-clock.ts";
import { type OpenOptions, openMemory } from "./open-memory.ts";
import type { Strata } from "./strata.ts";

let folder: string;
let opened: Strata[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "strata cache "));
  opened = [];
});

afterEach(async () => {
  for (const memory of opened) await memory.close();
  rmSync(folder, { recursive: true });
});

/** Each call opens the same file, as another process would. */
async function open(options: OpenOptions = {}): Promise<Strata> {
  const memory = await openMemory({ path: join(folder, "memory.db"), ...options });
  opened.push(memory);
  return memory;
}

async function contents(memory: Strata, question: string): Promise<string[]> {
  const { hits } = await memory.recall(question);
  return hits.map((hit) => hit.memory.content).sort();
}

async function pathOf(memory: Strata, question: string, options = {}): Promise<string | undefined> {
  const { explanation } = await memory.recall(question, { explain: true, ...options });
  return explanation?.cache;
}

suite("a repeated recall", () => {
  test("is the same answer, computed once", async () => {
    const memory = await open();
    await memory.store("Ada prefers tea");
    const first = await memory.recall("what does Ada drink?");
    assert.equal(await memory.recall("what does Ada drink?"), first);
    assert.equal(memory.queries.getStats().misses, 1);
  });

  test("is computed once for a hundred callers at once", async () => {
    const memory = await open();
    await memory.store("Ada prefers tea");
    await Promise.all(Array.from({ length: 100 }, () => memory.recall("tea?")));
    const { misses, joins } = memory.queries.getStats();
    assert.deepEqual({ misses, joins }, { misses: 1, joins: 99 });
  });

  test("sees every write before it, of this process and of another", async () => {
    const memory = await open();
    const other = await open();
    const { id } = await memory.store("one");
    assert.deepEqual(await contents(memory, "number?"), ["one"]);
    await other.store("two");
    assert.deepEqual(await contents(memory, "number?"), ["one", "two"]);
    await other.update(id, { content: "three" });
    assert.deepEqual(await contents(memory, "number?"), ["three", "two"]);
    await memory.forget(id);
    assert.deepEqual(await contents(other, "number?"), ["two"]);
    await memory.ingest({ name: "note", text: "four" });
    assert.deepEqual(await contents(other, "number?"), ["four", "two"]);
    await other.clear("default");
    assert.deepEqual(await contents(memory, "number?"), []);
  });

  test("sees tiers, pins and tags as they were changed", async () => {
    const memory = await open();
    const { id } = await memory.store("one");
    const seen = async () => (await memory.recall("number?")).hits[0]?.memory;
    await seen();
    await memory.update(id, { tier: "semantic" });
    assert.equal((await seen())?.tier, "semantic");
    await memory.pin(id);
    assert.equal((await seen())?.pinned, true);
    await memory.update(id, { tags: ["a"] });
    assert.deepEqual((await seen())?.tags, ["a"]);
  });

  test("is kept through uses, and counts as one", async () => {
    const memory = await open();
    const { id } = await memory.store("Ada prefers tea");
    for (let time = 0; time < 5; time++) {
      await memory.recall("tea?");
      await memory.flush();
    }
    assert.equal(memory.queries.getStats().hits, 4);
    assert.equal((await memory.get(id))?.accessCount, 5);
    await memory.recall("tea?", { touch: false });
    await memory.flush();
    assert.equal((await memory.get(id))?.accessCount, 6);
  });

  test("ends with the first of its memories", async () => {
    const clock = createManualClock();
    const memory = await open({ clock, queryCache: { ttlMs: 10 * 86_400_000 } });
    await memory.store("soon gone", { tier: "working" });
    await memory.store("stays", { tier: "semantic" });
    assert.deepEqual(await contents(memory, "which?"), ["soon gone", "stays"]);
    clock.advance(899_000);
    await memory.recall("which?", { touch: false });
    assert.equal(memory.queries.getStats().hits, 1);
    clock.advance(1_000);
    const { hits } = await memory.recall("which?", { touch: false });
    assert.deepEqual(
      hits.map((hit) => hit.memory.content),
      ["stays"],
    );
  });

  test("is another question under other options, another verb or in another namespace", async () => {
    const memory = await open();
    await memory.store("Ada prefers tea");
    await memory.store("Ben prefers tea", { namespace: "other" });
    const asked = [
      {},
      { limit: 3 },
      { minScore: 0.1 },
      { mode: "keyword" as const },
      { tags: ["a"] },
      { after: "2020-01-01" },
      { after: "2021-01-01" },
      { explain: true },
      { namespace: "other" },
    ];
    for (const options of asked) await memory.recall("tea", options);
    await memory.search("tea");
    assert.equal(memory.queries.getStats().misses, asked.length + 1);
    // The same moment, told in another way, is the same question.
    await memory.recall("tea", { after: new Date("2020-01-01") });
    assert.equal(memory.queries.getStats().hits, 1);
  });

  test("says how it came about", async () => {
    const memory = await open();
    await memory.store("Ada prefers tea");
    assert.equal(await pathOf(memory, "tea?"), "miss");
    assert.equal(await pathOf(memory, "tea?"), "hit");
    assert.equal(await pathOf(memory, "tea?", { cache: false }), "off");
    assert.deepEqual(await Promise.all([pathOf(memory, "x"), pathOf(memory, "x")]), ["miss", "joined"]);
  });

  test("cannot be changed for others, and is the caller's own without the cache", async () => {
    const memory = await open();
    await memory.store("Ada prefers tea");
    const kept = await memory.recall("tea?");
    assert.throws(() => (kept.hits as unknown[]).pop(), TypeError);
    const own = await memory.recall("tea?", { cache: false });
    (own.hits as unknown[]).pop();
    assert.equal((await memory.recall("tea?")).hits.length, 1);
  });

  test("leaves nothing of an erased memory behind", async () => {
    const memory = await open();
    const { id } = await memory.store("Ada prefers tea");
    await memory.recall("tea?");
    await memory.forget(id, { erase: true });
    assert.equal(memory.queries.getStats().cacheSize, 0);
  });

  test("fails for one who aborts, and goes on for the others", async () => {
    const memory = await open();
    await memory.store("Ada prefers tea");
    const controller = new AbortController();
    const aborted = memory.recall("tea?", { signal: controller.signal });
    const goesOn = memory.recall("tea?");
    controller.abort(new Error("enough"));
    await assert.rejects(aborted, /enough/);
    assert.equal((await goesOn).hits.length, 1);
  });

  test("may be fetched ahead, and that is not counted as a use", async () => {
    const memory = await open({ queryCache: { maxEntries: 2, prefetch: true } });
    const { id } = await memory.store("Ada prefers tea");
    for (let round = 0; round < 6; round++) {
      for (const question of ["tea?", "coffee?", "cake?"]) {
        await memory.recall(question, { touch: false });
        while (memory.queries.getStats().inFlight > 0) await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const { hits, prefetch } = memory.queries.getStats();
    assert.ok(hits >= 10, `${hits}`);
    assert.ok(prefetch!.precision > 0.8);
    await memory.flush();
    assert.equal((await memory.get(id))?.accessCount, 0);
  });

  test("refuses options that are none", async () => {
    await assert.rejects(open({ queryCache: { maxEntries: 0 } }), /maxEntries/);
    await assert.rejects(open({ queryCache: { size: 5 } as object }), /no option "size"/);
  });
});
