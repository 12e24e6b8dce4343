import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import type { ConsolidationReport } from "../consolidation/consolidation-report.ts";
import type { MemoryConsolidatorOptions } from "../consolidation/consolidator-options.ts";
import { MemoryConsolidator } from "../consolidation/memory-consolidator.ts";
import type { Memory, StoredDocument } from "../contract/memory.ts";
import type { MemoryStore, NewEntry } from "../contract/memory-store.ts";
import { dayMs } from "../contract/relevance.ts";
import { defaultTierTable, type Tier, type TierTable, tiers } from "../contract/tier.ts";
import { createInMemoryStore } from "../storage/in-memory/in-memory-store.ts";
import { openSqliteStore } from "../storage/sqlite/sqlite-store.ts";
import { createManualClock, type ManualClock } from "../testing/manual-clock.ts";
import { sampleChunks, sampleDocument, sampleEntry } from "../testing/store-samples.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-passes-"));
after(() => rmSync(folder, { recursive: true }));

const scope = { namespace: "n" };
const hourMs = 3_600_000;
let files = 0;

const drivers = {
  sqlite: (clock: ManualClock, table: TierTable) =>
    openSqliteStore(join(folder, `${files++}.db`), { clock, tiers: table }),
  "in-memory": async (clock: ManualClock, table: TierTable) => createInMemoryStore({ clock, tiers: table }),
};

interface Setup {
  readonly store: MemoryStore;
  readonly clock: ManualClock;
  readonly consolidator: MemoryConsolidator;
  add(id: string, fields?: Partial<NewEntry>): Promise<Memory>;
  use(id: string, count: number): Promise<void>;
  tierOf(id: string): Promise<Tier | undefined>;
}

async function setup(
  driver: keyof typeof drivers,
  options: MemoryConsolidatorOptions & { readonly table?: TierTable } = {},
): Promise<Setup> {
  const { table = defaultTierTable, ...rest } = options;
  const clock = createManualClock();
  const store = await drivers[driver](clock, table);
  return {
    store,
    clock,
    consolidator: new MemoryConsolidator(store, { namespace: "n", clock, ...rest }),
    async add(id, fields) {
      return (await store.add(scope, [sampleEntry(id, fields)])).memories[0]!.memory;
    },
    use: (id, count) => store.touch(scope, [{ id, count, lastUsedAt: clock.now() }]),
    async tierOf(id) {
      return (await store.get(scope, [id]))[0]?.tier;
    },
  };
}

/** Everything that is visible, in an order of its own. */
async function contents(store: MemoryStore): Promise<{ memories: Memory[]; documents: StoredDocument[] }> {
  const { memories } = await store.list(scope, {}, { limit: 1_000 });
  const { documents } = await store.documents(scope, { limit: 1_000 });
  return { memories: memories.toSorted((a, b) => (a.id < b.id ? -1 : 1)), documents: [...documents] };
}

/** What a pass does, without what names or times it. */
function essence({ actions, evicted, counts, full, expiredByTier, changed }: ConsolidationReport): object {
  return {
    actions,
    evicted: evicted.map(({ relevance: _, ...rest }) => rest),
    counts,
    full,
    expiredByTier,
    changed,
  };
}

