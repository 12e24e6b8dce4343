import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Embedder } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import { contextText } from "../contract/index-text.ts";
import type { Memory } from "../contract/memory.ts";
import type { Recall, RecallOptions } from "../contract/recall.ts";
import { tiers } from "../contract/tier.ts";
import { createAnalyzer } from "./analyzer.ts";
import { type FakeMemory, FakeStore } from "./fake-store.ts";
import { defaultRanking } from "./ranking-options.ts";
import { Retriever, type RetrieverOptions } from "./retriever.ts";

const analyzer = createAnalyzer();
const dimensions = 12;
const home = { namespace: "home" };

/** A text's direction: the sum of its terms' random but fixed directions; null without a term. */
function direction(text: string): number[] | null {
  const terms = analyzer.terms(text);
  if (terms.length === 0) return null;
  const sum = new Array<number>(dimensions).fill(0);
  for (const term of terms) {
    let state = 7;
    for (const character of term) state = (state * 31 + character.charCodeAt(0)) % 65_521;
    for (let i = 0; i < dimensions; i++) {
      state = (state * 17_364 + 1) % 65_521;
      sum[i]! += state / 65_521 - 0.4;
    }
  }
  const length = Math.hypot(...sum);
  return sum.map((value) => value / length);
}

const embedder: Embedder = {
  model: { id: "fake", dimensions },
  embed: async (texts) => ({
    vectors: texts.map((text) => {
      const values = direction(text);
      return values && Float32Array.from(values);
    }),
  }),
};

function setUp(options?: Partial<RetrieverOptions>): { store: FakeStore; retriever: Retriever } {
  const store = new FakeStore();
  const clock = { now: () => 0, monotonic: () => 0, schedule: () => () => {} };
  return { store, retriever: new Retriever({ store: store.port, embedder, analyzer, clock, ...options }) };
}

function put(store: FakeStore, memory: FakeMemory | string, row?: number, namespace = "home"): number {
  const given = typeof memory === "string" ? { content: memory } : memory;
  return store.put(namespace, { vector: direction(given.content), ...given }, row);
}

function contents({ hits }: Recall): string[] {
  return hits.map(({ memory }) => memory.content);
}

function summary({ hits }: Recall): [string, number][] {
  return hits.map(({ memory, score }) => [memory.id, score]);
}

test("the memory that answers comes first", async () => {
  const { store, retriever } = setUp();
  for (const text of ["Ada prefers tea", "The train leaves at noon", "Ben is afraid of dogs"])
    put(store, text);
  const answer = await retriever.recall(home, "what tea does Ada drink?");
  assert.equal(answer.hits[0]?.memory.content, "Ada prefers tea");
  assert.equal(answer.explanation, undefined);
});

test("a write that resolved is found, a removed memory is not, a changed one is found by its new words", async () => {
  const { store, retriever } = setUp();
  const row = put(store, "a heron stands in the reeds");
  assert.equal((await retriever.search(home, "heron")).hits.length, 1);
  put(store, "an owl sits in the barn", row);
  assert.equal((await retriever.search(home, "heron")).hits.length, 0);
  assert.equal((await retriever.search(home, "owl")).hits.length, 1);
  store.remove("home", row);
  assert.equal((await retriever.recall(home, "owl")).hits.length, 0);
});

const word = fc.constantFrom("tea", "dog", "train", "noon", "reed", "owl", "barn", "Ada", "Ben", "the", "of");
const sentence = fc.array(word, { minLength: 1, maxLength: 8 }).map((words) => words.join(" "));
const memory: fc.Arbitrary<FakeMemory> = fc.record(
  {
    content: sentence,
    importance: fc.constantFrom(0, 0.3, 1),
    accessCount: fc.constantFrom(0, 4, 30),
    thread: fc.constantFrom("one", "two"),
    at: fc.integer({ min: 0, max: 5 }).map((day) => day * 86_400_000),
    speaker: fc.constantFrom("Ada", "Ben"),
    tags: fc.subarray(["red", "blue"]),
    pinned: fc.boolean(),
    tier: fc.constantFrom(...tiers),
  },
  { requiredKeys: ["content"] },
);
const filter: fc.Arbitrary<RecallOptions> = fc.record(
  {
    tags: fc.subarray(["red", "blue", "green"]),
    tiers: fc.subarray([...tiers]),
    after: fc.integer({ min: 0, max: 5 }).map((day) => day * 86_400_000),
    before: fc.integer({ min: 0, max: 5 }).map((day) => day * 86_400_000),
    minImportance: fc.constantFrom(0, 0.3, 0.5),
    thread: fc.constantFrom("one", "three"),
    speaker: fc.constantFrom("Ada", "Zoe"),
    pinned: fc.boolean(),
  },
  { requiredKeys: [] },
);

