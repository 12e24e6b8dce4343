import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createAnalyzer } from "./analyzer.ts";
import { FakeStore } from "./fake-store.ts";
import { Retriever } from "./retriever.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");
const dimensions = 256;

/** Bytes that the process holds: in the engine's heap, in arrays, and in WebAssembly's memory, which grows in large steps. */
async function held(): Promise<{ readonly objects: number; readonly all: number }> {
  // Indexes are tended, and what was awaited is let go; a second time, since what is compiled meanwhile is not theirs.
  for (let turn = 0; turn < 40; turn++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (turn % 20 === 19) for (const _ of [1, 2]) collectGarbage();
  }
  const { heapUsed, arrayBuffers, external } = process.memoryUsage();
  return { objects: heapUsed + arrayBuffers, all: heapUsed + external };
}

/** A store of namespaces of so many memories each, all texts and vectors made as they are read. */
function setUp(memories: number, maxIndexBytes: number): Retriever {
  const analyzer = createAnalyzer();
  const store = new FakeStore();
  const vector = new Float16Array(dimensions).fill(1 / 16);
  const words = Array.from({ length: 3_000 }, (_, i) => `word${i}`);
  store.changes = async ({ namespace }) => {
    const seed = Number(namespace);
    const rows = Array.from({ length: memories }, (_, i) => ({
      row: i + 1,
      id: `m${i}`,
      content: Array.from(
        { length: 16 },
        (_, j) => words[(seed * 31 + i * 17 + j * j * 101) % words.length],
      ).join(" "),
      tier: "semantic" as const,
      createdAt: 0,
      importance: 0.5,
      pinned: false,
      tags: [],
      model: "fake",
      vector: new Float16Array(vector),
    }));
    return { rows, removed: [], cursor: "1", more: false };
  };
  store.generation = async () => "1";
  const embedder = {
    model: { id: "fake", dimensions },
    embed: async () => ({ vectors: [new Float32Array(dimensions).fill(1 / 16)] }),
  };
  return new Retriever({ store: store.port, embedder, analyzer, maxIndexBytes });
}

async function ask(retriever: Retriever, from: number, to: number): Promise<void> {
  for (let namespace = from; namespace < to; namespace++) {
    await retriever.recall({ namespace: `${namespace}` }, `word${namespace % 3_000} and word7`);
  }
}

suite("the memory of indexes", () => {
  for (const memories of [1, 10, 100]) {
    test(`is what they say they take, with ${memories} memories in a namespace`, async () => {
      const namespaces = 500;
      const retriever = setUp(memories, 2 ** 30);
      await ask(retriever, 0, 200);
      const [before, saidBefore] = [await held(), retriever.stats().indexBytes];
      await ask(retriever, 200, 200 + namespaces);
      const objects = ((await held()).objects - before.objects) / namespaces;
      const said = (retriever.stats().indexBytes - saidBefore) / namespaces;
      // Vectors lie in WebAssembly's memory, one more row than there are for their alignment.
      const vectors = (memories + 1) * dimensions * 2 + memories;
      const off = Math.abs(said - vectors - objects);
      assert.ok(off < 2_048 + objects * 0.1, `${said - vectors} said, ${objects} held`);
      assert.equal(retriever.stats().droppedIndexes, 0);
      await retriever.close();
    });
  }

  test("stays within its bound, however many namespaces come and go", async () => {
    const bound = 8 * 2 ** 20;
    const retriever = setUp(100, bound);
    const before = await held();
    await ask(retriever, 0, 1_200);
    const all = (await held()).all - before.all;
    const { indexBytes, droppedIndexes, namespaces } = retriever.stats();
    assert.ok(indexBytes <= bound && namespaces > 20 && droppedIndexes + namespaces === 1_200);
    // Beside it, WebAssembly's memory grows eight megabytes at a time and is never given back.
    assert.ok(all < bound * 1.5 + 8 * 2 ** 20, `${all} held`);
    await retriever.close();
  });
});
