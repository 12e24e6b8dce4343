// Dot products of one float32 query with rows of float16, four lanes at a time; selection of the best; sketches.
// AssemblyScript, compiled by scripts/compile-kernel.ts.
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

/** The sum of each of four, added in the order in which {@link sum} adds. */
// @ts-ignore: decorator
@inline
function sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
  const cd = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
  const abRest = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
  const cdRest = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
  return f32x4.add(
    f32x4.add(v128.shuffle<i64>(ab, cd, 0, 2), v128.shuffle<i64>(ab, cd, 1, 3)),
    f32x4.add(v128.shuffle<i64>(abRest, cdRest, 0, 2), v128.shuffle<i64>(abRest, cdRest, 1, 3)),
  );
}

/**
 * Scores of four rows, each to the bit what {@link dot} gives. Additions to one sum wait for each other; with four rows
 * at once there is something to do meanwhile.
 */
// @ts-ignore: decorator
@inline
function dotFourRows(query: usize, r0: usize, r1: usize, r2: usize, r3: usize, dimensions: usize): v128 {
  let a0 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let b3 = f32x4.splat(0);
  for (let at: usize = 0, end = dimensions << 1; at < end; at += 16, query += 32) {
    const left = v128.load(query);
    const right = v128.load(query, 16);
    a0 = f32x4.add(a0, f32x4.mul(left, widened(v128.load16x4_s(r0 + at))));
    b0 = f32x4.add(b0, f32x4.mul(right, widened(v128.load16x4_s(r0 + at, 8))));
    a1 = f32x4.add(a1, f32x4.mul(left, widened(v128.load16x4_s(r1 + at))));
    b1 = f32x4.add(b1, f32x4.mul(right, widened(v128.load16x4_s(r1 + at, 8))));
    a2 = f32x4.add(a2, f32x4.mul(left, widened(v128.load16x4_s(r2 + at))));
    b2 = f32x4.add(b2, f32x4.mul(right, widened(v128.load16x4_s(r2 + at, 8))));
    a3 = f32x4.add(a3, f32x4.mul(left, widened(v128.load16x4_s(r3 + at))));
    b3 = f32x4.add(b3, f32x4.mul(right, widened(v128.load16x4_s(r3 + at, 8))));
  }
  return sums(f32x4.add(a0, b0), f32x4.add(a1, b1), f32x4.add(a2, b2), f32x4.add(a3, b3));
}

/** Scores `count` rows that stand next to each other. `dimensions` is a multiple of 8; all offsets are in bytes. */
export function dotAll(query: usize, rows: usize, dimensions: usize, count: usize, scores: usize): void {
  const stride = dimensions << 1;
  let i: usize = 0;
  for (; i + 4 <= count; i += 4) {
    const row = rows + i * stride;
    const four = dotFourRows(query, row, row + stride, row + 2 * stride, row + 3 * stride, dimensions);
    v128.store(scores + (i << 2), four);
  }
  for (; i < count; i++) store<f32>(scores + (i << 2), dot(query, rows + i * stride, dimensions));
}

/** Rows whose memory is asked for before the first of them is needed. */
const ahead: usize = 16;

/**
 * Rows far apart are in no cache: a byte of each of their lines is read before they are compared, so that the machine
 * fetches many at once instead of one after the other.
 */
// @ts-ignore: decorator
@inline
function readAhead(rows: usize, stride: usize, slots: usize, from: usize, to: usize): u32 {
  let read: u32 = 0;
  for (let i = from; i < to; i++) {
    const row = rows + <usize>load<u32>(slots + (i << 2)) * stride;
    for (let at = row; at < row + stride; at += 64) read ^= load<u8>(at);
  }
  return read;
}

/**
 * Scores the rows whose numbers stand at `slots` (uint32), in their order.
 * @returns Nothing of use; what was read must not look unread.
 */
export function dotSome(
  query: usize,
  rows: usize,
  dimensions: usize,
  slots: usize,
  count: usize,
  scores: usize,
): u32 {
  const stride = dimensions << 1;
  let read: u32 = 0;
  for (let from: usize = 0; from < count; from += ahead) {
    const to = min(count, from + ahead);
    read ^= readAhead(rows, stride, slots, from, to);
    let i = from;
    for (; i + 4 <= to; i += 4) {
      const at = slots + (i << 2);
      const four = dotFourRows(
        query,
        rows + <usize>load<u32>(at) * stride,
        rows + <usize>load<u32>(at, 4) * stride,
        rows + <usize>load<u32>(at, 8) * stride,
        rows + <usize>load<u32>(at, 12) * stride,
        dimensions,
      );
      v128.store(scores + (i << 2), four);
    }
    for (; i < to; i++) {
      const slot = <usize>load<u32>(slots + (i << 2));
      store<f32>(scores + (i << 2), dot(query, rows + slot * stride, dimensions));
    }
  }
  return read;
}