function passes(memory: Memory, filter: RecallOptions): boolean {
  const happened = memory.at ?? memory.createdAt;
  return (
    (filter.tiers ?? tiers).includes(memory.tier) &&
    (filter.tags ?? []).every((tag) => memory.tags.includes(tag)) &&
    happened >= (filter.after ?? Number.NEGATIVE_INFINITY) &&
    happened < (filter.before ?? Number.POSITIVE_INFINITY) &&
    memory.importance >= (filter.minImportance ?? 0) &&
    [undefined, memory.thread].includes(filter.thread) &&
    [undefined, memory.speaker].includes(filter.speaker) &&
    [undefined, memory.pinned].includes(filter.pinned)
  );
}

/** Every signal of every memory, straight from the formulas. */
function fullScan(store: FakeStore, question: string, limit: number): [string, number][] {
  const rows = store.rows("home");
  const kindOf = (thread: string | undefined): number => (thread === undefined ? 0 : 1);
  const documents = rows.map(({ row, memory, vector }) => {
    const previous = rows
      .filter((other) => memory.thread !== undefined && other.memory.thread === memory.thread)
      .sort((a, b) => (a.memory.at ?? -1) - (b.memory.at ?? -1) || a.row - b.row);
    const place = previous.findIndex((other) => other.row === row);
    const context = contextText(
      memory,
      previous.slice(Math.max(0, place - 2), Math.max(0, place)).map((p) => p.memory),
    );
    return { row, memory, vector, terms: [...analyzer.terms(memory.content), ...analyzer.terms(context)] };
  });
  const query = direction(question);
  const terms = [...new Set(analyzer.terms(question))];
  const scored = documents.map((document) => {
    let keyword = 0;
    const kin = documents.filter(({ memory }) => kindOf(memory.thread) === kindOf(document.memory.thread));
    // Where no memory of the kind has a term, there is nothing to compare a length with.
    const average = kin.reduce((sum, each) => sum + each.terms.length, 0) / kin.length || 1;
    for (const term of terms) {
      const frequency = documents.filter((each) => each.terms.includes(term)).length;
      const count = document.terms.filter((each) => each === term).length;
      const idf = Math.log(1 + (documents.length - frequency + 0.5) / (frequency + 0.5));
      keyword += (idf * count * 2.2) / (count + 1.2 * (0.25 + (0.75 * document.terms.length) / average));
    }
    const cosine =
      query && document.vector ? query.reduce((sum, q, i) => sum + q * document.vector![i]!, 0) : 0;
    return { ...document, keyword, cosine };
  });
  const speakers = new Set(rows.flatMap(({ memory }) => memory.speaker ?? []));
  const named = [...speakers].filter((speaker) => ` ${question} `.includes(` ${speaker} `));
  const most = (score: (each: (typeof scored)[number]) => number): number =>
    Math.max(0, ...scored.map(score)) || 1;
  const mostKeyword = most((each) => each.keyword);
  const mostCosine = most((each) => each.cosine);
  return scored
    .filter((each) => each.keyword > 0 || (query && each.vector))
    .map(({ row, memory, keyword, cosine }) => {
      const { vectorWeight, keywordWeight } = defaultRanking;
      const fused =
        (vectorWeight * Math.max(0, cosine)) / mostCosine + (keywordWeight * keyword) / mostKeyword;
      const bonus = 0.05 * memory.importance + 0.03 + 0.02 * Math.min(1, memory.accessCount / 10);
      const spoken = named.length === 1 && memory.speaker === named[0] ? 0.1 : 0;
      return { row, id: memory.id, score: fused + bonus + spoken };
    })
    .sort((a, b) => b.score - a.score || b.row - a.row)
    .slice(0, limit)
    .map(({ id, score }) => [id, score]);
}

