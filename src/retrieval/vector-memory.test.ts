import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { strideOf, VectorMemory } from "./vector-memory.ts";

test("a scan gives the dot products of the query with every row", () => {
  const memory = new VectorMemory();
  const rows = memory.allocate(2 * strideOf(3) * 2);
  const halves = new Float16Array(16);
  halves.set([1, 0, 0]);
  halves.set([0.5, -0.5, 0.25], 8);
  memory.view(rows).set(new Uint8Array(halves.buffer));
  assert.deepEqual([...memory.scanAll(Float32Array.of(1, 2, 4), rows, 2)], [1, 0.5]);
  assert.deepEqual(
    [...memory.scanSome(Float32Array.of(1, 2, 4), rows, Uint32Array.of(1, 0, 1))],
    [0.5, 1, 0.5],
  );
});

test("scans agree with plain arithmetic for every finite float16 and any number of dimensions", () => {
  const half = fc.integer({ min: 0, max: 0xffff }).filter((bits) => (bits & 0x7c00) < 0x7400);
  const scan = fc.integer({ min: 1, max: 40 }).chain((dimensions) =>
    fc.record({
      query: fc.array(fc.float({ min: -1, max: 1, noNaN: true }), {
        minLength: dimensions,
        maxLength: dimensions,
      }),
      rows: fc.array(fc.array(half, { minLength: dimensions, maxLength: dimensions }), { maxLength: 5 }),
    }),
  );
  const memory = new VectorMemory();
  fc.assert(
    fc.property(scan, ({ query, rows }) => {
      const stride = strideOf(query.length);
      const block = memory.allocate(rows.length * stride * 2);
      const bits = new Uint16Array(rows.length * stride);
      rows.forEach((row, at) => {
        bits.set(row, at * stride);
      });
      memory.view(block).set(new Uint8Array(bits.buffer));
      const scores = [...memory.scanAll(Float32Array.from(query), block, rows.length)];
      const slots = Uint32Array.from(rows, (_, at) => at);
      assert.deepEqual([...memory.scanSome(Float32Array.from(query), block, slots)], scores);
      rows.forEach((row, at) => {
        const values = new Float16Array(Uint16Array.from(row).buffer);
        let exact = 0;
        let size = 0;
        values.forEach((value, i) => {
          exact += value * query[i]!;
          size += Math.abs(value * query[i]!);
        });
        assert.ok(Math.abs(scores[at]! - exact) <= size * 1e-5 + 1e-30);
      });
      memory.release(block);
    }),
  );
});

test("a row has the same score whatever stands beside it, to the bit", () => {
  const memory = new VectorMemory();
  const [dimensions, count] = [40, 11];
  const rows = memory.allocate(count * dimensions * 2);
  for (let i = 0; i < count * dimensions; i++) memory.halves[rows.offset / 2 + i] = Math.sin(i * i);
  const query = Float32Array.from({ length: dimensions }, (_, i) => Math.cos(i));
  const alone = Array.from(
    { length: count },
    (_, row) => memory.scanSome(query, rows, Uint32Array.of(row))[0],
  );
  assert.deepEqual([...memory.scanAll(query, rows, count)], alone);
  assert.deepEqual([...memory.scanSome(query, rows, Uint32Array.from(alone.keys()))], alone);
});

