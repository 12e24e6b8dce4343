import assert from "node:assert/strict";
import { test } from "node:test";
import { Postings } from "./postings.ts";

function slotsOf(postings: Postings, term: string): number[] {
  return postings.of(term).flatMap(({ slots, from, to }) => Array.from(slots).slice(from, to));
}

test("a term's slots are found in the tail, in sealed parts and in merged ones", () => {
  const postings = new Postings();
  for (let slot = 0; slot < 30; slot++) {
    postings.add(slot, slot % 3 === 0 ? "tea" : "coffee", false);
    if (slot % 4 === 3) postings.seal();
  }
  const tea = Array.from({ length: 10 }, (_, i) => i * 3);
  assert.deepEqual(slotsOf(postings, "tea"), tea);
  for (const _ of postings.merge());
  assert.ok(postings.sealed.length <= 3);
  assert.deepEqual(slotsOf(postings, "tea"), tea);
});

test("merging many parts copies each posting as often as their number can be halved, not as often as there are parts", () => {
  const postings = new Postings();
  const [parts, size] = [64, 8_192];
  for (let slot = 0; slot < parts * size; slot++) {
    postings.add(slot, "tea", false);
    if (slot % size === size - 1) postings.seal();
  }
  let steps = 0;
  for (const _ of postings.merge()) steps++;
  // A step copies 65,536 postings.
  assert.ok(steps <= (Math.log2(parts) + 1) * ((parts * size) / 65_536), `${steps} steps`);
  assert.deepEqual(slotsOf(postings, "tea").length, parts * size);
});