/**
 * Compares texts with a question, both as rows of one block: for each text, the greatest score, 0 or more, that any of its
 * rows has with each of the queries, as {@link dotSome} would give it.
 * @param queries Numbers (uint32) of the queries' rows, a multiple of four of them.
 * @param lanes Room for the queries as float32.
 * @param slots Numbers (uint32) of the texts' rows, each once.
 * @param scores Room for the scores of each of these rows, a query's next to the other's.
 * @param placed For each row of each text, one text after the other, its place at `slots` (uint32).
 * @param ends Where each text's end there (uint32).
 * @param best Scores of each text, a query's next to the other's.
 * @returns Nothing of use; what was read must not look unread.
 */
export function bestOfTexts(
  rows: usize,
  dimensions: usize,
  queries: usize,
  queryCount: usize,
  lanes: usize,
  slots: usize,
  count: usize,
  scores: usize,
  placed: usize,
  ends: usize,
  texts: usize,
  best: usize,
): u32 {
  const stride = dimensions << 1;
  const lane = dimensions << 2;
  for (let q: usize = 0; q < queryCount; q++) {
    const row = rows + <usize>load<u32>(queries + (q << 2)) * stride;
    for (let i: usize = 0; i < dimensions; i += 4) {
      // 2^112 for the query's own widening, and once more for that of the rows.
      const scale = f32x4.splat(reinterpret<f32>(0x77800000));
      const values = f32x4.mul(f32x4.mul(widened(v128.load16x4_s(row + (i << 1))), scale), scale);
      v128.store(lanes + q * lane + (i << 2), values);
    }
  }
  const step = queryCount << 2;
  let read: u32 = 0;
  for (let from: usize = 0; from < count; from += ahead) {
    const to = min(count, from + ahead);
    read ^= readAhead(rows, stride, slots, from, to);
    for (let i = from; i < to; i++) {
      const row = rows + <usize>load<u32>(slots + (i << 2)) * stride;
      const target = scores + i * step;
      for (let q: usize = 0; q < queryCount; q += 4) {
        v128.store(target + (q << 2), dotFour(lanes + q * lane, lane, row, dimensions));
      }
    }
  }
  let from: usize = 0;
  for (let text: usize = 0; text < texts; text++, best += step) {
    const to = <usize>load<u32>(ends + (text << 2));
    for (let q: usize = 0; q < step; q += 16) {
      let greatest = f32x4.splat(0);
      for (let i = from; i < to; i++) {
        const row = scores + <usize>load<u32>(placed + (i << 2)) * step;
        greatest = f32x4.pmax(greatest, v128.load(row + q));
      }
      v128.store(best + q, greatest);
    }
    from = to;
  }
  return read;
}

/** Scores of a row with four queries. */
// @ts-ignore: decorator
@inline
function dotFour(query: usize, lane: usize, row: usize, dimensions: usize): v128 {
  let a0 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let b3 = f32x4.splat(0);
  const end = row + (dimensions << 1);
  for (let at = row, q = query; at < end; at += 16, q += 32) {
    const left = widened(v128.load16x4_s(at));
    const right = widened(v128.load16x4_s(at, 8));
    const q1 = q + lane;
    const q2 = q1 + lane;
    const q3 = q2 + lane;
    a0 = f32x4.add(a0, f32x4.mul(v128.load(q), left));
    b0 = f32x4.add(b0, f32x4.mul(v128.load(q, 16), right));
    a1 = f32x4.add(a1, f32x4.mul(v128.load(q1), left));
    b1 = f32x4.add(b1, f32x4.mul(v128.load(q1, 16), right));
    a2 = f32x4.add(a2, f32x4.mul(v128.load(q2), left));
    b2 = f32x4.add(b2, f32x4.mul(v128.load(q2, 16), right));
    a3 = f32x4.add(a3, f32x4.mul(v128.load(q3), left));
    b3 = f32x4.add(b3, f32x4.mul(v128.load(q3, 16), right));
  }
  return sums(f32x4.add(a0, b0), f32x4.add(a1, b1), f32x4.add(a2, b2), f32x4.add(a3, b3));
}

