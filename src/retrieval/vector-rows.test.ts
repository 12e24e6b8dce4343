import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { VectorMemory } from "./vector-memory.ts";
import { VectorRows } from "./vector-rows.ts";

const dimensions = 96;

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32 - 0.5;
  };
}

/** Unit vectors in clusters, as texts about the same things are. */
function clustered(count: number, seed = 3): Float16Array[] {
  const next = random(seed);
  const centres = Array.from({ length: 40 }, () => Array.from({ length: dimensions }, next));
  return Array.from({ length: count }, (_, at) => {
    const values = centres[at % centres.length]!.map((value) => value + next());
    const length = Math.hypot(...values);
    return Float16Array.from(values, (value) => value / length);
  });
}

function filled(
  vectors: readonly (Float16Array | null)[],
  exactRows: number,
  memory: VectorMemory = new VectorMemory(),
): VectorRows {
  const rows = new VectorRows(memory, dimensions, exactRows);
  for (const vector of vectors) rows.push(vector);
  while (rows.sketchSome());
  return rows;
}

function best(
  rows: VectorRows,
  query: Float32Array,
  limit: number,
  mask?: Uint8Array,
  slots?: Uint32Array,
): number[] {
  const { numbers, scores } = rows.nearest(query, limit, mask, slots);
  const order = [...numbers.keys()].sort((a, b) => scores[b]! - scores[a]! || numbers[a]! - numbers[b]!);
  return order.slice(0, limit).map((at) => numbers[at]!);
}

function shareFound(found: readonly number[], expected: readonly number[]): number {
  return expected.filter((slot) => found.includes(slot)).length / expected.length;
}

const vectors = clustered(12_000);
const exact = filled(vectors, vectors.length);
const sketched = filled(vectors, 1_000);
const queries = clustered(60, 9).map((vector) => Float32Array.from(vector));

test("few vectors are all compared, many by their sketches", () => {
  assert.equal(exact.path, "exact");
  assert.equal(sketched.path, "approximate");
  assert.equal(exact.nearest(queries[0]!, 3, undefined, undefined).path, "exact");
  assert.equal(sketched.nearest(queries[0]!, 3, undefined, undefined).path, "approximate");
});

test("of the ten nearest at least .98 are found by sketches, with filters too, and never fewer than ten", () => {
  for (const [modulus, name] of [
    [1, "all"],
    [10, "a tenth"],
    [100, "a hundredth"],
    [1_000, "a thousandth"],
  ] as const) {
    const mask = Uint8Array.from(vectors, (_, slot) => (slot % modulus === 7 % modulus ? 1 : 0));
    const some = modulus === 1 ? undefined : mask;
    const listed = Uint32Array.from(mask.keys()).filter((slot) => mask[slot] === 1);
    for (const slots of some ? [undefined, listed] : [undefined]) {
      let share = 0;
      for (const query of queries) {
        const found = best(sketched, query, 10, some, slots);
        assert.equal(found.length, 10);
        assert.ok(found.every((slot) => mask[slot] === 1));
        share += shareFound(found, best(exact, query, 10, some)) / queries.length;
      }
      assert.ok(share >= 0.98, `${name}, ${slots ? "listed" : "masked"}: ${share}`);
    }
  }
});

test("what a list holds that its mask does not is not found", () => {
  const mask = Uint8Array.from(vectors, (_, slot) => (slot % 4 === 0 ? 1 : 0));
  const slots = Uint32Array.from(vectors.keys()).filter((slot) => slot % 2 === 0);
  for (const query of queries) {
    const found = best(sketched, query, 2_000, mask, slots);
    assert.ok(found.length >= 2_000 && found.every((slot) => slot % 4 === 0));
  }
});

test("as many are compared when a sample misleads", () => {
  const count = 30_000;
  const few = clustered(64, 5);
  const target = few[0]!;
  const rows = new VectorRows(new VectorMemory(), dimensions, 1_000);
  // Where the sample is taken, in runs of 16, all are the same.
  const sampled = new Set<number>();
  for (let run = 0; run < 256; run++) {
    const from = Math.floor((run * (count - 16)) / 255);
    for (let at = from; at < from + 16; at++) sampled.add(at);
  }
  for (let slot = 0; slot < count; slot++) rows.push(sampled.has(slot) ? target : few[1 + (slot % 63)]!);
  while (rows.sketchSome());
  // Ten for each that is wanted, and as many times more as there are fewer than 256 bits.
  const wanted = 4_500;
  const { numbers } = rows.nearest(Float32Array.from(target), 450, undefined, undefined, dimensions / 256);
  assert.ok(numbers.length >= wanted, `${numbers.length}`);
});

