// The sum of some rows of a table of 8-bit integers with a scale each, and its direction, in float32.
// AssemblyScript, compiled by scripts/compile-kernel.ts.

// @ts-ignore: decorator
@inline
function add(sum: v128, scale: v128, lanes: v128): v128 {
  return f32x4.add(sum, f32x4.mul(scale, f32x4.convert_i32x4_s(lanes)));
}

/**
 * Adds the rows whose numbers stand at `pieces` (uint32), each times its scale (float32), to `sum` (float32), in their
 * order. Reads and writes up to fifteen values more than `dimensions`. Offsets are in bytes.
 */
export function sumRows(
  pieces: usize,
  count: usize,
  scales: usize,
  rows: usize,
  dimensions: usize,
  sum: usize,
): void {
  const end = pieces + (count << 2);
  // Sixteen values at a time stay in registers while all rows pass by.
  for (let d: usize = 0; d < dimensions; d += 16) {
    const at = sum + (d << 2);
    let s0 = v128.load(at);
    let s1 = v128.load(at, 16);
    let s2 = v128.load(at, 32);
    let s3 = v128.load(at, 48);
    for (let piece = pieces; piece < end; piece += 4) {
      const number = <usize>load<u32>(piece);
      const scale = v128.load32_splat(scales + (number << 2));
      const values = v128.load(rows + number * dimensions + d);
      const low = i16x8.extend_low_i8x16_s(values);
      const high = i16x8.extend_high_i8x16_s(values);
      s0 = add(s0, scale, i32x4.extend_low_i16x8_s(low));
      s1 = add(s1, scale, i32x4.extend_high_i16x8_s(low));
      s2 = add(s2, scale, i32x4.extend_low_i16x8_s(high));
      s3 = add(s3, scale, i32x4.extend_high_i16x8_s(high));
    }
    v128.store(at, s0);
    v128.store(at, s1, 16);
    v128.store(at, s2, 32);
    v128.store(at, s3, 48);
  }
}

/** Brings values to unit length and returns the length they had; leaves them when it is 0. */
export function normalize(values: usize, dimensions: usize): f64 {
  const end = values + (dimensions << 2);
  const whole = values + ((dimensions & ~7) << 2);
  let a = f32x4.splat(0);
  let b = f32x4.splat(0);
  let at = values;
  for (; at < whole; at += 32) {
    const some = v128.load(at);
    const more = v128.load(at, 16);
    a = f32x4.add(a, f32x4.mul(some, some));
    b = f32x4.add(b, f32x4.mul(more, more));
  }
  const lanes = f32x4.add(a, b);
  let squares =
    <f64>f32x4.extract_lane(lanes, 0) +
    <f64>f32x4.extract_lane(lanes, 1) +
    (<f64>f32x4.extract_lane(lanes, 2) + <f64>f32x4.extract_lane(lanes, 3));
  for (; at < end; at += 4) squares += <f64>load<f32>(at) * <f64>load<f32>(at);
  const length = sqrt(squares);
  if (!(length > 0)) return 0;
  const factor = <f32>(1 / length);
  const factors = f32x4.splat(factor);
  for (at = values; at < whole; at += 16) v128.store(at, f32x4.mul(v128.load(at), factors));
  for (; at < end; at += 4) store<f32>(at, load<f32>(at) * factor);
  return length;
}
