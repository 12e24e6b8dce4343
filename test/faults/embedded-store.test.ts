import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { defaultTierTable } from "../../src/contract/tier.ts";
import { openMemory } from "../../src/index.ts";
import { openSqliteStore } from "../../src/storage/sqlite/sqlite-store.ts";
import { createManualClock } from "../../src/testing/manual-clock.ts";
import { hashOf, sampleEntry } from "../../src/testing/store-samples.ts";

/** The defects of the reference's embedded store, each shown to be absent. */
const scope = { namespace: "n" };
const newPath = () => join(mkdtempSync(join(tmpdir(), "strata-embedded-")), "memory.db");

test("a memory is saved when it is stored, not when the store is closed", async () => {
  const path = newPath();
  const writer = await openSqliteStore(path);
  await writer.add(scope, [sampleEntry("a")]);
  const reader = await openSqliteStore(path);
  assert.equal((await reader.get(scope, ["a"]))[0]?.id, "a");
  await reader.close();
  await writer.close();
});

test("a process that exits early has written what it was told is stored", async () => {
  const path = newPath();
  const url = (name: string) => JSON.stringify(new URL(`../../src/${name}`, import.meta.url).href);
  const program = `
    import { openSqliteStore } from ${url("storage/sqlite/sqlite-store.ts")};
    import { sampleEntry } from ${url("testing/store-samples.ts")};
    const store = await openSqliteStore(${JSON.stringify(path)});
    await store.add({ namespace: "n" }, [sampleEntry("a")]);
    process.exit(0);`;
  assert.equal(spawnSync(process.execPath, ["--input-type=module", "-e", program]).status, 0);
  const store = await openSqliteStore(path);
  assert.equal((await store.get(scope, ["a"]))[0]?.id, "a");
  await store.close();
});

test("a corrupt file is neither reset nor overwritten", async () => {
  const path = newPath();
  const store = await openSqliteStore(path);
  await store.add(scope, [sampleEntry("a")]);
  await store.close();
  const damaged = readFileSync(path).subarray(0, 9_000);
  writeFileSync(path, damaged);
  await assert.rejects(openSqliteStore(path), { code: "DATABASE_CORRUPT" });
  assert.deepEqual(readFileSync(path), damaged);
});

test("a write that fails half way leaves nothing of it", async () => {
  const store = await openSqliteStore(newPath());
  await store.add(scope, [sampleEntry("taken")]);
  const entries = [sampleEntry("a"), sampleEntry("b"), sampleEntry("taken", { content: "other" })];
  await assert.rejects(store.add(scope, entries), { code: "ALREADY_EXISTS" });
  assert.deepEqual(await store.get(scope, ["a", "b"]), [undefined, undefined]);
  assert.equal((await store.stats(scope)).memories, 1);
  await store.close();
});

test("of two processes the last to close does not win: both keep what they stored", async () => {
  const path = newPath();
  const one = await openSqliteStore(path);
  const two = await openSqliteStore(path);
  await one.add(scope, [sampleEntry("a")]);
  await two.add(scope, [sampleEntry("b")]);
  const content = { text: "changed", hash: hashOf("changed"), vector: null };
  await two.update(scope, "a", { content });
  await two.close();
  await one.close();
  const store = await openSqliteStore(path);
  const found = await store.get(scope, ["a", "b"]);
  assert.deepEqual(
    found.map((memory) => memory?.content),
    ["changed", "text of b"],
  );
  await store.close();
});

test("words are found one by one, whole, and two letters are a word", async () => {
  await using memory = await openMemory({ path: newPath() });
  await memory.store("Go is a language; AI is another subject");
  const found = async (words: string) => (await memory.search(words)).hits.length;
  assert.equal(await found("go"), 1);
  assert.equal(await found("ai"), 1);
  assert.equal(await found("subject"), 1);
  assert.equal(await found("ubjec"), 0);
});

test("time to live and capacity are applied", async () => {
  const clock = createManualClock();
  const store = await openSqliteStore(newPath(), { clock });
  const { capacity, ttlSeconds } = defaultTierTable.working;
  const entries = Array.from({ length: capacity + 5 }, (_, index) =>
    sampleEntry(`m${index}`, { tier: "working" }),
  );
  for (const entry of entries) await store.add(scope, [entry]);
  assert.equal((await store.matchingRows(scope, {})).length, capacity);
  clock.advance(ttlSeconds * 1_000);
  assert.equal((await store.matchingRows(scope, {})).length, 0);
  await store.close();
});
