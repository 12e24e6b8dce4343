import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StrataError } from "../contract/errors.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import { snapshotBound } from "../contract/snapshot.ts";
import { sampleChunks, sampleDocument, sampleEntry, sampleVector } from "./store-samples.ts";

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
      await store.forget(scope, { ids: ["b"] }, { erase: true });
      assert.deepEqual(await saved("one"), []);
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
