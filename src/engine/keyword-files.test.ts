import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import type { Embedder } from "../contract/embedding-model.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import type { Recall, RecallOptions } from "../contract/recall.ts";
import { createAnalyzer } from "../retrieval/analyzer.ts";
import { Retriever } from "../retrieval/retriever.ts";
import { createInMemoryStore } from "../storage/in-memory/in-memory-store.ts";
import { openSqliteStore } from "../storage/sqlite/sqlite-store.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { hashOf, sampleEntry } from "../testing/store-samples.ts";

const analyzer = createAnalyzer();
const home = { namespace: "home" };
const folder = mkdtempSync(join(tmpdir(), "strata-keyword-files-"));
const embedder: Embedder = {
  model: { id: "fake", dimensions: 4 },
  embed: async (texts) => ({ vectors: texts.map((text) => Float32Array.from(vectorOf(text))) }),
};
const questions: readonly [string, RecallOptions][] = [
  ["river boat w7 w8 w9 w10 w11 w12", {}],
  ["what did Ada say of w3?", { limit: 30 }],
  ["the boat", { tags: ["odd"] }],
  ["w1 w2 w3", { minScore: 0.2, mode: "keyword" }],
  ["boat", { speaker: "Ben", limit: 40 }],
  ['"boat on the river"', {}],
  ['"w5 boat" w1*', { limit: 25 }],
];

after(() => rmSync(folder, { recursive: true }));

function vectorOf(text: string): number[] {
  let state = 7;
  for (const character of text) state = (state * 31 + character.charCodeAt(0)) % 65_521;
  const values = [state % 7, state % 11, state % 13, 1];
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}

function entryOf(number: number) {
  const content = `w${number % 40} boat on the river w${number % 13} ${number % 3 === 0 ? "secretword" : ""}`;
  return sampleEntry(`m${number}`, {
    content,
    contentHash: hashOf(content),
    tags: number % 2 === 1 ? ["odd"] : [],
    vector: { model: "fake", values: Float32Array.from(vectorOf(content)) },
    ...(number % 4 === 0 && {
      thread: `t${number % 3}`,
      speaker: number % 8 === 0 ? "Ada" : "Ben",
      at: number,
    }),
  });
}

async function answers(from: Retriever): Promise<unknown> {
  const said = ({ hits, explanation }: Recall): unknown => [
    hits,
    { ...explanation, path: 0, stages: 0, request: 0 },
  ];
  const found = questions.flatMap(([words, options]) => [
    from.recall(home, words, { ...options, explain: true }).then(said),
    from.search(home, words, { ...options, explain: true }).then(said),
  ]);
  return Promise.all(found);
}

for (const [driver, open] of [
  ["SQLite", () => openSqliteStore(join(folder, "memory.db"), { clock: createManualClock() })],
  ["in-memory", async () => createInMemoryStore({ clock: createManualClock() })],
] satisfies [string, () => Promise<MemoryStore>][]) {
  suite(`words in files over the ${driver} store`, () => {
    test("answers stay those of an index in memory while memories come, change and leave; nothing erased stays on disk", async () => {
      const store = await open();
      const indexes = join(folder, `${driver}-index`);
      const given = { store, embedder, analyzer, clock: createManualClock() };
      const inMemory = new Retriever(given);
      const inFiles = new Retriever({ ...given, maxIndexBytes: 1, snapshotFolder: indexes });
      const same = async (): Promise<void> =>
        assert.deepEqual(await answers(inFiles), await answers(inMemory));
      for (let from = 0; from < 900; from += 300) {
        await store.add(
          home,
          Array.from({ length: 300 }, (_, i) => entryOf(from + i)),
        );
        await same();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      await same();
      assert.equal(inFiles.stats().indexesOnDisk, 1);
      for (let number = 0; number < 60; number += 5) {
        const text = `a changed boat w${number}`;
        await store.update(home, `m${number}`, { content: { text, hash: hashOf(text), vector: null } });
        await store.update(home, `m${number + 4}`, { thread: "t1", at: number });
      }
      await same();
      await store.forget(home, { ids: Array.from({ length: 50 }, (_, i) => `m${100 + i}`) });
      await same();
      await Promise.all([inMemory, inFiles].map((each) => each.forgetSnapshots(home)));
      await store.forget(home, { tags: ["odd"] }, { erase: true });
      await same();
      for (const file of readdirSync(indexes))
        assert.ok(!readFileSync(join(indexes, file)).includes("secretword"), file);
      await Promise.all([inMemory.close(), inFiles.close(), store.close()]);
    });
  });
}
