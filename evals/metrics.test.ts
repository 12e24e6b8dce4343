import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { areaUnderCurve, mean, ndcgAt, recallAt, spearman } from "./metrics.ts";

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 1e-9, `${actual} is not ${expected}`);
}

suite("recall at k", () => {
  test("is the share of the relevant ids among the first k", () => {
    near(recallAt(["a", "x", "b", "c"], new Set(["a", "b", "c", "d"]), 3), 0.5);
  });

  test("counts an id that stands twice once", () => {
    near(recallAt(["a", "a"], new Set(["a", "b"]), 10), 0.5);
  });

  test("is not defined without relevant ids", () => {
    assert.throws(() => recallAt(["a"], new Set(), 10), RangeError);
  });
});

suite("nDCG at k", () => {
  test("is 1 for the best order and 0 when nothing relevant is found", () => {
    const gains = new Map([
      ["a", 3],
      ["b", 1],
    ]);
    near(ndcgAt(["a", "b", "x"], gains, 10), 1);
    near(ndcgAt(["x", "y"], gains, 10), 0);
  });

  test("discounts each gain by log2(rank + 1)", () => {
    // (3/log2 2 + 0/log2 3 + 2/log2 4) / (3/log2 2 + 2/log2 3 + 1/log2 4) = 4 / 4.7618595071429148
    const gains = new Map([
      ["a", 3],
      ["b", 2],
      ["c", 1],
    ]);
    near(ndcgAt(["a", "x", "b"], gains, 3), 4 / 4.761859507142915);
  });

  test("cuts the ideal order at k too", () => {
    const gains = new Map([
      ["a", 1],
      ["b", 1],
      ["c", 1],
    ]);
    near(ndcgAt(["c", "a"], gains, 2), 1);
  });

  test("is not defined when no gain is above 0", () => {
    assert.throws(() => ndcgAt(["a"], new Map([["a", 0]]), 10), RangeError);
  });
});

suite("Spearman", () => {
  test("is 1 for any increasing relation and -1 for a decreasing one", () => {
    near(spearman([1, 2, 3, 4], [1, 10, 100, 1000]), 1);
    near(spearman([1, 2, 3, 4], [9, 7, 1, -4]), -1);
  });

  test("gives ties the mean of their ranks", () => {
    // Ranks 1, 2.5, 2.5, 4 against 1, 3, 2, 4: deviations' product 4.5, squares 4.5 and 5.
    near(spearman([10, 20, 20, 30], [1, 3, 2, 4]), 4.5 / Math.sqrt(4.5 * 5));
  });

  test("refuses lists of different lengths", () => {
    assert.throws(() => spearman([1, 2], [1]), RangeError);
  });
});

suite("area under the curve", () => {
  test("is the share of positive and negative pairs in the right order, a tie counting half", () => {
    // Positives .9, .5; negatives .5, .1: 1 + 1 + .5 + 1 of 4 pairs.
    near(areaUnderCurve([0.9, 0.5, 0.5, 0.1], [true, true, false, false]), 3.5 / 4);
  });

  test("is one half when all scores are equal", () => {
    near(areaUnderCurve([1, 1, 1], [true, false, false]), 0.5);
  });

  test("needs both classes", () => {
    assert.throws(() => areaUnderCurve([1, 2], [true, true]), RangeError);
  });
});

test("the mean of nothing is not defined", () => {
  near(mean([1, 2, 6]), 3);
  assert.throws(() => mean([]), RangeError);
});