test("texts compared row by row have the best scores that their rows have when scanned, to the bit", () => {
  const shape = fc.record({
    dimensions: fc.integer({ min: 1, max: 70 }),
    count: fc.integer({ min: 1, max: 40 }),
    queries: fc.array(fc.nat({ max: 39 }), { maxLength: 11 }),
    texts: fc.array(fc.array(fc.nat({ max: 39 }), { maxLength: 9 }), { maxLength: 8 }),
    seed: fc.integer({ min: 1, max: 1_000 }),
  });
  const memory = new VectorMemory();
  fc.assert(
    fc.property(shape, ({ dimensions, count, queries, texts, seed }) => {
      const stride = strideOf(dimensions);
      const block = memory.allocate(count * stride * 2);
      const halves = Array.from({ length: count }, (_, row) => {
        const values = new Float16Array(stride);
        for (let i = 0; i < dimensions; i++) values[i] = Math.sin(seed * (row + 2) * (i + 3));
        memory.halves.set(values, block.offset / 2 + row * stride);
        return values.subarray(0, dimensions);
      });
      const slots = Uint32Array.from({ length: count }, (_, at) => (at * 7) % count);
      const asked = Uint32Array.from(queries, (query) => query % count);
      const placed = texts.map((text) => text.map((place) => place % count));
      const places = Uint32Array.from(placed.flat());
      const ends = Uint32Array.from(placed, (_, at) => placed.slice(0, at + 1).flat().length);
      const best = memory.bestOfTexts(asked, block, dimensions, slots, places, ends).slice();
      const lanes = Math.ceil(asked.length / 4) * 4;
      asked.forEach((query, lane) => {
        const scores = memory.scanSome(new Float32Array(halves[query]!), block, slots).slice();
        const expected = placed.map((text) => Math.max(0, ...text.map((place) => scores[place]!)));
        const found = placed.map((_, text) => best[text * lanes + lane]!);
        assert.deepEqual(found, expected);
      });
      memory.release(block);
    }),
  );
});

test("blocks never overlap, and what is given back is used again", () => {
  const step = fc.oneof(fc.record({ take: fc.nat(200_000) }), fc.record({ give: fc.nat(20) }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const memory = new VectorMemory();
      const held: ReturnType<VectorMemory["allocate"]>[] = [];
      for (const each of steps) {
        if ("take" in each) held.push(memory.allocate(each.take));
        else if (held.length > 0) memory.release(held.splice(each.give % held.length, 1)[0]!);
      }
      const ordered = held.toSorted((a, b) => a.offset - b.offset);
      ordered.forEach((block, at) => {
        const next = ordered[at + 1];
        assert.ok(block.offset + block.bytes <= (next ? next.offset : memory.bytes));
      });
      for (const block of held) memory.release(block);
      const { bytes } = memory;
      memory.allocate(bytes - 16);
      assert.equal(memory.bytes, bytes);
    }),
  );
});

test("more vectors than fit in the memory that is searched are a limit with advice, and what is there stays", () => {
  const memory = new VectorMemory();
  const held = memory.allocate(1_000);
  assert.throws(() => memory.allocate(4 * 2 ** 30), { code: "LIMIT_REACHED", message: /fewer dimensions/ });
  memory.release(held);
  assert.equal(memory.allocate(1_000).offset, held.offset);
});

test("the nearest sketches are the same whether all are looked through or a list of all, whatever their number", () => {
  const memory = new VectorMemory();
  const scenario = fc.record({
    count: fc.integer({ min: 1, max: 12_000 }),
    dimensions: fc.constantFrom(96, 256, 384),
    seed: fc.integer({ min: 1 }),
    coarse: fc.integer({ min: 1, max: 6_000 }),
    hidden: fc.integer({ min: 2, max: 9 }),
  });
  fc.assert(
    fc.property(scenario, ({ count, dimensions, seed, coarse, hidden }) => {
      let state = seed;
      const random = (): number => {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        return state & 0xff;
      };
      const sketches = memory.allocate(count * memory.sketchBytes(dimensions));
      const bytes = memory.view(sketches);
      for (let at = 0; at < bytes.length; at++) bytes[at] = random();
      const marks = memory.allocate(count);
      const marked = memory.view(marks);
      for (let row = 0; row < count; row++) marked[row] = row % hidden === 1 ? 0 : 1;
      const query = Float32Array.from({ length: dimensions }, () => random() - 128);
      const wanted = Math.ceil(coarse / 4);
      const find = (listed: Uint32Array | undefined): number[] => [
        ...memory.nearestSketches(query, sketches, marks, count, listed, coarse, wanted),
      ];
      const found = find(undefined);
      assert.deepEqual(found, find(Uint32Array.from({ length: count }, (_, row) => row)));
      assert.ok(found.every((row, at) => row % hidden !== 1 && (at === 0 || row > found[at - 1]!)));
      const visible = Array.from({ length: count }, (_, row) => row).filter((row) => row % hidden !== 1);
      assert.ok(found.length >= Math.min(wanted, visible.length * 0.75));
      if (coarse >= count) assert.ok(found.length >= Math.min(wanted, visible.length));
      memory.release(sketches);
      memory.release(marks);
    }),
    { numRuns: 60 },
  );
});