test("a recall gives what a full scan of every memory by the formulas gives", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(memory, { maxLength: 25 }), sentence, async (memories, question) => {
      const { store, retriever } = setUp();
      for (const each of memories) put(store, each);
      const found = summary(await retriever.recall(home, question, { limit: 8 }));
      const expected = fullScan(store, question, 8);
      assert.equal(found.length, expected.length);
      for (const [at, [, score]] of expected.entries()) assert.ok(Math.abs(found[at]![1] - score) < 1e-5);
      const scores = new Map(fullScan(store, question, 1_000));
      for (const [id, score] of found) assert.ok(Math.abs(scores.get(id)! - score) < 1e-5);
    }),
  );
});

const change = fc.oneof(
  { weight: 4, arbitrary: fc.record({ put: memory }) },
  { weight: 2, arbitrary: fc.record({ change: memory, which: fc.nat(40) }) },
  { weight: 2, arbitrary: fc.record({ remove: fc.constant(true), which: fc.nat(40) }) },
  { weight: 1, arbitrary: fc.record({ look: sentence }) },
  { weight: 2, arbitrary: fc.record({ move: fc.constantFrom(...tiers), which: fc.nat(40) }) },
  { weight: 2, arbitrary: fc.record({ look: sentence, through: filter }) },
);

test("an index that followed any changes answers, to the bit, as one that is made anew", async () => {
  const scenario = fc.record({
    changes: fc.array(change, { maxLength: 40 }),
    pageSize: fc.integer({ min: 1, max: 7 }),
    question: sentence,
    last: filter,
  });
  await fc.assert(
    fc.asyncProperty(scenario, async ({ changes, pageSize, question, last }) => {
      const { store, retriever } = setUp();
      store.pageSize = pageSize;
      for (const each of changes) {
        const rows = store.rows("home").map(({ row }) => row);
        if ("put" in each) put(store, each.put);
        else if ("through" in each) await retriever.recall(home, each.look, each.through);
        else if ("look" in each) await retriever.recall(home, each.look);
        else if (rows.length > 0) {
          const row = rows[each.which % rows.length]!;
          if ("change" in each) put(store, each.change, row);
          else if ("move" in each) store.move("home", row, each.move);
          else store.remove("home", row);
        }
      }
      const fresh = new Retriever({ store: store.port, embedder, analyzer, clock: stillClock });
      const filters = changes.flatMap((each) => ("through" in each ? each.through : []));
      for (const each of [{}, last, ...filters]) {
        const options = { limit: 50, ...each };
        const recalled = await retriever.recall(home, question, options);
        assert.deepEqual(summary(recalled), summary(await fresh.recall(home, question, options)));
        const expected = store.rows("home").filter(({ memory }) => passes(memory, each));
        assert.deepEqual(
          new Set(recalled.hits.map(({ memory }) => memory.id)),
          new Set(expected.map(({ memory }) => memory.id).filter((id) => isFound(store, id, question))),
        );
        assert.deepEqual(
          summary(await retriever.search(home, question, options)),
          summary(await fresh.search(home, question, options)),
        );
      }
    }),
  );
});

/** Whether anything of a memory is like the question; without a vector it must share a word. */
function isFound(store: FakeStore, id: string, question: string): boolean {
  return fullScan(store, question, 1_000).some(([found]) => found === id);
}

const stillClock = { now: () => 0, monotonic: () => 0, schedule: () => () => {} };

test("fewer hits are the beginning of more, above the number of candidates too", async () => {
  const candidates = fc.integer({ min: 1, max: 6 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(memory, { maxLength: 40 }),
      sentence,
      candidates,
      async (memories, question, n) => {
        const { store, retriever } = setUp({ ranking: { candidates: n } });
        for (const each of memories) put(store, each);
        const all = summary(await retriever.recall(home, question, { limit: 100 }));
        for (const limit of [1, 3, 10, 20]) {
          assert.deepEqual(summary(await retriever.recall(home, question, { limit })), all.slice(0, limit));
        }
        for (let at = 1; at < all.length; at++) assert.ok(all[at]![1] <= all[at - 1]![1]);
      },
    ),
  );
});

