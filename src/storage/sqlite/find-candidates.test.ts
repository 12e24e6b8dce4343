import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue, StatementSync } from "node:sqlite";
import { mock, test } from "node:test";
import fc from "fast-check";
import type { Candidate, CandidateQuery } from "../../contract/consolidation.ts";
import type { MemoryStore } from "../../contract/memory-store.ts";
import {
  dayMs,
  isAtLeast,
  relevance,
  relevanceKeys,
  relevanceOffset,
  utcDay,
} from "../../contract/relevance.ts";
import type { TierTable } from "../../contract/tier.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { sampleChunks, sampleDocument, sampleEntry } from "../../testing/store-samples.ts";
import { selectRange } from "./relevance-ranges.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-candidates-"));
const scope = { namespace: "n" };
let files = 0;
const newPath = () => join(folder, `${files++}.db`);
const unlimited = { ttlSeconds: 0, capacity: 0 };
const table: TierTable = {
  working: { ttlSeconds: 20 * 86_400, capacity: 0 },
  short_term: unlimited,
  episodic: unlimited,
  long_term: unlimited,
  semantic: unlimited,
};
const tierNames = ["working", "long_term"] as const;

const importance = fc.oneof(fc.constantFrom(0, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true }));
const life = {
  tier: fc.constantFrom(...tierNames),
  importance,
  pinned: fc.nat({ max: 7 }).map((one) => one === 7),
};
const action = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("add" as const),
      ...life,
      accessCount: fc.nat({ max: 12 }),
      ageDays: fc.oneof(fc.nat({ max: 12 }), fc.nat({ max: 400 })),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("publish" as const), ...life }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("touch" as const),
      index: fc.nat(),
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("update" as const), index: fc.nat(), importance }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      days: fc.constantFrom(0.4, 1, 1, 2, 3, 9, 10, 11, 90, 700),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("ask" as const),
      threshold: fc.oneof(
        fc.constantFrom(0, 0.2, 0.25, 0.55, 0.75, 1),
        fc.double({ min: 0, max: 1, noNaN: true }),
      ),
      index: fc.option(fc.nat(), { nil: undefined }),
      memoriesOnly: fc.boolean(),
      limit: fc.constantFrom(1, 2, 3, 40),
    }),
  },
);

interface Listed {
  readonly id: string;
  readonly document: boolean;
  readonly tier: string;
  readonly pinned: boolean;
  readonly importance: number;
  readonly accessCount: number;
  readonly lastUsedAt: number;
}

/** Everything visible, read without any key. */
async function all(store: MemoryStore): Promise<Listed[]> {
  const { memories } = await store.list(scope, {}, { limit: 1_000 });
  const { documents } = await store.documents(scope, { limit: 1_000 });
  return [
    ...memories.filter((memory) => !memory.source).map((memory) => ({ ...memory, document: false })),
    ...documents.map((document) => ({ ...document, document: true })),
  ];
}

async function pages(store: MemoryStore, query: CandidateQuery): Promise<Candidate[]> {
  const found: Candidate[] = [];
  for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
    const page = await store.candidates(scope, { ...query, cursor });
    found.push(...page.candidates);
    cursor = page.cursor;
  }
  return found;
}

test("over years, candidates are what a full scan finds, in order, whatever the decay, threshold and day", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(action, { minLength: 20, maxLength: 60, size: "max" }),
      fc.constantFrom(0, 0.003, 0.07, 0.1, 1 / 3, 2),
      async (actions, decayRate) => {
        const clock = createManualClock();
        const store = await openSqliteStore(newPath(), {
          clock,
          decayRate,
          tiers: table,
        });
        try {
          for (const [number, one] of actions.entries()) {
            const there = await all(store);
            const named = (index: number) => there.filter((one) => !one.document)[index % there.length]?.id;
            if (one.kind === "wait") clock.advance(one.days * dayMs);
            else if (one.kind === "add") {
              const { kind: _kind, ageDays, ...fields } = one;
              const lastUsedAt = clock.now() - ageDays * dayMs;
              await store.add(scope, [sampleEntry(`m${number}`, { ...fields, lastUsedAt })]);
            } else if (one.kind === "publish") {
              const { kind: _kind, ...fields } = one;
              const staged = await store.stageDocument(scope, sampleDocument(`d${number}`, fields));
              await store.addChunks(staged, sampleChunks(`d${number}`, ["one", "two"]));
              await store.publishDocument(staged);
            } else if (one.kind === "touch") {
              const id = named(one.index) ?? "nobody";
              await store.touch(scope, [{ id, count: one.count, lastUsedAt: clock.now() }]);
            } else if (one.kind === "update") {
              const id = named(one.index);
              if (id !== undefined) await store.update(scope, id, { importance: one.importance });
            } else await compare(store, there, one, clock.now(), decayRate);
          }
        } finally {
          await store.close();
        }
      },
    ),
    { numRuns: 30 },
  );
});

