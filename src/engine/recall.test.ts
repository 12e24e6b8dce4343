import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import type { Reranker } from "../contract/reranker.ts";
import { type OpenOptions, openMemory } from "./open-memory.ts";
import type { Strata } from "./strata.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-recall-"));
after(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function open(options: OpenOptions = {}): Promise<Strata> {
  return openMemory({ path: join(folder, `${files++}.db`), ...options });
}

const guide = `# Keys

Keys are made by the owner of the account and live for ninety days.

Rotate keys in the console: make the new one, move every client to it, then take the old one away.

A key that has leaked is taken away at once, and the owner is told by mail.
`;

async function filled(options: OpenOptions = {}): Promise<Strata> {
  const memory = await open(options);
  await memory.ingest({ name: "keys.md", text: guide }, { chunkSize: 32, overlap: 0 });
  await memory.store("Ada moved to Oslo", { at: "2023-05-08", speaker: "Ada", thread: "trip" });
  await memory.store("Ada moved to Rome", { at: "2024-03-01", speaker: "Ada", thread: "trip" });
  await memory.store("Ada prefers tea");
  await memory.store("ada prefers tea!");
  return memory;
}

suite("recall", () => {
  test("the first answer of a namespace is the second one's to the bit, and other namespaces do not change it", async () => {
    const path = join(folder, "many-namespaces.db");
    const question = "where does Ben say that tea comes from?";
    const texts = Array.from(
      { length: 100 },
      (_, i) => `note ${i}: ${["tea from the hills", "the garden", "a train at noon"][i % 3]}`,
    );
    const answer = async (memory: Strata) => {
      const { hits } = await memory.recall(question, {
        namespace: "one",
        limit: 100,
        cache: false,
        touch: false,
      });
      return hits.map(({ memory: { id, content, speaker }, score }) => ({ id, content, speaker, score }));
    };
    await using memory = await open({ path });
    await memory.storeMany(
      texts.map((content, i) => ({ content, speaker: i % 2 ? "Ada" : "Ben" })),
      { namespace: "one" },
    );
    const first = await answer(memory);
    assert.equal(first.length, 100);
    // Its index is tended meanwhile.
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(await answer(memory), first);
    await memory.storeMany(
      texts.map((content) => ({ content: `${content}, and tea again` })),
      { namespace: "two" },
    );
    await memory.recall(question, { namespace: "two" });
    assert.deepEqual(await answer(memory), first);
    await using another = await open({ path });
    // The index is made and tended by the time of the first recall, which so has to read the texts itself.
    await another.search("tea", { namespace: "one" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(await answer(another), first);
  });

  test("is replayed from its explanation by another memory of the same file", async () => {
    const path = join(folder, "replayed.db");
    const options = { limit: 4, minScore: 0.05, fold: true, tier: ["long_term"] as const, explain: true };
    const question = "where did Ada move last year?";
    let first: Awaited<ReturnType<Strata["recall"]>>;
    {
      await using memory = await filled({ path, ranking: { lateWeight: 0.5, timeBonus: 0.4 } });
      first = await memory.recall(question, { ...options, now: "2024-06-01", touch: false });
    }
    const { request, ranking, time } = JSON.parse(JSON.stringify(first.explanation));
    assert.equal(time.words, "last year");
    await using again = await openMemory({ path, ranking: request.ranking, namespace: request.namespace });
    const replayed = await again.recall(request.question, { ...request.options, explain: true });
    assert.equal(replayed.explanation?.ranking, ranking);
    assert.deepEqual(replayed.hits, first.hits);
    assert.equal(first.hits[0]?.memory.content, "Ada moved to Oslo");
  });

  test("packs what it found into a text within the budget, each memory cited", async () => {
    await using memory = await filled();
    const { hits, packed } = await memory.recall("how are keys rotated?", { maxTokens: 120, context: 1 });
    assert.ok(packed && packed.tokens <= 120);
    assert.match(packed.text, /<memory id="[^"]+" source="keys\.md#\d/);
    for (const { id } of packed.memories) assert.ok(hits.some((hit) => hit.memory.id === id));
    const tea = hits.find((hit) => /prefers tea/.test(hit.memory.content));
    assert.equal(tea === undefined || tea.folded?.length === 1, true);
  });

  test("joins a chunk with its neighbours", async () => {
    await using memory = await filled();
    const { hits } = await memory.recall("how are keys rotated?", { context: 10, limit: 1 });
    const { passage, memory: found } = hits[0]!;
    assert.ok(passage && passage.lastChunk > passage.firstChunk);
    assert.ok(passage.content.includes(found.content));
    assert.equal(passage.content.replace(/\s+/g, " ").trim(), guide.replace(/\s+/g, " ").trim());
  });

  test("has its best hits put in order by a reranker, unless a call does without", async () => {
    const reranker: Reranker = {
      id: "oslo",
      rerank: async (_question, texts) => texts.map((text) => (text.includes("Rome") ? 1 : 0)),
    };
    await using memory = await filled({ reranker });
    const first = async (rerank?: boolean) =>
      (await memory.recall("Ada moved to Oslo", { rerank, limit: 1 })).hits[0]!.memory.content;
    assert.equal(await first(), "Ada moved to Rome");
    assert.equal(await first(false), "Ada moved to Oslo");
  });

  test("answers several questions as one list", async () => {
    await using memory = await filled();
    const { hits } = await memory.research(["what does Ada drink?", "how are keys rotated?"], { limit: 2 });
    assert.deepEqual(
      new Set(hits.map(({ memory: { source } }) => source?.uri)),
      new Set([undefined, "keys.md"]),
    );
    const counted = await memory.get(hits[0]!.memory.id);
    assert.ok(counted);
  });

  test("refuses what it cannot do, with a code", async () => {
    await using memory = await open();
    const invalid = { code: "INVALID_ARGUMENT" };
    for (const wrong of [{ context: 11 }, { context: 0.5 }, { maxTokens: 10 }, { fold: 1 }, { now: "soon" }])
      await assert.rejects(memory.recall("x", wrong as never), invalid);
    await assert.rejects(memory.research([]), invalid);
    await assert.rejects(memory.research("x" as never), invalid);
    await assert.rejects(memory.research(["x"], { contxt: 1 } as never), { code: "UNKNOWN_OPTION" });
    await assert.rejects(open({ ranking: { lateWeight: 2 } }), invalid);
    await assert.rejects(open({ ranking: { late: 1 } as never }), { code: "UNKNOWN_OPTION" });
  });
});