test("of memories that score the same the newer comes first, and stays when there is room for one", async () => {
  const { store, retriever } = setUp({ ranking: { candidates: 2 } });
  const rows = [1, 2, 3, 4].map(() => put(store, "tea"));
  const found = await retriever.recall(home, "tea", { limit: 4 });
  assert.deepEqual(
    found.hits.map(({ memory }) => memory.id),
    rows.map((row) => `m${row}`).reverse(),
  );
});

test("adding to one namespace leaves another's scores identical to the bit", async () => {
  const { store, retriever } = setUp();
  for (const text of ["Ada drinks tea", "tea is grown in hills", "the owl hunts"]) put(store, text);
  const before = summary(await retriever.recall(home, "who drinks tea?"));
  for (let i = 0; i < 200; i++) put(store, `tea and more tea ${i}`, undefined, "away");
  await retriever.recall({ namespace: "away" }, "tea");
  assert.deepEqual(summary(await retriever.recall(home, "who drinks tea?")), before);
});

test("a turn is found by the words of the two turns before it, never across threads", async () => {
  const { store, retriever } = setUp();
  const turn = (content: string, at: number, thread = "trip"): number =>
    put(store, { content, at, thread, vector: null });
  turn("Which hotel is it?", 1);
  turn("Near the harbour.", 2);
  turn("Booked for the 7th.", 3);
  turn("Unrelated.", 4);
  turn("Elsewhere.", 3, "other");
  const found = await retriever.recall(home, "hotel", { explain: true });
  assert.deepEqual(
    new Set(contents(found)),
    new Set(["Which hotel is it?", "Near the harbour.", "Booked for the 7th."]),
  );
  const booked = found.hits.find(({ memory }) => memory.content.startsWith("Booked"));
  assert.deepEqual(booked?.why?.contextTerms, ["hotel"]);
  assert.deepEqual(contents(await retriever.search(home, "hotel")), ["Which hotel is it?"]);
});

test("with a filter as many hits come back as there are", async () => {
  const { store, retriever } = setUp();
  for (let i = 0; i < 300; i++)
    put(store, { content: `tea number ${i}`, tags: i % 60 === 0 ? ["rare"] : [] });
  const found = await retriever.recall(home, "tea number", { tags: ["rare"] });
  assert.equal(found.hits.length, 5);
  assert.ok(found.hits.every(({ memory }) => memory.tags.includes("rare")));
  assert.equal((await retriever.search(home, "tea", { tags: ["rare"] })).hits.length, 5);
});

test("a filter that only the store answers is asked again when the namespace has changed", async () => {
  const { store, retriever } = setUp();
  const row = put(store, { content: "tea in the harbour", metadata: { kind: "place" } });
  put(store, { content: "tea at noon" });
  let asked = 0;
  store.matchingRows = async () => {
    asked++;
    const found = store.rows("home").filter(({ memory }) => memory.metadata["kind"] === "place");
    return Float64Array.from(found, (each) => each.row);
  };
  const places = async () => contents(await retriever.recall(home, "tea", { metadata: { kind: "place" } }));
  assert.deepEqual(await places(), ["tea in the harbour"]);
  assert.deepEqual(await places(), ["tea in the harbour"]);
  assert.equal(asked, 1);
  put(store, "tea in the harbour", row);
  put(store, { content: "tea in the hills", metadata: { kind: "place" } });
  assert.deepEqual(await places(), ["tea in the hills"]);
  assert.equal(asked, 2);
});

