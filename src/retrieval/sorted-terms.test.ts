import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sortedTerms } from "./sorted-terms.ts";

test("terms are put in the order in which sort() puts them", () => {
  const unit = fc.constantFrom(..."abc\0~\u007f\u0080é漢\ud83d\ude00\uffff");
  const terms = fc.uniqueArray(fc.oneof(fc.string({ unit, maxLength: 8 }), fc.string({ unit: "binary" })), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(terms, (terms) => {
      assert.deepEqual(
        sortedTerms(terms).map((place) => terms[place]),
        [...terms].sort(),
      );
    }),
  );
});

test("so are more terms than there are keys", () => {
  const terms = Array.from({ length: 140_000 }, (_, i) => `t${(i * 7_919) % 140_000}`);
  assert.deepEqual(
    sortedTerms(terms).map((place) => terms[place]),
    [...terms].sort(),
  );
});
