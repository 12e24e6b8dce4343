import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, type TestContext, test } from "node:test";
import { createManualClock } from "../testing/manual-clock.ts";
import { BatchEmbedder } from "./batch-embedder.ts";
import { ScriptedModel, vectorOf } from "./scripted-model.fixture.ts";
import { SqliteVectorCache } from "./sqlite-vector-cache.ts";
import { vectorKey } from "./vector-key.ts";

const space = { modelId: "m", dimensions: 4, symmetric: false };
const keyOf = (text: string): string => vectorKey(space, "document", text);
const entryOf = (text: string) => ({ key: keyOf(text), vector: vectorOf(text), unknownShare: 0.25 });
const texts = (count: number): string[] => Array.from({ length: count }, (_, i) => `text ${i}`);

function newPath(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "vector-cache-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "vectors.sqlite");
}

describe("a vector cache in a file", () => {
  test("gives back what was set, bit for bit, and undefined for the rest", async (context) => {
    await using cache = new SqliteVectorCache(newPath(context));
    await cache.setMany([entryOf("a"), { key: keyOf("?"), vector: null }]);
    assert.deepEqual(cache.getMany([keyOf("b"), keyOf("a"), keyOf("?")]), [
      undefined,
      { vector: vectorOf("a"), unknownShare: 0.25 },
      { vector: null, unknownShare: undefined },
    ]);
  });

  test("survives a restart, and holds no text", async (context) => {
    const path = newPath(context);
    const first = new SqliteVectorCache(path);
    await first.setMany([entryOf("a remarkable sentence")]);
    await first.close();
    assert.ok(!readFileSync(path).includes("remarkable"));
    await using second = new SqliteVectorCache(path);
    assert.deepEqual(
      second.getMany([keyOf("a remarkable sentence")])[0]?.vector,
      vectorOf("a remarkable sentence"),
    );
  });

  test("keeps its bound in bytes, and what was used longest ago goes first", async (context) => {
    const clock = createManualClock();
    await using cache = new SqliteVectorCache(newPath(context), { maxBytes: 2_000, clock });
    await cache.setMany([entryOf("old"), entryOf("used")]);
    clock.advance(7_200_000);
    cache.getMany([keyOf("used")]);
    for (const text of texts(16)) {
      await cache.setMany([entryOf(text)]);
      assert.ok(cache.stats().bytes <= 2_000);
      clock.advance(1_000);
    }
    const [old, used, newest] = cache.getMany([keyOf("old"), keyOf("used"), keyOf("text 15")]);
    assert.equal(old, undefined);
    assert.ok(used !== undefined && newest !== undefined);
    assert.equal(cache.stats().evicted, 1);
  });

  test("removes for good what it is told to", async (context) => {
    const path = newPath(context);
    await using cache = new SqliteVectorCache(path);
    await cache.setMany([entryOf("a"), entryOf("b")]);
    assert.equal(await cache.deleteMany([keyOf("a"), keyOf("c")]), 1);
    assert.equal(cache.getMany([keyOf("a")])[0], undefined);
    assert.equal(cache.stats().entries, 1);
    const numbers = Buffer.from(vectorOf("a").buffer);
    for (const file of [path, `${path}-wal`]) assert.ok(!readFileSync(file).includes(numbers), file);
  });

  test("is shared by processes that write at once", async (context) => {
    const path = newPath(context);
    const script = `
      import { SqliteVectorCache } from ${JSON.stringify(new URL("./sqlite-vector-cache.ts", import.meta.url))};
      const cache = new SqliteVectorCache(process.argv[2]);
      for (let i = 0; i < 100; i++) {
        const key = Buffer.alloc(32, process.argv[3] + i).toString("hex");
        await cache.setMany([{ key, vector: Float32Array.of(i, 1) }]);
      }
      process.send(cache.stats().skippedWrites);
      await cache.close();
    `;
    const file = `${path}.mts`;
    writeFileSync(file, script);
    const skipped = await Promise.all(
      ["a", "b"].map(async (name) => {
        const [count] = (await once(fork(file, [path, name]), "message")) as [number];
        return count;
      }),
    );
    await using cache = new SqliteVectorCache(path);
    assert.equal(cache.stats().entries, 200 - skipped[0]! - skipped[1]!);
    assert.ok(cache.stats().entries > 100);
  });

  test("gives a write up, and counts it, when another process holds the file", async (context) => {
    const path = newPath(context);
    await using cache = new SqliteVectorCache(path);
    using other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    await cache.setMany([entryOf("a")]);
    assert.equal(cache.stats().skippedWrites, 1);
    other.exec("ROLLBACK");
    await cache.setMany([entryOf("a")]);
    assert.equal(cache.stats().entries, 1);
  });

  test("begins a file anew that is damaged, and counts it", async (context) => {
    const path = newPath(context);
    const whole = new SqliteVectorCache(path);
    await whole.setMany(texts(200).map(entryOf));
    await whole.close();
    const bytes = readFileSync(path);
    for (const [name, damaged] of [
      ["cut", bytes.subarray(0, 5_000)],
      ["garbled", Buffer.from(bytes).fill(0x5a, 4_096)],
      ["garbled from its first byte", Buffer.alloc(bytes.length, 0x5a)],
    ] as const) {
      writeFileSync(path, damaged);
      await using cache = new SqliteVectorCache(path);
      cache.getMany(texts(200).map(keyOf));
      await cache.setMany([entryOf("a")]);
      await cache.setMany([entryOf("a")]);
      assert.deepEqual(cache.getMany([keyOf("a")])[0]?.vector, vectorOf("a"), name);
      assert.equal(cache.stats().recreated, 1, name);
    }
  });

  test("never returns a vector of which a bit has changed", async (context) => {
    const path = newPath(context);
    const whole = new SqliteVectorCache(path);
    await whole.setMany([entryOf("a")]);
    await whole.close();
    const bytes = readFileSync(path);
    const place = bytes.indexOf(Buffer.from(vectorOf("a").buffer));
    assert.ok(place > 0);
    bytes[place + 2]! ^= 1;
    writeFileSync(path, bytes);
    await using cache = new SqliteVectorCache(path);
    assert.equal(cache.getMany([keyOf("a")])[0], undefined);
    assert.equal(cache.stats().recreated, 1);
  });

  test("leaves another program's database and another program's file alone", async (context) => {
    const path = newPath(context);
    const other = new DatabaseSync(path);
    other.exec("CREATE TABLE precious (n)");
    other.close();
    assert.throws(() => new SqliteVectorCache(path), { code: "NOT_A_DATABASE" });

    const notes = `${path}.txt`;
    writeFileSync(notes, "my notes, which are no database ".repeat(20));
    await using cache = new SqliteVectorCache(notes);
    assert.equal(cache.stats().recreated, 1);
    assert.match(readFileSync(`${notes}.damaged`, "utf8"), /my notes/);
  });

  test("refuses a bound that is no number", (context) => {
    const maxBytes = Number.NaN;
    assert.throws(() => new SqliteVectorCache(newPath(context), { maxBytes }), { code: "INVALID_ARGUMENT" });
  });
});

