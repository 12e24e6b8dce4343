import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Embedder } from "../contract/embedding-model.ts";
import type { PieceVectors } from "../contract/piece-vectors.ts";
import type { Recall } from "../contract/recall.ts";
import { dayMs } from "../contract/relevance.ts";
import type { Reranker } from "../contract/reranker.ts";
import { createAnalyzer } from "./analyzer.ts";
import { type FakeMemory, FakeStore } from "./fake-store.ts";
import { Retriever, type RetrieverOptions } from "./retriever.ts";

const analyzer = createAnalyzer();
const home = { namespace: "home" };
/** A Wednesday. */
const now = Date.UTC(2023, 5, 14, 12);
const clock = { now: () => now, monotonic: () => 0, schedule: () => () => {} };

/** Knows nothing: recall is by words, and by the pieces of {@link kin}. */
const blind: Embedder = {
  model: { id: "blind", dimensions: 8 },
  embed: async (texts) => ({ vectors: texts.map(() => null), unknownShares: texts.map(() => 1) }),
};

const vocabulary = ["doctor", "physician", "tea", "coffee", "train", "owl", "reed", "barn"];
/** Neighbours in the vocabulary are akin, all others have nothing in common. */
const kin: PieceVectors = {
  id: "kin",
  size: vocabulary.length,
  dimensions: 8,
  piecesOf: (text) =>
    Int32Array.from(
      (text.toLowerCase().match(/\w+/g) ?? []).flatMap((word) => {
        const piece = vocabulary.indexOf(word);
        return piece < 0 ? [] : [piece];
      }),
    ),
  leadingRow(piece, into) {
    into.fill(0);
    into[piece - (piece % 2)] = 0.9;
    into[piece] = piece % 2 === 0 ? 1 : Math.sqrt(1 - 0.81);
    return true;
  },
};

function setUp(options?: Partial<RetrieverOptions>): { store: FakeStore; retriever: Retriever } {
  const store = new FakeStore();
  const pieces = async (): Promise<PieceVectors> => kin;
  const retriever = new Retriever({
    store: store.port,
    embedder: blind,
    analyzer,
    clock,
    pieces,
    ...options,
  });
  return { store, retriever };
}

function put(store: FakeStore, memory: FakeMemory | string, row?: number): number {
  return store.put("home", typeof memory === "string" ? { content: memory } : memory, row);
}

function contents({ hits }: Pick<Recall, "hits">): string[] {
  return hits.map(({ memory }) => memory.content);
}

const word = fc.constantFrom(...vocabulary, "Ada", "Ben", "the", "not");
const sentence = fc.array(word, { minLength: 1, maxLength: 8 }).map((words) => words.join(" "));
const memories = fc.array(fc.record({ content: sentence }), { maxLength: 30 });

suite("a recall by near words", () => {
  test("a word that is akin raises what words alone find equal", async () => {
    const { store, retriever } = setUp();
    put(store, "Ada sees the doctor on Friday");
    put(store, "Ada sees the train on Friday");
    const found = await retriever.recall(home, "when does Ada see a physician?", { explain: true });
    assert.equal(contents(found)[0], "Ada sees the doctor on Friday");
    const [first, second] = found.hits.map(({ why }) => why!.late);
    assert.ok(first!.normalized === 1 && first!.rank === 1 && second!.normalized < 1);
    const without = setUp({ ranking: { lateWeight: 0 } });
    put(without.store, "Ada sees the doctor on Friday");
    put(without.store, "Ada sees the train on Friday");
    const plain = await without.retriever.recall(home, "when does Ada see a physician?", { explain: true });
    assert.equal(plain.hits[0]!.memory.content, "Ada sees the train on Friday");
    assert.equal(plain.explanation!.weights.late, 0);
  });

  test("a changed text is compared by its new pieces", async () => {
    const { store, retriever } = setUp();
    const row = put(store, "Ada and the doctor");
    put(store, "Ada and the train");
    const ask = () => retriever.recall(home, "Ada and the physician");
    assert.equal(contents(await ask())[0], "Ada and the doctor");
    put(store, "Ada and the owl", row);
    put(store, "Ada and a doctor", row + 1);
    assert.equal(contents(await ask())[0], "Ada and a doctor");
  });

  test("fewer hits are the beginning of more, folded or not", async () => {
    await fc.assert(
      fc.asyncProperty(memories, sentence, fc.boolean(), async (given, question, fold) => {
        const { store, retriever } = setUp({ ranking: { lateDepth: 3, candidates: 5 } });
        for (const each of given) put(store, each);
        const ids = async (limit: number) =>
          (await retriever.recall(home, question, { limit, fold })).hits.map(({ memory }) => memory.id);
        const all = await ids(100);
        for (const limit of [1, 3, 8]) assert.deepEqual(await ids(limit), all.slice(0, limit));
      }),
    );
  });
});

