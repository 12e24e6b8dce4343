import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { EmbeddingTask } from "../contract/embedding-model.ts";
import {
  BatchScheduler,
  type BatchSchedulerOptions,
  type Departure,
  type QueueItem,
} from "./batch-scheduler.ts";

interface Text extends QueueItem {
  readonly name: string;
}

function newScheduler(options: Partial<BatchSchedulerOptions> = {}): BatchScheduler<Text> {
  return new BatchScheduler({
    batchSize: 4,
    concurrency: 2,
    maxBatchTokens: 1_000,
    maxWaitMs: 0,
    ...options,
  });
}

function text(name: string, facts: { at?: number; tokens?: number; task?: EmbeddingTask } = {}): Text {
  return { name, task: facts.task ?? "document", tokens: facts.tokens ?? 1, queuedAt: facts.at ?? 0 };
}

function leaves(next: Departure<Text> | number | undefined): string[] {
  assert.ok(typeof next === "object", `a batch leaves, not ${next}`);
  return next.items.map((item) => item.name).sort();
}

describe("the scheduler", () => {
  test("lets a lone text leave at once", () => {
    const scheduler = newScheduler();
    scheduler.add(text("a"));
    assert.deepEqual(leaves(scheduler.take(0)), ["a"]);
    assert.equal(scheduler.take(0), undefined);
  });

  test("gathers what arrives while the slots are busy", () => {
    const scheduler = newScheduler({ concurrency: 1 });
    scheduler.add(text("a"));
    scheduler.take(0);
    scheduler.add(text("b"));
    scheduler.add(text("c"));
    assert.equal(scheduler.take(1), undefined);
    scheduler.finish();
    assert.deepEqual(leaves(scheduler.take(2)), ["b", "c"]);
  });

  test("spaces departures that are not full by the time of a call divided by the slots", () => {
    const scheduler = newScheduler({ concurrency: 2 });
    scheduler.learn(30);
    scheduler.add(text("a"));
    scheduler.take(0);
    scheduler.add(text("b", { at: 1 }));
    assert.equal(scheduler.take(1), 14);
    scheduler.add(text("c", { at: 9 }));
    assert.deepEqual(leaves(scheduler.take(15)), ["b", "c"]);
  });

  test("lets a full batch wait for nothing but a slot, and what it leaves behind go along", () => {
    const scheduler = newScheduler({ concurrency: 3 });
    scheduler.learn(30);
    scheduler.add(text("a"));
    scheduler.take(0);
    for (const name of ["b", "c", "d", "e", "f"]) scheduler.add(text(name, { at: 1 }));
    assert.equal(leaves(scheduler.take(1)).length, 4);
    assert.equal(leaves(scheduler.take(1)).length, 1);
  });

  test("waits maxWaitMs for a fuller batch where calls are paid for", () => {
    const scheduler = newScheduler({ maxWaitMs: 20 });
    scheduler.add(text("a", { at: 0 }));
    assert.equal(scheduler.take(5), 15);
    assert.deepEqual(leaves(scheduler.take(20)), ["a"]);
  });

  test("keeps a batch within its budget of tokens, padding included", () => {
    const scheduler = newScheduler({ maxBatchTokens: 100 });
    for (const [name, tokens] of [
      ["a", 40],
      ["b", 40],
      ["c", 40],
      ["d", 500],
    ] as const)
      scheduler.add(text(name, { tokens }));
    assert.deepEqual(leaves(scheduler.take(0)), ["a", "b"]);
    // A text longer than the budget goes alone.
    scheduler.finish();
    scheduler.take(0);
    scheduler.finish();
    assert.deepEqual(leaves(scheduler.take(0)), ["d"]);
  });

  test("puts texts of one length together", () => {
    const scheduler = newScheduler();
    for (let i = 0; i < 4; i++) {
      scheduler.add(text(`short ${i}`, { tokens: 5 }));
      scheduler.add(text(`long ${i}`, { tokens: 200 }));
    }
    assert.deepEqual(leaves(scheduler.take(0)), ["short 0", "short 1", "short 2", "short 3"]);
  });

  test("sends queries first, and lets documents through all the same", () => {
    const scheduler = newScheduler({ batchSize: 1, concurrency: 100 });
    for (let i = 0; i < 10; i++) {
      scheduler.add(text(`d${i}`));
      scheduler.add(text(`q${i}`, { task: "query" }));
    }
    const order = Array.from({ length: 10 }, () => leaves(scheduler.take(0))[0]!.slice(0, 1)).join("");
    assert.equal(order, "qqqqdqqqqd");
  });

  test("lets nothing leave while the service wants to be left alone", () => {
    const scheduler = newScheduler();
    scheduler.pauseUntil(50);
    scheduler.add(text("a"));
    assert.equal(scheduler.take(10), 40);
    assert.deepEqual(leaves(scheduler.take(50)), ["a"]);
  });

  test("says whether more waited than could leave", () => {
    const scheduler = newScheduler({ batchSize: 2 });
    for (const name of ["a", "b", "c"]) scheduler.add(text(name));
    const saturated = [scheduler.take(0), scheduler.take(0)].map(
      (next) => typeof next === "object" && next.saturated,
    );
    assert.deepEqual(saturated, [true, false]);
  });

  test("loses no text, doubles none, starves none and keeps every bound", () => {
    const action = fc.oneof(
      fc.record({
        do: fc.constant("add" as const),
        tokens: fc.integer({ min: 1, max: 60 }),
        task: fc.constantFrom<EmbeddingTask>("query", "document"),
      }),
      fc.record({ do: fc.constant("remove" as const), place: fc.nat() }),
      fc.record({ do: fc.constant("take" as const) }),
      fc.record({ do: fc.constant("finish" as const), ms: fc.nat(50) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const scheduler = newScheduler({ maxBatchTokens: 100 });
        const waiting = new Set<Text>();
        let now = 0;
        const take = (): boolean => {
          const next = scheduler.take(now);
          if (typeof next === "number") {
            assert.ok(next > 0);
            now += next;
          }
          if (typeof next !== "object") return typeof next === "number";
          const oldest = [...waiting].find((item) => item.task === next.task);
          assert.ok(next.items.includes(oldest!), "the oldest of its task leaves");
          const longest = Math.max(...next.items.map((item) => item.tokens));
          assert.ok(next.items.length === 1 || longest * next.items.length <= 100);
          assert.ok(next.items.length <= 4 && scheduler.inFlight <= 2);
          for (const item of next.items) assert.ok(waiting.delete(item), "a text leaves once");
          return true;
        };
        for (const each of actions) {
          if (each.do === "add") {
            const item = text("", { at: now, tokens: each.tokens, task: each.task });
            waiting.add(item);
            scheduler.add(item);
          } else if (each.do === "remove") {
            const item = [...waiting][each.place % Math.max(1, waiting.size)];
            if (item !== undefined) assert.equal(scheduler.remove(item), waiting.delete(item));
          } else if (each.do === "take") take();
          else if (scheduler.inFlight > 0) {
            scheduler.learn(each.ms);
            scheduler.finish();
          }
          assert.equal(scheduler.queued, waiting.size);
        }
        while (waiting.size > 0) if (!take()) scheduler.finish();
        assert.equal(scheduler.queued, 0);
      }),
    );
  });
});
