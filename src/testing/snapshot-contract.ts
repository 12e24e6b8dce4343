import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StrataError } from "../contract/errors.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import { snapshotBound } from "../contract/snapshot.ts";
import { hashOf, sampleChunks, sampleDocument, sampleEntry, sampleVector } from "./store-samples.ts";

const scope = { namespace: "contract" };
const other = { namespace: "other" };

/** The part of the contract of memory stores that is about named snapshots. */
export function snapshotContract(open: () => MemoryStore): void {
  describe("named snapshots", () => {
    const add = (id: string, fields: Parameters<typeof sampleEntry>[1] = {}) =>
      open().add(scope, [sampleEntry(id, fields)]);
    const saved = async (name: string) => {
      const { items } = await open().readSnapshot(scope, name, { limit: 1_000 });
      return items.map(({ memory }) => memory.id).sort();
    };

    /** Restores every item of a snapshot as it is against what is there. */
    const restore = async (name: string) => {
      const store = open();
      const { items } = await store.readSnapshot(scope, name, { limit: 1_000 });
      const current = await store.get(
        scope,
        items.map(({ memory }) => memory.id),
      );
      const actions = items.map(({ memory, vector }, at) => ({
        kind: "restore" as const,
        memory,
        vector,
        version: current[at]?.version,
        reason: "again",
      }));
      const run = `load ${name}`;
      return { run, ...(await store.apply(scope, run, actions)) };
    };

    test("a snapshot keeps what was there, whatever becomes of it", async () => {
      const store = open();
      const vector = sampleVector(1);
      await add("a", { content: "first words", tags: ["t"], vector });
      const before = (await store.get(scope, ["a"]))[0];
      const info = await store.saveSnapshot(scope, "monday", {});
      assert.deepEqual({ ...info, bytes: 0 }, { ...info, name: "monday", filter: {}, memories: 1, bytes: 0 });
      assert.ok(info.bytes > 0);
      await store.update(scope, "a", { tags: ["changed"] });
      await store.forget(scope, { ids: ["a"] });
      const { items, cursor } = await store.readSnapshot(scope, "monday", { limit: 10 });
      assert.equal(cursor, undefined);
      assert.deepEqual(items[0]?.memory, before);
      assert.deepEqual(items[0]?.vector, (await vectorAsKept(store, vector)) ?? null);
      assert.deepEqual(await store.snapshots(scope), [info]);
    });

    test("it holds what matches and no chunks of documents", async () => {
      const store = open();
      await store.add(scope, [
        sampleEntry("a", { tags: ["t"] }),
        sampleEntry("b"),
        sampleEntry("c", { tags: ["t"] }),
      ]);
      const staged = await store.stageDocument(scope, sampleDocument("doc"));
      await store.addChunks(staged, sampleChunks("doc", ["one"]));
      await store.publishDocument(staged);
      await store.saveSnapshot(scope, "all", {});
      await store.saveSnapshot(scope, "tagged", { tags: ["t"] });
      assert.deepEqual(await saved("all"), ["a", "b", "c"]);
      assert.deepEqual(await saved("tagged"), ["a", "c"]);
      const filters = (await store.snapshots(scope)).map(({ filter }) => filter);
      assert.deepEqual(filters, [{}, { tags: ["t"] }]);
    });

    test("pages follow each other without gap or repetition", async () => {
      const store = open();
      await store.add(
        scope,
        Array.from({ length: 300 }, (_, index) => sampleEntry(`m${index}`)),
      );
      assert.equal((await store.saveSnapshot(scope, "many", {})).memories, 300);
      const seen: string[] = [];
      for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
        const page = await store.readSnapshot(scope, "many", { limit: 7, cursor });
        seen.push(...page.items.map(({ memory }) => memory.id));
        cursor = page.cursor;
      }
      assert.equal(seen.length, 300);
      assert.equal(new Set(seen).size, 300);
    });

    test("a taken name is refused unless it is to be replaced, and then replaced whole", async () => {
      const store = open();
      await add("a");
      await store.saveSnapshot(scope, "s", {});
      await add("b");
      await assert.rejects(store.saveSnapshot(scope, "s", {}), hasCode("ALREADY_EXISTS"));
      assert.deepEqual(await saved("s"), ["a"]);
      await store.saveSnapshot(scope, "s", { ids: ["b"] }, { replace: true });
      assert.deepEqual(await saved("s"), ["b"]);
      assert.equal((await store.snapshots(scope)).length, 1);
    });

    test("there is a bound, and one deleted makes room", async () => {
      const store = open();
      for (let count = 0; count < snapshotBound; count++) await store.saveSnapshot(scope, `s${count}`, {});
      await assert.rejects(store.saveSnapshot(scope, "more", {}), hasCode("LIMIT_REACHED"));
      await store.saveSnapshot(scope, "s7", {}, { replace: true });
      await store.deleteSnapshot(scope, "s7");
      await store.saveSnapshot(scope, "more", {});
    });

    test("names belong to their namespace", async () => {
      const store = open();
      await add("a");
      await store.saveSnapshot(scope, "s", {});
      assert.deepEqual(await store.snapshots(other), []);
      await assert.rejects(store.readSnapshot(other, "s", { limit: 1 }), hasCode("NOT_FOUND"));
      await assert.rejects(store.deleteSnapshot(other, "s"), hasCode("NOT_FOUND"));
      await store.clear(other);
      assert.deepEqual(await saved("s"), ["a"]);
      await store.clear(scope);
      assert.deepEqual(await store.snapshots(scope), []);
    });

    test("what is erased leaves every snapshot, also when it no longer matches as it is now", async () => {
      const store = open();
      await store.add(scope, [sampleEntry("a", { tags: ["secret"] }), sampleEntry("b")]);
      await store.saveSnapshot(scope, "one", {});
      await store.saveSnapshot(scope, "two", { ids: ["a"] });
      const full = (await store.snapshots(scope))[0]!;
      await store.update(scope, "a", { tags: [] });
      await store.forget(scope, { ids: ["a"] });
      assert.deepEqual(await saved("one"), ["a", "b"]);
      await store.forget(scope, { tags: ["secret"] }, { erase: true });
      assert.deepEqual(await saved("one"), ["b"]);
      assert.deepEqual(await saved("two"), []);
      const [one, two] = await store.snapshots(scope);
      assert.deepEqual([one!.memories, two!.memories, two!.bytes], [1, 0, 0]);
      assert.ok(one!.bytes < full.bytes);
      await store.update(scope, "b", { tags: ["now"] });
      await store.forget(scope, { tags: ["now"] }, { erase: true });
      assert.deepEqual(await saved("one"), []);
    });

    test("a memory that changed becomes again what it was, and an undo takes that back", async () => {
      const store = open();
      await store.add(scope, [
        sampleEntry("a", {
          content: "first words",
          tags: ["t"],
          thread: "x",
          idempotencyKey: "k",
          importance: 0.9,
        }),
      ]);
      await store.saveSnapshot(scope, "s", {});
      await store.update(scope, "a", {
        content: { text: "other words", hash: hashOf("other words"), vector: sampleVector(2) },
        tags: [],
        tier: "semantic",
        pinned: true,
      });
      await store.touch(scope, [{ id: "a", count: 3, lastUsedAt: 0 }]);
      const [changed] = await store.get(scope, ["a"]);
      const result = await restore("s");
      assert.deepEqual(result.outcomes, ["done"]);
      const [memory] = await store.get(scope, ["a"]);
      assert.deepEqual(
        [memory?.content, memory?.tags, memory?.thread, memory?.importance, memory?.pinned],
        ["first words", ["t"], "x", 0.9, false],
      );
      assert.deepEqual([memory?.tier, memory?.accessCount, memory?.version], ["semantic", 3, 3]);
      const again = await store.add(scope, [sampleEntry("new", { idempotencyKey: "k" })]);
      assert.equal(again.memories[0]?.memory.id, "a");
      const undo = await store.undo(scope, result.run);
      assert.deepEqual([undo.undone, undo.skipped], [2, []]);
      assert.deepEqual((await store.get(scope, ["a"]))[0], changed);
      await store.undo(scope, undo.run);
      assert.equal((await store.get(scope, ["a"]))[0]?.content, "first words");
    });

    test("a memory that left comes back and lives from now, and an undo takes it away", async () => {
      const store = open();
      await add("a", { tier: "working", metadata: { deep: { list: [1] } } });
      await store.saveSnapshot(scope, "s", {});
      const before = (await store.get(scope, ["a"]))[0]!;
      await store.forget(scope, { ids: ["a"] });
      const result = await restore("s");
      const [memory] = await store.get(scope, ["a"]);
      const { updatedAt: _one, lastUsedAt: _two, expiresAt: _three, ...rest } = memory!;
      const { updatedAt: _four, lastUsedAt: _five, expiresAt: _six, ...same } = before;
      assert.deepEqual(rest, { ...same, version: 2 });
      assert.equal(memory!.expiresAt, memory!.lastUsedAt + 900_000);
      const stats = await store.stats(scope);
      assert.deepEqual([stats.memories, stats.tiers.working.entries], [1, 1]);
      assert.equal((await store.undo(scope, result.run)).undone, 1);
      assert.deepEqual(await store.get(scope, ["a"]), [undefined]);
    });

    test("what changed since it was read stays, without a trace", async () => {
      const store = open();
      await add("a");
      await store.saveSnapshot(scope, "s", {});
      const { items } = await store.readSnapshot(scope, "s", { limit: 1 });
      const { memory, vector } = items[0]!;
      const action = { kind: "restore", memory, vector, reason: "again" } as const;
      const outcomes = async (version: number | undefined) =>
        (await store.apply(scope, "run", [{ ...action, version }])).outcomes;
      assert.deepEqual(await outcomes(undefined), ["changed"]);
      assert.deepEqual(await outcomes(2), ["changed"]);
      await store.forget(scope, { ids: ["a"] });
      assert.deepEqual(await outcomes(1), ["changed"]);
      assert.deepEqual((await store.journal(scope, { limit: 5, run: "run" })).entries, []);
    });

    test("what comes back into a full tier takes the place of something less relevant, or stays away", async () => {
      const store = open();
      for (const [index, importance] of [0.9, 0.5, 0.6, 0.7, 0.8].entries()) {
        if (index === 1) {
          await store.saveSnapshot(scope, "s", {});
          await store.forget(scope, { ids: ["m0"] });
        }
        await add(`m${index}`, { tier: "semantic", importance, thread: "one" });
      }
      const ids = async () =>
        (await store.list(scope, {}, { limit: 10 })).memories.map(({ id }) => id).sort();
      const result = await restore("s");
      assert.deepEqual(
        result.evicted.map(({ id }) => id),
        ["m1"],
      );
      assert.deepEqual(await ids(), ["m0", "m2", "m3", "m4"]);
      await store.undo(scope, result.run);
      assert.deepEqual(await ids(), ["m1", "m2", "m3", "m4"]);
    });

    test("a damaged cursor and an aborted save are refused, and leave nothing", async () => {
      const store = open();
      await add("a");
      const signal = AbortSignal.abort(new Error("enough"));
      await assert.rejects(store.saveSnapshot(scope, "s", {}, { signal }), /enough/);
      assert.deepEqual(await store.snapshots(scope), []);
      await store.saveSnapshot(scope, "s", {});
      const cursor = "not one";
      await assert.rejects(store.readSnapshot(scope, "s", { limit: 1, cursor }), hasCode("INVALID_CURSOR"));
    });
  });
}

/** A vector as the store gives it back: drivers keep float16. */
async function vectorAsKept(store: MemoryStore, vector: ReturnType<typeof sampleVector>) {
  await store.add(other, [sampleEntry("probe", { vector })]);
  return (await store.vectors(other, ["probe"]))[0];
}

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => StrataError.isInstance(error) && error.code === code;
}