suite("a recall that explains", () => {
  test("each score is the sum of its parts", async () => {
    const { store, retriever } = setUp();
    for (const content of ["the doctor drinks tea", "a physician drinks coffee", "an owl"])
      put(store, { content, at: now - 7 * dayMs });
    const { hits, explanation } = await retriever.recall(home, "what does the doctor drink last week?", {
      explain: true,
    });
    const { weights } = explanation!;
    for (const { score, why } of hits) {
      const signals = (["vector", "keyword", "late"] as const).map(
        (name) => weights[name] * why![name].normalized,
      );
      const bonuses = Object.values(why!.bonuses);
      const sum = [...signals, ...bonuses].reduce((all, each) => all + each, 0);
      assert.ok(Math.abs(sum - score) < 1e-12);
    }
    assert.equal(explanation!.time?.words, "last week");
  });

  test("is replayed from its explanation", async () => {
    await fc.assert(
      fc.asyncProperty(
        memories,
        sentence,
        fc.record({
          limit: fc.integer({ min: 1, max: 12 }),
          fold: fc.boolean(),
          minScore: fc.constantFrom(0, 0.4),
          tags: fc.constantFrom(undefined, [] as string[]),
          mode: fc.constantFrom("hybrid", "keyword"),
        }),
        async (given, question, options) => {
          const { store, retriever } = setUp({ ranking: { lateWeight: 0.7, candidates: 4 } });
          for (const each of given) put(store, each);
          const first = await retriever.recall(home, question, { ...options, explain: true });
          const { request, ranking } = JSON.parse(JSON.stringify(first.explanation));
          const later = { ...clock, now: () => now + 400 * dayMs };
          const again = new Retriever({
            store: store.port,
            embedder: blind,
            analyzer,
            clock: later,
            pieces: async () => kin,
            ranking: request.ranking,
          });
          assert.equal(again.rankingHash, ranking);
          const replayed = await again.recall({ namespace: request.namespace }, request.question, {
            ...request.options,
            explain: true,
          });
          assert.deepEqual(replayed.hits, first.hits);
        },
      ),
    );
  });
});

test("what happened in the time a question names stands higher", async () => {
  const { store, retriever } = setUp();
  put(store, { content: "Ada drinks tea", at: now - 7 * dayMs });
  put(store, { content: "Ada drinks tea", at: now - 70 * dayMs });
  const order = async (question: string) =>
    (await retriever.recall(home, question)).hits.map(({ memory }) => memory.id);
  assert.deepEqual(await order("what did Ada drink?"), ["m2", "m1"]);
  assert.deepEqual(await order("what did Ada drink last week?"), ["m1", "m2"]);
  assert.deepEqual(await order("what did Ada drink in April?"), ["m2", "m1"]);
  const asked = { now: now - 63 * dayMs };
  const { hits } = await retriever.recall(home, "what did Ada drink last week?", asked);
  assert.deepEqual(
    hits.map(({ memory }) => memory.id),
    ["m2", "m1"],
  );
});

test("duplicates are folded, and the places they took are filled", async () => {
  const { store, retriever } = setUp();
  for (let copy = 0; copy < 6; copy++) put(store, "Ada drinks tea");
  put(store, "Ben drinks tea and coffee by the reed");
  const plain = await retriever.recall(home, "tea", { limit: 2 });
  assert.deepEqual(contents(plain), ["Ada drinks tea", "Ada drinks tea"]);
  const folded = await retriever.recall(home, "tea", { limit: 2, fold: true });
  assert.deepEqual(contents(folded), ["Ada drinks tea", "Ben drinks tea and coffee by the reed"]);
  assert.equal(folded.hits[0]!.folded?.length, 5);
});

