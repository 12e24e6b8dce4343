import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { createManualClock } from "../testing/manual-clock.ts";
import { BatchEmbedder } from "./batch-embedder.ts";
import { gate, hang, replyTo, ScriptedModel, vectorOf } from "./scripted-model.fixture.ts";

const texts = (count: number, prefix = "text"): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix} ${i}`);

/** As many turns of the event loop as any hand-over here needs. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await turn();
}

describe("a batch embedder", () => {
  test("embeds a text with a plain function", async () => {
    await using embedder = new BatchEmbedder((batch: readonly string[]) =>
      batch.map((text) => [text.length, 0]),
    );
    assert.deepEqual(await embedder.embedText("seven77"), Float32Array.of(1, 0));
    assert.equal(embedder.model.dimensions, 2);
  });

  test("answers in the order of the texts", async () => {
    await using embedder = new BatchEmbedder(new ScriptedModel());
    const asked = ["a long text comes first", "b", "a text of middling length", "b", ""];
    assert.deepEqual(await embedder.embedBatch(asked), asked.map(vectorOf));
  });

  test("answers no texts with no vectors", async () => {
    const model = new ScriptedModel();
    await using embedder = new BatchEmbedder(model);
    assert.deepEqual(await embedder.embedBatch([]), []);
    assert.equal(model.calls.length, 0);
  });

  test("gathers the texts of one turn from all callers", async () => {
    const model = new ScriptedModel();
    await using embedder = new BatchEmbedder(model);
    await Promise.all(texts(20).map((text) => embedder.embedText(text)));
    assert.equal(model.calls.length, 1);
  });

  test("passes null on for a text in which the model knows nothing", async () => {
    const model = new ScriptedModel((batch) => ({
      vectors: batch.map((text) => (text === "?" ? null : vectorOf(text))),
    }));
    await using embedder = new BatchEmbedder(model);
    assert.deepEqual(await embedder.embedBatch(["a", "?"]), [vectorOf("a"), null]);
    assert.equal(embedder.getStats().unknown, 1);
  });

  test("embeds queries apart from documents, and ahead of them", async () => {
    const { opened, open } = gate();
    const model = new ScriptedModel(async (batch, _call, number) => {
      if (number === 0) await opened;
      return replyTo(batch);
    });
    await using embedder = new BatchEmbedder(model, { batchSize: 2, concurrency: 1 });
    const first = embedder.embedText("first");
    await settle();
    const documents = embedder.embedBatch(texts(4, "document"));
    const query = embedder.embedText("document 0", { task: "query" });
    open();
    await Promise.all([first, documents, query]);
    assert.deepEqual(
      model.calls.map((call) => call.task),
      ["document", "query", "document", "document"],
    );
  });

  test("uses one vector for both tasks of a model for which they are the same", async () => {
    const model = new ScriptedModel(replyTo, { symmetric: true });
    await using embedder = new BatchEmbedder(model);
    await embedder.embedText("a");
    await embedder.embedText("a", { task: "query" });
    assert.equal(model.calls.length, 1);
  });

  test("says what it did", async () => {
    await using embedder = new BatchEmbedder(new ScriptedModel(), { batchSize: 2 });
    await embedder.embedBatch(["a", "b", "c", "a"], { namespace: "ada" });
    await embedder.embedText("a");
    const stats = embedder.getStats();
    assert.deepEqual(
      [stats.texts, stats.cacheHits, stats.cacheMisses, stats.joins, stats.hitRate, stats.totalEmbeddings],
      [5, 1, 3, 1, 0.4, 3],
    );
    assert.equal(stats.averageBatchSize, 1.5);
    assert.equal(stats.l1.entries, 3);
    assert.deepEqual(stats.cost.byNamespace["ada"]?.texts, 3);
  });

  test("calls a cheap model at once, without queue or cache", async () => {
    const model = new ScriptedModel(replyTo, { cheap: true });
    await using embedder = new BatchEmbedder(model, { defer: () => assert.fail("nothing may be queued") });
    assert.deepEqual(await embedder.embedBatch(["a", "b"]), ["a", "b"].map(vectorOf));
    assert.deepEqual(await embedder.embedText("a"), vectorOf("a"));
    assert.equal(embedder.getStats().totalEmbeddings, 3);
  });

  test("checks a cheap model's replies, too", async () => {
    const model = new ScriptedModel(() => ({ vectors: [] }), { cheap: true });
    await using embedder = new BatchEmbedder(model);
    await assert.rejects(embedder.embedText("a"), { code: "EMBEDDING_INVALID" });
  });

  test("gives a cheap model no more texts than it takes", async () => {
    const model = new ScriptedModel(replyTo, { cheap: true });
    await using embedder = new BatchEmbedder(model);
    const asked = texts(150);
    assert.deepEqual(await embedder.embedBatch(asked), asked.map(vectorOf));
    assert.deepEqual(
      model.calls.map((call) => call.texts.length),
      [64, 64, 22],
    );
  });
});

describe("what the reference's embedder did and this one does not", () => {
  test("stopping answers a thousand queued callers", async () => {
    const { opened, open } = gate();
    const model = new ScriptedModel((batch) => opened.then(() => replyTo(batch)));
    await using embedder = new BatchEmbedder(model);
    const callers = Promise.all(texts(1_000).map((text) => embedder.embedText(text)));
    await settle();
    const stopped = embedder.stopBackgroundProcessor();
    open();
    await stopped;
    assert.equal((await callers).length, 1_000);
    assert.equal(embedder.getStats().queueLength, 0);
  });

  test("stopping without draining rejects a thousand queued callers, and ends the model's work", async () => {
    const ended: unknown[] = [];
    const model = new ScriptedModel((_batch, { signal }) => {
      signal?.addEventListener("abort", () => ended.push(signal.reason));
      return hang(signal);
    });
    await using embedder = new BatchEmbedder(model, { concurrency: 4 });
    const callers = Promise.allSettled(texts(1_000).map((text) => embedder.embedText(text)));
    await settle();
    await embedder.stopBackgroundProcessor({ drain: false });
    for (const outcome of await callers)
      assert.equal(outcome.status === "rejected" && outcome.reason.code, "CLOSED");
    assert.equal(ended.length, 4);
    assert.equal(embedder.getStats().queueLength, 0);
  });

  test("a hit refreshes its entry", async () => {
    const model = new ScriptedModel(replyTo, { symmetric: true });
    await using embedder = new BatchEmbedder(model, { cacheEntries: 2 });
    for (const text of ["a", "b", "a", "c", "a"]) await embedder.embedText(text);
    assert.deepEqual(model.texts, ["a", "b", "c"]);
  });

  test("a cache of size 0 keeps nothing", async () => {
    for (const options of [{ cacheBytes: 0 }, { cacheEntries: 0 }]) {
      const model = new ScriptedModel();
      await using embedder = new BatchEmbedder(model, options);
      await embedder.embedText("a");
      await embedder.embedText("a");
      assert.equal(model.calls.length, 2);
      assert.equal(embedder.getStats().l1.entries, 0);
    }
  });

  test("the cache is bounded in bytes", async () => {
    await using embedder = new BatchEmbedder(new ScriptedModel(), { cacheBytes: 10_000 });
    await embedder.embedBatch(texts(500));
    const { entries, bytes } = embedder.getStats().l1;
    assert.ok(entries > 0 && bytes <= 10_000);
  });

  test("the text itself is the key, apart for each task", async () => {
    const model = new ScriptedModel();
    await using embedder = new BatchEmbedder(model);
    await embedder.embedText("a", { task: "query" });
    await embedder.embedText("a", { task: "document" });
    assert.deepEqual(
      model.calls.map((call) => call.task),
      ["query", "document"],
    );
  });

  test("a lone text and a full batch leave without a timer", async () => {
    const clock = createManualClock();
    await using embedder = new BatchEmbedder(new ScriptedModel(), { clock, batchSize: 4 });
    assert.deepEqual(await embedder.embedText("a"), vectorOf("a"));
    assert.equal((await embedder.embedBatch(texts(8))).length, 8);
    assert.equal(clock.monotonic(), 0);
  });

  test("a text on its way is joined, not computed again", async () => {
    const { opened, open } = gate();
    const model = new ScriptedModel((batch) => opened.then(() => replyTo(batch)));
    await using embedder = new BatchEmbedder(model);
    const early = embedder.embedText("a");
    await settle();
    const late = embedder.embedBatch(["a", "b", "a"]);
    await settle();
    open();
    assert.deepEqual(await early, vectorOf("a"));
    assert.deepEqual(await late, ["a", "b", "a"].map(vectorOf));
    assert.deepEqual(model.texts, ["a", "b"]);
    assert.equal(embedder.getStats().joins, 2);
  });

  test("callers may change their vectors", async () => {
    await using embedder = new BatchEmbedder(new ScriptedModel());
    const [once, twice] = await embedder.embedBatch(["a", "a"]);
    once!.fill(0);
    assert.deepEqual(twice, vectorOf("a"));
    const hit = await embedder.embedText("a");
    hit!.fill(0);
    assert.deepEqual(await embedder.embedText("a"), vectorOf("a"));
  });

  test("queued work is in the statistics", async () => {
    const { opened, open } = gate();
    const model = new ScriptedModel((batch) => opened.then(() => replyTo(batch)));
    await using embedder = new BatchEmbedder(model, { batchSize: 2, concurrency: 1 });
    const callers = embedder.embedBatch(texts(5));
    await settle();
    assert.deepEqual([embedder.getStats().queueLength, embedder.getStats().inFlight], [3, 1]);
    open();
    await callers;
    assert.equal(embedder.getStats().totalEmbeddings, 5);
  });

  test("a stopped embedder says that it does not run, and can be used again", async () => {
    await using embedder = new BatchEmbedder(new ScriptedModel());
    embedder.startBackgroundProcessor();
    assert.equal(embedder.getStats().running, true);
    await embedder.stopBackgroundProcessor();
    assert.equal(embedder.getStats().running, false);
    assert.deepEqual(await embedder.embedText("a"), vectorOf("a"));
  });
});

describe("the queue of an embedder", () => {
  test("refuses what finds no room, when told to", async () => {
    const { opened, open } = gate();
    const model = new ScriptedModel((batch) => opened.then(() => replyTo(batch)));
    await using embedder = new BatchEmbedder(model, {
      batchSize: 2,
      concurrency: 1,
      maxQueue: 4,
      whenFull: "reject",
    });
    const first = embedder.embedBatch(texts(6));
    await settle();
    await assert.rejects(embedder.embedText("one more"), { code: "QUEUE_FULL" });
    assert.equal(embedder.getStats().queue.refusedCalls, 1);
    open();
    assert.equal((await first).length, 6);
    assert.deepEqual(await embedder.embedText("one more"), vectorOf("one more"));
  });

  test("lets callers wait their turn otherwise, first come first served", async () => {
    const model = new ScriptedModel(async (batch) => {
      await turn();
      return replyTo(batch);
    });
    await using embedder = new BatchEmbedder(model, { batchSize: 2, concurrency: 1, maxQueue: 4 });
    const order: number[] = [];
    const calls = Array.from({ length: 6 }, async (_, i) => {
      await embedder.embedBatch(texts(3, `call ${i}`));
      order.push(i);
    });
    await turn();
    assert.ok(embedder.getStats().queue.waitingCalls > 0);
    assert.ok(embedder.getStats().queueLength <= 4);
    await Promise.all(calls);
    assert.deepEqual(order, [0, 1, 2, 3, 4, 5]);
  });

  test("lets a caller leave the line", async () => {
    const { opened, open } = gate();
    const model = new ScriptedModel((batch) => opened.then(() => replyTo(batch)));
    await using embedder = new BatchEmbedder(model, { batchSize: 1, concurrency: 1, maxQueue: 1 });
    const first = embedder.embedBatch(texts(3));
    const abort = new AbortController();
    const waiting = embedder.embedText("waits", { signal: abort.signal });
    await settle();
    abort.abort(new Error("no longer wanted"));
    await assert.rejects(waiting, /no longer wanted/);
    open();
    await first;
    assert.ok(!model.texts.includes("waits"));
  });

  test("refuses what would pass the budget, and says what was spent", async () => {
    await using embedder = new BatchEmbedder(new ScriptedModel(), {
      price: { perThousandTexts: 1 },
      budget: 0.01,
    });
    await embedder.embedBatch(texts(8), { namespace: "ada" });
    await assert.rejects(embedder.embedBatch(texts(3, "more")), { code: "BUDGET_EXCEEDED" });
    // What is cached costs nothing.
    await embedder.embedBatch(texts(8));
    await embedder.embedBatch(texts(2, "more"), { namespace: "ben" });
    const { cost } = embedder.getStats();
    assert.equal(cost.price.toFixed(6), "0.010000");
    assert.deepEqual([cost.byNamespace["ada"]?.texts, cost.byNamespace["ben"]?.texts], [8, 2]);
  });
});

describe("closing an embedder", () => {
  test("answers who waits, closes the model once, and refuses what comes later", async () => {
    const { opened, open } = gate();
    const model = new ScriptedModel((batch) => opened.then(() => replyTo(batch)));
    const embedder = new BatchEmbedder(model);
    const early = embedder.embedText("a");
    const closings = [embedder.close(), embedder.close()];
    await assert.rejects(embedder.embedText("b"), { code: "CLOSED" });
    open();
    await Promise.all(closings);
    await embedder.close();
    assert.deepEqual(await early, vectorOf("a"));
    assert.equal(model.closed, 1);
    assert.throws(() => embedder.startBackgroundProcessor(), { code: "CLOSED" });
  });
});

describe("misuse of an embedder", () => {
  const misuses: readonly (readonly [string, Record<string, unknown>])[] = [
    ["a batch size of NaN", { batchSize: Number.NaN }],
    ["a batch size of 0", { batchSize: 0 }],
    ["half a slot", { concurrency: 0.5 }],
    ["an endless deadline", { timeoutMs: Number.POSITIVE_INFINITY }],
    ["an endless queue", { maxQueue: Number.POSITIVE_INFINITY }],
    ["a negative budget", { budget: -1 }],
    ["an unknown way of waiting", { whenFull: "drop" }],
    ["a target of NaN", { latencyTargetMs: Number.NaN }],
  ];
  for (const [name, options] of misuses)
    test(`${name} is refused`, () => {
      assert.throws(() => new BatchEmbedder(new ScriptedModel(), options), { code: "INVALID_ARGUMENT" });
    });

  test("an option that does not exist is refused by name", () => {
    const options = { batchsize: 3 } as object;
    assert.throws(() => new BatchEmbedder(new ScriptedModel(), options), {
      code: "UNKNOWN_OPTION",
      message: /"batchsize"/,
    });
  });

  test("what is no text is refused with its place", async () => {
    await using embedder = new BatchEmbedder(new ScriptedModel());
    await assert.rejects(embedder.embedBatch(["a", 5 as never]), {
      code: "INVALID_ARGUMENT",
      message: /index 1/,
    });
    await assert.rejects(embedder.embedBatch("text" as never), { code: "INVALID_ARGUMENT" });
  });

  test("an aborted signal is refused before anything is done", async () => {
    const model = new ScriptedModel();
    await using embedder = new BatchEmbedder(model);
    await assert.rejects(
      embedder.embedText("a", { signal: AbortSignal.abort(new Error("too late")) }),
      /too late/,
    );
    assert.equal(model.calls.length, 0);
  });
});