/** For each `block` neighbours, the greatest score among those whose mark is 1; negative infinity where there is none. */
export function blockMaxima(scores: usize, marks: usize, count: usize, block: usize, maxima: usize): void {
  for (let start: usize = 0; start < count; start += block, maxima += 4) {
    const end = min(count, start + block);
    let greatest: f32 = -Infinity;
    for (let i = start; i < end; i++) {
      const score = load<f32>(scores + (i << 2));
      if (load<u8>(marks + i) == 1 && score > greatest) greatest = score;
    }
    store<f32>(maxima, greatest);
  }
}

/** Writes the numbers, ascending, of scores of at least `least` whose mark is 1; returns how many. */
export function collectScores(scores: usize, marks: usize, count: usize, least: f32, numbers: usize): usize {
  let found: usize = 0;
  for (let i: usize = 0; i < count; i++) {
    if (load<f32>(scores + (i << 2)) >= least && load<u8>(marks + i) == 1) {
      store<u32>(numbers + (found++ << 2), <u32>i);
    }
  }
  return found;
}

/** Keeps of `count` marks (and up to 15 that follow) those that the others have too. */
export function keepCommon(marks: usize, others: usize, count: usize): void {
  for (let at: usize = 0; at < count; at += 16) {
    v128.store(marks + at, v128.and(v128.load(marks + at), v128.load(others + at)));
  }
}

/** The Walsh-Hadamard transform of `length` (a power of two, 8 or more) values in place, not scaled. */
function transform(values: usize, length: usize): void {
  const end = values + (length << 2);
  for (let half: usize = 1; half < 4; half <<= 1) {
    for (let at = values; at < end; at += half << 3) {
      for (let i: usize = 0; i < half; i++) {
        const left = at + (i << 2);
        const right = left + (half << 2);
        const a = load<f32>(left);
        const b = load<f32>(right);
        store<f32>(left, a + b);
        store<f32>(right, a - b);
      }
    }
  }
  for (let half: usize = 16; half < length << 2; half <<= 1) {
    for (let at = values; at < end; at += half << 1) {
      for (let left = at; left < at + half; left += 16) {
        const a = v128.load(left);
        const b = v128.load(left + half);
        v128.store(left, f32x4.add(a, b));
        v128.store(left + half, f32x4.sub(a, b));
      }
    }
  }
}

/**
 * Turns a vector by a fixed, random-looking rotation: four times random signs, then a Hadamard transform of
 * its greatest power of two of leading values and, the next time, of trailing ones.
 */
export function rotate(values: usize, dimensions: usize, signs: usize): void {
  let window: usize = 8;
  while (window << 1 <= dimensions) window <<= 1;
  // A window turned must weigh as much as the values beside it.
  const scale = f32x4.splat(1 / sqrt<f32>(<f32>window));
  for (let round: usize = 0; round < 4; round++) {
    for (let i: usize = 0; i < dimensions; i += 4, signs += 16) {
      const at = values + (i << 2);
      v128.store(at, f32x4.mul(v128.load(at), v128.load(signs)));
    }
    const start = values + (round & 1 ? (dimensions - window) << 2 : 0);
    transform(start, window);
    for (let at = start; at < start + (window << 2); at += 16) {
      v128.store(at, f32x4.mul(v128.load(at), scale));
    }
  }
}

/** Sketches rows `from` to `to`: the signs of a rotated row, in `words` words of 64 bits. */
export function sketchRows(
  rows: usize,
  dimensions: usize,
  from: usize,
  to: usize,
  signs: usize,
  scratch: usize,
  words: usize,
  sketches: usize,
): void {
  for (let row = from; row < to; row++) {
    const source = rows + row * (dimensions << 1);
    for (let i: usize = 0; i < dimensions; i += 4) {
      v128.store(scratch + (i << 2), widened(v128.load16x4_s(source + (i << 1))));
    }
    // Only signs matter: what widening takes from every value needs not be given back, but must not be lost as too small.
    for (let i: usize = 0; i < dimensions; i += 4) {
      const at = scratch + (i << 2);
      v128.store(at, f32x4.mul(v128.load(at), f32x4.splat(reinterpret<f32>(0x77800000))));
    }
    rotate(scratch, dimensions, signs);
    const target = sketches + row * (words << 3);
    for (let word: usize = 0; word < words; word++) {
      let bits: u64 = 0;
      const start = word << 6;
      const end = min(dimensions, start + 64);
      for (let i = start; i < end; i += 4) {
        // The lanes' sign bits.
        bits |= (<u64>i32x4.bitmask(v128.load(scratch + (i << 2)))) << (i - start);
      }
      store<u64>(target + (word << 3), bits);
    }
  }
}

// @ts-ignore: decorator
@inline
function differing(query: u64, sketch: usize): u32 {
  return <u32>popcnt<u64>(load<u64>(sketch) ^ query);
}

