import assert from "node:assert/strict";
import { test } from "node:test";
import { maxIndexBytes } from "./index-memory.ts";

const gibibyte = 2 ** 30;

test("indexes may take a quarter of the machine's memory", () => {
  assert.equal(maxIndexBytes(8 * gibibyte, undefined), 2 * gibibyte);
});

test("a limit of the process counts where it is lower, none and a higher one do not", () => {
  assert.equal(maxIndexBytes(64 * gibibyte, 4 * gibibyte), gibibyte);
  assert.equal(maxIndexBytes(8 * gibibyte, 0), 2 * gibibyte);
  assert.equal(maxIndexBytes(8 * gibibyte, Number.MAX_SAFE_INTEGER), 2 * gibibyte);
});

test("there is a least and a most", () => {
  assert.equal(maxIndexBytes(gibibyte, undefined), gibibyte / 2);
  assert.equal(maxIndexBytes(512 * gibibyte, undefined), 3 * gibibyte);
});