test("what has no sketch yet, what is hidden and what has no vector are each told apart", () => {
  const rows = filled(vectors.slice(0, 2_000), 500);
  const target = vectors[5_000]!;
  rows.push(target);
  rows.push(null);
  const query = Float32Array.from(target);
  assert.equal(best(rows, query, 1)[0], 2_000);
  rows.hide(2_000);
  assert.ok(!best(rows, query, 2_000).includes(2_000));
  assert.ok(!best(rows, query, 2_002).includes(2_001));
  rows.pushCopy(7);
  assert.deepEqual(rows.halves(2_002), rows.halves(7));
});

test("what is written in pieces is what was pushed one by one, over the bounds of chunks", () => {
  const memory = new VectorMemory();
  const whole = filled(vectors.slice(0, 9_000), 20_000, memory);
  const copy = new VectorRows(memory, dimensions, 20_000);
  copy.reserve(9_000);
  for (let from = 0; from < 9_000; from += 1_700) {
    const to = Math.min(9_000, from + 1_700);
    copy.append(whole.rowsAt(from, to), new Uint8Array(to - from).fill(1));
  }
  const [query] = queries;
  assert.deepEqual(best(copy, query!, 50), best(whole, query!, 50));
  assert.deepEqual(copy.cosinesAt(query!, 8_000, 8_500), whole.cosinesAt(query!, 8_000, 8_500));
  for (const slot of [0, 8_191, 8_192, 8_999]) assert.deepEqual(copy.halves(slot), vectors[slot]);
  const taken = memory.bytes;
  for (let round = 0; round < 20; round++) {
    copy.release();
    for (const vector of vectors.slice(0, 9_000)) copy.push(vector);
  }
  assert.ok(memory.bytes <= 2 * taken, "what is given back is used again");
});

test("a copy of some slots finds what the whole finds among them", () => {
  const memory = new VectorMemory();
  const whole = filled(vectors.slice(0, 3_000), 500, memory);
  const same = new VectorRows(memory, dimensions, 500);
  const kept: number[] = [];
  for (let slot = 0; slot < 3_000; slot += 3) {
    same.pushFrom(whole, slot);
    kept.push(slot);
  }
  assert.equal(same.sketched, kept.length, "sketches come along");
  const mask = new Uint8Array(3_000);
  for (const slot of kept) mask[slot] = 1;
  for (const query of queries) {
    const found = best(same, query, 5).map((slot) => kept[slot]!);
    assert.deepEqual(found, best(whole, query, 5, mask));
  }
});

test("what comes in bulk is sketched as it comes, few that come later are left to be tended", () => {
  const rows = new VectorRows(new VectorMemory(), dimensions, 1_000);
  for (const vector of vectors) {
    rows.push(vector);
    if (rows.size % 256 === 0) rows.sketchBulk();
  }
  assert.ok(rows.size - rows.sketched < 2_048 + 256 && rows.sketched < rows.size);
  const later = rows.sketched;
  rows.sketchBulk();
  assert.equal(rows.sketched, later);
  while (rows.sketchSome());
  assert.deepEqual(rows.sketchesAt(0, rows.size).slice(), sketched.sketchesAt(0, rows.size));
});

test("any number of dimensions can be sketched", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.integer(), (size, seed) => {
      const next = random(seed);
      const rows = new VectorRows(new VectorMemory(), size, 10);
      const texts = Array.from({ length: 40 }, () => {
        const values = Array.from({ length: size }, () => next() || 1);
        const length = Math.hypot(...values);
        return Float16Array.from(values, (value) => value / length);
      });
      for (const vector of texts) rows.push(vector);
      while (rows.sketchSome());
      assert.equal(rows.path, "approximate");
      const { numbers, scores } = rows.nearest(Float32Array.from(texts[3]!), 40, undefined, undefined);
      assert.equal(numbers.length, 40, "with so few, all are compared");
      assert.ok(Math.abs(scores[numbers.indexOf(3)]! - 1) < 0.01);
    }),
    { numRuns: 30 },
  );
});
