import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PostingTail } from "./posting-tail.ts";
import { stopMark, TermTable } from "./term-table.ts";

test("a term's postings are found by its name, however it was counted", () => {
  const table = new TermTable();
  const tail = new PostingTail();
  table.begin();
  for (const term of ["tea", "milk", "tea"]) table.add(term, false);
  table.add("the", true);
  assert.equal(tail.addAll(0, table, false), 3);
  assert.equal(tail.addAll(0, table, true), 3);
  tail.add(1, "tea", false);
  assert.deepEqual(tail.of("tea"), { slots: [0, 1], counts: [2 + 2 * 256, 1] });
  assert.deepEqual(tail.of(`${stopMark}the`), { slots: [0], counts: [1] });
  assert.equal(tail.of("the"), undefined);
});

test("whatever numbers terms have had meanwhile, a tail holds what a map would", () => {
  const words = fc.array(fc.nat({ max: 700 }), { minLength: 1, maxLength: 400 });
  const step = fc.record({ words, byName: fc.boolean(), inContext: fc.boolean(), renews: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
      const table = new TermTable();
      const tail = new PostingTail();
      const expected = new Map<string, Map<number, number>>();
      for (const [slot, { words, byName, inContext, renews }] of steps.entries()) {
        if (renews) table.renew();
        table.begin();
        for (const word of words) {
          const term = `w${word}`;
          if (byName) tail.add(slot, term, inContext);
          else table.add(term, false);
          const counts = expected.get(term) ?? new Map<number, number>();
          counts.set(slot, (counts.get(slot) ?? 0) + (inContext ? 256 : 1));
          expected.set(term, counts);
        }
        if (!byName) tail.addAll(slot, table, inContext);
        const asked = `w${words[0]}`;
        assert.deepEqual(tail.of(asked)?.slots, [...expected.get(asked)!.keys()]);
      }
      assert.deepEqual(new Set(tail.terms), new Set(expected.keys()));
      tail.moveSlots((slot) => slot * 2);
      for (const [term, counts] of expected) {
        const slots = [...counts.keys()].map((slot) => slot * 2);
        assert.deepEqual(tail.of(term), { slots, counts: [...counts.values()].map(capped) });
      }
    }),
    { numRuns: 60 },
  );
});

/** Both halves of a count stop at 255. */
function capped(count: number): number {
  return (Math.min(255, count >> 8) << 8) | Math.min(255, count & 0xff);
}
