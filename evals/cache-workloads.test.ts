import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { simulatedEmbeddings, simulatedQueries } from "../src/cli/simulated-caches.ts";
import { type CacheOutcome, simulateCaches } from "../src/tuning/simulate-caches.ts";
import { type CacheWorkload, simulatedWorkloads } from "./cache-workloads.ts";

function play(workload: CacheWorkload, tuned: boolean): CacheOutcome {
  return simulateCaches({
    ...workload,
    queries: simulatedQueries(),
    embeddings: simulatedEmbeddings(384),
    queryBytes: workload.totalBytes / 2,
    dimensions: 384,
    tuned,
  });
}

suite("workloads for self-tuning", () => {
  for (const [at, workload] of simulatedWorkloads(11, 24_000).entries()) {
    test(`${workload.name}: never worse than the defaults by more than 5 %, and the same by the same seed`, () => {
      const tuned = play(workload, true);
      assert.ok(tuned.ms <= 1.05 * play(workload, false).ms);
      if (at === 0) assert.deepEqual(play(simulatedWorkloads(11, 24_000)[0]!, true), tuned);
    });
  }
});