test("a memory that moved is found by its tier now, whether moves are told or not", async () => {
  for (const tellsMoves of [true, false]) {
    const { store, retriever } = setUp();
    const asked: unknown[] = [];
    const matchingRows = store.matchingRows.bind(store);
    store.matchingRows = async (scope, filter) => {
      asked.push(filter);
      return matchingRows(scope, filter);
    };
    const row = put(store, { content: "tea in the harbour", tier: "episodic" });
    put(store, { content: "tea at noon", tier: "semantic" });
    const semantic = async () => contents(await retriever.recall(home, "tea", { tiers: ["semantic"] }));
    assert.deepEqual(await semantic(), ["tea at noon"]);
    store.tellsMoves = tellsMoves;
    store.move("home", row, "semantic");
    assert.deepEqual(new Set(await semantic()), new Set(["tea in the harbour", "tea at noon"]));
    store.move("home", row, "long_term");
    assert.deepEqual(await semantic(), ["tea at noon"]);
    assert.equal(asked.length > 0, !tellsMoves);
  }
});

test("what has expired is left out and its places are filled", async () => {
  const { store, retriever } = setUp({ ranking: { candidates: 10 } });
  const rows = Array.from({ length: 60 }, (_, i) => put(store, `tea ${i}`));
  for (const row of rows.slice(20)) store.hidden.add(row);
  const found = await retriever.recall(home, "tea", { limit: 20, explain: true });
  assert.equal(found.hits.length, 20);
  assert.ok(
    found.explanation?.dropped.some(({ reason, count }) => reason === "not visible any more" && count > 0),
  );
  assert.equal((await retriever.search(home, "tea", { limit: 20 })).hits.length, 20);
});

test("each hit explains its score to the last bit", async () => {
  const { store, retriever } = setUp();
  for (const text of ["Ada drinks tea", "tea is grown in hills", "the owl hunts"]) put(store, text);
  const { hits, explanation } = await retriever.recall(home, "who drinks tea?", { explain: true });
  for (const { score, why } of hits) {
    assert.ok(why && explanation);
    const { weights } = explanation;
    assert.equal(
      why.fused,
      weights.vector * why.vector.normalized + weights.keyword * why.keyword.normalized,
    );
    const { importance, recency, access, speaker } = why.bonuses;
    assert.equal(score, why.fused + importance + recency + access + speaker);
  }
  assert.deepEqual(explanation?.terms, { used: ["drinks", "tea"], unknown: ["who"] });
  assert.equal(explanation?.ranking, retriever.rankingHash);
});

test("vectors of another model are left out and counted", async () => {
  const { store, retriever } = setUp();
  put(store, { content: "tea", model: "another" });
  put(store, "train");
  const found = await retriever.recall(home, "tea", { mode: "vector", explain: true });
  assert.deepEqual(contents(found), ["train"]);
  assert.deepEqual(found.explanation?.dropped, [{ reason: "vector of another model", count: 1 }]);
});

test("a mode ranks by its signal alone", async () => {
  const { store, retriever } = setUp();
  put(store, { content: "tea", vector: null });
  put(store, "train");
  assert.deepEqual(contents(await retriever.recall(home, "tea", { mode: "keyword" })), ["tea"]);
  assert.deepEqual(contents(await retriever.recall(home, "tea", { mode: "vector" })), ["train"]);
  assert.equal((await retriever.recall(home, "tea")).hits.length, 2);
});

test("a minimum score keeps what is like the question or holds its words", async () => {
  const { store, retriever } = setUp();
  put(store, { content: "tea in the barn", vector: null });
  put(store, { content: "tea alone", vector: null });
  put(store, { content: "an owl", vector: null });
  const found = await retriever.recall(home, "tea barn", { minScore: 0.9, explain: true });
  assert.deepEqual(contents(found), ["tea in the barn"]);
  assert.deepEqual(found.explanation?.dropped[0], { reason: "under minScore", count: 1 });
});

test("a search gives what holds all words first, then what holds some, with their places", async () => {
  const { store, retriever } = setUp();
  put(store, "rotate the tea");
  put(store, "keys keys keys keys");
  put(store, "how to rotate keys in node:sqlite");
  const found = await retriever.search(home, "rotate keys");
  assert.equal(found.hits[0]?.memory.content, "how to rotate keys in node:sqlite");
  assert.equal(found.hits.length, 3);
  const { content } = found.hits[0].memory;
  assert.deepEqual(
    found.hits[0].highlights?.map(({ start, end }) => content.slice(start, end)),
    ["rotate", "keys"],
  );
});

