import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bestSlots, bestUnordered } from "./best-slots.ts";

test("the best come first, the newer row before the older", () => {
  const rows = Float64Array.of(5, 6, 7, 8);
  const { slots, scores } = bestSlots({ scores: Float64Array.of(1, 3, 3, 2), above: 0 }, 3, rows);
  assert.deepEqual([...slots], [2, 1, 3]);
  assert.deepEqual([...scores], [3, 3, 2]);
});

test("they are those of a full sort, whatever the scores and their number", () => {
  const few = fc.constantFrom(-1, 0, 0.1, 0.2, 1);
  const any = fc.double({ noNaN: true, min: -1e9, max: 1e9 });
  const shape = fc.record({
    scores: fc.oneof<fc.Arbitrary<number[]>[]>(
      fc.array(few, { maxLength: 400 }),
      fc.array(any, { maxLength: 400 }),
      // One far from all others, which lie close together.
      fc
        .array(fc.double({ noNaN: true, min: 0, max: 1e-12 }), { maxLength: 400 })
        .map((all) => [...all, 1e12]),
    ),
    limit: fc.integer({ min: 1, max: 60 }),
    above: fc.constantFrom(0, Number.NEGATIVE_INFINITY),
    listed: fc.boolean(),
  });
  fc.assert(
    fc.property(shape, ({ scores, limit, above, listed }) => {
      const slots = Uint32Array.from(scores, (_, at) => (listed ? at * 2 + 1 : at));
      const rows = Float64Array.from({ length: scores.length * 2 + 2 }, (_, slot) => (slot * 7_919) % 10_007);
      const scored = { scores: Float64Array.from(scores), slots: listed ? slots : undefined, above };
      const expected = scores
        .map((score, at) => ({ score, slot: slots[at]! }))
        .filter(({ score }) => score > above)
        .sort((a, b) => b.score - a.score || rows[b.slot]! - rows[a.slot]!)
        .slice(0, limit);
      const found = bestSlots(scored, limit, rows);
      assert.deepEqual(
        [...found.slots],
        expected.map(({ slot }) => slot),
      );
      assert.deepEqual(
        [...found.scores],
        expected.map(({ score }) => score),
      );
      const unordered = bestUnordered(scored, limit, rows);
      assert.deepEqual([...unordered.slots].sort(), [...found.slots].sort());
      assert.deepEqual([...unordered.scores].sort(), [...found.scores].sort());
    }),
  );
});
