import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, type TestContext, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { createManualClock, type ManualClock } from "../testing/manual-clock.ts";
import { BatchEmbedder } from "./batch-embedder.ts";
import type { EmbeddingFunction } from "./model-source.ts";
import { hang, replyTo, type Script, ScriptedModel, vectorOf } from "./scripted-model.fixture.ts";

const texts = (count: number): string[] => Array.from({ length: count }, (_, i) => `text ${i}`);

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await turn();
}

/** Moves the clock on until the promise settles, so that no test waits for a pause. */
async function passing<T>(promise: Promise<T>, clock: ManualClock, stepMs = 50): Promise<T> {
  let settled = false;
  const watched = promise.finally(() => {
    settled = true;
  });
  watched.catch(() => undefined);
  for (let i = 0; i < 10_000; i++) {
    await turn();
    if (settled) break;
    clock.advance(stepMs);
  }
  return watched;
}

function httpError(status: number, headers: Record<string, string> = {}): Error {
  return Object.assign(new Error(`HTTP ${status}`), { status, headers: new Headers(headers) });
}

/** Fails so many calls first. */
function failing(count: number, error: () => Error): Script {
  return (batch, _call, number) => {
    if (number < count) throw error();
    return replyTo(batch);
  };
}

describe("an answer that is wrong", () => {
  const unit = Float32Array.of(1, 0, 0, 0);
  const wrong: readonly (readonly [string, Script])[] = [
    ["too short", () => ({ vectors: [] })],
    ["too long", () => ({ vectors: [unit, unit] })],
    ["of another dimension", () => ({ vectors: [Float32Array.of(1, 0)] })],
    ["not a number", () => ({ vectors: [Float32Array.of(Number.NaN, 0, 0, 0)] })],
    ["infinite", () => ({ vectors: [Float32Array.of(Number.POSITIVE_INFINITY, 0, 0, 0)] })],
    ["no array at all", () => ({ vectors: undefined as never })],
    ["nothing", () => undefined as never],
  ];
  for (const [name, script] of wrong)
    test(`${name} is an error, and nothing of it is cached`, async () => {
      const model = new ScriptedModel(script);
      await using embedder = new BatchEmbedder(model);
      await assert.rejects(embedder.embedText("a"), { name: "StrataError" });
      assert.equal(embedder.getStats().l1.entries, 0);
    });

  test("one vector too few shifts no other", async () => {
    const model = new ScriptedModel((batch) => ({
      vectors: batch.filter((text) => text !== "text 3").map(vectorOf),
    }));
    await using embedder = new BatchEmbedder(model);
    const outcomes = await Promise.allSettled(texts(8).map((text) => embedder.embedText(text)));
    for (const [i, outcome] of outcomes.entries()) {
      if (i === 3) assert.equal(outcome.status === "rejected" && outcome.reason.code, "EMBEDDING_INVALID");
      else assert.deepEqual(outcome.status === "fulfilled" && outcome.value, vectorOf(`text ${i}`));
    }
  });

  test("of another length than 1 is normalised and counted", async () => {
    await using embedder = new BatchEmbedder(() => [[3, 4]]);
    assert.deepEqual(await embedder.embedText("a"), Float32Array.of(0.6, 0.8));
    assert.equal(embedder.getStats().normalized, 1);
  });

  test("of zeros alone is a text in which the model knows nothing", async () => {
    await using embedder = new BatchEmbedder(() => [[0, 0]]);
    assert.equal(await embedder.embedText("a"), null);
    assert.equal(embedder.getStats().unknown, 1);
  });
});