async function compare(
  store: MemoryStore,
  there: readonly Listed[],
  ask: Extract<typeof action extends fc.Arbitrary<infer T> ? T : never, { kind: "ask" }>,
  now: number,
  decayRate: number,
): Promise<void> {
  const { memoriesOnly, limit, index } = ask;
  for (const daysAgo of [1, 0, 3]) {
    const day = utcDay(now) - daysAgo;
    const offset = relevanceOffset(day, decayRate);
    const keysOf = (one: Listed) => relevanceKeys(one, decayRate);
    // Now and then exactly the relevance of one that is there.
    const exact = index === undefined ? undefined : there[index % Math.max(1, there.length)];
    const threshold = exact ? Math.max(0, Math.min(1, relevance(keysOf(exact), offset))) : ask.threshold;
    for (const tier of tierNames) {
      for (const side of ["at-least", "below"] as const) {
        const found = await pages(store, { tier, side, threshold, day, memoriesOnly, limit });
        const expected = there
          .filter((one) => one.tier === tier && !one.pinned && !(memoriesOnly && one.document))
          .filter((one) => isAtLeast(keysOf(one), threshold, offset) === (side === "at-least"));
        const what = `${side} ${threshold} ${daysAgo} days ago`;
        assert.deepEqual(found.map(({ id }) => id).sort(), expected.map(({ id }) => id).sort(), what);
        const values = found.map(({ keys }) => relevance(keys, offset));
        const sign = side === "below" ? 1 : -1;
        assert.ok(
          values.every((value, at) => at === 0 || sign * (value - values[at - 1]!) > -1e-9),
          what,
        );
      }
    }
  }
}

test("every statement that finds candidates searches its index and sorts nothing", async () => {
  const path = newPath();
  await (await openSqliteStore(path)).close();
  using database = new DatabaseSync(path);
  for (const [kind, index, days] of [
    [0, "entry_fresh", ""],
    [1, "entry_faded", ""],
    [2, "entry_faded_day", " AND last_used_day=?"],
  ] as const) {
    const key = kind === 0 ? "k" : "b";
    for (const side of ["at-least", "below"] as const) {
      for (const part of ["equal", "beyond"] as const) {
        const place =
          part === "beyond" ? `${key}>? AND ${key}<?` : `${key}=? AND rowid${side === "below" ? ">" : "<"}?`;
        const plan = database
          .prepare(`explain query plan ${selectRange(kind, side, part)}`)
          .all()
          .map((row) => String(row["detail"]));
        const where = `namespace=? AND tier=? AND document=?${days} AND ${place}`;
        assert.deepEqual(plan, [`SEARCH entry USING INDEX ${index} (${where})`]);
      }
    }
  }
});

/** A file with that many entries of which few are candidates, of each side and kind. */
function fill(path: string, count: number, today: number): void {
  using database = new DatabaseSync(path);
  const step = count / 100;
  database.exec(`
    insert into namespace (id, name, faded_on) values (1, 'n', ${today});
    update counter set last = ${count + 1};
    -- Importance puts nearly all between the thresholds. Of the others every fifth is a document, and a third faded, some
    -- of them today.
    with recursive number (value) as (select 1 union all select value + 1 from number where value < ${count})
    insert into entry
    select value, 1, part % 5 = 0, 3, case value % ${step} when 0 then 1.0 when 7 then 0.0 else 0.6 end,
      0, day * 86400000, day, 9007199254740991, 0, day <= ${today} - 10, 0, 0
    from (select value, value / ${step} as part, ${today} - value / ${step} % 15 as day from number);
    update entry set b = 0.5 * importance + 0.2 * min(1.0, access_count / 10.0);
    update entry set k = b + 0.3 * 0.1 * last_used_day;
    insert into memory (row, namespace, entry, seq, id, content_hash, bytes, created_at, updated_at, happened_at, version,
        content)
      select id, 1, id, 1, 'm' || id, '', 1, 0, 0, 0, 1, 'x' from entry where document = 0;
    insert into document (entry, namespace, seq, id, uri, hash, created_at, updated_at, version, chunks, bytes, characters)
      select id, 1, 1, 'd' || id, 'd' || id, '', 0, 0, 0, 0, 0, 0 from entry where document = 1;
  `);
}

/** Rows that statements give while something runs. */
async function countRows(run: () => Promise<unknown>): Promise<number> {
  let rows = 0;
  const all = StatementSync.prototype.all;
  const counted = mock.method(
    StatementSync.prototype,
    "all",
    function (this: StatementSync, ...values: SQLInputValue[]) {
      const found = Reflect.apply(all, this, values);
      rows += found.length;
      return found;
    },
  );
  try {
    await run();
    return rows;
  } finally {
    counted.mock.restore();
  }
}

test("finding candidates reads as many rows in a large tier as in a small one", async () => {
  const costs = [];
  for (const count of [1_000, 100_000, 1_000_000]) {
    const path = newPath();
    const clock = createManualClock();
    const options = { clock, tiers: table };
    await (await openSqliteStore(path, options)).close();
    const today = utcDay(clock.now());
    fill(path, count, today);
    const store = await openSqliteStore(path, options);
    const cost = [];
    for (const day of [today, today - 1]) {
      for (const memoriesOnly of [false, true]) {
        for (const [side, threshold] of [
          ["at-least", 0.64],
          ["below", 0.29],
        ] as const) {
          const query = { tier: "long_term", side, threshold, day, memoriesOnly, limit: 64 } as const;
          let found = 0;
          const rows = await countRows(async () => {
            found = (await pages(store, query)).length;
          });
          assert.ok(found > 20 && rows < 4 * found + 150, `${rows} rows for ${found} candidates`);
          cost.push([side, day - today, memoriesOnly, found, rows]);
        }
      }
    }
    costs.push(cost);
    await store.close();
  }
  assert.deepEqual(costs[1], costs[0]);
  assert.deepEqual(costs[2], costs[0]);
});
