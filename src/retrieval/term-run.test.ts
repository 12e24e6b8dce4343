import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TermRun } from "./term-run.ts";

test("a run is found where its terms stand next to each other in this order", () => {
  const run = new TermRun(["quick", "brown"]);
  assert.ok(run.isIn(["the", "quick", "brown", "fox"]));
  assert.ok(!run.isIn(["brown", "quick", "the", "brown"]));
});

test("a run is found exactly where comparing at every place finds it", () => {
  const terms = (maxLength: number) => fc.array(fc.constantFrom("a", "b", "c"), { minLength: 1, maxLength });
  fc.assert(
    fc.property(terms(6), terms(40), (run, text) => {
      const expected = text.some((_, start) => run.every((term, at) => text[start + at] === term));
      assert.equal(new TermRun(run).isIn(text), expected);
    }),
    { numRuns: 2_000 },
  );
});
