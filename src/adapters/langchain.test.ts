import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { EmbeddingsInterface } from "@langchain/core/embeddings";
import { SyntheticEmbeddings } from "@langchain/core/utils/testing";
import type { Embedder } from "../contract/embedding-model.ts";
import { fromLangChain, toLangChain } from "./langchain.ts";

/** Says in its vectors what it was asked for. */
const telling: EmbeddingsInterface = {
  embedDocuments: async (documents) => documents.map((text) => [text.length, 0]),
  embedQuery: async (text) => [text.length, 1],
};

const embedder: Embedder = {
  model: { id: "builtin/x", dimensions: 2 },
  async embed(texts, { task }) {
    const kind = task === "query" ? 1 : 0;
    return { vectors: texts.map((text) => (text === "?" ? null : Float32Array.of(text.length, kind))) };
  },
};

suite("LangChain embeddings in Strata", () => {
  test("a class of LangChain is a model", async () => {
    const source = new SyntheticEmbeddings({ vectorSize: 3 });
    const model = fromLangChain(source, { id: "synthetic", dimensions: 3 });
    const { vectors } = await model.doEmbed(["tea", "cake"], { task: "document" });
    assert.deepEqual(
      vectors,
      (await source.embedDocuments(["tea", "cake"])).map((numbers) => Float32Array.from(numbers)),
    );
  });

  test("questions and documents go their own ways, unless they are embedded alike", async () => {
    const model = fromLangChain(telling, { id: "telling" });
    const query = await model.doEmbed(["tea", "a"], { task: "query" });
    assert.deepEqual(query.vectors, [Float32Array.of(3, 1), Float32Array.of(1, 1)]);
    const documents = await model.doEmbed(["tea"], { task: "document" });
    assert.deepEqual(documents.vectors, [Float32Array.of(3, 0)]);
    assert.equal(model.symmetric, false);
    const alike = fromLangChain(telling, { id: "telling", symmetric: true });
    assert.deepEqual((await alike.doEmbed(["tea"], { task: "query" })).vectors, [Float32Array.of(3, 0)]);
  });

  test("what was aborted is not answered", async () => {
    const model = fromLangChain(telling, { id: "telling" });
    const stop = new AbortController();
    const call = model.doEmbed(["tea"], { task: "document", signal: stop.signal });
    stop.abort(new Error("enough"));
    await assert.rejects(async () => call, /enough/);
  });

  test("what is no embeddings object, or has no name, is refused", () => {
    assert.throws(() => fromLangChain({} as never, { id: "x" }), { code: "INVALID_ARGUMENT" });
    assert.throws(() => fromLangChain(telling, { id: "" }), { code: "INVALID_ARGUMENT" });
    assert.throws(() => fromLangChain(telling, undefined as never), { code: "INVALID_ARGUMENT" });
  });
});

suite("an embedder of Strata in LangChain", () => {
  test("embeds documents and questions, each for its task", async () => {
    const embeddings: EmbeddingsInterface = toLangChain(embedder);
    assert.deepEqual(await embeddings.embedDocuments(["tea", "a"]), [
      [3, 0],
      [1, 0],
    ]);
    assert.deepEqual(await embeddings.embedQuery("tea"), [3, 1]);
  });

  test("a text in which the model knows nothing gets zeros", async () => {
    assert.deepEqual(await toLangChain(embedder).embedQuery("?"), [0, 0]);
  });
});
