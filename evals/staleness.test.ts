import assert from "node:assert/strict";
import { test } from "node:test";
import { playSteps } from "./staleness.ts";

test("no read misses a write that resolved before it, in two processes on one file", async () => {
  const { stale, invented, hits, writes } = await playSteps(3_000, 7);
  assert.deepEqual({ stale, invented }, { stale: 0, invented: 0 });
  assert.ok(hits > 300 && writes > 100, `${hits} hits, ${writes} writes`);
});
