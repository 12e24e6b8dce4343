import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { GhostStack, ghostHash, ghostParts } from "./ghost-stack.ts";

/** Hits of a least recently used cache of so many bytes, every entry taking as many. */
function hitsOf(names: readonly string[], entries: number): number {
  const kept = new Set<string>();
  let hits = 0;
  for (const name of names) {
    if (kept.delete(name)) hits++;
    kept.add(name);
    if (kept.size > entries) kept.delete(kept.values().next().value!);
  }
  return hits;
}

suite("GhostStack", () => {
  test("tells which size would have answered", () => {
    const stack = new GhostStack(ghostParts * 10);
    for (const name of ["a", "b", "c", "a"]) stack.look(ghostHash(name), 10);
    const { lookups, hits } = stack.take();
    assert.equal(lookups, 4);
    assert.deepEqual(
      [...hits.entries()].filter(([, count]) => count > 0),
      [[2, 1]],
    );
    assert.equal(stack.take().lookups, 0);
  });

  test("for every size, as many hits as a cache of that size has", () => {
    const names = fc.array(fc.integer({ min: 0, max: 90 }).map(String), { maxLength: 400 });
    fc.assert(
      fc.property(names, (asked) => {
        const stack = new GhostStack(ghostParts * 100);
        for (const name of asked) stack.look(ghostHash(name), 100);
        const { hits } = stack.take();
        let sum = 0;
        for (let entries = 1; entries <= ghostParts; entries++) {
          sum += hits[entries - 1]!;
          assert.equal(sum, hitsOf(asked, entries));
        }
      }),
    );
  });

  test("goes on when its slots are used up", () => {
    const stack = new GhostStack(ghostParts * 10);
    for (let at = 0; at < 100_000; at++) stack.look(ghostHash(`${at % 3}`), 10);
    const { hits } = stack.take();
    assert.equal(hits[2], 99_997);
  });

  test("of many names looks at some, and tells of all", () => {
    const bytes = 64 * 2 ** 20;
    const stack = new GhostStack(bytes);
    const names = 20_000;
    for (let at = 0; at < 4 * names; at++) stack.look(ghostHash(`question ${(at * 7_919) % names}`), 2_000);
    const { lookups, hits } = stack.take();
    assert.equal(lookups, 4 * names);
    const answered = hits.reduce((sum, count) => sum + count, 0);
    assert.ok(Math.abs(answered - 3 * names) < 0.1 * names, String(answered));
    // Asked in a circle, all of them must fit: 40 MB are 38 parts of 64.
    const middle = hits.findIndex((count) => count > names / 4);
    assert.ok(middle >= 34 && middle <= 42, String(middle));
  });
});
