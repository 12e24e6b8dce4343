import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { Memory } from "../contract/memory.ts";
import type { IndexRow, MemoryStore } from "../contract/memory-store.ts";
import { boundTo, type ContractBench, dayMs, rejects, scope, thread } from "./contract-bench.ts";
import type { ManualClock } from "./manual-clock.ts";
import { hashOf, sampleEntry, sampleVector } from "./store-samples.ts";

/** The part of the contract of memory stores that is about the change feed. */
export function feedContract(bench: () => ContractBench): void {
  const { partitions } = bench();
  let store: MemoryStore;
  let clock: ManualClock;
  beforeEach(() => {
    ({ store, clock } = bench());
  });
  const { add, publish } = boundTo(bench);

  describe("the change feed", () => {
    type Told = Pick<Memory, "id" | "content" | "tags" | "importance" | "pinned" | "createdAt" | "tier">;
    const tell = ({ tags, ...told }: Told, knowsTiers: boolean): string => {
      const { id, content, importance, pinned, createdAt, tier } = told;
      const sorted = [...tags].sort();
      return JSON.stringify([id, content, sorted, importance, pinned, createdAt, knowsTiers && tier]);
    };

    /** A follower that holds what the feed told it. */
    class Follower {
      readonly rows = new Map<number, IndexRow>();
      cursor: string | undefined;
      knowsTiers = true;
      async follow(limit = 3): Promise<void> {
        for (let more = true; more; ) {
          const page = await store.changes(scope, this.cursor, limit);
          assert.ok(page.rows.length <= limit);
          for (const row of page.removed) this.rows.delete(row);
          for (const row of page.rows) this.rows.set(row.row, row);
          for (const { row, tier } of page.moved ?? []) {
            const known = this.rows.get(row);
            if (known) this.rows.set(row, { ...known, tier });
          }
          if (!page.moved) this.knowsTiers = false;
          this.cursor = page.cursor;
          more = page.more;
        }
      }
      contents(): string[] {
        return [...this.rows.values()].map((row) => tell(row, this.knowsTiers)).sort();
      }
    }

    test("following it from the beginning builds what is there", async () => {
      await store.add(
        scope,
        ["a", "b", "c", "d"].map((id) => sampleEntry(id)),
      );
      await store.forget(scope, { ids: ["b"] });
      await publish("doc", ["one", "two", "three", "four"]);
      const follower = new Follower();
      await follower.follow();
      assert.deepEqual([...follower.rows.values()].map((row) => row.id).sort(), [
        "a",
        "c",
        "d",
        "doc-0",
        "doc-1",
        "doc-2",
        "doc-3",
      ]);
      const row = [...follower.rows.values()].find((found) => found.id === "a")!;
      assert.deepEqual([...row.vector!], [...sampleVector("text of a".length).values]);
      assert.equal(row.model, "sample-model");
    });

    test("a follower reaches the state of the store after every kind of write", async () => {
      const follower = new Follower();
      const agree = async () => {
        await follower.follow();
        const { memories } = await store.list(scope, {}, { limit: 100 });
        assert.deepEqual(
          follower.contents(),
          memories.map((memory) => tell(memory, follower.knowsTiers)).sort(),
        );
      };
      await add("a", { thread });
      await add("b");
      await agree();
      await store.update(scope, "a", {
        content: { text: "changed", hash: hashOf("changed"), vector: null },
      });
      await store.update(scope, "a", { thread: "another" });
      await store.update(scope, "b", { thread: "yet another" });
      await agree();
      await store.update(scope, "a", { importance: 0.9 });
      await agree();
      await store.update(scope, "a", { pinned: true });
      await store.update(scope, "b", { tags: ["red", "blue"] });
      await agree();
      await publish("doc", ["one", "two", "three", "four", "five"]);
      await agree();
      await publish("doc", ["six", "seven"]);
      await agree();
      await store.forget(scope, { ids: ["doc-0", "b"] });
      await agree();
      for (let index = 0; index < 8; index++) await add(`s${index}`, { tier: "short_term", thread });
      await agree();
      await store.update(scope, "doc-1", { tier: "episodic" });
      await agree();
      await store.update(scope, "doc-1", { tags: ["green"], importance: 0.2, pinned: true });
      await agree();
      const [s7, document] = [(await store.get(scope, ["s7"]))[0]!, await store.document(scope, "doc")];
      const move = {
        kind: "promote",
        from: "short_term",
        to: "semantic",
        reason: "used often",
        version: undefined,
      } as const;
      const up = { ...move, from: "episodic", document: true, id: document!.id } as const;
      await store.apply(scope, "run", [{ ...move, id: s7.id, document: false }, up]);
      assert.equal((await store.get(scope, ["s7"]))[0]?.tier, "semantic");
      assert.equal((await store.get(scope, ["doc-1"]))[0]?.tier, "semantic");
      await agree();
      await store.undo(scope, "run");
      await agree();
      await store.clear(scope);
      await agree();
      assert.deepEqual(follower.contents(), []);
    });

    test("nothing new gives an empty page with a cursor that goes on", async () => {
      await add("a");
      const first = await store.changes(scope, undefined, 10);
      assert.equal(first.more, false);
      const second = await store.changes(scope, first.cursor, 10);
      assert.deepEqual([second.rows, second.removed, second.more], [[], [], false]);
      await add("b");
      const third = await store.changes(scope, second.cursor, 10);
      assert.deepEqual(
        third.rows.map((row) => row.id),
        ["b"],
      );
    });

    test("a memory changed often appears once", async () => {
      const { cursor } = await store.changes(scope, undefined, 10);
      await add("a");
      for (const importance of [0.1, 0.2, 0.3]) await store.update(scope, "a", { importance });
      const page = await store.changes(scope, cursor, 10);
      assert.deepEqual(
        page.rows.map((row) => row.id),
        ["a"],
      );
    });

    test("a follower too far behind is told, one that starts again is not", async () => {
      await store.add(scope, [sampleEntry("a", { thread }), sampleEntry("b", { thread })]);
      const { cursor } = await store.changes(scope, undefined, 1);
      await store.forget(scope, { ids: ["a"] });
      for (let index = 0; index < 200 * partitions; index++) {
        await add("x", { thread });
        await store.forget(scope, { ids: ["x"] });
      }
      await rejects(store.changes(scope, cursor, 10), "FEED_TRUNCATED");
      await store.add(
        scope,
        ["c", "d", "e"].map((id) => sampleEntry(id, { thread })),
      );
      const follower = new Follower();
      await follower.follow(1);
      assert.equal(follower.rows.size, 4);
    });

    test("the generation changes with every kind of write", async () => {
      const seen = new Set([await store.generation(scope)]);
      const changed = async (what: string) => {
        const generation = await store.generation(scope);
        assert.ok(!seen.has(generation), `same generation after ${what}`);
        seen.add(generation);
      };
      await add("a", { tier: "working" });
      await changed("add");
      await store.update(scope, "a", { importance: 0 });
      await changed("update");
      await publish("doc", ["one"]);
      await changed("publish");
      await publish("doc", ["two"]);
      await changed("publishing again");
      await store.forget(scope, { document: "doc" });
      await changed("forget");
      clock.advance(dayMs);
      await store.cleanup({ dryRun: false });
      await changed("cleanup");
      assert.equal(await store.generation(scope), await store.generation(scope));
    });
  });
}
