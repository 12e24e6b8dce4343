import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { MemoryStore } from "../contract/memory-store.ts";
import { isTier, type TierTable, tiers } from "../contract/tier.ts";
import { addingContract } from "./adding-contract.ts";
import { candidateContract } from "./candidate-contract.ts";
import {
  assertEmpty,
  boundTo,
  type ContractBench,
  capacity,
  dayMs,
  hourMs,
  other,
  rejects,
  scope,
  thread,
} from "./contract-bench.ts";
import { feedContract } from "./feed-contract.ts";
import { lifeContract } from "./life-contract.ts";
import { createManualClock, type ManualClock } from "./manual-clock.ts";
import { moveContract } from "./move-contract.ts";
import { snapshotContract } from "./snapshot-contract.ts";
import { hashOf, sampleChunks, sampleDocument, sampleEntry, sampleVector } from "./store-samples.ts";
import { undoContract } from "./undo-contract.ts";
import { vectorContract } from "./vector-contract.ts";

/** What a driver is opened with in the suite. */
export interface ContractStoreOptions {
  readonly clock: ManualClock;
  readonly tiers: TierTable;
  readonly decayRate: number;
  /** Writes for which the feed remembers what left. */
  readonly feedReach: number;
}

/** How the suite gets at a driver. */
export interface MemoryStoreContract {
  /** Opens a store that is empty. */
  readonly open: (options: ContractStoreOptions) => Promise<MemoryStore>;
  /** Closes a store and opens it again; absent for drivers that keep nothing. */
  readonly reopen?: (store: MemoryStore, options: ContractStoreOptions) => Promise<MemoryStore>;
  /** Partitions a namespace has, each with its equal share of the capacity. Default 1. */
  readonly partitions?: number;
}

