import assert from "node:assert/strict";
import { test } from "node:test";
import { PlainCosine } from "./plain-cosine.ts";

test("the plain cosine loop gives the nearest vectors, nearest first", () => {
  const floor = new PlainCosine(4, 4);
  for (const vector of [
    [1, 0, 0, 0],
    [0, 1, 0, 0],
    [0.6, 0.8, 0, 0],
    [0, 0, 0.6, 0.8],
  ])
    floor.add(Float32Array.from(vector));
  assert.deepEqual(floor.search(Float32Array.from([0, 1, 0, 0]), 2), [1, 2]);
  assert.deepEqual(floor.search(floor.at(3), 1), [3]);
  assert.equal(floor.search(floor.at(0), 9).length, 4);
});
