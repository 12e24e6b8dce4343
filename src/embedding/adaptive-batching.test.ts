import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AdaptiveBatching } from "./adaptive-batching.ts";
import { type BatchLimits, BatchScheduler, type QueueItem } from "./batch-scheduler.ts";

/** A batch with the model, as a provider sees it. */
interface Call {
  readonly texts: number;
  /** Of the longest text. */
  readonly longest: number;
  readonly tokens: number;
  /** Batches with the model, this one included. */
  readonly concurrent: number;
  readonly at: number;
  /** Calls before this one. */
  readonly number: number;
}

type Provider = (call: Call) => number;

interface Simulation {
  readonly latencyTargetMs?: number;
  readonly max?: BatchLimits;
  readonly provider: () => Provider;
}

/** Batches the controller is given to find its setting, and batches by which a fixed setting is judged. */
const adaptingBatches = 3_000;
const judgedBatches = 96;

/** Small, seeded, uniform: Park and Miller's minimal standard generator. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** Runs the real scheduler against a provider in simulated time, always with more texts than can leave. */
class Run {
  #now = 0;
  #calls: number;
  readonly #random = randomFrom(42);
  readonly #scheduler: BatchScheduler<QueueItem>;
  readonly #provider: Provider;
  readonly #adaptive: AdaptiveBatching | undefined;
  readonly #flying: {
    readonly departedAt: number;
    readonly answeredAt: number;
    readonly texts: number;
    readonly tokens: number;
    readonly saturated: boolean;
  }[] = [];

  constructor(limits: BatchLimits, provider: Provider, calls: number, adaptive?: AdaptiveBatching) {
    this.#calls = calls;
    this.#scheduler = new BatchScheduler({ ...limits, maxBatchTokens: 1e9, maxWaitMs: 0 });
    this.#provider = provider;
    this.#adaptive = adaptive;
  }

  /** @returns Tokens per second and p95 of the next so many batches. */
  advance(batches: number): { rate: number; p95Ms: number } {
    const startedAt = this.#now;
    const durations: number[] = [];
    let work = 0;
    while (durations.length < batches) {
      this.#depart();
      const next = this.#flying.sort((a, b) => b.answeredAt - a.answeredAt).pop()!;
      this.#now = next.answeredAt;
      this.#scheduler.finish();
      durations.push(next.answeredAt - next.departedAt);
      work += next.tokens;
      if (this.#adaptive === undefined) continue;
      this.#adaptive.observe(next);
      this.#scheduler.setLimits(this.#adaptive.limits);
    }
    durations.sort((a, b) => a - b);
    return {
      rate: (1000 * work) / (this.#now - startedAt),
      p95Ms: durations[Math.ceil(0.95 * durations.length) - 1]!,
    };
  }

  #depart(): void {
    for (;;) {
      while (this.#scheduler.queued < 1_024) this.#scheduler.add(this.#newText());
      const next = this.#scheduler.take(this.#now);
      if (typeof next !== "object") return;
      let tokens = 0;
      let longest = 0;
      for (const item of next.items) {
        tokens += item.tokens;
        longest = Math.max(longest, item.tokens);
      }
      const concurrent = this.#scheduler.inFlight;
      const call = {
        texts: next.items.length,
        longest,
        tokens,
        concurrent,
        at: this.#now,
        number: this.#calls++,
      };
      const answeredAt = this.#now + this.#provider(call);
      this.#flying.push({
        departedAt: this.#now,
        answeredAt,
        texts: next.items.length,
        tokens,
        saturated: next.saturated,
      });
    }
  }

  #newText(): QueueItem {
    return { task: "document", tokens: 8 + Math.floor(56 * this.#random()), queuedAt: this.#now };
  }
}

const sizes = [1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];
const slots = [1, 2, 3, 4, 6, 8, 12, 16];
const greatest = { batchSize: 256, concurrency: 16 };

/** Rate of the best fixed setting that holds the target, once the controller has had its time. */
function sweep(simulation: Simulation): number {
  const { latencyTargetMs = 100, max = greatest } = simulation;
  let best = 0;
  for (const batchSize of sizes.filter((size) => size <= max.batchSize)) {
    for (const concurrency of slots.filter((count) => count <= max.concurrency)) {
      const run = new Run({ batchSize, concurrency }, simulation.provider(), adaptingBatches);
      const { rate, p95Ms } = run.advance(judgedBatches);
      if (p95Ms <= latencyTargetMs && rate > best) best = rate;
    }
  }
  return best;
}

/** Rate of the controller's last setting, judged as the fixed ones are. */
function adapted(simulation: Simulation): { rate: number; p95Ms: number; state: AdaptiveBatching["state"] } {
  const { latencyTargetMs = 100, max = greatest } = simulation;
  const start = { batchSize: 32, concurrency: Math.min(4, max.concurrency) };
  const adaptive = new AdaptiveBatching({ start, max, latencyTargetMs });
  new Run(start, simulation.provider(), 0, adaptive).advance(adaptingBatches);
  const { state } = adaptive;
  return { ...new Run(state, simulation.provider(), adaptingBatches).advance(judgedBatches), state };
}

