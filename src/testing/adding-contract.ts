import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { MemoryStore } from "../contract/memory-store.ts";
import { assertEmpty, boundTo, type ContractBench, other, rejects, scope, thread } from "./contract-bench.ts";
import type { ManualClock } from "./manual-clock.ts";
import { hashOf, sampleEntry } from "./store-samples.ts";

/** The part of the contract of memory stores that is about adding and reading. */
export function addingContract(bench: () => ContractBench): void {
  let store: MemoryStore;
  let clock: ManualClock;
  beforeEach(() => {
    ({ store, clock } = bench());
  });
  const { add, ids, publish } = boundTo(bench);

  describe("adding and reading", () => {
    test("what was added is read by id, whole", async () => {
      const at = Date.UTC(2023, 4, 8);
      const { memories } = await add("a", {
        content: "Ada prefers tea",
        tags: ["ada", "tea", "ada"],
        metadata: { mood: "calm", list: [1, { two: 2 }] },
        importance: 0.8,
        at,
        thread,
        speaker: "Ada",
      });
      const [memory] = await store.get(scope, ["a"]);
      assert.deepEqual(memory, memories[0]!.memory);
      assert.deepEqual(memory, {
        id: "a",
        namespace: "contract",
        tier: "long_term",
        content: "Ada prefers tea",
        contentHash: hashOf("Ada prefers tea"),
        importance: 0.8,
        accessCount: 0,
        createdAt: clock.now(),
        updatedAt: clock.now(),
        lastUsedAt: clock.now(),
        at,
        thread,
        speaker: "Ada",
        tags: ["ada", "tea"],
        metadata: { mood: "calm", list: [1, { two: 2 }] },
        pinned: false,
        version: 1,
        model: "sample-model",
      });
    });

    test("text of any script comes back as it was given", async () => {
      const texts = ["tea\u0000and NUL", "茶が好き", "👩‍👩‍👧 é e\u0301", '"quoted" \\ % _ \' --', " \n\t "];
      await store.add(
        scope,
        texts.map((content, index) => sampleEntry(`t${index}`, { content })),
      );
      const memories = await store.get(
        scope,
        texts.map((_, index) => `t${index}`),
      );
      assert.deepEqual(
        memories.map((memory) => memory?.content),
        texts,
      );
    });

    test("answers stand in the order of the ids, undefined where nothing is visible", async () => {
      await store.add(scope, [sampleEntry("a"), sampleEntry("b")]);
      const found = await store.get(scope, ["b", "nobody", "a", "b"]);
      assert.deepEqual(
        found.map((memory) => memory?.id),
        ["b", undefined, "a", "b"],
      );
    });

    test("a taken id with the same content gives the memory that is there", async () => {
      await add("a", { importance: 0.9 });
      const { memories } = await add("a", { importance: 0.1 });
      assert.equal(memories[0]!.outcome, "existing");
      assert.equal(memories[0]!.memory.importance, 0.9);
      assert.deepEqual(await ids(), ["a"]);
    });

    test("a taken id with other content is refused, and nothing of the call is kept", async () => {
      await add("a");
      const entries = [sampleEntry("new"), sampleEntry("a", { content: "something else" })];
      await rejects(store.add(scope, entries), "ALREADY_EXISTS");
      assert.deepEqual(await ids(), ["a"]);
    });

    test("two entries of one call that claim one id with different content are refused", async () => {
      const entries = [sampleEntry("a"), sampleEntry("a", { content: "something else" })];
      await rejects(store.add(scope, entries), "ALREADY_EXISTS");
      assert.deepEqual(await ids(), []);
    });

    test("a taken idempotency key gives the memory that has it, whatever the new id", async () => {
      await add("a", { idempotencyKey: "once" });
      const { memories } = await add("b", { idempotencyKey: "once", content: "other words" });
      assert.equal(memories[0]!.outcome, "existing");
      assert.equal(memories[0]!.memory.id, "a");
      assert.deepEqual(await ids(), ["a"]);
    });

    test("an entry that folds repeats is taken for the memory that says the same, which is used once more", async () => {
      await add("a", { content: "Ada prefers tea" });
      clock.advance(5);
      const { memories } = await add("b", { content: "Ada prefers tea", foldRepeat: true });
      assert.equal(memories[0]!.outcome, "existing");
      const { id, accessCount, lastUsedAt, version } = memories[0]!.memory;
      assert.deepEqual(
        { id, accessCount, lastUsedAt, version },
        { id: "a", accessCount: 1, lastUsedAt: clock.now(), version: 1 },
      );
      assert.deepEqual(await ids(), ["a"]);
      assert.deepEqual(memories[0]!.memory, (await store.get(scope, ["a"]))[0]);
      assert.equal((await store.stats(scope)).repeated, 1);
      assert.equal((await store.stats(other)).repeated, 0);
    });

    test("without folding, the same text is another memory", async () => {
      await add("a", { content: "Ada prefers tea" });
      await add("b", { content: "Ada prefers tea" });
      assert.deepEqual(await ids(), ["a", "b"]);
      assert.equal((await store.stats(scope)).repeated, 0);
    });

    const others: readonly [string, Parameters<typeof sampleEntry>[1], Parameters<typeof sampleEntry>[1]][] =
      [
        ["another text", {}, { content: "Ada prefers tea." }],
        ["another speaker", { speaker: "Ada" }, { speaker: "Ben" }],
        ["another time", { at: 1 }, { at: 2 }],
        ["a time where there was none", {}, { at: 1 }],
        ["another thread", { thread, at: 1 }, { thread: `${thread}2`, at: 1 }],
        ["a turn without a time, said twice", { thread, speaker: "Ada" }, { thread, speaker: "Ada" }],
        ["metadata that is not there", { metadata: { n: 1 } }, { metadata: { n: 1, m: [1] } }],
        ["metadata of another value", { metadata: { n: { k: 1 } } }, { metadata: { n: { k: "1" } } }],
      ];
    for (const [title, first, second] of others) {
      test(`what differs is no repeat: ${title}`, async () => {
        await add("a", { content: "Ada prefers tea", ...first });
        const { memories } = await add("b", { content: "Ada prefers tea", ...second, foldRepeat: true });
        assert.equal(memories[0]!.outcome, "stored");
        assert.deepEqual(await ids(), ["a", "b"]);
      });
    }

    test("a turn told again with its time, speaker and thread is a repeat, less metadata or not", async () => {
      const turn = { content: "ok", thread, speaker: "Ada", at: 5 };
      await add("a", { ...turn, metadata: { n: { k: [1] }, m: 2 } });
      const { memories } = await add("b", { ...turn, metadata: { n: { k: [1] } }, foldRepeat: true });
      assert.deepEqual([memories[0]!.memory.id, await ids()], ["a", ["a"]]);
    });

    test("a repeat brings what the memory lacks: tags, a higher importance, a longer life, a pin", async () => {
      await add("a", { content: "Ada prefers tea", tags: ["ada"], importance: 0.2, tier: "working" });
      const asked = { tags: ["tea", "ada"], importance: 0.7, tier: "long_term", foldRepeat: true } as const;
      const { memories } = await add("b", { content: "Ada prefers tea", ...asked });
      const { id, tags, importance, tier, version } = memories[0]!.memory;
      assert.deepEqual([id, tags, importance, tier, version], ["a", ["ada", "tea"], 0.7, "long_term", 2]);
      assert.deepEqual(await ids({ tags: ["tea"] }), ["a"]);
      const less = { tier: "working", importance: 0.1, pinned: true, foldRepeat: true } as const;
      const again = (await add("c", { content: "Ada prefers tea", ...less })).memories[0]!.memory;
      assert.deepEqual(
        [again.tier, again.importance, again.pinned, again.accessCount],
        ["long_term", 0.7, true, 2],
      );
      clock.advance(901_000);
      assert.deepEqual(await ids(), ["a"]);
    });

    test("entries of one call that say the same are one memory", async () => {
      const entries = ["a", "b", "c"].map((id) =>
        sampleEntry(id, { content: "Ada prefers tea", tags: [id], foldRepeat: true }),
      );
      const { memories } = await store.add(scope, entries);
      assert.deepEqual(
        memories.map(({ outcome, memory }) => [outcome, memory.id]),
        [
          ["stored", "a"],
          ["existing", "a"],
          ["existing", "a"],
        ],
      );
      assert.deepEqual((await store.get(scope, ["a"]))[0]?.tags, ["a", "b", "c"]);
    });

    test("a repeat is found among many others of the same words", async () => {
      const entries = Array.from({ length: 40 }, (_, at) =>
        sampleEntry(`m${at}`, { content: "ok", speaker: `speaker ${at}` }),
      );
      await store.add(scope, entries);
      const { memories } = await add("new", { content: "ok", speaker: "speaker 39", foldRepeat: true });
      assert.equal(memories[0]!.memory.id, "m39");
    });

    test("of several that say the same the one added first is used", async () => {
      for (const id of ["b", "a", "c"]) await add(id, { content: "Ada prefers tea" });
      const { memories } = await add("d", { content: "Ada prefers tea", foldRepeat: true });
      assert.equal(memories[0]!.memory.id, "b");
    });

    test("what has expired, was forgotten, changed or is a chunk is no longer, or not, repeated", async () => {
      await add("expired", { content: "one", tier: "working" });
      clock.advance(901_000);
      await add("gone", { content: "two" });
      await store.forget(scope, { ids: ["gone"] });
      await add("changed", { content: "three" });
      const content = { text: "four", hash: hashOf("four"), vector: null };
      await store.update(scope, "changed", { content });
      await publish("doc", ["five"]);
      for (const text of ["one", "two", "three", "five"]) {
        const { memories } = await add(`new-${text}`, { content: text, foldRepeat: true });
        assert.equal(memories[0]!.outcome, "stored", text);
      }
      const { memories } = await add("new-four", { content: "four", foldRepeat: true });
      assert.equal(memories[0]!.memory.id, "changed");
    });

    test("a repeated memory that the same call evicts is added again", async () => {
      await store.add(scope, [
        sampleEntry("old", { content: "same words", importance: 0, tier: "semantic" }),
      ]);
      const { memories } = await store.add(scope, [
        ...Array.from({ length: 40 }, (_, at) => sampleEntry(`n${at}`, { importance: 1, tier: "semantic" })),
        sampleEntry("again", { content: "same words", foldRepeat: true, importance: 1, tier: "semantic" }),
      ]);
      const { memory } = memories.at(-1)!;
      assert.equal(memory.id, "again");
      assert.deepEqual((await store.get(scope, ["again"]))[0], memory);
    });

    test("an unknown tier is refused, and nothing of the call is kept", async () => {
      const entries = [sampleEntry("fine"), sampleEntry("a", { tier: "eternal" as never })];
      await rejects(store.add(scope, entries), "UNKNOWN_TIER");
      assert.deepEqual(await ids(), []);
      assertEmpty(await store.stats(scope));
    });

    test("rows of memories added later are higher", async () => {
      await add("a");
      await add("b");
      const page = await store.changes(scope, undefined, 10);
      const row = (id: string) => page.rows.find((found) => found.id === id)!.row;
      assert.ok(row("b") > row("a"));
    });

    test("an aborted call rejects with its reason and leaves nothing", async () => {
      const reason = new Error("changed my mind");
      await assert.rejects(
        store.add(scope, [sampleEntry("a")], { signal: AbortSignal.abort(reason) }),
        reason,
      );
      assert.deepEqual(await ids(), []);
    });
  });
}
