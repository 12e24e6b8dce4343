import { StrataError } from "../contract/errors.ts";
import { instantiateKernel, type KernelMemory, kernelMemory, kernelPageBytes } from "../contract/kernel.ts";
import { dotKernel } from "./kernels/dot-kernel.ts";

/** A piece of {@link VectorMemory}; its place never moves. */
export interface Block {
  readonly offset: number;
  readonly bytes: number;
}

interface DotKernel {
  dotAll(query: number, rows: number, dimensions: number, count: number, scores: number): void;
  dotSome(
    query: number,
    rows: number,
    dimensions: number,
    slots: number,
    count: number,
    scores: number,
  ): void;
  bestOfTexts(
    rows: number,
    dimensions: number,
    queries: number,
    queryCount: number,
    lanes: number,
    slots: number,
    count: number,
    scores: number,
    placed: number,
    ends: number,
    texts: number,
    best: number,
  ): void;
  blockMaxima(scores: number, marks: number, count: number, block: number, maxima: number): void;
  collectScores(scores: number, marks: number, count: number, least: number, numbers: number): number;
  keepCommon(marks: number, others: number, count: number): void;
  rotate(values: number, dimensions: number, signs: number): void;
  sketchRows(
    rows: number,
    dimensions: number,
    from: number,
    to: number,
    signs: number,
    scratch: number,
    words: number,
    sketches: number,
  ): void;
  countDistances(
    query: number,
    sketches: number,
    words: number,
    marks: number,
    listed: number,
    from: number,
    to: number,
    histogram: number,
  ): void;
  nearSketches(
    planes: number,
    sketches: number,
    words: number,
    marks: number,
    listed: number,
    count: number,
    greatest: number,
    numbers: number,
    distances: number,
    histogram: number,
  ): number;
  keepNear(distances: number, count: number, greatest: number, numbers: number): number;
}

const maxPages = 65_536;
const leastGrowth = 8 * 2 ** 20;
/** What the kernel's widening of float16 takes from every value. */
const queryScale = 2 ** 112;
const emptyBlock: Block = { offset: 0, bytes: 0 };
/** Neighbours of which one maximum is kept when the best are looked for: so many, or fewer where few are compared. */
const mostNeighbours = 32;
/** Rounds of signs and transforms of the kernel's rotation. */
const rotationRounds = 4;
/** Words of 64 bits a sketch has at most: 4,096 dimensions after the rotation, enough to tell near from far. */
const maxSketchWords = 64;
/** Bits a value of a rotated question keeps, and the levels they make. */
const queryBits = 4;
const queryLevels = 2 ** queryBits - 1;
/** Rows by which it is told how near the nearest are: so many runs of so many neighbours. */
const sampledRuns = 256;
const sampledRun = 16;
/** Standard deviations that are added to what is expected in a sample, and the share that must be found at least. */
const sampleSlack = 1.5;
const leastSampled = 0.75;

/**
 * The one memory in which the kernel scans vectors, for all namespaces: an engine reserves gigabytes of address space
 * for each WebAssembly memory, so small namespaces cannot have one of their own. Blocks are handed out first fit.
 */
export class VectorMemory {
  readonly #memory: KernelMemory;
  readonly #kernel: DotKernel;
  #all: Uint8Array;
  #halves: Float16Array;
  /** Free pieces by offset; neighbours are joined. */
  #free: Block[] = [{ offset: 16, bytes: kernelPageBytes - 16 }];
  #query: Block = emptyBlock;
  #scores: Block = emptyBlock;
  #slots: Block = emptyBlock;
  #marks: Block = emptyBlock;
  #maxima: Block = emptyBlock;
  #distances: Block = emptyBlock;
  #histogram: Block = emptyBlock;
  #planes: Block = emptyBlock;
  #listed: Block = emptyBlock;
  /** By stride, the signs of the rotation. */
  readonly #signs = new Map<number, Block>();