function assertNearBest(simulation: Simulation): void {
  const best = sweep(simulation);
  const { rate, p95Ms, state } = adapted(simulation);
  const told = `${Math.round(rate)} of ${Math.round(best)} tokens/s at ${JSON.stringify(state)}`;
  assert.ok(best > 0, "some fixed setting holds the target");
  assert.ok(rate >= 0.9 * best, told);
  assert.ok(p95Ms <= 1.05 * (simulation.latencyTargetMs ?? 100), `p95 ${p95Ms} ms, ${told}`);
}

describe("adaptive batching ends within a tenth of the best fixed setting", () => {
  test("when a call has a fixed cost and each text a small one", () => {
    assertNearBest({ provider: () => (call) => 30 + 0.2 * call.texts });
  });

  test("when each text costs much and a call little, on one core", () => {
    assertNearBest({
      max: { batchSize: 256, concurrency: 2 },
      provider: () => (call) => (1 + 4 * call.texts) * call.concurrent,
    });
  });

  test("when padding is computed", () => {
    assertNearBest({
      max: { batchSize: 256, concurrency: 1 },
      provider: () => (call) => 2 + 0.03 * call.longest * call.texts,
    });
  });

  test("when padding is computed and long calls fall out of the processor's cache", () => {
    assertNearBest({
      max: { batchSize: 256, concurrency: 1 },
      provider: () => (call) => {
        const padded = call.longest * call.texts;
        return 1 + 0.02 * padded * (padded > 1_000 ? 1.6 : 1);
      },
    });
  });

  test("when the provider answers twenty calls a second and makes the others wait", () => {
    assertNearBest({
      latencyTargetMs: 400,
      provider: () => {
        let free = 0;
        return (call) => {
          free = Math.max(free + 50, call.at);
          return free - call.at + 30 + 0.2 * call.texts;
        };
      },
    });
  });

  test("when the provider answers twenty thousand tokens a second and makes the others wait", () => {
    assertNearBest({
      latencyTargetMs: 400,
      provider: () => {
        let free = 0;
        return (call) => {
          free = Math.max(free, call.at) + call.tokens / 20;
          return free - call.at + 30;
        };
      },
    });
  });

  test("when the cost changes midway from calls to texts", () => {
    assertNearBest({
      provider: () => (call) =>
        call.number < adaptingBatches / 2
          ? 30 + 0.2 * call.texts
          : (2 + 1.5 * call.texts) * call.concurrent ** 0.5,
    });
  });

  test("when the cost changes midway from texts to calls", () => {
    assertNearBest({
      provider: () => (call) =>
        call.number < adaptingBatches / 2 ? (2 + 1.5 * call.texts) * call.concurrent : 30 + 0.2 * call.texts,
    });
  });

  test("when times scatter by a fifth", () => {
    assertNearBest({
      latencyTargetMs: 120,
      provider: () => {
        const random = randomFrom(7);
        return (call) => (30 + 0.5 * call.texts) * (0.9 + 0.2 * random());
      },
    });
  });
});

describe("adaptive batching", () => {
  test("says so when no setting holds the target, and does not crawl", () => {
    const { state, rate } = adapted({
      latencyTargetMs: 20,
      provider: () => (call) => 150 + 0.2 * call.texts,
    });
    assert.equal(state.targetMet, false);
    assert.ok(rate > 50_000, `${rate} tokens/s at ${JSON.stringify(state)}`);
  });

  test("tries nothing while callers bring less than could leave", () => {
    const start = { batchSize: 32, concurrency: 4 };
    const adaptive = new AdaptiveBatching({
      start,
      max: { batchSize: 256, concurrency: 16 },
      latencyTargetMs: 100,
    });
    for (let at = 0; at < 10_000; at += 40)
      adaptive.observe({ departedAt: at, answeredAt: at + 30, texts: 1, tokens: 5, saturated: false });
    assert.deepEqual({ ...adaptive.limits }, start);
  });

  test("never leaves its bounds", () => {
    const max = { batchSize: 20, concurrency: 3 };
    const adaptive = new AdaptiveBatching({
      start: { batchSize: 8, concurrency: 2 },
      max,
      latencyTargetMs: 100,
    });
    const random = randomFrom(3);
    for (let at = 0; at < 20_000; at += 10) {
      adaptive.observe({
        departedAt: at,
        answeredAt: at + 200 * random(),
        texts: 8,
        tokens: 100,
        saturated: true,
      });
      const { batchSize, concurrency } = adaptive.limits;
      assert.ok(batchSize >= 1 && batchSize <= max.batchSize);
      assert.ok(concurrency >= 1 && concurrency <= max.concurrency);
    }
  });
});