/** Bits in which a sketch of `bytes` bytes differs from the query's. */
// @ts-ignore: decorator
@inline
function coarse(query: usize, sketch: usize, bytes: usize): u32 {
  let distance: u32 = 0;
  for (let at: usize = 0; at < bytes; at += 8) distance += differing(load<u64>(query + at), sketch + at);
  return distance;
}

/**
 * Distance of a sketch to a query of four bits a value: planes of the bits, the least first, each weighing twice the one
 * before.
 */
// @ts-ignore: decorator
@inline
function fine(planes: usize, sketch: usize, bytes: usize): u32 {
  let distance: u32 = 0;
  for (let word: usize = 0; word < bytes; word += 8) {
    const bits = load<u64>(sketch + word);
    const at = planes + word;
    distance +=
      <u32>popcnt<u64>(bits ^ load<u64>(at)) +
      (<u32>popcnt<u64>(bits ^ load<u64>(at + bytes)) << 1) +
      (<u32>popcnt<u64>(bits ^ load<u64>(at + 2 * bytes)) << 2) +
      (<u32>popcnt<u64>(bits ^ load<u64>(at + 3 * bytes)) << 3);
  }
  return distance;
}

// @ts-ignore: decorator
@inline
function fineWord(planes: usize, bits: u64, word: usize): u32 {
  return (
    <u32>popcnt<u64>(bits ^ load<u64>(planes + word)) +
    (<u32>popcnt<u64>(bits ^ load<u64>(planes + word, 32)) << 1) +
    (<u32>popcnt<u64>(bits ^ load<u64>(planes + word, 64)) << 2) +
    (<u32>popcnt<u64>(bits ^ load<u64>(planes + word, 96)) << 3)
  );
}

/** The same as {@link fine} for a sketch of four words. */
// @ts-ignore: decorator
@inline
function fine4(planes: usize, sketch: usize): u32 {
  return (
    fineWord(planes, load<u64>(sketch), 0) +
    fineWord(planes, load<u64>(sketch, 8), 8) +
    fineWord(planes, load<u64>(sketch, 16), 16) +
    fineWord(planes, load<u64>(sketch, 24), 24)
  );
}

// @ts-ignore: decorator
@inline
function countIn(histogram: usize, distance: u32): void {
  const bucket = histogram + (distance << 2);
  store<u32>(bucket, load<u32>(bucket) + 1);
}

/**
 * Counts in `histogram` (uint32) in how many bits the sketches of rows `from` to `to`, of those whose mark is 1, differ
 * from the query's. With `listed` (uint32), of the rows whose numbers stand there at `from` to `to`.
 */
export function countDistances(
  query: usize,
  sketches: usize,
  words: usize,
  marks: usize,
  listed: usize,
  from: usize,
  to: usize,
  histogram: usize,
): void {
  const bytes = words << 3;
  for (let i = from; i < to; i++) {
    const row = listed ? <usize>load<u32>(listed + (i << 2)) : i;
    if (load<u8>(marks + row) == 1) countIn(histogram, coarse(query, sketches + row * bytes, bytes));
  }
}

/** Bits in which a sketch of four words differs from the query's. */
// @ts-ignore: decorator
@inline
function coarse4(a: u64, b: u64, c: u64, d: u64, sketch: usize): u32 {
  return (
    differing(a, sketch) + differing(b, sketch + 8) + (differing(c, sketch + 16) + differing(d, sketch + 24))
  );
}

/** Notes a row that is near enough, if its mark is 1. Returns how many are noted then. */
// @ts-ignore: decorator
@inline
function note(
  row: usize,
  sketch: usize,
  planes: usize,
  bytes: usize,
  marks: usize,
  numbers: usize,
  distances: usize,
  histogram: usize,
  noted: usize,
): usize {
  if (load<u8>(marks + row) != 1) return noted;
  const distance = bytes == 32 ? fine4(planes, sketch) : fine(planes, sketch, bytes);
  store<u32>(numbers + (noted << 2), <u32>row);
  store<u16>(distances + (noted << 1), <u16>distance);
  countIn(histogram, distance);
  return noted + 1;
}

// @ts-ignore: decorator
@inline
function step(
  a: u64,
  b: u64,
  c: u64,
  d: u64,
  row: usize,
  greatest: u32,
  planes: usize,
  sketches: usize,
  marks: usize,
  numbers: usize,
  distances: usize,
  histogram: usize,
  noted: usize,
): usize {
  const sketch = sketches + (row << 5);
  if (coarse4(a, b, c, d, sketch) > greatest) return noted;
  return note(row, sketch, planes, 32, marks, numbers, distances, histogram, noted);
}

