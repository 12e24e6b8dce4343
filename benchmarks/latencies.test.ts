import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { latencies, median, percentile, timedInTurn } from "./latencies.ts";

suite("latencies", () => {
  test("percentiles are values that were measured", () => {
    const values = [5, 1, 4, 2, 3];
    assert.equal(median(values), 3);
    assert.equal(median([1, 2]), 1);
    assert.equal(percentile(values, 0.95), 5);
    assert.equal(percentile(values, 0), 1);
    assert.throws(() => percentile([], 0.5), RangeError);
  });

  test("the rate is calls over their time", () => {
    assert.equal(latencies([1, 3]).perSecond, 500);
  });

  test("two ways run in turn, each as often as asked", async () => {
    let order = "";
    const times = await timedInTurn(
      5,
      2,
      (call) => {
        order += call;
      },
      () => {
        order += "f";
      },
    );
    assert.equal(order, "01ff23ff4f");
    assert.equal(times.ours.length, 5);
    assert.equal(times.floor.length, 5);
  });
});
