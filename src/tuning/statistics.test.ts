import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { pairedT } from "./paired-test.ts";
import { chanceOfSmaller } from "./rank-test.ts";
import { seededRandom } from "./seeded-random.ts";

suite("the tests by which tuning decides", () => {
  test("Mann and Whitney's, one-sided, as computed by hand", () => {
    // U = 7.5 of 42 pairs, one tie: z = (7.5 + .5 - 21) / sqrt(3.5 (14 - 6 / 156)) = -1.860.
    const tried = [1.1, 2.2, 3.3, 4.4, 5.5, 6.6];
    const base = [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 5.5];
    assert.ok(Math.abs(chanceOfSmaller(tried, base) - 0.03146) < 0.0001);
    assert.ok(chanceOfSmaller(base, tried) > 0.9);
    assert.equal(chanceOfSmaller([1, 2], [3, 4]), 1);
    assert.equal(chanceOfSmaller([1, 1, 1, 1], [1, 1, 1, 1]), 1);
  });

  test("errs as seldom as it says where there is no difference", () => {
    const random = seededRandom(3);
    const draw = (): number[] => Array.from({ length: 40 }, () => random());
    let wrong = 0;
    for (let trial = 0; trial < 2_000; trial++) if (chanceOfSmaller(draw(), draw()) < 0.05) wrong++;
    assert.ok(wrong > 60 && wrong < 140, String(wrong));
  });

  test("Student's t of pairs", () => {
    assert.ok(Math.abs(pairedT([1, 2, 3, 4]) - 3.873) < 0.001);
    assert.equal(pairedT([0, 0, 0, 0]), 0);
    assert.equal(pairedT([5, 5, 5]), 0);
    assert.equal(pairedT([2, 2, 2, 2]), Number.MAX_VALUE);
  });
});
