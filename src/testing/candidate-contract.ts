import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Candidate, CandidateQuery } from "../contract/consolidation.ts";
import { utcDay } from "../contract/relevance.ts";
import { add, type ContractBench, dayMs, other, publish, rejects, scope, thread } from "./contract-bench.ts";

/** The part of the contract of memory stores that is about finding what may move. */
export function candidateContract(bench: () => ContractBench): void {
  describe("candidates", () => {
    const query = (fields: Partial<CandidateQuery> = {}): CandidateQuery => ({
      tier: "long_term",
      side: "at-least",
      threshold: 0,
      day: utcDay(bench().clock.now()),
      limit: 100,
      ...fields,
    });
    const found = async (fields: Partial<CandidateQuery> = {}) =>
      (await bench().store.candidates(scope, query(fields))).candidates;
    const names = (candidates: readonly Candidate[]) => candidates.map((candidate) => candidate.id);

    test("those at or above a threshold come most relevant first, those below it least relevant first", async () => {
      // Relevance of a new memory: half its importance, and .3 for having just been used.
      for (const [id, importance] of [
        ["a", 0.1],
        ["b", 0.9],
        ["c", 0.5],
        ["d", 0.7],
      ] as const) {
        await add(bench(), id, { importance });
      }
      assert.deepEqual(names(await found({ threshold: 0.55 })), ["b", "d", "c"]);
      assert.deepEqual(names(await found({ threshold: 0.55, side: "below" })), ["a"]);
      assert.deepEqual(names(await found({ threshold: 0.65, side: "below" })), ["a", "c"]);
      assert.deepEqual(names(await found({ threshold: 1 })), []);
      assert.deepEqual(names(await found({ side: "below" })), []);
    });

    test("memories of the same content are found by its hash, chunks and what is gone left out", async () => {
      const { clock, store } = bench();
      await add(bench(), "a", { content: "same", tier: "working" });
      await add(bench(), "b", { content: "same", thread: "t" });
      await add(bench(), "c", { content: "else" });
      await add(bench(), "d", { content: "third" });
      await publish(bench(), "doc", ["same"]);
      const [{ contentHash: same } = { contentHash: "" }, third] = await store.get(scope, ["a", "d"]);
      const ids = async (hashes: readonly string[], limit = 10) =>
        (await store.sameContent(scope, hashes, limit)).map(({ id }) => id).sort();
      assert.deepEqual(await ids([same]), ["a", "b"]);
      assert.deepEqual(await ids([same, third!.contentHash]), ["a", "b", "d"]);
      assert.equal((await ids([same], 1)).length, 1);
      assert.deepEqual(await store.sameContent(other, [same], 10), []);
      clock.advance(901_000);
      assert.deepEqual(await ids([same]), ["b"]);
    });

    test("a candidate tells what a plan needs of it", async () => {
      const { clock, store } = bench();
      const createdAt = clock.now() - dayMs;
      const fields = { tier: "working", importance: 0.6, accessCount: 4, createdAt } as const;
      await add(bench(), "a", { ...fields, lastUsedAt: clock.now() });
      await store.update(scope, "a", { tags: ["t"] });
      const day = utcDay(clock.now());
      assert.deepEqual(await found({ tier: "working" }), [
        {
          id: "a",
          document: false,
          tier: "working",
          importance: 0.6,
          accessCount: 4,
          createdAt,
          lastUsedAt: clock.now(),
          expiresAt: clock.now() + 900_000,
          version: 2,
          keys: { b: 0.38, k: 0.38 + 0.3 * 0.1 * day },
        },
      ]);
    });

    test("a document is one candidate, unless memories alone are wanted", async () => {
      const { document } = await publish(bench(), "doc", ["one", "two"], { tier: "long_term" });
      await add(bench(), "a");
      const all = await found();
      const shown = all.map(({ id, document: isDocument, version }) => [id, isDocument, version]);
      assert.deepEqual(
        shown.sort(),
        [
          [document.id, true, 0],
          ["a", false, 1],
        ].sort(),
      );
      assert.deepEqual(names(await found({ memoriesOnly: true })), ["a"]);
    });

    test("a document's version goes on when it is ingested again", async () => {
      await publish(bench(), "doc", ["one"], { tier: "long_term" });
      await publish(bench(), "doc", ["two"], { tier: "long_term" });
      assert.equal((await found())[0]?.version, 1);
    });

    test("pinned and expired ones, other tiers and other namespaces stand outside", async () => {
      const { clock, store } = bench();
      await add(bench(), "pinned", { tier: "working", pinned: true });
      await add(bench(), "elsewhere", { tier: "episodic" });
      await store.add(other, []);
      await add(bench(), "old", { tier: "working" });
      clock.advance(900_000);
      await add(bench(), "young", { tier: "working" });
      for (const side of ["at-least", "below"] as const) {
        const threshold = side === "below" ? 1 : 0;
        assert.deepEqual(names(await found({ tier: "working", side, threshold })), ["young"]);
      }
      const { candidates } = await store.candidates(other, query({ tier: "working" }));
      assert.deepEqual(candidates, []);
    });

    test("what a memory loses with the days is judged as of the day asked for", async () => {
      const { clock } = bench();
      await add(bench(), "a", { importance: 0.5 });
      const day = utcDay(clock.now());
      clock.advance(10 * dayMs);
      assert.deepEqual(names(await found({ threshold: 0.26 })), []);
      assert.deepEqual(names(await found({ threshold: 0.27, day: day + 9 })), ["a"]);
      assert.deepEqual(names(await found({ threshold: 0.55, day })), ["a"]);
      assert.deepEqual(names(await found({ threshold: 0.26, side: "below" })), ["a"]);
      assert.deepEqual(names(await found({ threshold: 0.26, side: "below", day })), []);
    });

    test("pages follow each other without gap or repetition, equal ones and other writes included", async () => {
      const { clock, store } = bench();
      for (let index = 0; index < 20; index++) {
        await add(bench(), `m${index}`, { thread, importance: index % 4 === 0 ? 0.5 : index / 20 });
        if (index === 9) clock.advance(12 * dayMs);
      }
      const whole = names(await found({ threshold: 0.2 }));
      const seen: string[] = [];
      for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
        const page = await store.candidates(scope, query({ threshold: 0.2, limit: 3, cursor }));
        seen.push(...names(page.candidates));
        cursor = page.cursor;
        await store.update(scope, seen.at(-1)!, { tier: "semantic" });
      }
      assert.deepEqual(seen, whole);
      assert.ok(whole.length > 12);
    });

    test("nonsense is refused", async () => {
      const { store, clock } = bench();
      await add(bench(), "a");
      const tomorrow = utcDay(clock.now()) + 1;
      for (const fields of [
        { threshold: Number.NaN },
        { threshold: 1.1 },
        { day: tomorrow },
        { day: Number.NaN },
        { limit: 0 },
      ]) {
        await rejects(store.candidates(scope, query(fields)), "INVALID_ARGUMENT");
      }
      await rejects(store.candidates(scope, query({ tier: "eternal" as never })), "UNKNOWN_TIER");
      await rejects(store.candidates(scope, query({ cursor: "nonsense" })), "INVALID_CURSOR");
    });
  });

  describe("state of those who tend a namespace", () => {
    test("a value is kept under its name, and is no write for the feed", async () => {
      const { store } = bench();
      const before = await store.generation(scope);
      assert.equal(await store.readState(scope, "pass"), undefined);
      await store.writeState(scope, "pass", "one");
      await store.writeState(scope, "pass", "two");
      assert.equal(await store.readState(scope, "pass"), "two");
      assert.equal(await store.readState(scope, "another"), undefined);
      assert.equal(await store.readState(other, "pass"), undefined);
      assert.equal(await store.generation(scope), before);
      assert.deepEqual(await store.namespaces(), []);
    });

    test("clearing the namespace takes it away", async () => {
      const { store } = bench();
      await store.writeState(scope, "pass", "one");
      await store.writeState(other, "pass", "other");
      await store.clear(scope);
      assert.equal(await store.readState(scope, "pass"), undefined);
      assert.equal(await store.readState(other, "pass"), "other");
    });
  });
}