/** Defines the tests that every {@link MemoryStore} must pass. */
export function memoryStoreContract(name: string, contract: MemoryStoreContract): void {
  describe(`${name} keeps the contract of memory stores`, () => {
    const partitions = contract.partitions ?? 1;
    let clock: ManualClock;
    let options: ContractStoreOptions;
    let store: MemoryStore;

    beforeEach(async () => {
      clock = createManualClock();
      const limits = { ttlSeconds: 0, capacity: 0 };
      options = {
        clock,
        decayRate: 0.1,
        feedReach: 64,
        tiers: {
          working: { ttlSeconds: 900, capacity: 0 },
          short_term: { ttlSeconds: 0, capacity: capacity * partitions },
          episodic: limits,
          long_term: limits,
          semantic: { ttlSeconds: 0, capacity: capacity * partitions },
        },
      };
      store = await contract.open(options);
    });

    afterEach(() => store.close());

    const bench: ContractBench = {
      get store() {
        return store;
      },
      get clock() {
        return clock;
      },
      partitions,
      reopen: async ({ tiers: changed, ...rest }) => {
        await store.close();
        options = { ...options, ...rest, tiers: { ...options.tiers, ...changed } };
        store = await contract.open(options);
      },
    };
    const { add, ids, publish } = boundTo(() => bench);

    snapshotContract(() => store);
    candidateContract(() => bench);
    moveContract(() => bench);
    undoContract(() => bench);

    addingContract(() => bench);

    describe("namespaces", () => {
      test("nothing crosses a namespace", async () => {
        await add("a", { content: "secret words", tags: ["t"] });
        assert.deepEqual(await store.get(other, ["a"]), [undefined]);
        assert.equal((await store.matchingRows(other, { tags: ["t"] })).length, 0);
        assert.deepEqual((await store.changes(other, undefined, 10)).rows, []);
        const rows = await store.matchingRows(scope, {});
        assert.deepEqual(await store.read(other, [...rows]), [undefined]);
        assert.deepEqual(await store.vectors(other, ["a"]), [null]);
        assert.deepEqual(await store.forget(other, {}), { forgotten: 0 });
        assert.equal(await store.clear(other), 0);
        assert.deepEqual(await ids(), ["a"]);
      });

      test("the same id lives in two namespaces, each with its own content", async () => {
        await add("a", { content: "here" });
        await store.add(other, [sampleEntry("a", { content: "there" })]);
        assert.equal((await store.get(scope, ["a"]))[0]?.content, "here");
        assert.equal((await store.get(other, ["a"]))[0]?.content, "there");
      });

      test("only namespaces that hold something are named, sorted", async () => {
        await store.add({ namespace: "zeta" }, [sampleEntry("a")]);
        await store.add(other, [sampleEntry("a")]);
        await add("brief", { tier: "working" });
        assert.deepEqual(await store.namespaces(), ["contract", "other", "zeta"]);
        clock.advance(901_000);
        await store.clear(other);
        assert.deepEqual(await store.namespaces(), ["zeta"]);
      });
    });

    describe("filters", () => {
      beforeEach(async () => {
        await store.add(scope, [
          sampleEntry("a", {
            tags: ["x", "y"],
            importance: 0.2,
            at: 1_000,
            metadata: { n: 1, deep: { k: [1] } },
          }),
          sampleEntry("b", {
            tags: ["x"],
            importance: 0.9,
            at: 2_000,
            thread,
            speaker: "Ben",
            metadata: { n: "1" },
          }),
          sampleEntry("c", { tier: "episodic", pinned: true, thread, speaker: "Ada", metadata: { n: null } }),
        ]);
        await publish("doc", ["first chunk", "second chunk"], {
          tags: ["x"],
          metadata: { n: 1, shared: true },
        });
      });

      const cases: readonly [string, Parameters<MemoryStore["matchingRows"]>[1], readonly string[]][] = [
        ["no condition gives all", {}, ["a", "b", "c", "doc-0", "doc-1"]],
        ["ids, unknown and repeated ones too", { ids: ["a", "zzz", "a", "doc-1"] }, ["a", "doc-1"]],
        ["no ids give nothing", { ids: [] }, []],
        ["tiers", { tiers: ["episodic", "semantic"] }, ["c", "doc-0", "doc-1"]],
        ["all of the tags", { tags: ["x", "y"] }, ["a"]],
        ["a tag, of a chunk its document's", { tags: ["x"] }, ["a", "b", "doc-0", "doc-1"]],
        ["no tags ask for nothing", { tags: [] }, ["a", "b", "c", "doc-0", "doc-1"]],
        ["event time at or after", { after: 2_000 }, ["b", "c", "doc-0", "doc-1"]],
        ["event time before", { before: 2_000 }, ["a"]],
        ["importance", { minImportance: 0.5 }, ["b", "c", "doc-0", "doc-1"]],
        ["thread", { thread }, ["b", "c"]],
        ["speaker", { speaker: "Ben" }, ["b"]],
        ["document", { document: "doc" }, ["doc-0", "doc-1"]],
        ["pinned", { pinned: true }, ["c"]],
        ["not pinned", { pinned: false }, ["a", "b", "doc-0", "doc-1"]],
        [
          "metadata by value and type, of a chunk its document's",
          { metadata: { n: 1 } },
          ["a", "doc-0", "doc-1"],
        ],
        ["metadata that is null", { metadata: { n: null } }, ["c"]],
        ["metadata with structure", { metadata: { deep: { k: [1] } } }, ["a"]],
        [
          "several conditions together",
          { tags: ["x"], thread, minImportance: 0.9, metadata: { n: "1" } },
          ["b"],
        ],
        ["hostile names", { tags: ['"x" or 1=1 --'], metadata: { 'a"b\\': "'" } }, []],
      ];
      for (const [title, filter, expected] of cases) {
        test(`${title}`, async () => {
          assert.deepEqual(await ids(filter), expected);
          const listed = await store.list(scope, filter, { limit: 10 });
          assert.deepEqual(listed.memories.map((memory) => memory.id).sort(), expected);
        });
      }

      test("matching rows ascend", async () => {
        const rows = [...(await store.matchingRows(scope, {}))];
        assert.deepEqual(
          rows,
          rows.toSorted((one, two) => one - two),
        );
      });
    });

    describe("lists", () => {
      test("pages follow each other, newest first, without gap or repetition", async () => {
        for (const id of ["a", "b", "c", "d", "e"]) {
          await add(id, { tags: ["t"] });
          if (id !== "b") clock.advance(10);
        }
        for (const filter of [{}, { tags: ["t"] }]) {
          const seen: string[] = [];
          for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
            const page = await store.list(scope, filter, { limit: 2, cursor });
            seen.push(...page.memories.map((memory) => memory.id));
            cursor = page.cursor;
          }
          assert.deepEqual(seen, ["e", "d", "c", "b", "a"]);
        }
      });

      test("a damaged cursor is refused, and so is another list's", async () => {
        const feed = (await store.changes(scope, undefined, 1)).cursor;
        for (const cursor of ["", "nonsense", feed]) {
          await rejects(store.list(scope, {}, { limit: 1, cursor }), "INVALID_CURSOR");
        }
        await rejects(store.changes(scope, "nonsense", 1), "INVALID_CURSOR");
        await rejects(store.documents(scope, { limit: 1, cursor: "nonsense" }), "INVALID_CURSOR");
      });
    });

    describe("updates", () => {
      test("an update changes what it names and nothing else, and raises the version", async () => {
        await add("a", { tags: ["old"], speaker: "Ada", metadata: { keep: 1 } });
        clock.advance(5);
        const { memory } = await store.update(scope, "a", { tags: ["new"], speaker: null, importance: 1 });
        assert.deepEqual(memory.tags, ["new"]);
        assert.equal(memory.speaker, undefined);
        assert.equal(memory.importance, 1);
        assert.equal(memory.version, 2);
        assert.equal(memory.updatedAt, clock.now());
        assert.deepEqual(memory.metadata, { keep: 1 });
        assert.deepEqual((await store.get(scope, ["a"]))[0], memory);
        assert.deepEqual(await ids({ tags: ["old"] }), []);
        assert.deepEqual(await ids({ tags: ["new"] }), ["a"]);
      });

      test("new content brings its hash and vector", async () => {
        await add("a", { content: "green tea" });
        const content = { text: "black coffee", hash: hashOf("black coffee"), vector: sampleVector(3) };
        const { memory } = await store.update(scope, "a", { content });
        assert.equal(memory.content, "black coffee");
        assert.deepEqual((await store.vectors(scope, ["a"]))[0], sampleVector(3));
      });

      test("an expected version that has passed is a conflict", async () => {
        await add("a");
        await store.update(scope, "a", { importance: 0.1 }, { ifVersion: 1 });
        await rejects(store.update(scope, "a", { importance: 0.2 }, { ifVersion: 1 }), "VERSION_CONFLICT");
        assert.equal((await store.get(scope, ["a"]))[0]?.importance, 0.1);
      });

      test("what is not there cannot be updated", async () => {
        await rejects(store.update(scope, "nobody", { importance: 1 }), "NOT_FOUND");
      });

      test("a chunk's text stays, and its tier, importance, pin and tags are its document's", async () => {
        await publish("doc", ["first chunk", "second chunk"]);
        const content = { text: "new", hash: hashOf("new"), vector: null };
        await rejects(store.update(scope, "doc-0", { content }), "CHUNK_IMMUTABLE");
        const before = (await store.get(scope, ["doc-1"]))[0]!;
        await store.update(scope, "doc-0", { tier: "episodic", importance: 1, pinned: true, tags: ["t"] });
        const chunk = (await store.get(scope, ["doc-1"]))[0]!;
        assert.deepEqual(
          [chunk.tier, chunk.importance, chunk.pinned, chunk.tags],
          ["episodic", 1, true, ["t"]],
        );
        assert.equal(chunk.version, before.version + 1);
        assert.deepEqual(await ids({ tags: ["t"] }), ["doc-0", "doc-1"]);
        assert.equal((await store.document(scope, "doc"))?.tier, "episodic");
      });

      test("a move is in the journal with both tiers", async () => {
        await add("a", { tier: "episodic" });
        await store.update(scope, "a", { tier: "semantic" });
        await store.update(scope, "a", { tier: "working" });
        const { entries } = await store.journal(scope, { limit: 5, memoryId: "a" });
        const moves = entries.map(({ kind, from, to }) => ({ kind, from, to }));
        assert.deepEqual(moves, [
          { kind: "demote", from: "semantic", to: "working" },
          { kind: "promote", from: "episodic", to: "semantic" },
        ]);
      });
    });

    describe("forgetting", () => {
      test("forgetting by filter removes what matches, and the journal says so", async () => {
        await store.add(scope, [
          sampleEntry("a", { tags: ["t"] }),
          sampleEntry("b"),
          sampleEntry("c", { tags: ["t"] }),
        ]);
        const { forgotten, run } = await store.forget(scope, { tags: ["t"] });
        assert.equal(forgotten, 2);
        assert.deepEqual(await ids(), ["b"]);
        const { entries } = await store.journal(scope, { limit: 5 });
        assert.deepEqual(
          entries.map((entry) => [entry.kind, entry.run]),
          [
            ["forget", run],
            ["forget", run],
          ],
        );
        assert.deepEqual(entries.map((entry) => entry.id).sort(), ["a", "c"]);
      });

      test("forgetting what is not there is no error and leaves no run", async () => {
        assert.deepEqual(await store.forget(scope, { ids: ["nobody"] }), { forgotten: 0 });
      });

      test("erasing leaves no row in the journal", async () => {
        await add("a");
        assert.deepEqual(await store.forget(scope, { ids: ["a"] }, { erase: true }), { forgotten: 1 });
        assert.deepEqual(await ids(), []);
        assert.deepEqual((await store.journal(scope, { limit: 5 })).entries, []);
      });

      test("an id that was forgotten can be stored again", async () => {
        await add("a", { idempotencyKey: "once" });
        await store.forget(scope, { ids: ["a"] });
        const { memories } = await add("a", { content: "something else", idempotencyKey: "once" });
        assert.equal(memories[0]!.outcome, "stored");
      });

      test("a document is forgotten whole, its chunks counted one by one", async () => {
        await publish("doc", ["one", "two", "three"]);
        const { forgotten } = await store.forget(scope, { document: "doc" });
        assert.equal(forgotten, 3);
        assert.equal(await store.document(scope, "doc"), undefined);
        assert.deepEqual(await ids(), []);
        const { entries } = await store.journal(scope, { limit: 5 });
        assert.deepEqual(
          entries.map((entry) => entry.document),
          [true],
        );
      });

      test("a single chunk can be forgotten; its document goes on without it", async () => {
        await publish("doc", ["one", "two", "three"]);
        assert.equal((await store.forget(scope, { ids: ["doc-1"] })).forgotten, 1);
        assert.deepEqual(await ids(), ["doc-0", "doc-2"]);
        assert.equal((await store.document(scope, "doc"))?.chunks, 2);
        assert.equal((await store.stats(scope)).memories, 2);
        await store.forget(scope, { ids: ["doc-0", "doc-2"] });
        assert.equal(await store.document(scope, "doc"), undefined);
        assertEmpty(await store.stats(scope));
      });

      test("clearing a namespace leaves nothing of it and nothing of others changed", async () => {
        await add("a", { tags: ["t"] });
        await store.forget(scope, { ids: ["a"] });
        await add("b");
        await add("brief", { tier: "working" });
        await publish("doc", ["one", "two"]);
        await store.stageDocument(scope, sampleDocument("half"));
        await store.add(other, [sampleEntry("a")]);
        clock.advance(1_000_000);
        assert.equal(await store.clear(scope), 3);
        assert.deepEqual(await ids(), []);
        assert.deepEqual((await store.journal(scope, { limit: 5 })).entries, []);
        assertEmpty(await store.stats(scope));
        assert.equal((await store.stats(other)).memories, 1);
      });
    });

    lifeContract(() => bench);

    describe("documents", () => {
      test("a document is invisible until it is published, then whole", async () => {
        const staged = await store.stageDocument(
          scope,
          sampleDocument("doc", { title: "Title", tags: ["t"] }),
        );
        await store.addChunks(staged, sampleChunks("doc", ["first part ", "second part"]));
        assert.deepEqual(await ids(), []);
        assert.equal(await store.document(scope, "doc"), undefined);
        assert.equal((await store.stats(scope)).memories, 0);
        const { document, replaced } = await store.publishDocument(staged);
        assert.equal(replaced, 0);
        assert.deepEqual([document.id, document.chunks, document.characters], [staged.documentId, 2, 22]);
        assert.deepEqual(await store.document(scope, "doc"), document);
        assert.deepEqual((await store.get(scope, ["doc-1"]))[0]?.source, {
          documentId: document.id,
          uri: "doc",
          title: "Title",
          headings: [],
          chunk: 1,
          start: 11,
          end: 22,
        });
        const stats = await store.stats(scope);
        assert.deepEqual([stats.memories, stats.documents, stats.tiers.semantic.bytes], [2, 1, 22]);
      });

      test("a new revision replaces the old at once and keeps id, uses and creation", async () => {
        const first = await publish("doc", ["alpha", "beta"]);
        await store.touch(scope, [{ id: "doc-0", count: 4, lastUsedAt: clock.now() }]);
        clock.advance(1_000);
        const staged = await store.stageDocument(scope, sampleDocument("doc", { hash: "changed" }));
        await store.addChunks(staged, sampleChunks("doc", ["gamma"]));
        assert.equal((await store.get(scope, ["doc-0"]))[0]?.content, "alpha");
        const second = await store.publishDocument(staged);
        assert.equal(second.replaced, 2);
        assert.equal(second.document.id, first.document.id);
        assert.deepEqual([second.document.accessCount, second.document.hash], [4, "changed"]);
        assert.equal(second.document.createdAt, first.document.createdAt);
        assert.deepEqual(
          (await store.get(scope, ["doc-0", "doc-1"])).map((memory) => memory?.content),
          ["gamma", undefined],
        );
        assert.equal((await store.stats(scope)).memories, 1);
      });

      test("a discarded revision leaves no trace and cannot be continued", async () => {
        const staged = await store.stageDocument(scope, sampleDocument("doc"));
        await store.addChunks(staged, sampleChunks("doc", ["one"]));
        await store.discardDocument(staged);
        await rejects(store.addChunks(staged, sampleChunks("doc", ["two"])), "NOT_FOUND");
        await rejects(store.publishDocument(staged), "NOT_FOUND");
        clock.advance(dayMs);
        assert.equal((await store.cleanup({ dryRun: true })).stagedChunks, 0);
      });

      test("what a dead process staged is swept by the next who stages", async () => {
        const dead = await store.stageDocument(scope, sampleDocument("doc"));
        await store.addChunks(dead, sampleChunks("doc", ["one"]));
        clock.advance(hourMs);
        await store.stageDocument(scope, sampleDocument("doc"));
        await rejects(store.publishDocument(dead), "NOT_FOUND");
      });

      test("documents are listed by name, a page at a time", async () => {
        for (const uri of ["b", "c", "a"]) await publish(uri, ["text"]);
        const first = await store.documents(scope, { limit: 2 });
        assert.deepEqual(
          first.documents.map((document) => document.uri),
          ["a", "b"],
        );
        const second = await store.documents(scope, { limit: 2, cursor: first.cursor });
        assert.deepEqual(
          second.documents.map((document) => document.uri),
          ["c"],
        );
        assert.equal(second.cursor, undefined);
      });

      test("a document without chunks is a document", async () => {
        const { document } = await publish("empty", []);
        assert.equal(document.chunks, 0);
        assert.equal((await store.forget(scope, { document: "empty" })).forgotten, 0);
      });
    });

    vectorContract(() => bench);

    feedContract(() => bench);

    describe("statistics", () => {
      test("figures are exact by tier, model and namespace", async () => {
        await store.add(scope, [
          sampleEntry("a", { content: "tea" }),
          sampleEntry("b", { content: "茶", vector: null }),
          sampleEntry("c", { tier: "episodic", pinned: true, content: "x" }),
        ]);
        await store.add(other, [sampleEntry("a", { content: "coffee" })]);
        const stats = await store.stats(scope);
        const { entries, memories, documents, pinned, bytes } = stats.tiers.long_term;
        assert.deepEqual([entries, memories, documents, pinned, bytes], [2, 2, 0, 0, 6]);
        assert.deepEqual([stats.tiers.episodic.entries, stats.tiers.episodic.pinned], [1, 1]);
        assert.deepEqual([stats.memories, stats.withoutVector, stats.models], [3, 1, { "sample-model": 2 }]);
        const all = await store.stats();
        assert.deepEqual([all.memories, all.namespaces, all.models], [4, 2, { "sample-model": 3 }]);
        for (const tier of tiers) {
          assert.ok(isTier(tier));
          assert.equal(all.tiers[tier].capacity, options.tiers[tier].capacity);
          assert.equal(all.tiers[tier].ttlSeconds, options.tiers[tier].ttlSeconds);
        }
      });

      test("what has expired is in no figure but its own", async () => {
        await store.add(scope, [
          sampleEntry("a", { tier: "working" }),
          sampleEntry("b", { tier: "working", vector: null }),
        ]);
        await publish("doc", ["one", "two"], { tier: "working" });
        clock.advance(hourMs);
        const stats = await store.stats(scope);
        assert.equal(stats.expired, 4);
        assertEmpty(stats);
      });
    });

    describe("the journal", () => {
      test("pages go from the newest to the oldest, for all or for one memory", async () => {
        for (const id of ["a", "b", "c"]) {
          await add(id);
          await store.forget(scope, { ids: [id] });
        }
        const first = await store.journal(scope, { limit: 2 });
        assert.deepEqual(
          first.entries.map((entry) => entry.id),
          ["c", "b"],
        );
        const second = await store.journal(scope, { limit: 2, cursor: first.cursor });
        assert.deepEqual(
          second.entries.map((entry) => entry.id),
          ["a"],
        );
        assert.equal(second.cursor, undefined);
        const one = await store.journal(scope, { limit: 5, memoryId: "b" });
        assert.deepEqual(
          one.entries.map((entry) => entry.id),
          ["b"],
        );
      });
    });

    describe("self-tuning", () => {
      const decision = (at: number) => ({
        at,
        parameter: "candidates",
        before: 100,
        after: 75,
        reason: "kept",
      });

      test("a decision is kept with what was before and after, whatever becomes of a namespace", async () => {
        await store.add(scope, [sampleEntry("a")]);
        await store.noteTuning(decision(1));
        await store.noteTuning({ ...decision(2), before: 75, after: 0.5 });
        await store.clear(scope);
        assert.deepEqual(await store.tuningDecisions(10), [
          { ...decision(2), before: 75, after: 0.5 },
          decision(1),
        ]);
        assert.equal((await store.tuningDecisions(1)).length, 1);
      });

      test("the oldest decisions of more than a thousand leave", async () => {
        for (let at = 1; at <= 1_010; at++) await store.noteTuning(decision(at));
        const kept = await store.tuningDecisions(2_000);
        assert.deepEqual([kept.length, kept[0]?.at, kept.at(-1)?.at], [1_000, 1_010, 11]);
      });
    });

    describe("leases", () => {
      test("one holder at a time, until it lets go or its time runs out", async () => {
        assert.equal(await store.acquireLease("duty", "one", 1_000), true);
        assert.equal(await store.acquireLease("duty", "two", 1_000), false);
        assert.equal(await store.acquireLease("duty", "one", 1_000), true);
        await store.releaseLease("duty", "two");
        assert.equal(await store.acquireLease("duty", "two", 1_000), false);
        await store.releaseLease("duty", "one");
        assert.equal(await store.acquireLease("duty", "two", 1_000), true);
        clock.advance(1_000);
        assert.equal(await store.acquireLease("duty", "one", 1_000), true);
      });

      test("one that was taken before the clock was set back by days holds nobody up", async () => {
        assert.equal(await store.acquireLease("duty", "one", 1_000), true);
        clock.advance(-3 * 86_400_000);
        assert.equal(await store.acquireLease("duty", "two", 1_000), true);
        assert.equal(await store.acquireLease("duty", "one", 1_000), false);
      });
    });

    describe("closing", () => {
      test("closing twice is fine, and later calls say that it is closed", async () => {
        await store.close();
        await store.close();
        await rejects(store.add(scope, [sampleEntry("a")]), "CLOSED");
        await rejects(store.get(scope, ["a"]), "CLOSED");
        await rejects(store.changes(scope, undefined, 1), "CLOSED");
        await rejects(store.stats(), "CLOSED");
        await rejects(store.namespaces(), "CLOSED");
        await rejects(store.generation(scope), "CLOSED");
        await rejects(store.acquireLease("duty", "one", 1), "CLOSED");
      });

      test("what was added is there after opening again", {
        skip: contract.reopen ? false : "keeps nothing",
      }, async () => {
        await add("a", { tags: ["t"], metadata: { n: 1 } });
        await publish("doc", ["one"]);
        const before = await store.list(scope, {}, { limit: 5 });
        const { cursor } = await store.changes(scope, undefined, 10);
        const generation = await store.generation(scope);
        store = await contract.reopen!(store, options);
        assert.deepEqual(await store.list(scope, {}, { limit: 5 }), before);
        assert.equal(await store.generation(scope), generation);
        assert.deepEqual((await store.changes(scope, cursor, 10)).rows, []);
      });
    });
  });
}