test("a search knows quoted words, beginnings, identifiers, and words of one and two letters", async () => {
  const { store, retriever } = setUp();
  put(store, "the quick brown fox");
  put(store, "a brown and quick organization");
  put(store, "Go beats C in it, says ERR_FOO of node:sqlite v1.2.3");
  put(store, "我喜欢喝茶");
  const find = async (words: string): Promise<string[]> => contents(await retriever.search(home, words));
  assert.deepEqual(await find('"quick brown"'), ["the quick brown fox"]);
  assert.deepEqual(await find("organiz*"), ["a brown and quick organization"]);
  assert.deepEqual(await find("orgy*"), []);
  for (const words of ["go", "C", "it", "err_foo", "node:sqlite", "v1.2.3", "sql*"]) {
    assert.match((await find(words))[0] ?? "", /^Go beats/, words);
  }
  assert.deepEqual(await find("茶"), ["我喜欢喝茶"]);
  assert.deepEqual(await find("喜欢"), ["我喜欢喝茶"]);
});

test("a phrase is found among any number of memories that hold its words apart", async () => {
  const { store, retriever } = setUp();
  for (let i = 0; i < 400; i++) put(store, `brown and quick ${i}`);
  put(store, "of all foxes that anybody had ever seen in those hills a quick and brown one was the first");
  const { hits, explanation } = await retriever.search(home, '"quick brown" fox*', {
    limit: 3,
    explain: true,
  });
  assert.equal(hits.length, 1);
  assert.match(hits[0]!.memory.content, /^of all foxes/);
  assert.deepEqual(explanation?.dropped, []);
  const apart = await retriever.search(home, '"quick brown"', { limit: 3, explain: true });
  assert.deepEqual(contents(apart), contents({ hits }));
  assert.equal(apart.explanation?.dropped[0]?.count, 400);
});

test("a phrase and a beginning are asked for beside any number of other words", async () => {
  const { store, retriever } = setUp();
  for (let i = 0; i < 200; i++) put(store, `word${i % 70} zeta eta`);
  put(store, "eta zeta theta");
  const words = Array.from({ length: 80 }, (_, i) => `word${i}`).join(" ");
  store.reads = 0;
  assert.deepEqual(contents(await retriever.search(home, `${words} "theta zeta"`)), []);
  assert.equal(store.reads, 1);
  assert.deepEqual(contents(await retriever.search(home, `${words} "zeta theta" thet*`)), ["eta zeta theta"]);
  assert.equal(store.reads, 2);
  const phrases = Array.from({ length: 10 }, (_, i) => `"word${i} zeta"`).join(" ");
  assert.deepEqual(contents(await retriever.search(home, phrases)), []);
});

test("a search that looks into many memories lets others run, and ends when it is aborted", async () => {
  const { store, retriever } = setUp();
  for (let i = 0; i < 4_000; i++) put(store, `alpha ${"between ".repeat(800)}omega ${i}`);
  await retriever.search(home, "alpha");
  store.reads = 0;
  const controller = new AbortController();
  const { read } = store;
  let turns = 0;
  const counting = setInterval(() => turns++, 1);
  store.read = async (...args) => {
    if (store.reads > 1_000) controller.abort(new Error("enough"));
    return read.apply(store, args);
  };
  const asked = retriever.search(home, '"omega alpha"', { signal: controller.signal });
  await assert.rejects(asked, /enough/);
  clearInterval(counting);
  assert.ok(store.reads < 1_200, `${store.reads} memories were read`);
  assert.ok(turns >= 2, `timers ran ${turns} times`);
});

test("a search's scores fall, whatever its limit, from what holds all words best", async () => {
  const { store, retriever } = setUp();
  for (let i = 0; i < 300; i++) put(store, `green ${"leaf ".repeat(i % 7)}tea ${i}`);
  for (let i = 0; i < 9; i++) put(store, `of green tea ${"leaf ".repeat(i)}`);
  const scores = async (limit: number): Promise<number[]> =>
    (await retriever.search(home, '"green tea"', { limit })).hits.map(({ score }) => score);
  const all = await scores(100);
  assert.ok(all.length > 40 && all.every((score) => score > 1 && score <= 2));
  assert.deepEqual(
    all,
    all.toSorted((a, b) => b - a),
  );
  for (const limit of [1, 3, 20]) assert.deepEqual(await scores(limit), all.slice(0, limit));
});

