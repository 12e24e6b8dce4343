// The sum of some rows of a table of 8-bit integers with a scale each, in float64.
// AssemblyScript, compiled by scripts/compile-kernel.ts.

// @ts-ignore: decorator
@inline
function add(sum: v128, scale: f64, low: v128): v128 {
  return f64x2.add(sum, f64x2.mul(f64x2.splat(scale), f64x2.convert_low_i32x4_s(low)));
}

// @ts-ignore: decorator
@inline
function high(lanes: v128): v128 {
  return i64x2.shuffle(lanes, lanes, 1, 1);
}

/**
 * Adds the rows whose numbers stand at `pieces` (uint32), each times its scale (float32), to `sum` (float64): four rows
 * to each other first, then to the sum, so that every machine rounds alike. Reads and writes up to seven values more
 * than `dimensions`. Offsets are in bytes.
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
  const whole = pieces + ((count & ~3) << 2);
  // Eight values at a time stay in registers while all rows pass by.
  for (let d: usize = 0; d < dimensions; d += 8) {
    const at = sum + (d << 3);
    let s0 = v128.load(at);
    let s1 = v128.load(at, 16);
    let s2 = v128.load(at, 32);
    let s3 = v128.load(at, 48);
    let piece = pieces;
    while (piece < whole) {
      let g0 = f64x2.splat(0);
      let g1 = f64x2.splat(0);
      let g2 = f64x2.splat(0);
      let g3 = f64x2.splat(0);
      for (const last = piece + 16; piece < last; piece += 4) {
        const number = <usize>load<u32>(piece);
        const scale = <f64>load<f32>(scales + (number << 2));
        const lanes = v128.load8x8_s(rows + number * dimensions + d);
        const low = i32x4.extend_low_i16x8_s(lanes);
        const up = i32x4.extend_high_i16x8_s(lanes);
        g0 = add(g0, scale, low);
        g1 = add(g1, scale, high(low));
        g2 = add(g2, scale, up);
        g3 = add(g3, scale, high(up));
      }
      s0 = f64x2.add(s0, g0);
      s1 = f64x2.add(s1, g1);
      s2 = f64x2.add(s2, g2);
      s3 = f64x2.add(s3, g3);
    }
    for (; piece < end; piece += 4) {
      const number = <usize>load<u32>(piece);
      const scale = <f64>load<f32>(scales + (number << 2));
      const lanes = v128.load8x8_s(rows + number * dimensions + d);
      const low = i32x4.extend_low_i16x8_s(lanes);
      const up = i32x4.extend_high_i16x8_s(lanes);
      s0 = add(s0, scale, low);
      s1 = add(s1, scale, high(low));
      s2 = add(s2, scale, up);
      s3 = add(s3, scale, high(up));
    }
    v128.store(at, s0);
    v128.store(at, s1, 16);
    v128.store(at, s2, 32);
    v128.store(at, s3, 48);
  }
}
