// Dot products of one float32 query with rows of float16, four lanes at a time. AssemblyScript, compiled by
// scripts/compile-kernel.ts.
//
// A half's exponent and mantissa, moved to a float's place, read as the value times 2^-112, subnormals included; the
// caller multiplies the query by 2^112 instead. Infinity and NaN do not occur: rows are unit vectors.

// @ts-ignore: decorator
@inline
function widened(halves: v128): v128 {
  // Sign-extended lanes, shifted: the sign stands in the topmost four bits; three of them go.
  return v128.and(i32x4.shl(halves, 13), i32x4.splat(0x8fffe000));
}

// @ts-ignore: decorator
@inline
function sum(lanes: v128): f32 {
  return (
    f32x4.extract_lane(lanes, 0) +
    f32x4.extract_lane(lanes, 1) +
    (f32x4.extract_lane(lanes, 2) + f32x4.extract_lane(lanes, 3))
  );
}

// @ts-ignore: decorator
@inline
function dot(query: usize, row: usize, dimensions: usize): f32 {
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  for (let end = row + (dimensions << 1); row < end; row += 16, query += 32) {
    a = f32x4.add(a, f32x4.mul(v128.load(query), widened(v128.load16x4_s(row))));
    b = f32x4.add(b, f32x4.mul(v128.load(query, 16), widened(v128.load16x4_s(row, 8))));
  }
  return sum(f32x4.add(a, b));
}

/** Scores `count` rows that stand next to each other. `dimensions` is a multiple of 8; all offsets are in bytes. */
export function dotAll(query: usize, rows: usize, dimensions: usize, count: usize, scores: usize): void {
  const stride = dimensions << 1;
  for (let i: usize = 0; i < count; i++) {
    store<f32>(scores + (i << 2), dot(query, rows + i * stride, dimensions));
  }
}

/** Scores the rows whose numbers stand at `slots` (uint32), in their order. */
export function dotSome(
  query: usize,
  rows: usize,
  dimensions: usize,
  slots: usize,
  count: usize,
  scores: usize,
): void {
  const stride = dimensions << 1;
  for (let i: usize = 0; i < count; i++) {
    const slot = <usize>load<u32>(slots + (i << 2));
    store<f32>(scores + (i << 2), dot(query, rows + slot * stride, dimensions));
  }
}
