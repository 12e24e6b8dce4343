import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { MemoryStore } from "../../contract/memory-store.ts";
import { sampleChunks, sampleDocument, sampleEntry } from "../../testing/store-samples.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const scope = { namespace: "n" };
let path: string;
let one: MemoryStore;
let two: MemoryStore;
let lock: DatabaseSync;

beforeEach(async () => {
  path = join(mkdtempSync(join(tmpdir(), "strata-two-")), "memory.db");
  one = await openSqliteStore(path);
  two = await openSqliteStore(path, { lockTimeoutMs: 20 });
  lock = new DatabaseSync(path, { timeout: 0 });
});

afterEach(async () => {
  lock.close();
  await one.close();
  await two.close();
});

test("what one store wrote the other sees at once, in reads, generation and feed", async () => {
  const { cursor } = await two.changes(scope, undefined, 10);
  const before = await two.generation(scope);
  await one.add(scope, [sampleEntry("a")]);
  assert.equal((await two.get(scope, ["a"]))[0]?.id, "a");
  assert.notEqual(await two.generation(scope), before);
  assert.deepEqual(
    (await two.changes(scope, cursor, 10)).rows.map((row) => row.id),
    ["a"],
  );
});

test("touches and writes to other namespaces by another store change no generation", async () => {
  await one.add(scope, [sampleEntry("a")]);
  const before = await two.generation(scope);
  await one.touch(scope, [{ id: "a", count: 1, lastUsedAt: Date.now() }]);
  await one.add({ namespace: "other" }, [sampleEntry("a")]);
  assert.equal(await two.generation(scope), before);
});

test("a write waits for another's lock while the event loop goes on", async () => {
  lock.exec("begin immediate");
  let done = false;
  const writing = one.add(scope, [sampleEntry("a")]).then(() => {
    done = true;
  });
  await sleep(10);
  assert.equal(done, false);
  assert.deepEqual(await one.get(scope, ["a"]), [undefined]);
  lock.exec("commit");
  await writing;
  assert.equal((await one.get(scope, ["a"]))[0]?.id, "a");
});

test("a lock held for longer than the deadline is reported, and a later try succeeds", async () => {
  lock.exec("begin immediate");
  await assert.rejects(two.add(scope, [sampleEntry("a")]), { code: "DATABASE_BUSY", retryable: true });
  lock.exec("commit");
  await two.add(scope, [sampleEntry("a")]);
});

test("a waiting write is aborted with the signal's reason and leaves nothing", async () => {
  lock.exec("begin immediate");
  const controller = new AbortController();
  const writing = one.add(scope, [sampleEntry("a")], { signal: controller.signal });
  const reason = new Error("changed my mind");
  setImmediate(() => controller.abort(reason));
  await assert.rejects(writing, reason);
  lock.exec("commit");
  assert.deepEqual(await one.get(scope, ["a"]), [undefined]);
});

test("a store closed while a write waits answers it", async () => {
  lock.exec("begin immediate");
  const writing = one.add(scope, [sampleEntry("a")]);
  setImmediate(() => void one.close());
  await assert.rejects(writing, { code: "CLOSED" });
  lock.exec("commit");
});

test("two stores that write at once lose nothing", async () => {
  const add = async (store: MemoryStore, prefix: string) => {
    for (let number = 0; number < 100; number++) {
      await store.add(scope, [sampleEntry(`${prefix}${number}`)]);
      await new Promise(setImmediate);
    }
  };
  await Promise.all([add(one, "one"), add(two, "two")]);
  assert.equal((await one.stats(scope)).memories, 200);
  const rows = await two.matchingRows(scope, {});
  assert.equal(new Set(rows).size, 200);
});

test("a reader sees an old or a new revision of a document, never both or neither", async () => {
  const publish = async (store: MemoryStore, texts: readonly string[], prefix: string) => {
    const staged = await store.stageDocument(scope, sampleDocument("doc"));
    await store.addChunks(staged, sampleChunks(prefix, texts));
    await store.publishDocument(staged);
  };
  await publish(one, ["a0", "a1"], "a");
  let reading = true;
  const writer = (async () => {
    for (let round = 0; round < 20; round++) {
      await publish(one, round % 2 === 0 ? ["b0", "b1", "b2"] : ["a0", "a1"], round % 2 === 0 ? "b" : "a");
      await new Promise(setImmediate);
    }
    reading = false;
  })();
  while (reading) {
    const texts = (await two.list(scope, { ids: ["a-0", "a-1", "b-0", "b-1", "b-2"] }, { limit: 9 }))
      .memories;
    const ids = texts
      .map((memory) => memory.id)
      .sort()
      .join();
    assert.ok(ids === "a-0,a-1" || ids === "b-0,b-1,b-2", ids);
    await new Promise(setImmediate);
  }
  await writer;
});

test("of two that race for a lease one has it", async () => {
  const won = await Promise.all([
    one.acquireLease("duty", "one", 1_000),
    two.acquireLease("duty", "two", 1_000),
  ]);
  assert.deepEqual(won.toSorted(), [false, true]);
});

test("two stores that add the same texts at once leave each once", async () => {
  const patient = await openSqliteStore(path);
  const addAll = async (store: MemoryStore, prefix: string) => {
    for (let at = 0; at < 40; at++) {
      await store.add(scope, [sampleEntry(`${prefix}${at}`, { content: `text ${at}`, foldRepeat: true })]);
    }
  };
  await Promise.all([addAll(one, "one-"), addAll(patient, "two-")]);
  const { memories, repeated } = await one.stats(scope);
  assert.deepEqual([memories, repeated], [40, 40]);
  await patient.close();
});