describe("a call that fails", () => {
  test("with 429 is made again after the time the service names", async () => {
    const clock = createManualClock();
    const model = new ScriptedModel(failing(1, () => httpError(429, { "retry-after": "3" })));
    await using embedder = new BatchEmbedder(model, { clock, random: () => 0 });
    const vector = embedder.embedText("a");
    await settle();
    clock.advance(2_999);
    await settle();
    assert.equal(model.calls.length, 1);
    clock.advance(1);
    assert.deepEqual(await vector, vectorOf("a"));
    assert.equal(embedder.getStats().calls.rateLimited, 1);
  });

  test("with 429 holds the other batches back, too", async () => {
    const clock = createManualClock();
    const model = new ScriptedModel(failing(1, () => httpError(429, { "retry-after-ms": "500" })));
    await using embedder = new BatchEmbedder(model, { clock, random: () => 0 });
    const first = embedder.embedText("a");
    await settle();
    const second = embedder.embedText("b");
    await settle();
    assert.equal(model.calls.length, 1);
    await passing(Promise.all([first, second]), clock);
    assert.equal(model.calls.length, 3);
  });

  test("with 429 and a date is made again at that time", async () => {
    const clock = createManualClock();
    const date = new Date(clock.now() + 2_000).toUTCString();
    const model = new ScriptedModel(failing(1, () => httpError(429, { "retry-after": date })));
    await using embedder = new BatchEmbedder(model, { clock, random: () => 0 });
    const vector = embedder.embedText("a");
    await settle();
    clock.advance(1_999);
    await settle();
    assert.equal(model.calls.length, 1);
    clock.advance(1);
    await vector;
  });

  test("with 429 and an hour to wait is given up at once", async () => {
    const model = new ScriptedModel(failing(1, () => httpError(429, { "retry-after": "3600" })));
    await using embedder = new BatchEmbedder(model);
    await assert.rejects(embedder.embedText("a"), { code: "EMBEDDING_RATE_LIMITED" });
    assert.equal(model.calls.length, 1);
  });

  for (const [name, error] of [
    ["429 without a time", () => httpError(429)],
    ["500", () => httpError(500)],
    ["503", () => httpError(503)],
    [
      "a reset connection",
      () => new TypeError("terminated", { cause: Object.assign(new Error("reset"), { code: "ECONNRESET" }) }),
    ],
  ] as const)
    test(`with ${name} is made again after a pause with jitter`, async () => {
      const clock = createManualClock();
      const model = new ScriptedModel(failing(2, error));
      await using embedder = new BatchEmbedder(model, { clock, random: () => 0.5 });
      assert.deepEqual(await passing(embedder.embedText("a"), clock), vectorOf("a"));
      assert.deepEqual([model.calls.length, embedder.getStats().calls.retries], [3, 2]);
      assert.ok(clock.monotonic() >= 300);
    });

  test("again and again is given up after maxRetries", async () => {
    const clock = createManualClock();
    const model = new ScriptedModel(failing(99, () => httpError(503)));
    await using embedder = new BatchEmbedder(model, { clock, maxRetries: 2 });
    await assert.rejects(passing(embedder.embedText("a"), clock), {
      code: "EMBEDDING_FAILED",
      details: { status: 503, index: 0 },
    });
    assert.equal(model.calls.length, 3);
  });

  test("for its key is neither made again nor halved", async () => {
    const model = new ScriptedModel(failing(99, () => httpError(401)));
    await using embedder = new BatchEmbedder(model);
    await assert.rejects(embedder.embedBatch(texts(8)), { code: "EMBEDDING_FAILED" });
    assert.equal(model.calls.length, 1);
  });

  test("by never ending is aborted at its deadline", async () => {
    const clock = createManualClock();
    let aborted = 0;
    const model = new ScriptedModel((_batch, { signal }) => {
      signal?.addEventListener("abort", () => aborted++);
      // Not even the signal ends it.
      return new Promise(() => undefined);
    });
    await using embedder = new BatchEmbedder(model, { clock, timeoutMs: 1_000, maxRetries: 1 });
    await assert.rejects(passing(embedder.embedText("a"), clock), { code: "EMBEDDING_TIMEOUT" });
    assert.deepEqual([aborted, embedder.getStats().calls.timeouts], [2, 2]);
  });

  test("by throwing before it returns a promise is an error like any other", async () => {
    const model = new ScriptedModel(() => {
      throw new Error("not ready");
    });
    await using embedder = new BatchEmbedder(model);
    await assert.rejects(embedder.embedText("a"), (error: Error & { code: string }) => {
      assert.equal(error.code, "EMBEDDING_FAILED");
      assert.equal((error.cause as Error).message, "not ready");
      return true;
    });
  });

  test("leaves no trace: the same text is tried anew", async () => {
    const model = new ScriptedModel(failing(1, () => new Error("once")));
    await using embedder = new BatchEmbedder(model);
    await assert.rejects(embedder.embedText("a"));
    assert.deepEqual(await embedder.embedText("a"), vectorOf("a"));
  });

  test("never tells the text in its message", async () => {
    const model = new ScriptedModel(failing(99, () => new Error("unhappy")));
    await using embedder = new BatchEmbedder(model);
    await assert.rejects(
      embedder.embedText("my secret"),
      (error: Error) => !error.message.includes("secret"),
    );
  });
});