for (const driver of Object.keys(drivers) as (keyof typeof drivers)[]) {
  describe(`a consolidator over the ${driver} store`, () => {
    test("promotes a memory that was used ten times, one tier a pass", async () => {
      const { consolidator, add, use, tierOf, store } = await setup(driver);
      await add("tea", { tier: "episodic" });
      await use("tea", 10);
      const report = await consolidator.runConsolidation();
      assert.deepEqual(report.counts, { promote: 1, demote: 0, merge: 0, evict: 0, expire: 0 });
      assert.equal(await tierOf("tea"), "long_term");
      await consolidator.runConsolidation();
      assert.equal(await tierOf("tea"), "semantic");
      assert.equal((await consolidator.runConsolidation()).actions.length, 0);
      const { entries } = await store.journal(scope, { limit: 10, run: report.run });
      assert.deepEqual(
        entries.map(({ kind, id, from, to, reason }) => ({ kind, id, from, to, reason })),
        [
          {
            kind: "promote",
            id: "tea",
            from: "episodic",
            to: "long_term",
            reason: "relevance 0.75, at least 0.75: importance 0.5, 10 uses, last used today",
          },
        ],
      );
    });

    test("the same memory read uses, tier and version afterwards as before, but for the tier", async () => {
      const { consolidator, add, use, store } = await setup(driver);
      await add("tea");
      await use("tea", 10);
      const [before] = await store.get(scope, ["tea"]);
      await consolidator.runConsolidation();
      const [{ expiresAt: _, ...after }] = (await store.get(scope, ["tea"])) as [Memory];
      const { expiresAt: __, ...rest } = before!;
      assert.deepEqual(after, { ...rest, tier: "semantic" });
    });

    test("midnight loses no promotion: the first pass of a day judges the day before", async () => {
      const { consolidator, add, use, tierOf, clock } = await setup(driver);
      await consolidator.runConsolidation();
      clock.advance(11.9 * hourMs);
      await add("late", { tier: "episodic" });
      await add("seldom", { tier: "episodic" });
      await use("late", 10);
      await use("seldom", 9);
      clock.advance(hourMs);
      await consolidator.runConsolidation();
      assert.equal(await tierOf("late"), "long_term");
      assert.equal(await tierOf("seldom"), "episodic");
      await add("yesterday", { tier: "episodic", lastUsedAt: clock.now() - hourMs, accessCount: 10 });
      await consolidator.runConsolidation();
      assert.equal(await tierOf("yesterday"), "episodic", "only the first pass of a day does");
    });

    test("demotes what nobody used, and gives it the lower tier's time from then on", async () => {
      const { consolidator, add, tierOf, clock, store } = await setup(driver);
      await add("low", { importance: 0.1 });
      await add("default");
      await add("pinned", { importance: 0.1, pinned: true });
      await store.publishDocument(
        await staged(store, sampleDocument("doc", { tier: "long_term", importance: 0 })),
      );
      clock.advance(12 * dayMs);
      const { actions } = await consolidator.runConsolidation();
      assert.deepEqual(
        actions.map((action) => (action.kind === "merge" ? action : [action.kind, action.id, action.to])),
        [["demote", "low", "episodic"]],
      );
      const [low] = await store.get(scope, ["low"]);
      assert.equal(low!.expiresAt, clock.now() + 7 * dayMs);
      await consolidator.runConsolidation();
      clock.advance(3 * dayMs);
      await consolidator.runConsolidation();
      assert.equal(await tierOf("low"), "episodic", "it rests for half of the week");
      clock.advance(dayMs);
      await consolidator.runConsolidation();
      assert.equal(await tierOf("low"), "short_term");
    });

    test("a full tier takes the more relevant, and no more than it holds", async () => {
      const table = { ...defaultTierTable, long_term: { ttlSeconds: 2_592_000, capacity: 2 } };
      const { consolidator, add, use, tierOf, store } = await setup(driver, { table });
      await add("weak", { importance: 0.2 });
      await add("strong", { importance: 0.7 });
      for (const [id, importance] of [
        ["a", 0.9],
        ["b", 0.69],
        ["c", 0.6],
      ] as const) {
        await add(id, { tier: "episodic", importance });
        await use(id, 10);
      }
      // A strong one that stays where it is: its uses are not enough for the tier above.
      const report = await consolidator.runConsolidation();
      assert.deepEqual(
        report.evicted.map(({ id }) => id),
        ["weak", "strong"],
      );
      assert.deepEqual(report.full, ["long_term"]);
      assert.equal(await tierOf("c"), "episodic");
      assert.equal((await store.stats(scope)).tiers.long_term.entries, 2);
      const { undone } = await consolidator.undo(report.run);
      assert.equal(undone, 4);
      assert.equal(await tierOf("weak"), "long_term");
    });

    test("merges what was stored twice, and keeps where it came from", async () => {
      const { consolidator, add, store } = await setup(driver);
      const content = "Ada prefers tea";
      await add("first", { content, tags: ["a"] });
      await add("second", { content, tags: ["b"], importance: 0.9 });
      await add("said", { content, speaker: "Ada" });
      const before = await contents(store);
      const { run, counts } = await consolidator.runConsolidation();
      assert.equal(counts.merge, 1);
      const after = await contents(store);
      assert.deepEqual(
        after.memories.map(({ id }) => id),
        ["first", "said"],
      );
      assert.deepEqual(after.memories[0]!.tags, ["a", "b"]);
      assert.equal(after.memories[0]!.importance, 0.9);
      await consolidator.undo(run);
      assert.deepEqual(withoutVersions(await contents(store)), withoutVersions(before));
    });

    test("finds the same text however long ago it was stored", async () => {
      const { consolidator, add, tierOf } = await setup(driver);
      await add("old", { content: "Ada prefers tea" });
      for (let at = 0; at < 200; at++) await add(`m${at}`);
      assert.equal((await consolidator.runConsolidation()).counts.merge, 0);
      await add("new", { content: "Ada prefers tea", tier: "semantic" });
      assert.equal((await consolidator.runConsolidation()).counts.merge, 1);
      assert.equal(await tierOf("old"), undefined);
      assert.equal(await tierOf("new"), "semantic");
    });

    test("proposes near-duplicates, and merges them only when it is told to", async () => {
      const neighbours = async () => ["one", "two", "other"];
      const { consolidator, add, store, clock } = await setup(driver, { neighbours });
      const vector = sampleEntry("x").vector;
      await add("one", { content: "Ada prefers green tea", vector });
      await add("two", { content: "ada prefers green tea!", vector });
      await add("other", { content: "Ben prefers green tea", vector });
      const { proposals, counts } = await consolidator.runConsolidation();
      assert.deepEqual(
        proposals.map(({ keep, absorb }) => [keep, absorb]),
        [["one", "two"]],
      );
      assert.equal(counts.merge, 0);
      const options = { namespace: "n", clock, neighbours, mergeSimilar: true };
      const bold = new MemoryConsolidator(store, options);
      await store.writeState(scope, "consolidation", "damaged");
      assert.equal((await bold.runConsolidation()).counts.merge, 1);
    });

    test("near-duplicates with more tags than one memory may have are left alone", async () => {
      const { consolidator, add } = await setup(driver, {
        neighbours: async () => ["one", "two"],
        mergeSimilar: true,
      });
      const { vector } = sampleEntry("x");
      const tags = (from: string) => Array.from({ length: 33 }, (_, at) => `${from}${at}`);
      await add("one", { content: "Ada prefers green tea", vector, tags: tags("x") });
      await add("two", { content: "ada prefers green tea!", vector, tags: tags("y") });
      const { proposals, counts } = await consolidator.runConsolidation();
      assert.deepEqual([proposals, counts.merge], [[], 0]);
    });

    test("a search for neighbours that fails is told, and the pass goes on", async () => {
      const neighbours = async () => {
        throw new TypeError("down");
      };
      const { consolidator, add, use, tierOf } = await setup(driver, { neighbours });
      await add("tea");
      await use("tea", 10);
      const { failures } = await consolidator.runConsolidation();
      assert.deepEqual(failures, [{ stage: "merge", code: "TypeError" }]);
      assert.equal(await tierOf("tea"), "semantic");
    });

    test("a dry run changes nothing, and then exactly that is done; undo leaves all as it was", async () => {
      await fc.assert(
        fc.asyncProperty(history, async (steps) => {
          const setUp = await setup(driver, { table: smallTable });
          await play(setUp, steps);
          const { store, consolidator } = setUp;
          const before = await contents(store);
          const planned = await consolidator.runConsolidation({ dryRun: true });
          assert.deepEqual(await contents(store), before);
          const done = await consolidator.runConsolidation();
          assert.deepEqual(essence(done), essence(planned));
          if (done.actions.length > 0) {
            const { skipped } = await consolidator.undo(done.run);
            assert.deepEqual(skipped, []);
          }
          assert.deepEqual(withoutVersions(await contents(store)), withoutVersions(before));
          await store.close();
        }),
        { numRuns: driver === "sqlite" ? 40 : 120 },
      );
    });

    test("two workers at once leave what one would have left", async () => {
      const leave = async (workers: number) => {
        const setUp = await setup(driver);
        for (let at = 0; at < 300; at++) {
          await setUp.add(`m${String(at).padStart(3, "0")}`, { tier: tiers[at % 4]!, importance: 0.9 });
        }
        for (let at = 0; at < 300; at += 3) await setUp.use(`m${String(at).padStart(3, "0")}`, 10);
        const others = Array.from(
          { length: workers },
          () => new MemoryConsolidator(setUp.store, { namespace: "n", clock: setUp.clock }),
        );
        const reports = await Promise.all(others.map((worker) => worker.runConsolidation()));
        assert.equal(reports.filter(({ busy }) => !busy).length, 1);
        return (await contents(setUp.store)).memories.map(({ id, tier }) => [id, tier]);
      };
      assert.deepEqual(await leave(2), await leave(1));
    });

    test("an abort ends a pass between two slices: whole moves, and they can be undone", async () => {
      const { consolidator, add, store } = await setup(driver);
      for (let at = 0; at < 400; at++) await add(`m${at}`, { importance: 0.9, accessCount: 10 });
      const before = await contents(store);
      const stop = new AbortController();
      const apply = store.apply.bind(store);
      store.apply = async (...args) => {
        const result = await apply(...args);
        stop.abort(new Error("enough"));
        return result;
      };
      await assert.rejects(consolidator.runConsolidation({ signal: stop.signal }), /enough/);
      const { entries } = await store.journal(scope, { limit: 1_000 });
      assert.equal(entries.length, 64);
      await consolidator.undo(entries[0]!.run);
      assert.deepEqual(await contents(store), before);
      store.apply = apply;
      assert.equal((await consolidator.runConsolidation()).counts.promote, 400);
    });

    test("a bound ends a pass, says so, and the next one goes on", async () => {
      const { consolidator, add } = await setup(driver);
      for (let at = 0; at < 300; at++) await add(`m${at}`, { importance: 0.9, accessCount: 10 });
      const first = await consolidator.runConsolidation({ maxActions: 200 });
      assert.deepEqual([first.counts.promote, first.more], [200, true]);
      const second = await consolidator.runConsolidation({ maxActions: 200 });
      assert.deepEqual([second.counts.promote, second.more], [100, false]);
    });

    test("moves one memory on request, tells what would move, and counts it all", async () => {
      const { consolidator, add, use, tierOf } = await setup(driver);
      await add("tea", { tier: "working" });
      assert.equal((await consolidator.promoteMemory("tea", "long_term")).outcome, "done");
      assert.equal(await tierOf("tea"), "long_term");
      const { run } = await consolidator.demoteMemory("tea", "episodic");
      await consolidator.undo(run);
      assert.equal(await tierOf("tea"), "long_term");
      await use("tea", 10);
      const [candidate] = await consolidator.analyzeCandidates("long_term");
      assert.equal(candidate?.action.to, "semantic");
      assert.deepEqual(await consolidator.analyzeCandidates("episodic"), []);
      await consolidator.runConsolidation();
      const stats = consolidator.getStats();
      assert.equal(stats.totalConsolidations, 1);
      assert.equal(stats.totalPromotions, 2);
      assert.deepEqual(stats.promotionsByTier, {
        working: 0,
        short_term: 0,
        episodic: 0,
        long_term: 1,
        semantic: 1,
      });
      await assert.rejects(consolidator.promoteMemory("tea", "episodic"), { code: "INVALID_ARGUMENT" });
      await assert.rejects(consolidator.promoteMemory("none", "semantic"), { code: "NOT_FOUND" });
      await assert.rejects(consolidator.promoteMemory("tea", "somewhere" as Tier), { code: "UNKNOWN_TIER" });
    });
  });
}

