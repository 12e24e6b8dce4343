import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import fc from "fast-check";
import type { Memory } from "../../contract/memory.ts";
import type { MemoryStore } from "../../contract/memory-store.ts";
import { dayMs, utcDay } from "../../contract/relevance.ts";
import { defaultTierTable, type TierTable } from "../../contract/tier.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { sampleChunks, sampleDocument, sampleEntry } from "../../testing/store-samples.ts";
import { heads } from "./capacity.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-capacity-"));
const scope = { namespace: "n" };
let files = 0;
const newPath = () => join(folder, `${files++}.db`);

function table(capacity: number): TierTable {
  return { ...defaultTierTable, long_term: { ttlSeconds: 0, capacity } };
}

/** The reference's formula, written out. */
function referenceRelevance(memory: Memory, now: number, decayRate: number): number {
  const age = utcDay(now) - utcDay(memory.lastUsedAt);
  const recency = Math.max(0, 1 - decayRate * age);
  return 0.5 * memory.importance + 0.3 * recency + 0.2 * Math.min(1, memory.accessCount / 10);
}

async function all(store: MemoryStore): Promise<readonly Memory[]> {
  return (await store.list(scope, {}, { limit: 1_000 })).memories;
}

test("over years, what is evicted is what a full scan finds least relevant, whatever the decay", async () => {
  const action = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant("add" as const),
        importance: fc.double({ min: 0, max: 1, noNaN: true }),
        accessCount: fc.nat({ max: 12 }),
        ageDays: fc.nat({ max: 400 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("touch" as const),
        index: fc.nat(),
        count: fc.integer({ min: 1, max: 5 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("wait" as const),
        days: fc.constantFrom(0.4, 1, 3, 9, 10, 11, 90, 700),
      }),
    },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 20, maxLength: 80 }),
      fc.constantFrom(0, 0.003, 0.1, 1 / 3, 2),
      fc.integer({ min: 1, max: 8 }),
      async (actions, decayRate, capacity) => {
        const clock = createManualClock();
        const options = { clock, decayRate, tiers: table(capacity) };
        const store = await openSqliteStore(newPath(), options);
        try {
          for (const [number, one] of actions.entries()) {
            const before = await all(store);
            if (one.kind === "wait") clock.advance(one.days * dayMs);
            else if (one.kind === "touch") {
              const id = before[one.index % Math.max(1, before.length)]?.id ?? "nobody";
              await store.touch(scope, [{ id, count: one.count, lastUsedAt: clock.now() }]);
            } else {
              const { importance, accessCount, ageDays } = one;
              const lastUsedAt = clock.now() - ageDays * dayMs;
              const entry = sampleEntry(`m${number}`, { importance, accessCount, lastUsedAt });
              const { evicted } = await store.add(scope, [entry]);
              assert.equal(evicted.length, before.length === capacity ? 1 : 0);
              for (const { id, relevance } of evicted) {
                const lowest = Math.min(
                  ...before.map((memory) => referenceRelevance(memory, clock.now(), decayRate)),
                );
                const gone = before.find((memory) => memory.id === id)!;
                assert.ok(Math.abs(referenceRelevance(gone, clock.now(), decayRate) - lowest) < 1e-9);
                assert.ok(Math.abs(relevance - lowest) < 1e-9);
              }
            }
          }
          assert.ok((await all(store)).length <= capacity);
        } finally {
          await store.close();
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("eviction reads the heads of four ranges and sorts nothing", async () => {
  const path = newPath();
  const store = await openSqliteStore(path);
  await store.close();
  using database = new DatabaseSync(path);
  const plan = database
    .prepare(`explain query plan ${heads}`)
    .all()
    .map((row) => String(row["detail"]));
  const search = (index: string) =>
    `SEARCH entry USING INDEX ${index} (namespace=? AND tier=? AND document=?)`;
  assert.deepEqual(
    plan.filter((step) => /entry|TEMP/u.test(step)),
    [search("entry_fresh"), search("entry_fresh"), search("entry_faded"), search("entry_faded")],
  );
});

test("a tier made smaller loses its least relevant at the next write, which says so", async () => {
  const path = newPath();
  const clock = createManualClock();
  const options = { clock };
  const large = await openSqliteStore(path, options);
  const entries = Array.from({ length: 600 }, (_, index) =>
    sampleEntry(`m${index}`, { importance: index / 600 }),
  );
  await large.add(scope, entries);
  await large.close();
  const small = await openSqliteStore(path, { ...options, tiers: table(10) });
  const { evicted } = await small.add(scope, [sampleEntry("new", { importance: 0 })]);
  assert.equal(evicted.length, 591);
  const left = (await all(small)).map((memory) => memory.id);
  assert.deepEqual(left.sort(), [
    "m591",
    "m592",
    "m593",
    "m594",
    "m595",
    "m596",
    "m597",
    "m598",
    "m599",
    "new",
  ]);
  await small.close();
});

test("another decay rate orders what is there already", async () => {
  const path = newPath();
  const clock = createManualClock();
  const options = { clock, tiers: table(2) };
  const fading = await openSqliteStore(path, { ...options, decayRate: 0.1 });
  await fading.add(scope, [sampleEntry("old", { importance: 0.6 })]);
  clock.advance(9 * dayMs);
  await fading.add(scope, [sampleEntry("young", { importance: 0.5 })]);
  await fading.close();
  const lasting = await openSqliteStore(path, { ...options, decayRate: 0 });
  const { evicted } = await lasting.add(scope, [sampleEntry("new", { importance: 0.9 })]);
  assert.deepEqual(
    evicted.map((one) => one.id),
    ["young"],
  );
  await lasting.close();
});

test("what undo needs is kept for its time and within the journal's bounds, then gone", async () => {
  const path = newPath();
  const clock = createManualClock();
  const store = await openSqliteStore(path, { clock, journalMaxRows: 5 });
  const kept = () => {
    using database = new DatabaseSync(path, { readOnly: true });
    const [counter] = database
      .prepare("select journal_rows as rows, journal_bytes as bytes from counter")
      .all();
    const rows = database.prepare("select before, vector, bytes from journal order by id").all();
    assert.equal(counter?.["rows"], rows.length);
    assert.equal(
      counter?.["bytes"],
      rows.reduce((sum, row) => sum + Number(row["bytes"]), 0),
    );
    const chunks = database.prepare("select count(*) as n from memory where chunk is not null").get();
    return { rows, chunks: chunks?.["n"] };
  };
  const staged = await store.stageDocument(scope, sampleDocument("doc"));
  await store.addChunks(staged, sampleChunks("doc", ["one", "two"]));
  await store.publishDocument(staged);
  await store.forget(scope, { document: "doc" });
  assert.equal(kept().chunks, 2);
  for (let number = 0; number < 8; number++) {
    await store.add(scope, [sampleEntry("a", { content: `text ${number}` })]);
    await store.forget(scope, { ids: ["a"] });
  }
  const { rows } = kept();
  assert.equal(rows.length, 5);
  assert.equal(JSON.parse(String(rows.at(-1)?.["before"])).content, "text 7");
  assert.ok(rows.at(-1)?.["vector"] instanceof Uint8Array);
  clock.advance(31 * dayMs);
  await store.cleanup({ dryRun: false });
  assert.deepEqual(kept(), { rows: [], chunks: 0 });
  await store.close();
});
