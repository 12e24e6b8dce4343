import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { MemoryStore } from "../contract/memory-store.ts";
import {
  boundTo,
  type ContractBench,
  capacity,
  dayMs,
  hourMs,
  rejects,
  scope,
  thread,
} from "./contract-bench.ts";
import type { ManualClock } from "./manual-clock.ts";
import { sampleChunks, sampleDocument, sampleEntry } from "./store-samples.ts";

/** The part of the contract of memory stores that is about living, leaving and being used. */
export function lifeContract(bench: () => ContractBench): void {
  const { partitions } = bench();
  let store: MemoryStore;
  let clock: ManualClock;
  beforeEach(() => {
    ({ store, clock } = bench());
  });
  const { add, ids, publish } = boundTo(bench);

  describe("time to live", () => {
    test("an expired memory is invisible at once, everywhere", async () => {
      await add("a", { tier: "working", tags: ["t"], content: "short lived" });
      const rows = [...(await store.matchingRows(scope, {}))];
      clock.advance(900_000 - 1);
      assert.deepEqual(await ids(), ["a"]);
      clock.advance(1);
      assert.deepEqual(await store.get(scope, ["a"]), [undefined]);
      assert.deepEqual(await store.read(scope, rows), [undefined]);
      assert.deepEqual(await store.vectors(scope, ["a"]), [null]);
      assert.deepEqual(await ids({ tags: ["t"] }), []);
      assert.deepEqual((await store.list(scope, {}, { limit: 5 })).memories, []);
      assert.deepEqual((await store.changes(scope, undefined, 5)).rows, []);
      await rejects(store.update(scope, "a", { importance: 1 }), "NOT_FOUND");
      assert.equal((await store.forget(scope, {})).forgotten, 0);
      const stats = await store.stats(scope);
      assert.deepEqual([stats.memories, stats.expired, stats.tiers.working.entries], [0, 1, 0]);
    });

    test("an expired memory gives up its id and its idempotency key", async () => {
      await add("a", { tier: "working", idempotencyKey: "once" });
      clock.advance(hourMs);
      const { memories } = await add("a", { content: "new words", idempotencyKey: "once" });
      assert.equal(memories[0]!.outcome, "stored");
      assert.equal((await store.stats(scope)).expired, 0);
    });

    test("time to live counts from last use", async () => {
      await add("a", { tier: "working" });
      clock.advance(800_000);
      await store.touch(scope, [{ id: "a", count: 1, lastUsedAt: clock.now() }]);
      clock.advance(800_000);
      assert.deepEqual(await ids(), ["a"]);
      clock.advance(100_000);
      assert.deepEqual(await ids(), []);
    });

    test("a pinned memory does not expire; unpinned, its time starts anew", async () => {
      await add("a", { tier: "working", pinned: true });
      clock.advance(dayMs);
      assert.deepEqual(await ids(), ["a"]);
      await store.update(scope, "a", { pinned: false });
      clock.advance(899_000);
      assert.deepEqual(await ids(), ["a"]);
      clock.advance(1_000);
      assert.deepEqual(await ids(), []);
    });

    test("a document expires as a whole", async () => {
      await publish("doc", ["one", "two"], { tier: "working" });
      clock.advance(hourMs);
      assert.deepEqual(await ids(), []);
      assert.equal(await store.document(scope, "doc"), undefined);
      assert.deepEqual((await store.documents(scope, { limit: 5 })).documents, []);
      assert.equal((await store.stats(scope)).expired, 2);
    });

    test("cleanup counts without removing when it is a dry run, then removes as many", async () => {
      await store.add(scope, [sampleEntry("a", { tier: "working" }), sampleEntry("b")]);
      await publish("doc", ["one", "two"], { tier: "working" });
      const staged = await store.stageDocument(scope, sampleDocument("half"));
      await store.addChunks(staged, sampleChunks("half", ["one"]));
      clock.advance(31 * dayMs);
      const plan = await store.cleanup({ dryRun: true });
      assert.deepEqual([plan.expired, plan.expiredByTier.working, plan.stagedChunks], [3, 3, 1]);
      assert.equal((await store.stats(scope)).expired, 3);
      assert.deepEqual(await store.cleanup({ dryRun: false }), plan);
      assert.equal((await store.stats(scope)).expired, 0);
      assert.deepEqual(await ids(), ["b"]);
      const again = await store.cleanup({ dryRun: false });
      assert.deepEqual([again.expired, again.stagedChunks], [0, 0]);
      const { entries } = await store.journal(scope, { limit: 5 });
      assert.deepEqual(
        entries.map((entry) => entry.kind),
        ["expire", "expire"],
      );
    });

    test("cleanup drops journal rows past their time", async () => {
      await add("a");
      await store.forget(scope, { ids: ["a"] });
      clock.advance(31 * dayMs);
      assert.equal((await store.cleanup({ dryRun: true, scope })).journalRows, 1);
      assert.equal((await store.cleanup({ dryRun: false, scope })).journalRows, 1);
      assert.equal((await store.stats(scope)).journalRows, 0);
    });
  });

  describe("capacity", () => {
    const fill = async (importances: readonly number[]) => {
      for (const [index, importance] of importances.entries()) {
        await add(`m${index}`, { tier: "short_term", thread, importance });
      }
    };

    test("a full tier loses its least relevant entry, which the result and the journal name", async () => {
      await fill([0.9, 0.1, 0.5, 0.7]);
      const { evicted } = await add("new", { tier: "short_term", thread, importance: 0 });
      assert.deepEqual(
        evicted.map(({ id, document, tier }) => [id, document, tier]),
        [["m1", false, "short_term"]],
      );
      assert.ok(Math.abs(evicted[0]!.relevance - (0.5 * 0.1 + 0.3)) < 1e-9);
      assert.deepEqual(await ids(), ["m0", "m2", "m3", "new"]);
      const { entries } = await store.journal(scope, { limit: 1 });
      assert.deepEqual([entries[0]!.kind, entries[0]!.id, entries[0]!.from], ["evict", "m1", "short_term"]);
      assert.equal((await store.stats(scope)).evicted, 1);
    });

    test("what was added by the call stays unless the call alone is too much", async () => {
      await fill([0.9, 0.9, 0.9, 0.9]);
      const entry = (id: string, importance: number) =>
        sampleEntry(id, { tier: "short_term", thread, importance });
      await store.add(scope, [entry("n0", 0), entry("n1", 0.1)]);
      assert.equal((await ids()).filter((id) => id!.startsWith("n")).length, 2);
      const many = [0.2, 0.8, 0.4, 0.6, 0.1, 0.9].map((importance, index) => entry(`x${index}`, importance));
      await store.add(scope, many);
      assert.deepEqual(await ids(), ["x1", "x2", "x3", "x5"]);
    });

    test("use keeps an entry that would have left, and age makes one leave", async () => {
      await fill([0.5, 0.5, 0.5, 0.5]);
      await store.touch(scope, [{ id: "m0", count: 10, lastUsedAt: clock.now() }]);
      clock.advance(20 * dayMs);
      await store.touch(scope, [{ id: "m2", count: 1, lastUsedAt: clock.now() }]);
      const { evicted } = await add("new", { tier: "short_term", thread });
      assert.deepEqual(
        evicted.map((one) => one.id),
        ["m1"],
      );
      assert.ok(Math.abs(evicted[0]!.relevance - 0.25) < 1e-9);
    });

    test("pinned entries neither count nor leave", async () => {
      await add("pin", { tier: "short_term", thread, importance: 0, pinned: true });
      await fill([0.5, 0.5, 0.5, 0.5]);
      assert.equal((await ids()).length, 5);
      await add("new", { tier: "short_term", thread });
      assert.ok((await ids()).includes("pin"));
      const stats = (await store.stats(scope)).tiers.short_term;
      assert.deepEqual([stats.entries, stats.pinned], [5, 1]);
    });

    test("unpinning and moving into a full tier evict too, but never what moved", async () => {
      await fill([0.9, 0.9, 0.9, 0.9]);
      await add("a", { tier: "short_term", thread, importance: 0, pinned: true });
      const unpinned = await store.update(scope, "a", { pinned: false });
      assert.deepEqual([unpinned.evicted.length, unpinned.memory.id], [1, "a"]);
      await add("b", { tier: "episodic", thread, importance: 0 });
      const moved = await store.update(scope, "b", { tier: "short_term" });
      assert.deepEqual(
        moved.evicted.map((one) => one.id),
        ["a"],
      );
      assert.equal((await store.stats(scope)).tiers.short_term.entries, capacity);
    });

    test("expired entries make room before anything is evicted", async () => {
      await bench().reopen({ tiers: { short_term: { ttlSeconds: 60, capacity: 2 * partitions } } });
      store = bench().store;
      await add("old", { tier: "short_term", thread, importance: 1 });
      clock.advance(61_000);
      await add("a", { tier: "short_term", thread, importance: 0 });
      const { evicted } = await add("b", { tier: "short_term", thread, importance: 0.1 });
      assert.deepEqual(evicted, []);
      assert.deepEqual(await ids(), ["a", "b"]);
    });

    test("documents count one and are evicted whole, against memories of the same tier", {
      skip: partitions > 1 && "a document and a thread lie where their names put them",
    }, async () => {
      await publish("weak", ["one", "two", "three"], { importance: 0.1 });
      await publish("strong", ["one", "two"], { importance: 0.9 });
      await add("m0", { tier: "semantic", importance: 0.8 });
      await add("m1", { tier: "semantic", importance: 0.7 });
      assert.equal((await store.stats(scope)).tiers.semantic.entries, 4);
      const { evicted } = await publish("new", ["one"], { importance: 0.2 });
      assert.deepEqual(
        evicted.map((one) => [one.document, one.tier]),
        [[true, "semantic"]],
      );
      assert.equal(await store.document(scope, "weak"), undefined);
      const again = await add("m2", { tier: "semantic", importance: 0.3 });
      assert.equal(again.evicted[0]?.document, true);
      assert.deepEqual(await ids(), ["m0", "m1", "m2", "strong-0", "strong-1"]);
    });
  });

  describe("uses", () => {
    test("a touch counts, and is no write", async () => {
      await add("a");
      const cursor = (await store.changes(scope, undefined, 5)).cursor;
      clock.advance(1_000);
      await store.touch(scope, [
        { id: "a", count: 2, lastUsedAt: clock.now() },
        { id: "nobody", count: 1, lastUsedAt: clock.now() },
      ]);
      const memory = (await store.get(scope, ["a"]))[0]!;
      assert.deepEqual([memory.accessCount, memory.lastUsedAt, memory.version], [2, clock.now(), 1]);
      assert.deepEqual((await store.changes(scope, cursor, 5)).rows, []);
    });

    test("an older use does not turn last use back", async () => {
      await add("a");
      await store.touch(scope, [{ id: "a", count: 1, lastUsedAt: clock.now() - dayMs }]);
      assert.equal((await store.get(scope, ["a"]))[0]?.lastUsedAt, clock.now());
    });

    test("uses of chunks are their document's", async () => {
      await publish("doc", ["one", "two"]);
      clock.advance(5_000);
      await store.touch(scope, [
        { id: "doc-0", count: 1, lastUsedAt: clock.now() },
        { id: "doc-1", count: 2, lastUsedAt: clock.now() - 1 },
      ]);
      const document = (await store.document(scope, "doc"))!;
      assert.deepEqual([document.accessCount, document.lastUsedAt], [3, clock.now()]);
      assert.equal((await store.get(scope, ["doc-0"]))[0]?.accessCount, 3);
    });
  });
}
