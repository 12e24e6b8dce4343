import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  add,
  type ContractBench,
  dayMs,
  idsIn,
  publish,
  rejects,
  scope,
  stateOf,
  thread,
} from "./contract-bench.ts";
import { demotion, merging, promotion } from "./move-contract.ts";
import { hashOf, sampleDocument, sampleEntry } from "./store-samples.ts";

/** The part of the contract of memory stores that is about taking back. */
export function undoContract(bench: () => ContractBench): void {
  const one = async (id: string) => (await bench().store.get(scope, [id]))[0];
  const undo = (run: string) => bench().store.undo(scope, run);
  const state = () => stateOf(bench().store);
  const forget = async (...ids: string[]) => (await bench().store.forget(scope, { ids })).run!;
  const latestRun = async () => (await bench().store.journal(scope, { limit: 1 })).entries[0]!.run;

  describe("undo", () => {
    test("what was forgotten is there again as it was", async () => {
      const { store, clock } = bench();
      const fields = { tags: ["t"], metadata: { n: 1 }, importance: 0.8, accessCount: 3, at: 7 };
      await add(bench(), "a", { ...fields, thread, speaker: "Ada", idempotencyKey: "once" });
      await add(bench(), "b", { thread, vector: null });
      await store.update(scope, "a", { tags: ["t", "u"] });
      const before = await state();
      clock.advance(5_000);
      const run = await forget("a", "b");
      const result = await undo(run);
      assert.deepEqual([result.undone, result.skipped, result.evicted], [2, [], []]);
      assert.deepEqual(await state(), before);
      const again = await add(bench(), "new", { idempotencyKey: "once", content: "other words" });
      assert.equal(again.memories[0]!.memory.id, "a");
    });

    test("the journal tells of it, and that the run was undone", async () => {
      const { store, clock } = bench();
      await add(bench(), "a");
      const run = await forget("a");
      const { run: undoRun } = await undo(run);
      const { entries } = await store.journal(scope, { limit: 5 });
      assert.deepEqual(entries, [
        {
          run: undoRun,
          at: clock.now(),
          kind: "undo",
          id: "a",
          document: false,
          from: "long_term",
          to: "long_term",
          undoable: true,
          reason: `took back forget of run ${run}`,
        },
        {
          run,
          at: clock.now(),
          kind: "forget",
          id: "a",
          document: false,
          from: "long_term",
          undoable: false,
          reason: "forgotten on request",
        },
      ]);
    });

    test("a follower that saw it leave sees it come back, one that did not sees no change", async () => {
      const { store } = bench();
      await add(bench(), "a");
      const before = await store.changes(scope, undefined, 10);
      const run = await forget("a");
      const between = await store.changes(scope, before.cursor, 10);
      assert.equal(between.removed.length, 1);
      const generation = await store.generation(scope);
      await undo(run);
      assert.notEqual(await store.generation(scope), generation);
      const seen = await store.changes(scope, between.cursor, 10);
      assert.deepEqual([seen.rows.map((row) => row.id), seen.removed], [["a"], []]);
      const unseen = await store.changes(scope, before.cursor, 10);
      assert.deepEqual([unseen.rows, unseen.removed], [before.rows, []]);
    });

    test("moves are taken back, with the expiry there was", async () => {
      const { store, clock } = bench();
      await add(bench(), "up", { tier: "working" });
      await add(bench(), "down");
      const { document } = await publish(bench(), "doc", ["one", "two"], { tier: "long_term" });
      clock.advance(1_000);
      const before = await state();
      await store.apply(scope, "run", [
        promotion("up", "working", "short_term"),
        demotion("down", "long_term", "episodic"),
        promotion(document.id, "long_term", "semantic", { document: true, version: 0 }),
      ]);
      assert.notDeepEqual(await state(), before);
      const result = await undo("run");
      assert.deepEqual([result.undone, result.skipped], [3, []]);
      assert.deepEqual(await state(), before);
    });

    test("an expiry that has passed starts anew, and uses since then stay", async () => {
      const { store, clock } = bench();
      for (const id of ["a", "used"]) await add(bench(), id, { tier: "working" });
      await store.apply(scope, "run", [
        promotion("a", "working", "episodic"),
        promotion("used", "working", "episodic"),
      ]);
      clock.advance(800_000);
      await store.touch(scope, [{ id: "used", count: 2, lastUsedAt: clock.now() }]);
      clock.advance(200_000);
      await undo("run");
      assert.equal((await one("a"))?.expiresAt, clock.now() + 900_000);
      const used = await one("used");
      assert.deepEqual([used?.accessCount, used?.expiresAt], [2, clock.now() + 700_000]);
    });

    test("a forgotten memory whose time ran out meanwhile gets it anew", async () => {
      const { clock } = bench();
      await add(bench(), "a", { tier: "working" });
      const run = await forget("a");
      clock.advance(dayMs);
      await undo(run);
      assert.equal((await one("a"))?.expiresAt, clock.now() + 900_000);
    });

    test("a move by hand is a run that can be taken back", async () => {
      const { store } = bench();
      await add(bench(), "a", { tier: "working" });
      const before = await one("a");
      await store.update(scope, "a", { tier: "semantic" });
      const { undone } = await undo(await latestRun());
      assert.equal(undone, 1);
      assert.deepEqual([(await one("a"))?.tier, (await one("a"))?.expiresAt], ["working", before?.expiresAt]);
    });

    test("what was evicted comes back, and something else leaves", async () => {
      const { store } = bench();
      for (const [index, importance] of [0.1, 0.4, 0.6, 0.8].entries()) {
        await add(bench(), `m${index}`, { tier: "short_term", thread, importance });
      }
      const { evicted } = await add(bench(), "new", { tier: "short_term", thread, importance: 0.3 });
      assert.equal(evicted[0]?.id, "m0");
      const run = await latestRun();
      const result = await undo(run);
      // The least relevant of all is m0 itself, which the undo put back.
      assert.deepEqual(
        result.evicted.map(({ id }) => id),
        ["new"],
      );
      assert.deepEqual(await idsIn(bench()), ["m0", "m1", "m2", "m3"]);
      assert.equal((await store.stats(scope)).tiers.short_term.entries, 4);
      const { entries } = await store.journal(scope, { limit: 9, run: result.run });
      assert.deepEqual(
        entries.map(({ kind, id }) => [kind, id]),
        [
          ["evict", "new"],
          ["undo", "m0"],
        ],
      );
    });

    test("when the undo alone is too much, the least relevant of what it put back leaves", async () => {
      const { store } = bench();
      const fill = (prefix: string, importance: number) =>
        store.add(
          scope,
          [0, 1, 2, 3].map((index) =>
            sampleEntry(`${prefix}${index}`, {
              tier: "short_term",
              thread,
              importance: importance + index / 50,
            }),
          ),
        );
      await fill("a", 0.1);
      const run = await forget("a0", "a1", "a2", "a3");
      await fill("b", 0.9);
      const { evicted } = await undo(run);
      assert.deepEqual(evicted.map(({ id }) => id).sort(), ["b0", "b1", "b2", "b3"]);
      assert.deepEqual(await idsIn(bench()), ["a0", "a1", "a2", "a3"]);
    });

    test("a promotion and what made room for it are taken back together, and nothing else leaves", async () => {
      const { store } = bench();
      for (const [index, importance] of [0.1, 0.4, 0.6, 0.8].entries()) {
        await add(bench(), `m${index}`, { tier: "short_term", thread, importance });
      }
      await add(bench(), "strong", { tier: "working", thread, importance: 0.5 });
      const before = await state();
      await store.apply(scope, "run", [promotion("strong", "working", "short_term")]);
      const result = await undo("run");
      assert.deepEqual([result.undone, result.evicted], [2, []]);
      assert.deepEqual(await state(), before);
    });

    test("a merge is taken back on both sides", async () => {
      const { store, clock } = bench();
      await add(bench(), "a", { tags: ["x"], metadata: { n: 1 }, accessCount: 1, tier: "working" });
      clock.advance(1_000);
      await add(bench(), "b", { tags: ["y"], importance: 0.9, accessCount: 4, thread });
      await add(bench(), "c", { thread });
      const before = await state();
      clock.advance(1_000);
      await store.apply(scope, "run", [merging("a", "b"), merging("a", "c", [2, 1])]);
      const result = await undo("run");
      assert.deepEqual([result.undone, result.skipped], [2, []]);
      assert.deepEqual(await state(), before);
    });

    test("uses of the kept memory since the merge stay its own", async () => {
      const { store, clock } = bench();
      await add(bench(), "a", { accessCount: 1 });
      await add(bench(), "b", { accessCount: 4 });
      await store.apply(scope, "run", [merging("a", "b")]);
      clock.advance(1_000);
      await store.touch(scope, [{ id: "a", count: 2, lastUsedAt: clock.now() }]);
      await undo("run");
      const [a, b] = await store.get(scope, ["a", "b"]);
      assert.deepEqual([a?.accessCount, a?.lastUsedAt, b?.accessCount], [3, clock.now(), 4]);
    });

    test("a merge stays when the kept memory was changed since", async () => {
      const { store } = bench();
      await add(bench(), "a");
      await add(bench(), "b");
      await store.apply(scope, "run", [merging("a", "b")]);
      await store.update(scope, "a", { tags: ["later"] });
      const { undone, skipped } = await undo("run");
      assert.deepEqual(
        [undone, skipped],
        [0, [{ id: "b", reason: "the memory that took it in left or was changed since" }]],
      );
      assert.deepEqual(await idsIn(bench()), ["a"]);
    });

    test("a forgotten document is published again whole", async () => {
      const { store } = bench();
      await publish(bench(), "doc", ["one", "two", "three"], {
        tags: ["t"],
        title: "Title",
        metadata: { n: 1 },
      });
      await store.touch(scope, [{ id: "doc-0", count: 3, lastUsedAt: bench().clock.now() }]);
      await store.update(scope, "doc-0", { importance: 0.9 });
      const before = await state();
      const { run } = await store.forget(scope, { document: "doc" });
      const { undone } = await undo(run!);
      assert.equal(undone, 1);
      assert.deepEqual(await state(), before);
      await publish(bench(), "doc", ["four"]);
      assert.deepEqual(await idsIn(bench()), ["doc-0"]);
    });

    test("a forgotten chunk returns to its document", async () => {
      const { store } = bench();
      await publish(bench(), "doc", ["one", "two", "three"], { metadata: { n: 1 } });
      const before = await state();
      const run = await forget("doc-1");
      const result = await undo(run);
      assert.deepEqual([result.undone, result.skipped], [1, []]);
      assert.deepEqual(await state(), before);
      const again = await forget("doc-1");
      await publish(bench(), "doc", ["new"]);
      const { skipped } = await undo(again);
      assert.deepEqual(skipped, [{ id: "doc-1", reason: "its document left or was replaced since" }]);
      assert.equal((await store.document(scope, "doc"))?.chunks, 1);
    });

    test("what changed since is skipped with a reason, the rest is taken back", async () => {
      const { store } = bench();
      for (const id of ["left", "moved", "fine"]) await add(bench(), id);
      await store.apply(
        scope,
        "run",
        ["left", "moved", "fine"].map((id) => promotion(id, "long_term", "semantic")),
      );
      await forget("left");
      await store.update(scope, "moved", { tier: "episodic" });
      await store.update(scope, "fine", { tags: ["edited"] });
      const { undone, skipped } = await undo("run");
      assert.equal(undone, 1);
      assert.deepEqual(skipped, [
        { id: "moved", reason: "it moved since" },
        { id: "left", reason: "it left since" },
      ]);
      assert.deepEqual([(await one("fine"))?.tier, (await one("fine"))?.tags], ["long_term", ["edited"]]);
    });

    test("a taken id or name is left to who has it; another call tries again", async () => {
      const { store } = bench();
      await add(bench(), "a");
      await publish(bench(), "doc", ["one"]);
      const { run } = await store.forget(scope, {});
      await add(bench(), "a", { content: "someone else" });
      await publish(bench(), "doc", ["two"], { hash: hashOf("two") });
      const first = await undo(run!);
      assert.deepEqual(first.skipped.map(({ reason }) => reason).sort(), [
        "another document has its name",
        "another memory has its id",
      ]);
      assert.equal((await one("a"))?.content, "someone else");
      await store.forget(scope, { ids: ["a"] }, { erase: true });
      await store.forget(scope, { document: "doc" }, { erase: true });
      const second = await undo(run!);
      // Erasing took what the journal kept of the same id and name too.
      assert.deepEqual(
        new Set(second.skipped.map(({ reason }) => reason)),
        new Set(["what undo needs is not kept"]),
      );
    });

    test("an expired memory gives up its id to what comes back", async () => {
      const { clock } = bench();
      await add(bench(), "a", { content: "first" });
      const run = await forget("a");
      await add(bench(), "a", { content: "second", tier: "working" });
      clock.advance(dayMs);
      assert.equal((await undo(run)).undone, 1);
      assert.equal((await one("a"))?.content, "first");
    });

    test("a taken idempotency key stays with who has it", async () => {
      const { store } = bench();
      await add(bench(), "a", { idempotencyKey: "once" });
      const run = await forget("a");
      await add(bench(), "b", { idempotencyKey: "once" });
      assert.equal((await undo(run)).undone, 1);
      const again = await add(bench(), "c", { idempotencyKey: "once" });
      assert.equal(again.memories[0]!.memory.id, "b");
      assert.equal((await store.stats(scope)).memories, 2);
    });

    test("an undo can be undone, and that again", async () => {
      const { store } = bench();
      for (const id of ["a", "b", "c", "d"]) await add(bench(), id, { thread, tags: [id] });
      await publish(bench(), "doc", ["one", "two"]);
      await publish(bench(), "chunky", ["one", "two"]);
      const before = await state();
      await store.apply(scope, "run", [
        merging("a", "b"),
        promotion("a", "long_term", "semantic", { version: 2 }),
      ]);
      const merged = await state();
      const undone = await undo("run");
      assert.deepEqual(await state(), before);
      const redone = await undo(undone.run);
      assert.deepEqual([redone.undone, redone.skipped], [2, []]);
      assert.deepEqual(await state(), merged);
      assert.equal((await undo(redone.run)).undone, 2);
      assert.deepEqual(await state(), before);

      const { run } = await store.forget(scope, { ids: ["c", "d", "doc-0", "doc-1", "chunky-0"] });
      const forgotten = await state();
      const back = await undo(run!);
      assert.deepEqual(await state(), before);
      const gone = await undo(back.run);
      assert.deepEqual(gone.skipped, []);
      assert.deepEqual(await state(), forgotten);
      await undo(gone.run);
      assert.deepEqual(await state(), before);
    });

    test("a restored memory that was changed since is not taken away again", async () => {
      const { store } = bench();
      await add(bench(), "a");
      const { run } = await undo(await forget("a"));
      await store.update(scope, "a", { tags: ["mine"] });
      const { undone, skipped } = await undo(run);
      assert.deepEqual([undone, skipped], [0, [{ id: "a", reason: "it was changed since" }]]);
      assert.deepEqual(await idsIn(bench()), ["a"]);
    });

    test("a run undone twice is undone once", async () => {
      await add(bench(), "a");
      const run = await forget("a");
      const first = await undo(run);
      const before = await state();
      assert.deepEqual(await undo(run), { run: first.run, undone: 0, skipped: [], evicted: [] });
      assert.deepEqual(await state(), before);
    });

    test("what expired cannot be taken back, and says so", async () => {
      const { store, clock } = bench();
      await add(bench(), "a", { tier: "working" });
      clock.advance(dayMs);
      await store.cleanup({ dryRun: false });
      const { entries } = await store.journal(scope, { limit: 1 });
      assert.deepEqual([entries[0]?.kind, entries[0]?.undoable], ["expire", false]);
      const { skipped } = await undo(entries[0]!.run);
      assert.deepEqual(skipped, [{ id: "a", reason: "what undo needs is not kept" }]);
    });

    test("a run of which the journal holds nothing is not found, nor another namespace's", async () => {
      await rejects(undo("nothing"), "NOT_FOUND");
      await add(bench(), "a");
      const run = await forget("a");
      await rejects(bench().store.undo({ namespace: "other" }, run), "NOT_FOUND");
      bench().clock.advance(31 * dayMs);
      await bench().store.cleanup({ dryRun: false });
      await rejects(undo(run), "NOT_FOUND");
    });

    test("erasing a memory takes with it what it took in, and what is kept of that", async () => {
      const { store } = bench();
      for (const id of ["a", "b", "c", "keeper"]) await add(bench(), id);
      await store.apply(scope, "run", [merging("b", "c"), merging("a", "b", [1, 2])]);
      await store.forget(scope, { ids: ["a"] }, { erase: true });
      const { undone, skipped } = await undo("run");
      assert.deepEqual([undone, skipped.length], [0, 2]);
      assert.deepEqual(await idsIn(bench()), ["keeper"]);
      assert.ok((await store.journal(scope, { limit: 9 })).entries.every((entry) => !entry.undoable));
    });

    test("erasing what was merged takes its trace off the memory that took it in", async () => {
      const { store } = bench();
      for (const id of ["a", "b", "c"]) await add(bench(), id, { speaker: `speaker of ${id}` });
      await store.apply(scope, "run", [merging("a", "b"), merging("a", "c", [2, 1])]);
      await store.forget(scope, { ids: ["b"] }, { erase: true });
      const origins = (await one("a"))?.metadata["mergedFrom"] as readonly { readonly id: string }[];
      assert.deepEqual(
        origins.map(({ id }) => id),
        ["c"],
      );
      assert.equal((await one("a"))?.version, 4);
    });

    test("a document that was never taken back leaves its chunks' ids to others", async () => {
      const { store } = bench();
      await publish(bench(), "doc", ["one"]);
      const { run } = await store.forget(scope, { document: "doc" });
      await add(bench(), "doc-0");
      assert.equal((await undo(run!)).skipped[0]?.reason, "another memory has its id");
      const staged = await store.stageDocument(scope, sampleDocument("doc"));
      await store.publishDocument(staged);
      assert.equal((await undo(run!)).skipped[0]?.reason, "another document has its name");
    });
  });
}
