import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { inspect } from "node:util";
import { APICallError, type EmbeddingModelV4 } from "@ai-sdk/provider";
import { embed, embedMany } from "ai";
import type { EmbedCall, Embedder } from "../contract/embedding-model.ts";
import { fromAiSdk, toAiSdk } from "./ai-sdk.ts";

const document = { task: "document" } as const;

/** A model as a provider package of the SDK would bring it. */
function provided(overrides: Partial<EmbeddingModelV4> = {}): EmbeddingModelV4 {
  return {
    specificationVersion: "v4",
    provider: "acme",
    modelId: "words-1",
    maxEmbeddingsPerCall: 4,
    supportsParallelCalls: true,
    async doEmbed({ values }) {
      const embeddings = values.map((text) => [text.length, 1]);
      return { embeddings, usage: { tokens: values.length }, warnings: [] };
    },
    ...overrides,
  };
}

/** An embedder that keeps what it was asked. */
function recording(): Embedder & { readonly calls: EmbedCall[] } {
  const calls: EmbedCall[] = [];
  return {
    calls,
    model: { id: "builtin/x", dimensions: 2 },
    async embed(texts, call) {
      calls.push(call);
      const vectors = texts.map((text) => (text === "?" ? null : Float32Array.of(text.length, 1)));
      return { vectors, tokens: texts.length };
    },
  };
}

suite("an AI SDK model in Strata", () => {
  test("gives its vectors, tokens, name and limits", async () => {
    const model = await fromAiSdk(provided());
    const { vectors, tokens } = await model.doEmbed(["tea", "a"], document);
    assert.deepEqual(vectors, [Float32Array.of(3, 1), Float32Array.of(1, 1)]);
    assert.equal(tokens, 2);
    assert.equal(model.id, "acme/words-1");
    assert.equal(model.maxBatchSize, 4);
    assert.equal(model.maxConcurrency, undefined);
  });

  test("limits that are promised, unknown or endless are understood", async () => {
    const promised = await fromAiSdk(
      provided({
        maxEmbeddingsPerCall: Promise.resolve(8),
        supportsParallelCalls: Promise.resolve(false),
      }),
    );
    assert.equal(promised.maxBatchSize, 8);
    assert.equal(promised.maxConcurrency, 1);
    for (const maxEmbeddingsPerCall of [undefined, Number.POSITIVE_INFINITY])
      assert.equal((await fromAiSdk(provided({ maxEmbeddingsPerCall }))).maxBatchSize, 256);
  });

  test("an abort reaches the provider and is told with its reason", async () => {
    const model = await fromAiSdk(
      provided({
        doEmbed: ({ abortSignal }) =>
          new Promise((_, reject) => abortSignal?.addEventListener("abort", () => reject(new Error("wire")))),
      }),
    );
    const stop = new AbortController();
    const call = model.doEmbed(["tea"], { ...document, signal: stop.signal });
    stop.abort(new Error("enough"));
    await assert.rejects(async () => call, /enough/);
  });

  test("a refusal keeps its status and wait, and loses the texts the SDK put into it", async () => {
    const model = await fromAiSdk(
      provided({
        async doEmbed({ values }) {
          throw new APICallError({
            message: `refused: ${values[0]}`,
            url: "https://example.com/v1/embeddings",
            requestBodyValues: { input: values },
            statusCode: 429,
            responseHeaders: { "retry-after": "3" },
            responseBody: `you said ${values[0]}`,
          });
        },
      }),
    );
    await assert.rejects(
      async () => model.doEmbed(["a private diary"], document),
      (error: Error) => {
        assert.equal(Reflect.get(error, "status"), 429);
        assert.deepEqual(Reflect.get(error, "headers"), { "retry-after": "3" });
        return !inspect(error, { depth: 9 }).includes("diary");
      },
    );
  });

  test("a name where a model belongs is refused", async () => {
    for (const source of ["openai/text-embedding-3-small", null, undefined])
      await assert.rejects(fromAiSdk(source as never), { code: "INVALID_ARGUMENT" });
  });
});

suite("an embedder of Strata in the AI SDK", () => {
  test("answers embed and embedMany", async () => {
    const model: EmbeddingModelV4 = toAiSdk(recording());
    const { embeddings, usage } = await embedMany({ model, values: ["tea", "a"] });
    assert.deepEqual(embeddings, [
      [3, 1],
      [1, 1],
    ]);
    assert.equal(usage.tokens, 2);
    assert.deepEqual((await embed({ model, value: "tea" })).embedding, [3, 1]);
  });

  test("a call says what its vectors are for", async () => {
    const embedder = recording();
    await embedMany({ model: toAiSdk(embedder), values: ["tea"] });
    await embed({
      model: toAiSdk(embedder),
      value: "tea?",
      providerOptions: { strata: { task: "query" } },
    });
    await embed({ model: toAiSdk(embedder, "query"), value: "tea?" });
    assert.deepEqual(
      embedder.calls.map(({ task }) => task),
      ["document", "query", "query"],
    );
    await assert.rejects(
      toAiSdk(embedder).doEmbed({ values: ["a"], providerOptions: { strata: { task: "search" } } }),
      { code: "INVALID_ARGUMENT" },
    );
  });

  test("a text in which the model knows nothing gets zeros", async () => {
    const { embeddings } = await embedMany({ model: toAiSdk(recording()), values: ["?", "a"] });
    assert.deepEqual(embeddings[0], [0, 0]);
  });

  test("there and back again is the same vector", async () => {
    const model = await fromAiSdk(toAiSdk(recording()));
    assert.deepEqual((await model.doEmbed(["tea"], document)).vectors, [Float32Array.of(3, 1)]);
  });
});