/** Moves what one stream noted behind what those before it did. Returns how many that makes. */
function join(numbers: usize, distances: usize, from: usize, size: usize, found: usize): usize {
  memory.copy(numbers + (found << 2), numbers + (from << 2), size << 2);
  memory.copy(distances + (found << 1), distances + (from << 1), size << 1);
  return found + size;
}

/** Places from which sketches are read by turns: the machine fetches ahead from each, where it would wait for one. */
const streams: usize = 8;

/**
 * Writes the numbers, ascending, of the rows whose mark is 1 and whose sketches differ from the query's signs, which
 * follow its planes, in at most `greatest` bits, and their fine distances (uint16), while they are at hand; these are
 * counted in `histogram` (uint32). With `listed` (uint32), of the rows whose numbers stand there. Returns how many.
 */
export function nearSketches(
  planes: usize,
  sketches: usize,
  words: usize,
  marks: usize,
  listed: usize,
  count: usize,
  greatest: u32,
  numbers: usize,
  distances: usize,
  histogram: usize,
): usize {
  const bytes = words << 3;
  const query = planes + (bytes << 2);
  const a = load<u64>(query);
  const b = load<u64>(query, 8);
  const c = load<u64>(query, 16);
  const d = load<u64>(query, 24);
  const part = words == 4 && !listed ? count / streams : 0;
  let found0: usize = 0;
  let found1: usize = 0;
  let found2: usize = 0;
  let found3: usize = 0;
  let found4: usize = 0;
  let found5: usize = 0;
  let found6: usize = 0;
  let found7: usize = 0;
  for (let i: usize = 0; i < part; i++) {
    let row = i;
    found0 = step(
      a, b, c, d, row, greatest, planes, sketches, marks,
      numbers, distances, histogram, found0,
    );
    row += part;
    found1 = step(
      a, b, c, d, row, greatest, planes, sketches, marks,
      numbers + (part << 2), distances + (part << 1), histogram, found1,
    );
    row += part;
    found2 = step(
      a, b, c, d, row, greatest, planes, sketches, marks,
      numbers + ((2 * part) << 2), distances + ((2 * part) << 1), histogram, found2,
    );
    row += part;
    found3 = step(
      a, b, c, d, row, greatest, planes, sketches, marks,
      numbers + ((3 * part) << 2), distances + ((3 * part) << 1), histogram, found3,
    );
    row += part;
    found4 = step(
      a, b, c, d, row, greatest, planes, sketches, marks,
      numbers + ((4 * part) << 2), distances + ((4 * part) << 1), histogram, found4,
    );
    row += part;
    found5 = step(
      a, b, c, d, row, greatest, planes, sketches, marks,
      numbers + ((5 * part) << 2), distances + ((5 * part) << 1), histogram, found5,
    );
    row += part;
    found6 = step(
      a, b, c, d, row, greatest, planes, sketches, marks,
      numbers + ((6 * part) << 2), distances + ((6 * part) << 1), histogram, found6,
    );
    row += part;
    found7 = step(
      a, b, c, d, row, greatest, planes, sketches, marks,
      numbers + ((7 * part) << 2), distances + ((7 * part) << 1), histogram, found7,
    );
  }
  let found = found0;
  found = join(numbers, distances, 1 * part, found1, found);
  found = join(numbers, distances, 2 * part, found2, found);
  found = join(numbers, distances, 3 * part, found3, found);
  found = join(numbers, distances, 4 * part, found4, found);
  found = join(numbers, distances, 5 * part, found5, found);
  found = join(numbers, distances, 6 * part, found6, found);
  found = join(numbers, distances, 7 * part, found7, found);
  for (let i = streams * part; i < count; i++) {
    const row = listed ? <usize>load<u32>(listed + (i << 2)) : i;
    const sketch = sketches + row * bytes;
    const distance = words == 4 ? coarse4(a, b, c, d, sketch) : coarse(query, sketch, bytes);
    if (distance > greatest) continue;
    found = note(row, sketch, planes, bytes, marks, numbers, distances, histogram, found);
  }
  return found;
}

/** Keeps, of `count` numbers with their distances, those of at most `greatest`, in place; returns how many. */
export function keepNear(distances: usize, count: usize, greatest: u32, numbers: usize): usize {
  let kept: usize = 0;
  for (let i: usize = 0; i < count; i++) {
    if (<u32>load<u16>(distances + (i << 1)) > greatest) continue;
    store<u32>(numbers + (kept++ << 2), load<u32>(numbers + (i << 2)));
  }
  return kept;
}
