import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import type { EmbeddingModel } from "../contract/embedding-model.ts";
import { createManualClock, type ManualClock } from "../testing/manual-clock.ts";
import { type OpenOptions, openMemory } from "./open-memory.ts";
import type { Strata } from "./strata.ts";

/** Costs something, so that its vectors are kept: a millisecond of the clock for each text. */
function letters(clock?: ManualClock): EmbeddingModel {
  return {
    id: "letters@1",
    dimensions: 64,
    maxBatchSize: 64,
    symmetric: true,
    async doEmbed(texts) {
      clock?.advance(texts.length);
      return {
        vectors: texts.map((text) => {
          const vector = new Float32Array(64).fill(0.1);
          for (let at = 0; at < text.length; at++) vector[(text.charCodeAt(at) * 7 + at) % 64]! += 1;
          return vector.map((value) => value / Math.hypot(...vector));
        }),
      };
    },
  };
}

suite("self-tuning of a memory", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "strata-tuning-"));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  function open(config: OpenOptions["config"] = {}, more: OpenOptions = {}): Promise<Strata> {
    return openMemory({
      path: join(folder, "memory.db"),
      configFile: false,
      model: letters(),
      config: {
        "query_cache.max_bytes": 100_000,
        "embedding.cache_bytes": 100_000,
        "memory.long_term_capacity": 0,
        ...config,
      },
      ...more,
    });
  }

  /** Texts stored again and again, more than half of the bytes hold, and no question. */
  async function storeInCircles(memory: Strata, look: () => Promise<void>, rounds: number): Promise<void> {
    const texts = Array.from({ length: 250 }, (_, at) => `text number ${at}`);
    for (let round = 0; round < rounds; round++) {
      await memory.storeMany(texts.map((content) => ({ content })));
      await memory.storeMany(texts.map((content) => ({ content })));
      await look();
    }
  }

  test("moves bytes to the cache that needs them, total unchanged, and every decision is in the journal", async () => {
    const clock = createManualClock();
    // Time passes with each reading: what was computed once is read from disk from then on, and that takes time too.
    let read = 0;
    const passing = { ...clock, monotonic: () => clock.monotonic() + ++read / 100 };
    await using memory = await open({}, { clock: passing, model: letters(clock) });
    await memory.store("first");
    const tick = async (): Promise<void> => {
      clock.advance(5_000);
      // A look has some steps, none of them on this clock.
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    };
    await tick();
    await storeInCircles(memory, tick, 30);
    const { caches, decisions } = memory.tuning();
    assert.ok(caches);
    assert.ok(caches.embeddingBytes > 100_000, String(caches.embeddingBytes));
    assert.equal(caches.queryBytes + caches.embeddingBytes, 200_000);
    assert.equal(memory.queries.getStats().maxBytes, caches.queryBytes);
    assert.equal(memory.caches()["embeddings"]?.maxBytes, caches.embeddingBytes);
    const rows = await memory.tuningDecisions();
    assert.equal(rows.length, decisions);
    assert.deepEqual(
      rows
        .toReversed()
        .map(({ parameter, before, reason }) => [parameter, before, reason.split(":")[0]])
        .slice(0, 2),
      [
        ["query-cache-bytes", 100_000, "tried"],
        ["query-cache-bytes", 100_000, "kept"],
      ],
    );
    assert.ok(rows.every(({ after }) => after >= 25_000 && after <= 175_000));
  });

  test("does nothing when it is switched off", async () => {
    const clock = createManualClock();
    await using memory = await open({ "tuning.enabled": false, "tuning.search": true }, { clock });
    await storeInCircles(memory, async () => clock.advance(5_000), 10);
    assert.deepEqual(memory.tuning(), { enabled: false, latencyTargetMs: 100, decisions: 0 });
    assert.equal(memory.queries.getStats().maxBytes, 100_000);
    assert.deepEqual(await memory.tuningDecisions(), []);
  });

  test("has nothing to divide with a model that keeps no vectors", async () => {
    const clock = createManualClock();
    await using memory = await open({}, { clock, model: { ...letters(), cheap: true } });
    await storeInCircles(memory, async () => clock.advance(5_000), 2);
    assert.equal(memory.tuning().caches, undefined);
  });

  test("leaves no timer behind when the memory is closed", async () => {
    const clock = createManualClock();
    const waiting = new Set<object>();
    const counting: ManualClock = {
      ...clock,
      schedule(callback, delayMs) {
        const timer = {};
        waiting.add(timer);
        const cancel = clock.schedule(() => {
          waiting.delete(timer);
          callback();
        }, delayMs);
        return () => {
          waiting.delete(timer);
          cancel();
        };
      },
    };
    const record = join(folder, "workload.jsonl");
    const memory = await open({ "tuning.record": record }, { clock: counting });
    await memory.store("Ada prefers tea");
    assert.ok(waiting.size > 0);
    await memory.close();
    assert.equal(waiting.size, 0);
  });

  test("hands adaptive batching its objective", async () => {
    await using memory = await open({ "tuning.latency_target_ms": 40 });
    assert.equal(memory.tuning().latencyTargetMs, 40);
  });

  test("the search is only tuned when that is asked for, and explains itself as it is in force", async () => {
    await using memory = await open({ "tuning.search": true });
    await memory.store("Ada prefers tea");
    const { explanation } = await memory.recall("what does Ada drink?", { explain: true });
    assert.equal(explanation?.request.ranking.candidates, 100);
    assert.deepEqual(memory.tuning().search, { candidates: 100, vectorBreadth: 1, phase: "resting" });
  });

  test("a record holds neither a text nor a namespace, unless texts are asked for", async () => {
    const record = join(folder, "workload.jsonl");
    for (const texts of [false, true]) {
      const memory = await open({ "tuning.record": record, "tuning.record_texts": texts });
      await memory.store(`zebra one ${texts}`, { namespace: "zebra" });
      await memory.recall("zebra?", { namespace: "zebra" });
      await memory.recall("zebra?", { namespace: "zebra" });
      await memory.store(`zebra two ${texts}`, { namespace: "zebra" });
      await memory.recall("zebra?", { namespace: "zebra" });
      await memory.close();
      const written = readFileSync(record, "utf8");
      rmSync(record);
      const steps = written
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line));
      assert.deepEqual(
        steps.map(({ op }) => op),
        ["embed", "recall", "recall", "embed", "write", "recall"],
      );
      assert.ok(steps[1].bytes > 0 && steps[1].ms > 0 && steps[2].bytes === undefined);
      assert.equal(steps[1].key, steps[2].key);
      assert.equal(written.includes("zebra"), texts);
      assert.equal(steps[1].text, texts ? "zebra?" : undefined);
    }
  });
});
