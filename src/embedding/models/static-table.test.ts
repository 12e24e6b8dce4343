import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { StaticTable, TableMemory } from "./static-table.ts";

/** A table's file: rows of integers with a scale each. */
function tableOf(rows: readonly (readonly number[])[], scales: readonly number[]): StaticTable {
  const dimensions = rows[0]!.length;
  const memory = new TableMemory(16 + rows.length * (4 + dimensions));
  const view = new DataView(memory.file.buffer, 0, memory.file.length);
  for (const [at, value] of [0x53545645, rows.length, dimensions, 1].entries())
    view.setUint32(at * 4, value, true);
  for (const [row, scale] of scales.entries()) view.setFloat32(16 + row * 4, scale, true);
  const start = 16 + rows.length * 4;
  for (const [row, values] of rows.entries())
    for (const [d, value] of values.entries()) view.setInt8(start + row * dimensions + d, value);
  return new StaticTable(memory);
}

test("the direction of some pieces is that of the sum of their rows, each times its scale", () => {
  const table = tableOf([[3, 0], [0, 4], [0, 0]], [1, 0.5, 1]); // biome-ignore format: a matrix
  assert.deepEqual(table.direction(Int32Array.of(0)), Float32Array.of(1, 0));
  assert.deepEqual(table.direction(Int32Array.of(0, 1, 1)), new Float32Array([0.6, 0.8]));
  assert.equal(table.direction(Int32Array.of(2, 2)), null);
  assert.equal(table.direction(new Int32Array(0)), null);
});

test("it is what a loop in double precision gives, for any number of dimensions and pieces", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 70 }),
      fc.integer({ min: 0, max: 20_000 }),
      fc.integer({ min: 1, max: 1_000_000 }),
      (dimensions, count, seed) => {
        let state = seed;
        const random = () => {
          state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
          return (state >>> 8) / 2 ** 23;
        };
        const rows = Array.from({ length: 40 }, () =>
          Array.from({ length: dimensions }, () => Math.floor(random() * 255) - 127),
        );
        const scales = rows.map(() => Math.fround(random() / 100));
        const pieces = Int32Array.from({ length: count }, () => Math.floor(random() * rows.length));
        const sum = rows[0]!.map((_, d) =>
          pieces.reduce((total, piece) => total + scales[piece]! * rows[piece]![d]!, 0),
        );
        const length = Math.hypot(...sum);
        const found = tableOf(rows, scales).direction(pieces);
        if (length < 1e-2) return;
        // Rounding grows with what was added up, not with what is left of it.
        const error = (1e-6 * pieces.length + 1e-6) / Math.min(length, 1);
        for (let d = 0; d < dimensions; d++)
          assert.ok(Math.abs(found![d]! - sum[d]! / length) < error + 1e-6);
      },
    ),
    { numRuns: 60 },
  );
});
