import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MergeAction, MoveAction } from "../contract/consolidation.ts";
import type { Tier } from "../contract/tier.ts";
import { add, type ContractBench, dayMs, idsIn, publish, rejects, scope, thread } from "./contract-bench.ts";

export function promotion(id: string, from: Tier, to: Tier, fields: Partial<MoveAction> = {}): MoveAction {
  return { kind: "promote", id, document: false, from, to, version: 1, reason: "used often", ...fields };
}

export function demotion(id: string, from: Tier, to: Tier, fields: Partial<MoveAction> = {}): MoveAction {
  return { ...promotion(id, from, to), kind: "demote", reason: "hardly used", ...fields };
}

export function merging(
  keep: string,
  absorb: string,
  versions: readonly [number, number] = [1, 1],
): MergeAction {
  return {
    kind: "merge",
    keep: { id: keep, version: versions[0] },
    absorb: { id: absorb, version: versions[1] },
    reason: "same text",
  };
}

/** The part of the contract of memory stores that is about performing what was planned. */
export function moveContract(bench: () => ContractBench): void {
  const one = async (id: string) => (await bench().store.get(scope, [id]))[0]!;
  const apply = (...actions: (MoveAction | MergeAction)[]) => bench().store.apply(scope, "run", actions);

  describe("moves", () => {
    test("a move changes the tier and nothing else, and the journal says so", async () => {
      const { store, clock } = bench();
      await add(bench(), "a", { tags: ["t"], accessCount: 3 });
      const before = await one("a");
      clock.advance(5_000);
      const { outcomes, evicted } = await apply(promotion("a", "long_term", "semantic"));
      assert.deepEqual([outcomes, evicted], [["done"], []]);
      assert.deepEqual(await one("a"), { ...before, tier: "semantic" });
      const stats = await store.stats(scope);
      assert.deepEqual([stats.tiers.long_term.entries, stats.tiers.long_term.bytes], [0, 0]);
      const { entries, memories, bytes } = stats.tiers.semantic;
      assert.deepEqual([entries, memories, bytes], [1, 1, "text of a".length]);
      assert.deepEqual((await store.journal(scope, { limit: 5 })).entries, [
        {
          run: "run",
          at: clock.now(),
          kind: "promote",
          id: "a",
          document: false,
          from: "long_term",
          to: "semantic",
          undoable: true,
          reason: "used often",
        },
      ]);
    });

    test("a document moves whole", async () => {
      const { store } = bench();
      const { document } = await publish(bench(), "doc", ["one", "two"], { tier: "long_term" });
      const { outcomes } = await apply(
        promotion(document.id, "long_term", "semantic", { document: true, version: 0 }),
      );
      assert.deepEqual(outcomes, ["done"]);
      assert.equal((await store.document(scope, "doc"))?.tier, "semantic");
      assert.equal((await one("doc-1")).tier, "semantic");
      const { entries, documents, memories } = (await store.stats(scope)).tiers.semantic;
      assert.deepEqual([entries, documents, memories], [1, 1, 2]);
    });

    test("what left, moved or was updated since the plan stays as it is, without a trace", async () => {
      const { store } = bench();
      await store.add(scope, []);
      for (const id of ["gone", "moved", "updated", "chunkless"]) await add(bench(), id);
      await publish(bench(), "doc", ["one"], { tier: "long_term" });
      await store.forget(scope, { ids: ["gone"] });
      await store.apply(scope, "earlier", [promotion("moved", "long_term", "semantic")]);
      await store.update(scope, "updated", { tags: ["t"] });
      const before = await store.journal(scope, { limit: 20 });
      const { outcomes } = await apply(
        promotion("gone", "long_term", "semantic"),
        promotion("moved", "long_term", "semantic"),
        promotion("updated", "long_term", "semantic"),
        promotion("chunkless", "long_term", "semantic", { document: true }),
        promotion("doc-0", "long_term", "semantic"),
        promotion("nobody", "long_term", "semantic"),
      );
      assert.deepEqual(new Set(outcomes), new Set(["changed"]));
      assert.deepEqual(await store.journal(scope, { limit: 20 }), before);
      assert.equal((await one("updated")).tier, "long_term");
    });

    test("a document ingested again since the plan stays", async () => {
      const { document } = await publish(bench(), "doc", ["one"], { tier: "long_term" });
      await publish(bench(), "doc", ["two"], { tier: "long_term" });
      const action = promotion(document.id, "long_term", "semantic", { document: true, version: 0 });
      assert.deepEqual((await apply(action)).outcomes, ["changed"]);
    });

    test("the second of two workers with the same plan finds everything changed", async () => {
      await add(bench(), "a");
      await add(bench(), "b");
      const plan = [promotion("a", "long_term", "semantic"), promotion("b", "long_term", "semantic")];
      const results = await Promise.all([
        bench().store.apply(scope, "one", plan),
        bench().store.apply(scope, "two", plan),
      ]);
      assert.deepEqual(
        results.map((result) => result.outcomes),
        [
          ["done", "done"],
          ["changed", "changed"],
        ],
      );
      assert.equal((await bench().store.journal(scope, { limit: 9 })).entries.length, 2);
    });

    test("the time to live starts anew in the new tier", async () => {
      const { clock } = bench();
      await add(bench(), "a", { tier: "short_term" });
      clock.advance(dayMs);
      await apply(demotion("a", "short_term", "working"));
      assert.equal((await one("a")).expiresAt, clock.now() + 900_000);
      clock.advance(800_000);
      await apply(promotion("a", "working", "episodic"));
      assert.equal((await one("a")).expiresAt, undefined);
    });

    test("a promotion never ends a life earlier, by hand neither", async () => {
      const { clock } = bench();
      await bench().reopen({
        tiers: { episodic: { ttlSeconds: 1_000, capacity: 0 }, long_term: { ttlSeconds: 60, capacity: 0 } },
      });
      for (const id of ["a", "b"]) await add(bench(), id, { tier: "episodic" });
      await apply(promotion("a", "episodic", "long_term"));
      await bench().store.update(scope, "b", { tier: "long_term" });
      for (const id of ["a", "b"]) assert.equal((await one(id)).expiresAt, clock.now() + 1_000_000);
    });

    test("a pinned entry moves when it is named, and does not expire", async () => {
      await add(bench(), "a", { pinned: true });
      assert.deepEqual((await apply(demotion("a", "long_term", "working"))).outcomes, ["done"]);
      const { tier, expiresAt } = await one("a");
      assert.deepEqual([tier, expiresAt], ["working", undefined]);
      const { entries, pinned } = (await bench().store.stats(scope)).tiers.working;
      assert.deepEqual([entries, pinned], [1, 1]);
    });

    test("a full tier gives up its least relevant for what is more relevant, in the same run", async () => {
      const { store } = bench();
      for (const [index, importance] of [0.4, 0.2, 0.6, 0.8].entries()) {
        await add(bench(), `m${index}`, { tier: "short_term", thread, importance });
      }
      await add(bench(), "strong", { tier: "working", thread, importance: 0.5 });
      await add(bench(), "weak", { tier: "working", thread, importance: 0.1 });
      await add(bench(), "equal", { tier: "working", thread, importance: 0.4 });
      const { outcomes, evicted } = await apply(
        promotion("strong", "working", "short_term"),
        promotion("weak", "working", "short_term"),
        promotion("equal", "working", "short_term"),
      );
      assert.deepEqual(outcomes, ["done", "full", "full"]);
      assert.deepEqual(
        evicted.map(({ id, tier }) => [id, tier]),
        [["m1", "short_term"]],
      );
      assert.equal((await store.stats(scope)).tiers.short_term.entries, 4);
      const { entries } = await store.journal(scope, { limit: 9, run: "run" });
      assert.deepEqual(
        entries.map(({ kind, id }) => [kind, id]),
        [
          ["promote", "strong"],
          ["evict", "m1"],
        ],
      );
      assert.deepEqual((await one("weak")).tier, "working");
    });

    test("expired entries make room before anything is evicted", async () => {
      await bench().reopen({
        tiers: { short_term: { ttlSeconds: 60, capacity: bench().partitions } },
      });
      await add(bench(), "old", { tier: "short_term", thread, importance: 1 });
      bench().clock.advance(61_000);
      await add(bench(), "a", { tier: "working", thread, importance: 0 });
      const { outcomes, evicted } = await apply(promotion("a", "working", "short_term"));
      assert.deepEqual([outcomes, evicted], [["done"], []]);
    });

    test("a move is news to caches and nothing to read for followers", async () => {
      const { store } = bench();
      const { document } = await publish(bench(), "doc", ["one"], { tier: "long_term" });
      await add(bench(), "a");
      const { cursor } = await store.changes(scope, undefined, 10);
      const before = await store.generation(scope);
      await apply(
        promotion("a", "long_term", "semantic"),
        promotion(document.id, "long_term", "semantic", { document: true, version: 0 }),
      );
      assert.notEqual(await store.generation(scope), before);
      const page = await store.changes(scope, cursor, 10);
      assert.deepEqual([page.rows, page.removed, page.more], [[], [], false]);
      // Where moves cannot be told, none are.
      const chunk = (await store.matchingRows(scope, { document: "doc" }))[0]!;
      const [own] = await store.matchingRows(scope, { ids: ["a"] });
      const expected = [own, chunk].map((row) => ({ row, tier: "semantic" }));
      if (page.moved) assert.deepEqual(new Set(page.moved), new Set(expected));
      const [row] = await store.matchingRows(scope, { ids: ["a"] });
      assert.equal((await store.read(scope, [row!]))[0]?.tier, "semantic");
    });

    test("a promotion down and a demotion up are refused, and nothing of the call is done", async () => {
      await add(bench(), "a");
      await add(bench(), "b");
      const good = promotion("b", "long_term", "semantic");
      await rejects(apply(good, promotion("a", "long_term", "episodic")), "INVALID_ARGUMENT");
      await rejects(apply(good, demotion("a", "long_term", "semantic")), "INVALID_ARGUMENT");
      assert.equal((await one("b")).tier, "long_term");
    });

    test("no actions, no trace", async () => {
      const before = await bench().store.generation(scope);
      assert.deepEqual(await apply(), { outcomes: [], evicted: [] });
      assert.equal(await bench().store.generation(scope), before);
    });
  });

  describe("merges", () => {
    test("one memory takes another in, with its uses, tags and where it came from", async () => {
      const { store, clock } = bench();
      await add(bench(), "a", { tags: ["x"], metadata: { mine: 1 }, importance: 0.3, accessCount: 2 });
      clock.advance(dayMs);
      const fields = { tags: ["y", "x"], metadata: { theirs: 2 }, importance: 0.7, accessCount: 5 };
      await add(bench(), "b", { ...fields, thread, speaker: "Ada", at: 5 });
      const [a, b] = [await one("a"), await one("b")];
      clock.advance(1_000);
      assert.deepEqual((await apply(merging("a", "b"))).outcomes, ["done"]);
      assert.deepEqual(await one("a"), {
        ...a,
        tags: ["x", "y"],
        metadata: {
          mine: 1,
          mergedFrom: [
            { id: "b", createdAt: b.createdAt, lastUsedAt: b.lastUsedAt, at: 5, thread, speaker: "Ada" },
          ],
        },
        importance: 0.7,
        accessCount: 7,
        lastUsedAt: b.lastUsedAt,
        updatedAt: clock.now(),
        version: 2,
      });
      assert.deepEqual(await idsIn(bench()), ["a"]);
      assert.deepEqual(await store.vectors(scope, ["b"]), [null]);
      assert.equal((await store.matchingRows(scope, { tags: ["y"] })).length, 1);
      assert.equal((await store.stats(scope)).memories, 1);
      const { entries } = await store.journal(scope, { limit: 5 });
      const shown = entries.map(({ kind, id, into, from, to, undoable }) => [
        kind,
        id,
        into,
        from,
        to,
        undoable,
      ]);
      assert.deepEqual(shown, [["merge", "b", "a", "long_term", undefined, true]]);
      assert.deepEqual((await store.journal(scope, { limit: 5, memoryId: "a" })).entries, entries);
      assert.deepEqual((await store.journal(scope, { limit: 5, memoryId: "b" })).entries, entries);
    });

    test("provenance goes on through several merges, the latest 32 of them", async () => {
      await add(bench(), "c");
      await add(bench(), "b");
      await add(bench(), "a");
      await apply(merging("b", "c"));
      await apply(merging("a", "b", [1, 2]));
      const origins = (await one("a")).metadata["mergedFrom"] as readonly { readonly id: string }[];
      assert.deepEqual(
        origins.map(({ id }) => id),
        ["c", "b"],
      );
      for (let index = 0; index < 40; index++) {
        await add(bench(), `m${index}`);
        await apply(merging("a", `m${index}`, [index + 2, 1]));
      }
      const kept = (await one("a")).metadata["mergedFrom"] as readonly { readonly id: string }[];
      assert.deepEqual([kept.length, kept.at(-1)?.id], [32, "m39"]);
    });

    test("later uses lengthen the life of the kept one in its own tier", async () => {
      const { clock } = bench();
      await add(bench(), "a", { tier: "working" });
      clock.advance(600_000);
      await add(bench(), "b", { tier: "episodic" });
      await apply(merging("a", "b"));
      assert.equal((await one("a")).expiresAt, clock.now() + 900_000);
    });

    test("what changed, is pinned, is a chunk or is the same is left alone", async () => {
      const { store } = bench();
      for (const id of ["a", "b"]) await add(bench(), id);
      await add(bench(), "pin", { pinned: true });
      await publish(bench(), "doc", ["one"]);
      const { outcomes } = await apply(
        merging("a", "b", [2, 1]),
        merging("a", "b", [1, 2]),
        merging("a", "pin"),
        merging("pin", "a"),
        merging("a", "doc-0"),
        merging("doc-0", "a"),
        merging("a", "a"),
        merging("a", "nobody"),
      );
      assert.deepEqual(new Set(outcomes), new Set(["changed"]));
      assert.deepEqual((await store.journal(scope, { limit: 5 })).entries, []);
    });

    test("followers see the one leave and the other stay", async () => {
      const { store } = bench();
      await add(bench(), "a");
      await add(bench(), "b");
      const first = await store.changes(scope, undefined, 10);
      await apply(merging("a", "b"));
      const page = await store.changes(scope, first.cursor, 10);
      assert.deepEqual(page.removed, [first.rows.find((row) => row.id === "b")!.row]);
      assert.ok(page.rows.every((row) => row.id === "a"));
    });
  });
}