test("quoted words find exactly the memories in whose content they stand together", async () => {
  const words = fc.array(fc.constantFrom("tea", "green", "the", "Go", "茶茶", "ERR_FOO", "of"), {
    minLength: 1,
    maxLength: 5,
  });
  await fc.assert(
    fc.asyncProperty(fc.array(words, { minLength: 1, maxLength: 30 }), words, async (texts, asked) => {
      const { store, retriever } = setUp();
      for (const text of texts) put(store, text.join(" "));
      const phrase = analyzer.terms(asked.join(" "));
      const holds = (text: readonly string[]): boolean =>
        ` ${analyzer.terms(text.join(" ")).join(" ")} `.includes(` ${phrase.join(" ")} `);
      const expected = phrase.length > 1 ? texts.filter(holds) : undefined;
      const { hits } = await retriever.search(home, `"${asked.join(" ")}"`, { limit: 100 });
      const found = hits.map(({ memory }) => memory.content).sort();
      if (expected) assert.deepEqual(found, expected.map((text) => text.join(" ")).sort());
    }),
  );
});

test("no question and no search fails, whatever it is made of", async () => {
  const { store, retriever } = setUp();
  put(store, 'tea "quoted" AND (or) NOT near* ^ : 😀');
  const hostile = [
    "",
    " ",
    '"',
    '"""',
    "*",
    "AND OR NOT",
    "NEAR(a b)",
    "a*b*",
    "\0",
    "😀",
    "'; DROP",
    "(".repeat(1_000),
  ];
  for (const words of [...hostile, "tea ".repeat(25_000), "x".repeat(100_000), '"tea" -quoted ^']) {
    await retriever.recall(home, words, { explain: true });
    await retriever.search(home, words, { explain: true });
  }
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary", maxLength: 60 }), async (words) => {
      await retriever.recall(home, words);
      await retriever.search(home, words);
    }),
  );
});

test("a feed that no longer reaches back is read from its beginning", async () => {
  const { store, retriever } = setUp();
  put(store, "tea");
  await retriever.recall(home, "tea");
  put(store, "more tea");
  store.truncatedBefore = 2;
  assert.equal((await retriever.recall(home, "tea")).hits.length, 2);
});

test("indexes over the bound are dropped, and made again when they are asked for", async () => {
  const { store, retriever } = setUp({ maxIndexBytes: 1 });
  for (const namespace of ["a", "b", "c"]) put(store, `tea in ${namespace}`, undefined, namespace);
  for (let round = 0; round < 2; round++) {
    const found = await Promise.all(
      ["a", "b", "c"].map((namespace) => retriever.recall({ namespace }, "tea")),
    );
    assert.deepEqual(
      found.map((each) => each.hits.length),
      [1, 1, 1],
    );
  }
  const stats = retriever.stats();
  assert.ok(stats.droppedIndexes >= 2 && stats.namespaces <= 3);
});

test("misuse has a code: unknown and impossible ranking, calls after close", async () => {
  const code = (expected: string) => (error: unknown) =>
    StrataError.isInstance(error) && error.code === expected;
  assert.throws(() => setUp({ ranking: { k1: Number.NaN } }), code("INVALID_ARGUMENT"));
  assert.throws(() => setUp({ ranking: { k9: 1 } as never }), code("UNKNOWN_OPTION"));
  assert.throws(() => setUp({ maxIndexBytes: Number.NaN }), code("INVALID_ARGUMENT"));
  const { retriever } = setUp();
  await retriever.close();
  await retriever.close();
  await assert.rejects(retriever.recall(home, "tea"), code("CLOSED"));
  await assert.rejects(retriever.search(home, "tea"), code("CLOSED"));
});

test("the ranking's hash names its options", () => {
  const { retriever } = setUp();
  assert.equal(setUp({ ranking: defaultRanking }).retriever.rankingHash, retriever.rankingHash);
  assert.notEqual(setUp({ ranking: { k1: 1 } }).retriever.rankingHash, retriever.rankingHash);
});