/** Versions grow with a merge and its undoing, and so do times of change. */
function withoutVersions({ memories, documents }: Awaited<ReturnType<typeof contents>>): object {
  return { memories: memories.map(({ version: _, updatedAt: __, ...rest }) => rest), documents };
}

async function staged(store: MemoryStore, document: ReturnType<typeof sampleDocument>) {
  const revision = await store.stageDocument(scope, document);
  await store.addChunks(revision, sampleChunks(document.uri, [`chunk of ${document.uri}`]));
  return revision;
}

const smallTable: TierTable = {
  working: { ttlSeconds: 86_400 * 5, capacity: 3 },
  short_term: { ttlSeconds: 86_400 * 10, capacity: 3 },
  episodic: { ttlSeconds: 86_400 * 20, capacity: 4 },
  long_term: { ttlSeconds: 86_400 * 30, capacity: 3 },
  semantic: { ttlSeconds: 0, capacity: 4 },
};

type Step =
  | { readonly does: "add"; readonly fields: Partial<NewEntry> }
  | { readonly does: "ingest"; readonly tier: Tier; readonly importance: number }
  | { readonly does: "use"; readonly which: number; readonly count: number }
  | { readonly does: "wait"; readonly ms: number }
  | { readonly does: "pass" };

const tier = fc.constantFrom(...tiers);
/** A double, so that different entries are practically never equally relevant. */
const importance = fc.oneof(
  fc.double({ min: 0, max: 0.3, noNaN: true }),
  fc.double({ min: 0.5, max: 1, noNaN: true }),
);
const history: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        does: fc.constant("add" as const),
        fields: fc.record({
          tier,
          importance,
          pinned: fc.integer({ min: 0, max: 9 }).map((value) => value === 0),
          content: fc.oneof(fc.constantFrom("one", "two", "three"), fc.string({ minLength: 1 })),
          accessCount: fc.constantFrom(0, 0, 1, 5, 9, 10, 12),
        }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ does: fc.constant("ingest" as const), tier, importance }) },
    {
      weight: 4,
      arbitrary: fc.record({
        does: fc.constant("use" as const),
        which: fc.nat(30),
        count: fc.integer({ min: 1, max: 12 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        does: fc.constant("wait" as const),
        ms: fc.oneof(fc.nat(hourMs), fc.nat(12 * dayMs)),
      }),
    },
    { weight: 1, arbitrary: fc.constant({ does: "pass" as const }) },
  ),
  { minLength: 15, maxLength: 60 },
);

async function play({ store, clock, add, use, consolidator }: Setup, steps: readonly Step[]): Promise<void> {
  let added = 0;
  for (const step of steps) {
    // Times differ, so that the order of age is the order of adding.
    clock.advance(7);
    if (step.does === "add") await add(`m${added++}`, step.fields);
    else if (step.does === "use") await use(`m${step.which}`, step.count);
    else if (step.does === "wait") clock.advance(step.ms);
    else if (step.does === "pass") await consolidator.runConsolidation();
    else {
      const document = sampleDocument(`d${added++}`, { tier: step.tier, importance: step.importance });
      await store.publishDocument(await staged(store, document));
    }
  }
}