  constructor() {
    this.#memory = kernelMemory(1, maxPages);
    this.#all = new Uint8Array(this.#memory.buffer);
    this.#halves = new Float16Array(this.#memory.buffer);
    this.#kernel = instantiateKernel<DotKernel>(dotKernel, this.#memory);
  }

  /** Bytes taken from the system; never given back. */
  get bytes(): number {
    return this.#memory.buffer.byteLength;
  }

  /** A block of at least that many bytes, aligned to 16; its content is undefined. */
  allocate(bytes: number): Block {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    let at = this.#free.findIndex((piece) => piece.bytes >= size);
    if (at < 0) {
      this.#grow(size);
      at = this.#free.findIndex((piece) => piece.bytes >= size);
    }
    const piece = this.#free[at]!;
    if (piece.bytes === size) this.#free.splice(at, 1);
    else this.#free[at] = { offset: piece.offset + size, bytes: piece.bytes - size };
    return { offset: piece.offset, bytes: size };
  }

  release(block: Block): void {
    if (block.bytes === 0) return;
    let at = this.#free.findIndex((piece) => piece.offset > block.offset);
    if (at < 0) at = this.#free.length;
    this.#free.splice(at, 0, block);
    for (const left of [at, at - 1]) {
      const a = this.#free[left];
      const b = this.#free[left + 1];
      if (a && b && a.offset + a.bytes === b.offset) {
        this.#free.splice(left, 2, { offset: a.offset, bytes: a.bytes + b.bytes });
      }
    }
  }

  /** All its bytes; good until the next `allocate` or scan. Cheaper than a view where little is written. */
  get all(): Uint8Array {
    return this.#all;
  }

  /** The same as float16. */
  get halves(): Float16Array {
    return this.#halves;
  }