suite("a recall with a reranker", () => {
  const byLength: Reranker = {
    id: "by-length",
    rerank: async (_question, texts) => texts.map((text) => -text.length),
  };

  test("has the best hits in its order, and says so", async () => {
    const { store, retriever } = setUp({ reranker: byLength, ranking: { rerankDepth: 2 } });
    put(store, "tea tea tea and a train");
    put(store, "tea tea");
    put(store, "owl tea barn reed coffee doctor Ada Ben");
    const before = await retriever.recall(home, "tea", { rerank: false });
    const { hits, explanation } = await retriever.recall(home, "tea", { explain: true });
    const expected = contents(before)
      .slice(0, 2)
      .sort((a, b) => a.length - b.length);
    assert.deepEqual(contents({ hits }), [...expected, contents(before)[2]]);
    assert.equal(explanation?.reranker, "by-length");
    assert.deepEqual(
      hits.map(({ why }) => why?.rerank?.score),
      [-7, -23, undefined],
    );
    assert.ok(hits[1]!.score >= hits[2]!.score);
    const [first] = (await retriever.recall(home, "tea", { limit: 1 })).hits;
    assert.equal(first!.memory.id, hits[0]!.memory.id);
  });

  test("that answers wrongly is an error", async () => {
    for (const scores of [[], [1, Number.NaN]]) {
      const { store, retriever } = setUp({ reranker: { id: "wrong", rerank: async () => scores } });
      put(store, "tea");
      put(store, "more tea");
      await assert.rejects(retriever.recall(home, "tea"), { code: "RERANKING_FAILED" });
    }
  });
});

test("a chunk is joined with its neighbours, what they share said once", async () => {
  const text = "The doctor came. Ada drank tea. The train left. An owl sat there.";
  const places = [
    [0, 16],
    [11, 31],
    [32, 47],
    [48, 65],
  ] as const;
  const order = [2, 0, 3, 1];
  for (const chunks of [places.map((_, at) => at), order]) {
    const { store, retriever } = setUp();
    for (const chunk of chunks) {
      const [start, end] = places[chunk]!;
      const source = { documentId: "d", uri: "a.md", headings: [], chunk, start, end };
      put(store, { content: text.slice(start, end), source });
    }
    const passageOf = async (question: string, context: number) =>
      (await retriever.recall(home, question, { context, limit: 1 })).hits[0]!.passage;
    assert.deepEqual(await passageOf("tea", 1), {
      content: "The doctor came. Ada drank tea.\nThe train left.",
      firstChunk: 0,
      lastChunk: 2,
      start: 0,
      end: 47,
    });
    assert.equal((await passageOf("owl", 10))!.content.length, text.length);
    assert.equal(await passageOf("owl", 0), undefined);
  }
});

suite("several questions at once", () => {
  test("the best answer to each comes before all second ones", async () => {
    const { store, retriever } = setUp();
    for (const content of [
      "tea tea tea",
      "tea with Ada",
      "tea in the barn",
      "a train",
      "tea on the train at noon",
    ])
      put(store, content);
    const { hits, explanations } = await retriever.research(home, ["train", "tea"], { explain: true });
    const best = await Promise.all(["train", "tea"].map((question) => retriever.recall(home, question)));
    assert.deepEqual(
      new Set(contents({ hits }).slice(0, 2)),
      new Set(best.map((answer) => contents(answer)[0])),
    );
    assert.equal(explanations?.length, 2);
    const both = hits.find(({ memory }) => memory.content === "tea on the train at noon");
    assert.deepEqual(both?.questions, [0, 1]);
  });

  test("are packed as one", async () => {
    const { store, retriever } = setUp();
    put(store, "Ada drinks tea");
    put(store, "the train leaves at noon");
    const { packed } = await retriever.research(home, ["tea", "train"], { maxTokens: 200 });
    assert.equal(packed?.memories.length, 2);
    assert.match(packed.text, /Ada drinks tea[\s\S]*leaves at noon|leaves at noon[\s\S]*Ada drinks tea/);
  });
});