describe("a text that fails its batch", () => {
  const poisoned: Script = (batch) => {
    if (batch.some((text) => text.startsWith("bad"))) throw httpError(400);
    return replyTo(batch);
  };

  test("stands alone with its error among 64", async () => {
    for (const place of [0, 31, 63]) {
      const model = new ScriptedModel(poisoned);
      await using embedder = new BatchEmbedder(model, { batchSize: 64 });
      const asked = texts(64).with(place, "bad");
      const outcomes = await Promise.allSettled(asked.map((text) => embedder.embedText(text)));
      for (const [i, outcome] of outcomes.entries()) {
        if (i === place)
          assert.equal(outcome.status === "rejected" && outcome.reason.code, "EMBEDDING_FAILED");
        else assert.deepEqual(outcome.status === "fulfilled" && outcome.value, vectorOf(`text ${i}`));
      }
      assert.ok(model.calls.length <= 13, `${model.calls.length} calls`);
    }
  });

  test("names its place to the caller, whose other texts are cached", async () => {
    const model = new ScriptedModel(poisoned);
    await using embedder = new BatchEmbedder(model);
    await assert.rejects(embedder.embedBatch(["a", "b", "bad", "c"]), { details: { status: 400, index: 2 } });
    const calls = model.calls.length;
    await embedder.embedBatch(["a", "b", "c"]);
    assert.equal(model.calls.length, calls);
  });

  test("is found with others that fail", async () => {
    await using embedder = new BatchEmbedder(new ScriptedModel(poisoned), { batchSize: 64 });
    const asked = texts(64).with(0, "bad 0").with(1, "bad 1").with(40, "bad 40");
    const outcomes = await Promise.allSettled(asked.map((text) => embedder.embedText(text)));
    const failed = outcomes.flatMap((outcome, i) => (outcome.status === "rejected" ? [i] : []));
    assert.deepEqual(failed, [0, 1, 40]);
  });

  test("is not looked for without end when everything fails", async () => {
    const model = new ScriptedModel(failing(999, () => new Error("broken model")));
    await using embedder = new BatchEmbedder(model, { batchSize: 64 });
    await Promise.allSettled(texts(64).map((text) => embedder.embedText(text)));
    assert.ok(model.calls.length < 40, `${model.calls.length} calls`);
  });

  test("with a vector that is not a number fails alone, in one call", async () => {
    const model = new ScriptedModel((batch) => ({
      vectors: batch.map((text) => (text === "bad" ? new Float32Array(4).fill(Number.NaN) : vectorOf(text))),
    }));
    await using embedder = new BatchEmbedder(model);
    const outcomes = await Promise.allSettled(["a", "bad", "b"].map((text) => embedder.embedText(text)));
    assert.deepEqual(
      outcomes.map((outcome) => outcome.status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.equal(model.calls.length, 1);
  });
});

describe("callers who leave", () => {
  test("one of many detaches that one alone", async () => {
    let release = (): void => undefined;
    let aborted = false;
    const model = new ScriptedModel(async (batch, { signal }) => {
      signal?.addEventListener("abort", () => {
        aborted = true;
      });
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      return replyTo(batch);
    });
    await using embedder = new BatchEmbedder(model);
    const leaving = new AbortController();
    const left = embedder.embedText("a", { signal: leaving.signal });
    const stayed = embedder.embedText("a");
    await settle();
    leaving.abort(new Error("left"));
    await assert.rejects(left, /left/);
    release();
    assert.deepEqual(await stayed, vectorOf("a"));
    assert.equal(aborted, false);
  });

  test("all of them end the model's work, and a newcomer starts it anew", async () => {
    let aborted = 0;
    const model = new ScriptedModel((batch, { signal }, number) => {
      signal?.addEventListener("abort", () => aborted++);
      return number === 0 ? hang(signal) : replyTo(batch);
    });
    await using embedder = new BatchEmbedder(model);
    const leaving = new AbortController();
    const left = Promise.allSettled(
      ["a", "a", "b"].map((text) => embedder.embedText(text, { signal: leaving.signal })),
    );
    await settle();
    leaving.abort();
    const newcomer = embedder.embedText("a");
    assert.ok((await left).every((outcome) => outcome.status === "rejected"));
    assert.deepEqual(await newcomer, vectorOf("a"));
    assert.equal(aborted, 1);
  });

  test("take their queued texts with them", async () => {
    let release = (): void => undefined;
    const model = new ScriptedModel(async (batch, _call, number) => {
      if (number === 0)
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      return replyTo(batch);
    });
    await using embedder = new BatchEmbedder(model, { concurrency: 1 });
    const first = embedder.embedText("first");
    await settle();
    const leaving = new AbortController();
    const left = embedder.embedBatch(["a", "b"], { signal: leaving.signal });
    const stayed = embedder.embedText("b");
    await settle();
    leaving.abort();
    await assert.rejects(left);
    assert.equal(embedder.getStats().queueLength, 1);
    release();
    await Promise.all([first, stayed]);
    assert.deepEqual(model.texts, ["first", "b"]);
  });
});

test("a call that is due again when the embedder is stopped is not made any more", async () => {
  const clock = createManualClock();
  const model = new ScriptedModel(failing(1, () => httpError(503)));
  await using embedder = new BatchEmbedder(model, { clock });
  const lost = assert.rejects(embedder.embedText("a"));
  await settle();
  assert.equal(model.calls.length, 1);
  // Its time has come, and before it goes on it is called off.
  clock.advance(60_000);
  await embedder.stopBackgroundProcessor({ drain: false });
  await lost;
  await settle();
  assert.equal(model.calls.length, 1);
  assert.deepEqual(await embedder.embedText("a"), vectorOf("a"));
});

test("a closed embedder holds no process, whatever its callers left with the model", async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  const model = new ScriptedModel((batch, { signal }) =>
    batch.includes("bad") ? Promise.reject(httpError(400)) : hang(signal),
  );
  const embedder = new BatchEmbedder(model, { batchSize: 1 });
  await assert.rejects(embedder.embedBatch(["hangs", "bad"]));
  await embedder.close();
  assert.equal(timers(), before);
});

describe("an embedder in front of an HTTP service", () => {
  async function serve(context: TestContext, listener: RequestListener): Promise<EmbeddingFunction> {
    const server = createServer(listener).listen(0, "127.0.0.1");
    await once(server, "listening");
    context.after(() => {
      server.closeAllConnections();
      server.close();
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return async (batch, { signal }) => {
      const response = await fetch(url, {
        method: "POST",
        body: JSON.stringify(batch),
        signal: signal ?? null,
      });
      if (!response.ok)
        throw Object.assign(new Error("refused"), { status: response.status, headers: response.headers });
      return (await response.json()) as number[][];
    };
  }

  test("comes through a connection that is reset in the middle of an answer", async (context) => {
    let requests = 0;
    const embed = await serve(context, (_request, response) => {
      if (requests++ > 0) {
        response.end("[[1, 0]]");
        return;
      }
      response.writeHead(200, { "content-length": "1000" });
      response.write("[[1,", () => response.socket?.destroy());
    });
    await using embedder = new BatchEmbedder(embed, { random: () => 0 });
    assert.deepEqual(await embedder.embedText("a"), Float32Array.of(1, 0));
    assert.equal(requests, 2);
  });

  test("comes through a refusal of rate", async (context) => {
    let requests = 0;
    const embed = await serve(context, (_request, response) => {
      if (requests++ === 0) response.writeHead(429, { "retry-after": "0" });
      response.end("[[1, 0]]");
    });
    await using embedder = new BatchEmbedder(embed, { random: () => 0 });
    assert.deepEqual(await embedder.embedText("a"), Float32Array.of(1, 0));
    assert.equal(embedder.getStats().calls.rateLimited, 1);
  });
});
