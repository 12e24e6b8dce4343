import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tiers } from "../contract/tier.ts";
import { createAnalyzer } from "./analyzer.ts";
import { kinds } from "./columns.ts";
import { type IndexEntry, NamespaceIndex } from "./namespace-index.ts";
import type { Work } from "./sealed-postings.ts";
import type { SlotFilter } from "./selections.ts";
import { VectorMemory } from "./vector-memory.ts";

const surroundings = {
  analyzer: createAnalyzer(),
  memory: new VectorMemory(),
  model: { id: "fake", dimensions: 8 },
};

type Facts = Pick<
  IndexEntry,
  "tier" | "at" | "createdAt" | "importance" | "pinned" | "tags" | "thread" | "speaker"
>;

const nothing: Facts = {
  tier: "semantic",
  at: undefined,
  createdAt: 0,
  importance: 0.5,
  pinned: false,
  tags: [],
  thread: undefined,
  speaker: undefined,
};

function put(index: NamespaceIndex, row: number, facts: Partial<Facts>): void {
  const texts = { content: `memory ${row}`, context: "", kind: kinds.note, vector: null, model: undefined };
  index.put({ row, ...texts, ...nothing, ...facts });
}

function passes(facts: Facts, filter: SlotFilter): boolean {
  const happened = facts.at ?? facts.createdAt;
  return (
    (filter.tiers === undefined || filter.tiers.includes(facts.tier)) &&
    (filter.tags ?? []).every((tag) => facts.tags.includes(tag)) &&
    (filter.after === undefined || happened >= filter.after) &&
    (filter.before === undefined || happened < filter.before) &&
    (filter.minImportance === undefined || facts.importance >= filter.minImportance) &&
    (filter.thread === undefined || facts.thread === filter.thread) &&
    (filter.speaker === undefined || facts.speaker === filter.speaker) &&
    (filter.pinned === undefined || facts.pinned === filter.pinned)
  );
}

/** Rows that the index selects, by the mask and, where there is one, by the list. */
function selected(index: NamespaceIndex, filter: SlotFilter): number[] {
  const { slots, mask } = index.selections.of(filter);
  const { rows } = index.columns.arrays;
  const byMask = [...mask.subarray(0, index.columns.size).keys()].filter((slot) => mask[slot] === 1);
  if (slots)
    assert.deepEqual(
      [...slots].filter((slot) => mask[slot] === 1),
      byMask,
    );
  return byMask.map((slot) => rows[slot]!).sort((a, b) => a - b);
}

test("a tag, a time, an importance, a thread, a speaker and a pin each select what has them", () => {
  const index = new NamespaceIndex(surroundings);
  put(index, 1, { tags: ["red"], at: 5, importance: 0.2, thread: "one", speaker: "Ada", pinned: true });
  put(index, 2, { tags: ["red", "blue"], createdAt: 7, importance: 0.9, thread: "two", speaker: "Ben" });
  assert.deepEqual(selected(index, { tags: ["red"] }), [1, 2]);
  assert.deepEqual(selected(index, { tags: ["blue", "red"] }), [2]);
  assert.deepEqual(selected(index, { tags: ["green"] }), []);
  assert.deepEqual(selected(index, { after: 6 }), [2]);
  assert.deepEqual(selected(index, { before: 7 }), [1]);
  assert.deepEqual(selected(index, { minImportance: 0.3 }), [2]);
  assert.deepEqual(selected(index, { thread: "one" }), [1]);
  assert.deepEqual(selected(index, { speaker: "Ben" }), [2]);
  assert.deepEqual(selected(index, { pinned: false }), [2]);
  put(index, 1, { tags: ["green"] });
  assert.deepEqual(selected(index, { tags: ["red"] }), [2]);
  assert.deepEqual(selected(index, { tags: ["green"] }), [1]);
  index.release();
});