  /** The block's bytes; the view is good until the next `allocate` or scan. */
  view(block: Block): Uint8Array {
    return new Uint8Array(this.#memory.buffer, block.offset, block.bytes);
  }

  /**
   * Dot products of the query with rows 0 to `count` of the block.
   * @param query `Float32Array[dimensions]`; rows are float16, `strideOf(dimensions)` of them each.
   * @returns `Float32Array[count]`, good until the next call.
   */
  scanAll(query: Float32Array, rows: Block, count: number): Float32Array {
    const stride = this.#prepare(query, count);
    this.#kernel.dotAll(this.#query.offset, rows.offset, stride, count, this.#scores.offset);
    return new Float32Array(this.#memory.buffer, this.#scores.offset, count);
  }

  /** The same for the rows of these numbers, in their order. */
  scanSome(query: Float32Array, rows: Block, slots: Uint32Array): Float32Array {
    const count = slots.length;
    const stride = this.#prepare(query, count);
    this.#slots = this.#atLeast(this.#slots, count * 4);
    new Uint32Array(this.#memory.buffer, this.#slots.offset, count).set(slots);
    this.#kernel.dotSome(
      this.#query.offset,
      rows.offset,
      stride,
      this.#slots.offset,
      count,
      this.#scores.offset,
    );
    return new Float32Array(this.#memory.buffer, this.#scores.offset, count);
  }

  /**
   * Compares texts with a question, both as numbers of the block's rows: the greatest score, 0 or more, that any of a
   * text's rows has with each of the question's: `Float32Array[texts · lanes]`, text by text, good until the next call.
   * `lanes` is the number of queries, filled up to a multiple of four; what stands in the lanes behind it is of no use.
   * @param places For each row of each text, one text after the other, its place in `slots`.
   * @param ends Where each text's end there.
   */
  bestOfTexts(
    queries: Uint32Array,
    rows: Block,
    dimensions: number,
    slots: Uint32Array,
    places: Uint32Array,
    ends: Uint32Array,
  ): Float32Array {
    const stride = strideOf(dimensions);
    const lanes = Math.ceil(queries.length / 4) * 4;
    const best = ends.length * lanes;
    this.#query = this.#atLeast(this.#query, lanes * stride * 4);
    this.#scores = this.#atLeast(this.#scores, (slots.length * lanes + best) * 4);
    this.#slots = this.#atLeast(this.#slots, (lanes + slots.length + places.length + ends.length) * 4);
    const { buffer } = this.#memory;
    const asked = this.#slots.offset;
    // Lanes that are filled up ask for the first row.
    const numbers = new Uint32Array(buffer, asked, lanes + slots.length + places.length + ends.length);
    numbers.fill(queries[0] ?? 0, queries.length, lanes);
    numbers.set(queries);
    numbers.set(slots, lanes);
    numbers.set(places, lanes + slots.length);
    numbers.set(ends, lanes + slots.length + places.length);
    const listed = asked + lanes * 4;
    const placed = listed + slots.length * 4;
    const scores = this.#scores.offset;
    const answer = scores + slots.length * lanes * 4;
    this.#kernel.bestOfTexts(
      rows.offset,
      stride,
      asked,
      lanes,
      this.#query.offset,
      listed,
      slots.length,
      scores,
      placed,
      placed + places.length * 4,
      ends.length,
      answer,
    );
    return new Float32Array(buffer, answer, best);
  }

  /** Marks that both have, for one call: good until the next. The block is at least as long as `others`. */
  lendCommon(marks: Block, others: Uint8Array): Block {
    this.#marks = this.#atLeast(this.#marks, Math.ceil(others.length / 16) * 16);
    this.view(this.#marks).set(others);
    this.#kernel.keepCommon(this.#marks.offset, marks.offset, others.length);
    return this.#marks;
  }

  /**
   * The rows marked 1 that score best, and at least `limit` of them when so many are marked: all that score as well as
   * the last of these, in order of their numbers.
   * @param marks A byte for each row.
   */
  scanBest(query: Float32Array, rows: Block, marks: Block, count: number, limit: number): ScoredRows {
    const stride = this.#prepare(query, count);
    const neighbours = Math.max(1, Math.min(mostNeighbours, Math.floor(count / (2 * limit))));
    const blocks = Math.ceil(count / neighbours);
    this.#maxima = this.#atLeast(this.#maxima, blocks * 4);
    this.#slots = this.#atLeast(this.#slots, count * 4);
    const kernel = this.#kernel;
    kernel.dotAll(this.#query.offset, rows.offset, stride, count, this.#scores.offset);
    let least = Number.NEGATIVE_INFINITY;
    if (blocks > limit) {
      // Each maximum is another row's score: as many rows as maxima score at least as well as the last of them.
      kernel.blockMaxima(this.#scores.offset, marks.offset, count, neighbours, this.#maxima.offset);
      const maxima = new Float32Array(this.#memory.buffer, this.#maxima.offset, blocks).slice().sort();
      least = maxima[blocks - limit]!;
    }
    const found = kernel.collectScores(this.#scores.offset, marks.offset, count, least, this.#slots.offset);
    const all = new Float32Array(this.#memory.buffer, this.#scores.offset, count);
    const numbers = new Uint32Array(new Uint32Array(this.#memory.buffer, this.#slots.offset, found));
    const scores = new Float32Array(found);
    for (let i = 0; i < found; i++) scores[i] = all[numbers[i]!]!;
    return { numbers, scores };
  }

  /** Bytes a sketch of a row takes. */
  sketchBytes(dimensions: number): number {
    return sketchWords(dimensions) * 8;
  }

  /** Sketches rows 0 to `count` of a block. */
  sketch(rows: Block, dimensions: number, count: number, sketches: Block): void {
    const stride = strideOf(dimensions);
    const signs = this.#rotationSigns(stride);
    this.#query = this.#atLeast(this.#query, stride * 4);
    this.#kernel.sketchRows(
      rows.offset,
      stride,
      0,
      count,
      signs.offset,
      this.#query.offset,
      sketchWords(dimensions),
      sketches.offset,
    );
  }

  /**
   * Numbers of rows whose sketches are nearest to the query: about `wanted` of those marked, or all when there are
   * fewer. Sketches are compared bit by bit with the query's; the nearest, about `coarse` or some more, with four bits
   * of each of the query's values too (after Gao and Long, "RaBitQ", SIGMOD 2024, with a rotation that takes no
   * matrix). How near these are is known from a sample, so that all are looked at once.
   * @param listed Numbers of rows, ascending, where only they are of interest.
   */
  nearestSketches(
    query: Float32Array,
    sketches: Block,
    marks: Block,
    count: number,
    listed: Uint32Array | undefined,
    coarse: number,
    wanted: number,
  ): Uint32Array {
    const words = sketchWords(query.length);
    const finest = words * 64 * queryLevels;
    const looked = listed?.length ?? count;
    this.#distances = this.#atLeast(this.#distances, looked * 2);
    this.#slots = this.#atLeast(this.#slots, looked * 4);
    this.#listed = this.#atLeast(this.#listed, (listed?.length ?? 0) * 4);
    this.#histogram = this.#atLeast(this.#histogram, (finest + 1) * 4);
    this.#planes = this.#atLeast(this.#planes, (queryBits + 1) * words * 8);
    this.#rotateQuery(query, words);
    const { buffer } = this.#memory;
    const kernel = this.#kernel;
    const [planes, distances, numbers] = [this.#planes.offset, this.#distances.offset, this.#slots.offset];
    if (listed) new Uint32Array(buffer, this.#listed.offset, looked).set(listed);
    const list = listed ? this.#listed.offset : 0;
    const counts = new Uint32Array(buffer, this.#histogram.offset, finest + 1);

    const all = words * 64;
    const signs = planes + queryBits * words * 8;
    const countRows = (from: number, to: number): void =>
      kernel.countDistances(
        signs,
        sketches.offset,
        words,
        marks.offset,
        list,
        from,
        to,
        this.#histogram.offset,
      );
    const find = (greatest: number): number => {
      counts.fill(0);
      return kernel.nearSketches(
        planes,
        sketches.offset,
        words,
        marks.offset,
        list,
        looked,
        greatest,
        numbers,
        distances,
        this.#histogram.offset,
      );
    };
    // Where half of them would be looked at finely, it costs less to look at all than to sample.
    const sampled = looked > Math.max(2 * coarse, sampledRuns * sampledRun);
    let greatest = all;
    if (sampled) {
      counts.fill(0);
      // Runs are read from memory as fast as single rows; neighbours are alike, so that they must be short.
      for (let at = 0; at < sampledRuns; at++) {
        const from = Math.floor((at * (looked - sampledRun)) / (sampledRuns - 1));
        countRows(from, from + sampledRun);
      }
      const expected = (coarse * sampledRun * sampledRuns) / looked;
      greatest = reach(counts, all, expected + sampleSlack * Math.sqrt(expected));
    }
    let near = find(greatest);
    if (near < coarse * leastSampled && greatest < all) {
      // The sample was of others than most are.
      counts.fill(0);
      countRows(0, looked);
      near = find(reach(counts, all, coarse));
    }
    const kept =
      near <= wanted ? near : kernel.keepNear(distances, near, reach(counts, finest, wanted), numbers);
    return new Uint32Array(buffer, numbers, kept).slice();
  }

  /** The query, turned as sketches were: its values' bits plane by plane, the least first, then its signs. */
  #rotateQuery(query: Float32Array, words: number): void {
    const stride = strideOf(query.length);
    const signs = this.#rotationSigns(stride);
    this.#query = this.#atLeast(this.#query, stride * 4);
    const values = new Float32Array(this.#memory.buffer, this.#query.offset, stride).fill(0);
    values.set(query);
    this.#kernel.rotate(this.#query.offset, stride, signs.offset);
    const size = Math.min(stride, words * 64);
    let greatest = 0;
    for (let i = 0; i < size; i++) greatest = Math.max(greatest, Math.abs(values[i]!));
    const planes = new Uint8Array(this.#memory.buffer, this.#planes.offset, (queryBits + 1) * words * 8);
    planes.fill(0);
    for (let i = 0; i < size; i++) {
      const [byte, bit] = [i >> 3, 1 << (i & 7)];
      // A sketch's bit is 1 where the value is negative; so a level is the greater the more negative a value is.
      const share = greatest > 0 ? (1 - values[i]! / greatest) / 2 : 0;
      const level = Math.min(queryLevels, Math.floor(share * (queryLevels + 1)));
      for (let plane = 0; plane < queryBits; plane++) {
        if ((level >> plane) & 1) planes[plane * words * 8 + byte]! |= bit;
      }
      if (values[i]! < 0 || Object.is(values[i], -0)) planes[queryBits * words * 8 + byte]! |= bit;
    }
  }

  /** The same for the same dimensions, always: sketches are kept on disk. */
  #rotationSigns(stride: number): Block {
    const known = this.#signs.get(stride);
    if (known) return known;
    const signs = this.allocate(rotationRounds * stride * 4);
    const values = new Float32Array(this.#memory.buffer, signs.offset, rotationRounds * stride);
    let state = 0x9e3779b9;
    for (let i = 0; i < values.length; i++) {
      // Marsaglia's xorshift32.
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      values[i] = state & 0x10000 ? -1 : 1;
    }
    this.#signs.set(stride, signs);
    return signs;
  }

  #prepare(query: Float32Array, count: number): number {
    const stride = strideOf(query.length);
    this.#query = this.#atLeast(this.#query, stride * 4);
    this.#scores = this.#atLeast(this.#scores, count * 4);
    const lanes = new Float32Array(this.#memory.buffer, this.#query.offset, stride).fill(0);
    for (let i = 0; i < query.length; i++) lanes[i] = query[i]! * queryScale;
    return stride;
  }

  #atLeast(block: Block, bytes: number): Block {
    if (block.bytes >= bytes) return block;
    this.release(block);
    return this.allocate(bytes * 1.5);
  }

  #grow(bytes: number): void {
    const former = this.#memory.buffer.byteLength;
    // In large steps: each makes the engine collect garbage. What is not written to takes no memory of the system.
    const step = Math.max(
      bytes,
      Math.min(leastGrowth, maxPages * kernelPageBytes - former),
      Math.floor(former / 4),
    );
    const pages = Math.min(Math.ceil(step / kernelPageBytes), maxPages - former / kernelPageBytes);
    if (pages * kernelPageBytes < bytes) {
      throw new StrataError(
        "LIMIT_REACHED",
        "The vectors of the namespaces in use do not fit in the 4 GiB that one process can search; divide the memories among processes, or use a model of fewer dimensions.",
      );
    }
    this.#memory.grow(pages);
    this.#all = new Uint8Array(this.#memory.buffer);
    this.#halves = new Float16Array(this.#memory.buffer);
    this.release({ offset: former, bytes: pages * kernelPageBytes });
  }
}

/** Rows by their numbers, with their scores. */
export interface ScoredRows {
  readonly numbers: Uint32Array;
  readonly scores: Float32Array;
}

/** The least distance within which there are `wanted`. */
function reach(counts: Uint32Array, greatest: number, wanted: number): number {
  let distance = 0;
  for (let sum = counts[0]!; sum < wanted && distance < greatest; ) sum += counts[++distance]!;
  return distance;
}

function sketchWords(dimensions: number): number {
  return Math.min(maxSketchWords, Math.ceil(strideOf(dimensions) / 64));
}

/** Values a row takes: dimensions filled up to a multiple of eight with zeros. */
export function strideOf(dimensions: number): number {
  return Math.ceil(dimensions / 8) * 8;
}
