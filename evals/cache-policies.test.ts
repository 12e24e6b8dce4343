import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { bestPossible, leastRecentlyUsed, s3Fifo, sieve } from "./cache-policies.ts";

suite("cache policies", () => {
  test("count hits as by hand", () => {
    const keys = [..."abcabdab"];
    // With two places: only keeping "a" and "b" throughout answers the four later accesses of them.
    assert.deepEqual([leastRecentlyUsed(keys, 2), sieve(keys, 2), bestPossible(keys, 2)], [0, 0, 4]);
    // "a" is marked when "c" comes, so that the hand takes "b".
    assert.equal(sieve([..."abaca"], 2), 2);
    assert.equal(leastRecentlyUsed([..."abaca"], 2), 2);
  });

  test("S3-FIFO lets one-time keys pass by what is asked for again", () => {
    const scan = Array.from({ length: 100 }, (_, at) => `once ${at}`);
    const keys = [..."aaa", ...scan.slice(0, 50), "a", ...scan.slice(50), "a"];
    assert.equal(s3Fifo(keys, 20), 4);
    assert.equal(leastRecentlyUsed(keys, 20), 2);
  });

  test("answer no more than the best possible, and everything repeated when all fits", () => {
    const trace = fc.array(fc.constantFrom(..."abcdefgh"), { maxLength: 200 });
    fc.assert(
      fc.property(trace, fc.integer({ min: 1, max: 8 }), (keys, size) => {
        const repeats = keys.length - new Set(keys).size;
        for (const policy of [leastRecentlyUsed, sieve, s3Fifo]) {
          assert.ok(policy(keys, size) <= bestPossible(keys, size));
        }
        assert.equal(leastRecentlyUsed(keys, 8), repeats);
        assert.equal(sieve(keys, 8), repeats);
        assert.equal(bestPossible(keys, 8), repeats);
      }),
    );
  });

  test("the best possible is what trying all choices finds", () => {
    const trace = fc.array(fc.constantFrom(..."abcd"), { maxLength: 9 });
    fc.assert(
      fc.property(trace, fc.integer({ min: 1, max: 3 }), (keys, size) => {
        assert.equal(bestPossible(keys, size), triedAll(keys, size, new Set(), 0));
      }),
    );
  });
});

function triedAll(keys: readonly string[], size: number, kept: ReadonlySet<string>, at: number): number {
  const key = keys[at];
  if (key === undefined) return 0;
  if (kept.has(key)) return 1 + triedAll(keys, size, kept, at + 1);
  const choices = [kept];
  if (kept.size < size) choices.push(new Set([...kept, key]));
  else for (const leaving of kept) choices.push(new Set([...kept, key].filter((other) => other !== leaving)));
  return Math.max(...choices.map((choice) => triedAll(keys, size, choice, at + 1)));
}