describe("an embedder with a vector cache", () => {
  test("embeds nothing again after a restart", async (context) => {
    const path = newPath(context);
    for (const [calls, hits] of [
      [1, 0],
      [0, 10],
    ] as const) {
      const model = new ScriptedModel();
      const embedder = new BatchEmbedder(model, { vectorCache: new SqliteVectorCache(path) });
      assert.deepEqual(await embedder.embedBatch(texts(10)), texts(10).map(vectorOf));
      assert.equal(model.calls.length, calls);
      assert.equal(embedder.getStats().l2?.hits, hits);
      await embedder.close();
    }
  });

  test("keeps models, tasks and lone surrogates apart", () => {
    const keys = new Set([
      vectorKey(space, "document", "a"),
      vectorKey(space, "query", "a"),
      vectorKey({ ...space, modelId: "n" }, "document", "a"),
      vectorKey({ ...space, dimensions: 5 }, "document", "a"),
      vectorKey({ ...space, symmetric: true }, "document", "a"),
      vectorKey(space, "document", "\ud800"),
      vectorKey(space, "document", "\ud801"),
    ]);
    assert.equal(keys.size, 7);
  });

  test("forgets texts in memory and in the file", async (context) => {
    const model = new ScriptedModel();
    await using embedder = new BatchEmbedder(model, { vectorCache: new SqliteVectorCache(newPath(context)) });
    await embedder.embedBatch(["a", "b"]);
    assert.equal(await embedder.forget(["a", "c"]), 2);
    await embedder.embedBatch(["a", "b"]);
    assert.deepEqual(model.texts, ["a", "b", "a"]);
  });

  test("answers from the model while its cache fails, and counts that", async () => {
    const broken = {
      getMany: () => Promise.reject(new Error("down")),
      setMany: () => Promise.reject(new Error("down")),
      deleteMany: () => 0,
      stats: () => ({ entries: 0, bytes: 0, maxBytes: 0, evicted: 0, recreated: 0, skippedWrites: 0 }),
      close: () => undefined,
    };
    const embedder = new BatchEmbedder(new ScriptedModel(), { vectorCache: broken });
    assert.deepEqual(await embedder.embedText("a"), vectorOf("a"));
    await embedder.close();
    assert.equal(embedder.getStats().l2?.errors, 2);
  });

  test("refuses a function without a name of its own", (context) => {
    const vectorCache = new SqliteVectorCache(newPath(context));
    context.after(() => vectorCache.close());
    assert.throws(() => new BatchEmbedder(() => [], { vectorCache }), { code: "INVALID_ARGUMENT" });
  });
});