const facts: fc.Arbitrary<Partial<Facts>> = fc.record(
  {
    tier: fc.constantFrom(...tiers),
    at: fc.nat(5),
    createdAt: fc.nat(5),
    importance: fc.constantFrom(0, 0.5, 1),
    pinned: fc.boolean(),
    tags: fc.subarray(["a", "b", "c"]),
    thread: fc.constantFrom("one", "two"),
    speaker: fc.constantFrom("Ada", "Ben"),
  },
  { requiredKeys: [] },
);
const filter: fc.Arbitrary<SlotFilter> = fc.record(
  {
    tiers: fc.subarray([...tiers]),
    tags: fc.subarray(["a", "b", "c", "d"]),
    after: fc.nat(5),
    before: fc.nat(5),
    minImportance: fc.constantFrom(0, 0.5, 1),
    pinned: fc.boolean(),
    thread: fc.constantFrom("one", "three"),
    speaker: fc.constantFrom("Ada", "Cal"),
  },
  { requiredKeys: [] },
);
/** Of few conditions, so that something passes. */
const look = fc.oneof(
  filter,
  filter.map(({ tiers, ...rest }) => (tiers?.length ? { tiers } : rest)),
);
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ put: facts }) },
  { weight: 3, arbitrary: fc.record({ replace: fc.nat(40), by: facts }) },
  { weight: 3, arbitrary: fc.record({ remove: fc.nat(40) }) },
  { weight: 3, arbitrary: fc.record({ move: fc.nat(40), to: fc.constantFrom(...tiers) }) },
  { weight: 1, arbitrary: fc.constant("seal" as const) },
  { weight: 1, arbitrary: fc.constant("tend" as const) },
  { weight: 3, arbitrary: fc.record({ look }) },
);

test("what moves to another tier is selected by it from then on, while the dead are cleared away too", () => {
  const index = new NamespaceIndex(surroundings);
  const size = 6_000;
  for (let row = 0; row < size; row++) put(index, row, { tier: "episodic" });
  assert.deepEqual(selected(index, { tiers: ["semantic"] }), []);
  index.move(5, "semantic");
  assert.deepEqual(selected(index, { tiers: ["semantic"] }), [5]);
  assert.equal(selected(index, { tiers: ["episodic"] }).length, size - 1);
  for (let row = 10; row < size; row += 2) index.remove(row);
  const work = index.tend(true);
  for (let steps = 0, moved = 0; !work.next().done; steps++) {
    // One that was picked already, one that was not.
    for (const row of [7 + 2 * steps, size - 1 - 2 * steps]) {
      index.move(row, "semantic");
      moved++;
    }
    assert.equal(selected(index, { tiers: ["semantic"] }).length, moved + 1);
  }
  assert.ok(selected(index, { tiers: ["semantic"] }).length > 3);
  assert.equal(index.dead, 0);
  assert.ok(selected(index, { tiers: ["semantic"] }).includes(7));
  index.release();
});

test("whatever changes, and whenever it is asked, a filter selects what passes it", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: "max" }), (steps) => {
      const index = new NamespaceIndex(surroundings);
      const held = new Map<number, Facts>();
      const agree = (asked: SlotFilter): void => {
        const expected = [...held].filter(([, each]) => passes(each, asked)).map(([row]) => row);
        assert.deepEqual(
          selected(index, asked),
          expected.sort((a, b) => a - b),
        );
      };
      let next = 0;
      let work: Work | undefined;
      const filters: SlotFilter[] = [];
      for (const each of steps) {
        work?.next();
        if (each === "seal") index.sealSoon();
        else if (each === "tend") work = index.tend(true);
        else if ("look" in each) filters.push(each.look);
        else if ("move" in each) {
          const former = held.get(each.move);
          index.move(each.move, each.to);
          if (former) held.set(each.move, { ...former, tier: each.to });
        } else if ("remove" in each) {
          index.remove(each.remove);
          held.delete(each.remove);
        } else {
          const row = "put" in each ? next++ : each.replace;
          const given = "put" in each ? each.put : each.by;
          if (!("put" in each) && !held.has(row)) continue;
          put(index, row, given);
          held.set(row, { ...nothing, ...given });
        }
        for (const asked of filters.slice(-3)) agree(asked);
      }
      for (const _ of work ?? []);
      for (const asked of filters) agree(asked);
      index.release();
    }),
  );
});

test("more slots than are listed are masked, and listed again when they have become few", () => {
  const index = new NamespaceIndex(surroundings);
  const size = 40_000;
  for (let row = 0; row < size; row++) put(index, row, { pinned: row % 2 === 0 });
  assert.equal(index.selections.of({ pinned: true }).slots, undefined);
  assert.equal(selected(index, { pinned: true }).length, size / 2);
  for (let row = 0; row < 8_000; row += 2) index.remove(row);
  assert.equal(selected(index, { pinned: true }).length, size / 2 - 4_000);
  assert.equal(index.selections.of({ pinned: true }).slots?.length, size / 2 - 4_000);
  index.release();
});
