import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { MemoryStore } from "../contract/memory-store.ts";
import { boundTo, type ContractBench, hourMs, other, rejects, scope } from "./contract-bench.ts";
import type { ManualClock } from "./manual-clock.ts";
import { hashOf, sampleChunks, sampleDocument, sampleEntry, sampleVector } from "./store-samples.ts";

/** The part of the contract of memory stores that is about vectors of several models. */
export function vectorContract(bench: () => ContractBench): void {
  let store: MemoryStore;
  let clock: ManualClock;
  beforeEach(() => {
    ({ store, clock } = bench());
  });
  const { add, publish } = boundTo(bench);

  describe("vectors of further models", () => {
    const next = "next-model";
    const nextVector = (axis: number) => sampleVector(axis).values;
    const lacking = async (model = next, limit = 2) => {
      const found = [];
      for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
        const page = await store.lacking(scope, model, { limit, cursor });
        assert.ok(page.memories.length <= limit);
        found.push(...page.memories);
        cursor = page.cursor;
      }
      return found;
    };
    const lackingIds = async (model = next) => (await lacking(model)).map(({ memory }) => memory.id).sort();
    const put = async (id: string, values: Float32Array | null, model = next) => {
      const found = (await lacking(model)).find(({ memory }) => memory.id === id);
      assert.ok(found, `${id} lacks a vector of ${model}`);
      const vector = { row: found.row, version: found.memory.version, values };
      return (await store.addVectors(scope, model, [vector]))[0];
    };
    const drop = async (model = next, limit = 2) => {
      let dropped = 0;
      for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
        const page = await store.dropOtherVectors(scope, model, { limit, cursor });
        dropped += page.dropped;
        cursor = page.cursor;
      }
      return dropped;
    };
    /** By id, model and numbers that a follower of a model's vectors is given. */
    const followed = async (model?: string) => {
      const page = await store.changes(scope, undefined, 100, model);
      return Object.fromEntries(
        page.rows.map((row) => [row.id, row.vector && [row.model, row.vector.indexOf(1)]]),
      );
    };

    test("a second vector stands beside the first, and each follower sees its own model's", async () => {
      await store.add(scope, [sampleEntry("a", { vector: sampleVector(0) })]);
      await store.add(scope, [sampleEntry("b", { vector: sampleVector(1) })]);
      assert.equal(await put("a", nextVector(2)), true);
      assert.deepEqual(await followed(), { a: ["sample-model", 0], b: ["sample-model", 1] });
      assert.deepEqual(await followed("sample-model"), { a: ["sample-model", 0], b: ["sample-model", 1] });
      assert.deepEqual(await followed(next), { a: ["next-model", 2], b: ["sample-model", 1] });
      assert.deepEqual(await lackingIds(), ["b"]);
      assert.deepEqual(await store.coverage(scope), {
        memories: 2,
        models: { "sample-model": { vectors: 2, unknown: 0 }, [next]: { vectors: 1, unknown: 0 } },
      });
      const { models, withoutVector } = await store.stats(scope);
      assert.deepEqual(
        { models, withoutVector },
        { models: { "sample-model": 2, [next]: 1 }, withoutVector: 0 },
      );
      assert.equal((await store.get(scope, ["a"]))[0]!.model, "sample-model");
    });

    test("what a model knows nothing in is noted, and not asked for again", async () => {
      await add("a");
      assert.equal(await put("a", null), true);
      assert.deepEqual(await lackingIds(), []);
      assert.deepEqual(await followed(next), { a: null });
      const { unknown, withoutVector } = await store.stats(scope);
      assert.deepEqual({ unknown, withoutVector }, { unknown: { [next]: 1 }, withoutVector: 0 });
      assert.equal(await drop(), 1);
      assert.deepEqual(await lackingIds(), []);
      assert.deepEqual(await store.coverage(scope), {
        memories: 1,
        models: { [next]: { vectors: 0, unknown: 1 } },
      });
      assert.equal((await store.stats(scope)).withoutVector, 1);
    });

    test("vectors of several models come with a memory, a chunk and an update", async () => {
      const both = { vector: sampleVector(0), sideVectors: [{ model: next, values: nextVector(1) }] };
      await store.add(scope, [sampleEntry("a", both)]);
      await store.add(scope, [
        sampleEntry("nothing", { vector: null, sideVectors: [{ model: next, values: null }] }),
      ]);
      const staged = await store.stageDocument(scope, sampleDocument("d"));
      await store.addChunks(
        staged,
        sampleChunks("d", ["one", "two"]).map((chunk) => ({ ...chunk, ...both })),
      );
      assert.deepEqual(await store.coverage(scope), {
        memories: 2,
        models: { "sample-model": { vectors: 1, unknown: 0 }, [next]: { vectors: 1, unknown: 1 } },
      });
      await store.publishDocument(staged);
      await store.update(scope, "nothing", {
        content: { text: "tea", hash: hashOf("tea"), vector: null },
        ...both,
      });
      assert.deepEqual(await store.coverage(scope), {
        memories: 4,
        models: { "sample-model": { vectors: 4, unknown: 0 }, [next]: { vectors: 4, unknown: 0 } },
      });
      assert.deepEqual(await lackingIds(), []);
      assert.equal((await followed(next))["d-1"]![1], 1);
    });

    test("a memory without a vector has one once it is given one, and keeps it as its own", async () => {
      await add("a", { vector: null });
      await add("both", { vector: null });
      assert.equal(await put("a", nextVector(3)), true);
      for (const model of [next, "third"]) assert.equal(await put("both", nextVector(1), model), true);
      const figures = async () => {
        const { models, withoutVector } = await store.stats(scope);
        return [models, withoutVector];
      };
      assert.deepEqual(await figures(), [{ [next]: 2, third: 1 }, 0]);
      assert.deepEqual(await followed(next), { a: [next, 3], both: [next, 1] });
      assert.equal(await drop(), 1);
      assert.deepEqual(await figures(), [{ [next]: 2 }, 0]);
      assert.equal((await store.get(scope, ["a"]))[0]!.model, next);
      await add("b", { vector: null, sideVectors: [{ model: next, values: nextVector(1) }] });
      assert.equal((await store.get(scope, ["b"]))[0]!.model, next);
      await add("c", { vector: null });
      await put("c", nextVector(1), "third");
      assert.deepEqual(await figures(), [{ [next]: 3, third: 1 }, 0]);
      assert.equal(await drop(), 0, "what lacks the model keeps what it has");
      await store.update(scope, "c", { content: { text: "new", hash: hashOf("new"), vector: null } });
      assert.deepEqual(await figures(), [{ [next]: 3 }, 1]);
      await put("c", nextVector(1), "third");
      await store.forget(scope, { ids: ["a", "b", "c"] });
      assert.deepEqual(await figures(), [{ [next]: 1 }, 0]);
    });

    test("a vector for a memory that changed, left or has one is left out", async () => {
      await store.add(scope, [
        sampleEntry("changed"),
        sampleEntry("left"),
        sampleEntry("has"),
        sampleEntry("fine"),
      ]);
      const found = await lacking();
      const vectors = ["changed", "left", "has", "fine"].map((id) => {
        const { row, memory } = found.find((one) => one.memory.id === id)!;
        return { row, version: memory.version, values: nextVector(1) };
      });
      await store.update(scope, "changed", {
        content: { text: "new", hash: hashOf("new"), vector: sampleVector(0) },
      });
      await store.forget(scope, { ids: ["left"] });
      await put("has", nextVector(0));
      assert.deepEqual(await store.addVectors(scope, next, vectors), [false, false, false, true]);
      assert.deepEqual(await lackingIds(), ["changed"]);
    });

    test("a change of the text takes every model's vector with it", async () => {
      await add("a");
      await put("a", nextVector(1));
      await store.update(scope, "a", {
        content: { text: "new", hash: hashOf("new"), vector: sampleVector(0) },
      });
      assert.deepEqual(await lackingIds(), ["a"]);
      await put("a", nextVector(1));
      await store.update(scope, "a", { tags: ["t"] });
      assert.deepEqual(await lackingIds(), []);
    });

    test("chunks have further vectors too, and take them along when they leave", async () => {
      await publish("d", ["one", "two", "three"]);
      for (const id of ["d-0", "d-1"]) assert.equal(await put(id, nextVector(1)), true);
      assert.equal(await put("d-2", null), true);
      assert.deepEqual(await store.coverage(scope), {
        memories: 3,
        models: { "sample-model": { vectors: 3, unknown: 0 }, [next]: { vectors: 2, unknown: 1 } },
      });
      await store.forget(scope, { ids: ["d-0"] });
      assert.deepEqual((await store.coverage(scope)).models[next], { vectors: 1, unknown: 1 });
      await publish("d", ["other"], {}, "new");
      assert.deepEqual(await store.coverage(scope), {
        memories: 1,
        models: { "sample-model": { vectors: 1, unknown: 0 } },
      });
      assert.deepEqual(await lackingIds(), ["new-0"]);
    });

    test("what left or expired is in no figure of any model", async () => {
      const both = { sideVectors: [{ model: next, values: nextVector(1) }] };
      await store.add(scope, [sampleEntry("forgotten", both), sampleEntry("erased", both)]);
      await store.add(scope, [
        sampleEntry("expired", { ...both, tier: "working" }),
        sampleEntry("kept", both),
      ]);
      await store.forget(scope, { ids: ["forgotten"] });
      await store.forget(scope, { ids: ["erased"] }, { erase: true });
      clock.advance(hourMs);
      assert.deepEqual((await store.stats(scope)).models, { "sample-model": 1, [next]: 1 });
      await store.cleanup({ dryRun: false });
      assert.deepEqual((await store.coverage(scope)).models[next], { vectors: 1, unknown: 0 });
    });

    test("dropping leaves one model's vectors, and alone what lacks one", async () => {
      await store.add(
        scope,
        ["a", "b", "c", "d", "e"].map((id) => sampleEntry(id, { vector: sampleVector(0) })),
      );
      await publish("doc", ["one", "two"]);
      for (const id of ["a", "b", "c", "d", "doc-0", "doc-1"]) await put(id, nextVector(2));
      assert.equal(await drop(), 6);
      assert.deepEqual((await store.stats(scope)).models, { "sample-model": 1, [next]: 6 });
      assert.deepEqual(await lackingIds(), ["e"]);
      assert.deepEqual(await lackingIds("sample-model"), ["a", "b", "c", "d", "doc-0", "doc-1"]);
      assert.deepEqual((await followed(next))["doc-1"], ["next-model", 2]);
      assert.deepEqual((await followed(next))["e"], ["sample-model", 0]);
      assert.deepEqual((await store.vectors(scope, ["a"]))[0], { model: next, values: nextVector(2) });
      assert.equal(await drop(), 0);
    });

    test("dropping reaches what a named snapshot keeps", async () => {
      await add("a");
      await store.saveSnapshot(scope, "before", {});
      await put("a", nextVector(2));
      assert.equal(await drop(), 2);
      const { items } = await store.readSnapshot(scope, "before", { limit: 5 });
      assert.deepEqual(
        items.map(({ memory, vector }) => [memory.id, vector]),
        [["a", null]],
      );
    });

    test("a follower is told of vectors of its model that were put beside others, and nobody else is", async () => {
      await store.add(
        scope,
        ["a", "b", "c", "d"].map((id) => sampleEntry(id)),
      );
      await publish("doc", ["one", "two"]);
      const models = ["sample-model", next, undefined];
      const start = (model: string | undefined) => store.changes(scope, undefined, 10, model);
      const cursors = new Map<string | undefined, string>();
      for (const model of models) cursors.set(model, (await start(model)).cursor);
      const generation = async (model?: string) => store.generation(scope, model);
      const before = [await generation(next), await generation("sample-model"), await generation()];
      for (const id of ["b", "a", "doc-1", "d"]) await put(id, id === "d" ? null : nextVector(2));
      const after = [await generation(next), await generation("sample-model"), await generation()];
      assert.deepEqual(
        after.map((each, at) => each === before[at]),
        [false, true, true],
      );
      const told: unknown[] = [];
      for (let more = true; more; ) {
        const page = await store.changes(scope, cursors.get(next), 3, next);
        assert.ok(page.rows.length <= 3);
        told.push(...page.rows.map(({ id, model, vector }) => [id, model, vector?.indexOf(1)]));
        cursors.set(next, page.cursor);
        more = page.more;
      }
      assert.deepEqual(told, [
        ["b", next, 2],
        ["a", next, 2],
        ["doc-1", next, 2],
        ["d", undefined, undefined],
      ]);
      for (const model of models) {
        assert.deepEqual((await store.changes(scope, cursors.get(model), 10, model)).rows, []);
      }
      // A write and a vector in one page.
      await add("e");
      await put("c", nextVector(1));
      const page = await store.changes(scope, cursors.get(next), 10, next);
      assert.deepEqual(page.rows.map(({ id }) => id).sort(), ["c", "e"]);
    });

    test("after dropping, a follower that has read all vectors goes on, and one that has not begins anew", async () => {
      await store.add(scope, [sampleEntry("a"), sampleEntry("b")]);
      const behind = (await store.changes(scope, undefined, 10, next)).cursor;
      const other = (await store.changes(scope, undefined, 10, "sample-model")).cursor;
      for (const id of ["a", "b"]) await put(id, nextVector(1));
      const current = (await store.changes(scope, behind, 10, next)).cursor;
      await drop();
      await rejects(store.changes(scope, behind, 10, next), "FEED_TRUNCATED");
      assert.deepEqual((await store.changes(scope, other, 10, "sample-model")).rows, []);
      assert.deepEqual((await store.changes(scope, current, 10, next)).rows, []);
      await add("c");
      await put("c", nextVector(1));
      const page = await store.changes(scope, current, 10, next);
      assert.deepEqual(
        page.rows.map(({ id, model }) => [id, model]),
        [["c", next]],
      );
    });

    test("an empty namespace lacks nothing and covers nothing", async () => {
      assert.deepEqual(await store.lacking(other, next, { limit: 5 }), { memories: [] });
      assert.deepEqual(await store.coverage(other), { memories: 0, models: {} });
      assert.deepEqual(await lackingIds(), []);
    });
  });
}
