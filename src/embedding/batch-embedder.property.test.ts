import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import type { EmbeddingTask } from "../contract/embedding-model.ts";
import type { VectorCache, VectorCacheEntry } from "../contract/vector-cache.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { BatchEmbedder } from "./batch-embedder.ts";
import { replyTo, type Script, ScriptedModel, vectorOf } from "./scripted-model.fixture.ts";

type Fate = "answer" | "throw" | "reject" | "busy" | "reset" | "short" | "nan" | "hang";

type Step =
  | {
      readonly do: "embed";
      readonly texts: readonly number[];
      readonly task: EmbeddingTask;
      readonly caller: number;
    }
  | { readonly do: "abort"; readonly caller: number }
  | { readonly do: "turns"; readonly count: number }
  | { readonly do: "wait"; readonly ms: number }
  | { readonly do: "forget"; readonly text: number }
  | { readonly do: "stop"; readonly drain: boolean };

/** Turns of the event loop that a model takes. */
const mostDelay = 3;

const fate: fc.Arbitrary<Fate> = fc.oneof(
  { weight: 6, arbitrary: fc.constant("answer" as const) },
  { weight: 4, arbitrary: fc.constantFrom("throw", "reject", "busy", "reset", "short", "nan", "hang") },
);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant("embed" as const),
      texts: fc.array(fc.nat(14), { maxLength: 9 }),
      task: fc.constantFrom("query", "document"),
      caller: fc.nat(4),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("abort" as const), caller: fc.nat(4) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("turns" as const), count: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), ms: fc.nat(3_000) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("forget" as const), text: fc.nat(14) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("stop" as const), drain: fc.boolean() }) },
);

const schedule = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 40 }),
  fates: fc.array(fate, { minLength: 1, maxLength: 30 }),
  delays: fc.array(fc.nat(mostDelay), { minLength: 1, maxLength: 10 }),
  symmetric: fc.boolean(),
  shared: fc.boolean(),
  options: fc.record(
    {
      batchSize: fc.integer({ min: 1, max: 8 }),
      concurrency: fc.integer({ min: 1, max: 3 }),
      maxQueue: fc.integer({ min: 1, max: 20 }),
      whenFull: fc.constantFrom("wait" as const, "reject" as const),
      cacheEntries: fc.nat(6),
      maxBatchTokens: fc.integer({ min: 1, max: 20 }),
      maxRetries: fc.nat(2),
    },
    { requiredKeys: [] },
  ),
});

/** A model that meets its fates in turn, and complains when a text is given to it twice at once. */
function fatefulModel(fates: readonly Fate[], delays: readonly number[], symmetric: boolean): ScriptedModel {
  const computing = new Set<string>();
  const script: Script = async (batch, { task, signal }, number) => {
    const keys = batch.map((text) => (symmetric ? text : `${task} ${text}`));
    for (const key of keys) {
      assert.ok(!computing.has(key), "no text is computed twice at once");
      computing.add(key);
    }
    const ended = (): void => {
      for (const key of keys) computing.delete(key);
    };
    signal?.addEventListener("abort", ended, { once: true });
    try {
      for (let i = delays[number % delays.length]!; i > 0; i--) await turn();
      return await meet(fates[number % fates.length]!, batch, signal);
    } finally {
      if (signal?.aborted !== true) ended();
    }
  };
  return new ScriptedModel(
    (batch, call, number) => {
      if (fates[number % fates.length] === "throw") throw new Error("thrown at once");
      return script(batch, call, number);
    },
    { symmetric },
  );
}

async function meet(what: Fate, batch: readonly string[], signal: AbortSignal | undefined) {
  if (what === "reject") throw new Error("rejected");
  if (what === "busy") throw Object.assign(new Error("busy"), { status: 429 });
  if (what === "reset") throw Object.assign(new Error("reset"), { code: "ECONNRESET" });
  if (what === "short") return replyTo(batch.slice(1));
  if (what === "nan") return { vectors: batch.map(() => new Float32Array(4).fill(Number.NaN)) };
  if (what === "hang")
    await new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)));
  return replyTo(batch);
}

function mapCache(): VectorCache & { readonly kept: Map<string, VectorCacheEntry> } {
  const kept = new Map<string, VectorCacheEntry>();
  return {
    kept,
    async getMany(keys) {
      await turn();
      return keys.map((key) => kept.get(key));
    },
    async setMany(entries) {
      for (const entry of entries) kept.set(entry.key, { ...entry, vector: entry.vector?.slice() ?? null });
    },
    deleteMany: (keys) => keys.filter((key) => kept.delete(key)).length,
    stats: () => ({ entries: 0, bytes: 0, maxBytes: 0, evicted: 0, recreated: 0, skippedWrites: 0 }),
    close: () => undefined,
  };
}

describe("whatever the schedule of arrivals, aborts, failures and stops", () => {
  test("everybody is answered, with the vectors of their texts, and no text is computed twice at once", async () => {
    await fc.assert(
      fc.asyncProperty(schedule, async ({ steps, fates, delays, symmetric, shared, options }) => {
        const clock = createManualClock();
        const model = fatefulModel(fates, delays, symmetric);
        const embedder = new BatchEmbedder(model, {
          ...options,
          ...(shared ? { vectorCache: mapCache() } : {}),
          clock,
          timeoutMs: 2_000,
        });
        const callers = Array.from({ length: 5 }, () => new AbortController());
        let open = 0;
        const calls: Promise<unknown>[] = [];
        const watch = (call: Promise<unknown>): void => {
          open++;
          // Handled here at once, reported at the end: a failed assertion must not end the process before.
          const ended = call.finally(() => open--);
          ended.catch(() => undefined);
          calls.push(ended);
        };
        for (const each of steps) {
          if (each.do === "embed") {
            const texts = each.texts.map((n) => "text ".repeat(1 + (n % 4)) + n);
            const { signal } = callers[each.caller]!;
            watch(
              embedder.embedBatch(texts, { task: each.task, signal }).then((vectors) => {
                assert.deepEqual(vectors, texts.map(vectorOf));
              }, acceptable),
            );
          } else if (each.do === "abort") {
            callers[each.caller]!.abort();
            callers[each.caller] = new AbortController();
          } else if (each.do === "turns") for (let i = 0; i < each.count; i++) await turn();
          else if (each.do === "wait") clock.advance(each.ms);
          else if (each.do === "forget") watch(embedder.forget([`text ${each.text}`]));
          else watch(embedder.stopBackgroundProcessor({ drain: each.drain }));
        }
        watch(embedder.close());
        for (let i = 0; i < 500 && open > 0; i++) {
          await turn();
          clock.advance(500);
        }
        assert.equal(open, 0, "nobody waits for ever");
        await Promise.all(calls);
        // A call that was given up is in flight until the model ends it.
        for (let i = 0; i <= mostDelay; i++) await turn();
        const { queueLength, inFlight, queue } = embedder.getStats();
        assert.deepEqual([queueLength, inFlight, queue.waitingCalls], [0, 0, 0]);
      }),
      { numRuns: 200, interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false },
    );
  });
});

/** Errors a caller may see here; an assertion of the model or a defect of the embedder is none of them. */
function acceptable(error: Error & { code?: unknown }): void {
  if (error.name === "AbortError") return;
  assert.ok(!(error.cause instanceof assert.AssertionError), String(error.cause));
  assert.match(
    String(error.code),
    /^(EMBEDDING_FAILED|EMBEDDING_INVALID|EMBEDDING_TIMEOUT|EMBEDDING_RATE_LIMITED|QUEUE_FULL|CLOSED)$/,
    String(error.stack),
  );
}
