import { findSlot } from "./postings.ts";
import { type Block, type ScoredRows, strideOf, type VectorMemory } from "./vector-memory.ts";

/** How the nearest were found: all compared, or those whose sketches are near. */
export type VectorPath = "exact" | "approximate";

/** Rows up to which all are compared: 8,192 of 256 dimensions take .6 ms, and the answer is exact. */
const defaultExactRows = 8_192;
/** Rows whose sketches are compared finely, and rows that are compared themselves. */
const leastCoarse = 8_192;
const coarseShare = 1 / 64;
const leastCompared = 1_024;
const comparedShare = 1 / 256;
/** The same for each of the best that are wanted, when many are. */
const coarsePerWanted = 64;
const comparedPerWanted = 10;
/** Bits of a sketch for which these suffice; a sketch of half as many tells half as well. */
const usualBits = 256;
const maxEffort = 16;
/** Rows sketched before others run: some four milliseconds. */
const sketchedAtOnce = 2_048;
/** Vectors in one piece of memory: what grows is copied, and so much is copied in a millisecond or two. */
const chunkSize = 8_192;
const emptyBlock: Block = { offset: 0, bytes: 0 };

/**
 * The unit vectors of one namespace by slot, float16, in contiguous chunks of memory. Where there are many, each also has
 * a sketch of a bit a dimension, by which the nearest are found without reading all vectors. Vectors that came last have
 * none yet and are compared themselves.
 */
export class VectorRows {
  readonly #memory: VectorMemory;
  readonly #dimensions: number;
  readonly #rowBytes: number;
  readonly #exactRows: number;
  /** Each of `chunkSize` rows but the last. */
  #chunks: Block[] = [];
  /** By chunk, the number of its first row when rows are counted from the memory's beginning. */
  #firsts: number[] = [];
  /** Rows for which there is room. */
  #capacity = 0;
  /** 1 for each slot whose vector may be found. */
  #marks: Block;
  #sketches: Block = emptyBlock;
  #sketched = 0;
  #size = 0;
  /** How many times the usual number are compared. */
  #effort: number;

  constructor(memory: VectorMemory, dimensions: number, exactRows: number = defaultExactRows) {
    this.#memory = memory;
    this.#dimensions = dimensions;
    this.#rowBytes = strideOf(dimensions) * 2;
    this.#exactRows = exactRows;
    this.#marks = emptyBlock;
    this.#effort = Math.max(1, usualBits / dimensions);
  }

  get bytes(): number {
    const rows = this.#chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
    return rows + this.#marks.bytes + this.#sketches.bytes;
  }

  get size(): number {
    return this.#size;
  }

  /** Bytes of a vector as it is kept. */
  get rowBytes(): number {
    return this.#rowBytes;
  }

  /** Bytes of a sketch; none are kept of few vectors. */
  get sketchBytes(): number {
    return this.#memory.sketchBytes(this.#dimensions);
  }

  /** Slots below have a sketch. */
  get sketched(): number {
    return this.#sketched;
  }

  /** Compares twice as many from now on. @returns False when it compares as many as it may. */
  tryHarder(): boolean {
    if (this.#effort >= maxEffort) return false;
    this.#effort *= 2;
    return true;
  }

  /** How all of them are searched. */
  get path(): VectorPath {
    return this.#sketched > 0 && this.#size > this.#exactRows ? "approximate" : "exact";
  }

  /** Adds a vector, or the absence of one, at the next slot. */
  push(vector: Float16Array | null): void {
    const slot = this.#grow(this.#size + 1);
    const { all } = this.#memory;
    const { offset } = this.#rowBlock(slot, slot + 1);
    if (!vector || vector.byteLength < this.#rowBytes) all.fill(0, offset, offset + this.#rowBytes);
    if (vector) this.#memory.halves.set(vector, offset / 2);
    all[this.#marks.offset + slot] = vector ? 1 : 0;
  }

  /** Adds a copy of another slot's. */
  pushCopy(former: number): void {
    const slot = this.#grow(this.#size + 1);
    this.#row(slot).set(this.#row(former));
    const marks = this.#memory.view(this.#marks);
    marks[slot] = marks[former]!;
  }

  /** Adds a copy of another's slot, with its sketch when all before it have theirs. */
  pushFrom(other: VectorRows, from: number): void {
    const slot = this.#grow(this.#size + 1);
    this.#memory.view(this.#marks)[slot] = this.#memory.view(other.#marks)[from]!;
    this.#row(slot).set(other.#row(from));
    if (this.#sketched !== slot || from >= other.#sketched) return;
    const at = slot * this.sketchBytes;
    this.#sketches = this.#sized(this.#sketches, at + this.sketchBytes, at);
    this.#memory.view(this.#sketches).set(other.sketchesAt(from, from + 1), at);
    this.#sketched++;
  }

  /** Makes room for this many slots at once. */
  reserve(size: number): void {
    if (size <= this.#capacity) return;
    while (this.#capacity < size) {
      const last = this.#chunks.length - 1;
      const rows = Math.min(chunkSize, size - Math.max(0, last) * chunkSize);
      const grows = last >= 0 && this.#capacity < this.#chunks.length * chunkSize;
      if (grows) this.#growChunk(last, Math.max(rows, Math.min(chunkSize, this.#chunkRows(last) * 2)));
      else this.#addChunk(Math.min(chunkSize, size - this.#chunks.length * chunkSize));
    }
    this.#marks = this.#sized(this.#marks, this.#capacity, this.#size);
  }

  /** Adds rows as they are kept, with a mark for each. */
  append(rows: Uint8Array, marks: Uint8Array): void {
    const first = this.#grow(this.#size + marks.length);
    for (const [from, to] of this.#runs(first, this.#size)) {
      const bytes = rows.subarray((from - first) * this.#rowBytes, (to - first) * this.#rowBytes);
      this.#view(from, to).set(bytes);
    }
    this.#memory.view(this.#marks).set(marks, first);
  }

  /** Adds rows that `fill` writes where they stay, as they are kept and before it returns, with a mark for each. */
  appendInPlace(marks: Uint8Array, fill: (rows: Uint8Array) => void): void {
    const first = this.#grow(this.#size + marks.length);
    for (const [from, to] of this.#runs(first, this.#size)) fill(this.#view(from, to));
    this.#memory.view(this.#marks).set(marks, first);
  }

  /** Takes a slot out of what may be found. */
  hide(slot: number): void {
    this.#memory.view(this.#marks)[slot] = 0;
  }

  /** A slot's vector; zeros where there is none. */
  halves(slot: number): Float16Array {
    return new Float16Array(this.#row(slot).slice().buffer, 0, this.#dimensions);
  }

  /** A copy of the vectors from one slot up to another as they are kept. */
  rowsAt(from: number, to: number): Uint8Array {
    const rows = new Uint8Array((to - from) * this.#rowBytes);
    for (const [start, end] of this.#runs(from, to)) {
      rows.set(this.#view(start, end), (start - from) * this.#rowBytes);
    }
    return rows;
  }

  /** Sketches what came in bulk, so that the questions after it need not compare all of it; the rest is left to tending. */
  sketchBulk(): void {
    while (this.#size - this.#sketched >= sketchedAtOnce && this.sketchSome());
  }

  /** Sketches some of what has none. @returns True when more is left. */
  sketchSome(): boolean {
    if (this.#size <= this.#exactRows) return false;
    const to = Math.min(this.#size, this.#sketched + sketchedAtOnce);
    if (to === this.#sketched) return false;
    // Room for all at once: growing on the way would copy what is there again and again.
    this.#sketches = this.#sized(
      this.#sketches,
      this.#size * this.sketchBytes,
      this.#sketched * this.sketchBytes,
    );
    for (const [from, end] of this.#runs(this.#sketched, to)) {
      this.#memory.sketch(this.#rowBlock(from, end), this.#dimensions, end - from, {
        offset: this.#sketches.offset + from * this.sketchBytes,
        bytes: (end - from) * this.sketchBytes,
      });
    }
    this.#sketched = to;
    return to < this.#size;
  }

  /** Sketches from one slot up to another; good until the next call. */
  sketchesAt(from: number, to: number): Uint8Array {
    return this.#memory.view(this.#sketches).subarray(from * this.sketchBytes, to * this.sketchBytes);
  }

  /**
   * Takes sketches made before, of the slots that have none yet, in their order.
   * @param expected How many there will be.
   */
  appendSketches(sketches: Uint8Array, expected: number): void {
    const before = this.#sketched * this.sketchBytes;
    this.#sketches = this.#sized(this.#sketches, expected * this.sketchBytes, before);
    this.#memory.view(this.#sketches).set(sketches, before);
    this.#sketched += sketches.length / this.sketchBytes;
  }

  /**
   * The slots nearest to a unit vector among those that may be found: `limit` of them and a few more, or all; on the
   * exact path all that are as near as the last of them. In order of their numbers, with exact cosines.
   * @param mask By slot, 1 for those of interest; absent: all.
   * @param slots The slots of interest, where they are listed.
   * @param breadth Where not all are compared, so many times as many as usual.
   */
  nearest(
    query: Float32Array,
    limit: number,
    mask: Uint8Array | undefined,
    slots: Uint32Array | undefined,
    breadth = 1,
  ): ScoredRows & { readonly path: VectorPath } {
    if (slots && slots.length <= this.#exactRows) {
      const marks = this.#memory.view(this.#marks);
      const numbers = slots.filter((slot) => marks[slot] === 1 && (!mask || mask[slot] === 1));
      return { numbers, scores: this.cosines(query, numbers), path: "exact" };
    }
    const exact = this.path === "exact";
    const listed = exact ? undefined : mask && slots && masked(slots, mask);
    const marks =
      mask && !listed ? this.#memory.lendCommon(this.#marks, mask.subarray(0, this.#size)) : this.#marks;
    if (exact) return { ...this.#best(query, marks, limit), path: "exact" };
    const unsketched = listed ? findSlot(listed, this.#sketched, 0, listed.length) : 0;
    const looked = listed ? unsketched : this.#sketched;
    const coarse = Math.max(leastCoarse, looked * coarseShare, limit * coarsePerWanted);
    const wanted = Math.max(leastCompared, looked * comparedShare, limit * comparedPerWanted);
    const near = this.#memory.nearestSketches(
      query,
      this.#sketches,
      marks,
      this.#sketched,
      listed?.subarray(0, unsketched),
      coarse * this.#effort * breadth,
      wanted * this.#effort * breadth,
    );
    const marked = this.#memory.view(marks);
    const numbers = new Uint32Array(near.length + this.#size - this.#sketched);
    numbers.set(near);
    let size = near.length;
    const add = (slot: number): void => {
      if (marked[slot] === 1) numbers[size++] = slot;
    };
    if (listed) for (let i = unsketched; i < listed.length; i++) add(listed[i]!);
    else for (let slot = this.#sketched; slot < this.#size; slot++) add(slot);
    const found = numbers.subarray(0, size);
    return { numbers: found, scores: this.cosines(query, found), path: "approximate" };
  }

  /** Exact cosines of slots to a unit vector, in their order; 0 where there is no vector. */
  cosines(query: Float32Array, slots: Uint32Array): Float32Array {
    const numbers = new Uint32Array(slots.length);
    for (let i = 0; i < slots.length; i++) {
      const slot = slots[i]!;
      numbers[i] = this.#firsts[(slot / chunkSize) | 0]! + (slot % chunkSize);
    }
    return this.#memory.scanSome(query, emptyBlock, numbers).slice();
  }

  /** The same for slots next to each other. */
  cosinesAt(query: Float32Array, from: number, to: number): Float32Array {
    const cosines = new Float32Array(to - from);
    for (const [start, end] of this.#runs(from, to)) {
      cosines.set(this.#memory.scanAll(query, this.#rowBlock(start, end), end - start), start - from);
    }
    return cosines;
  }

  /** True for a slot whose vector may be found. */
  holds(slot: number): boolean {
    return this.#memory.view(this.#marks)[slot] === 1;
  }

  /** Gives the memory back. */
  release(): void {
    for (const block of [...this.#chunks, this.#marks, this.#sketches]) this.#memory.release(block);
    this.#chunks = [];
    this.#firsts = [];
    this.#marks = this.#sketches = emptyBlock;
    this.#size = this.#sketched = this.#capacity = 0;
  }

  /** What compares best of all that are marked. */
  #best(query: Float32Array, marks: Block, limit: number): ScoredRows {
    if (this.#chunks.length <= 1) {
      return this.#memory.scanBest(query, this.#rowBlock(0, this.#size), marks, this.#size, limit);
    }
    const marked = this.#memory.view(marks).subarray(0, this.#size);
    const slots = Uint32Array.from(marked.keys()).filter((slot) => marked[slot] === 1);
    return { numbers: slots, scores: this.cosines(query, slots) };
  }

  #chunkRows(chunk: number): number {
    return Math.min(chunkSize, this.#capacity - chunk * chunkSize);
  }

  #addChunk(rows: number): void {
    const block = this.#memory.allocate((rows + 1) * this.#rowBytes);
    this.#chunks.push(block);
    this.#firsts.push(Math.ceil(block.offset / this.#rowBytes));
    this.#capacity += rows;
  }

  #growChunk(chunk: number, rows: number): void {
    const from = chunk * chunkSize;
    const former = this.#chunks.pop()!;
    const used = this.#size - from;
    const formerFirst = this.#firsts.pop()!;
    this.#capacity = from;
    this.#addChunk(rows);
    const bytes = { offset: formerFirst * this.#rowBytes, bytes: used * this.#rowBytes };
    if (used > 0) this.#view(from, this.#size).set(this.#memory.view(bytes));
    this.#memory.release(former);
  }

  /** Runs of slots that lie in one chunk. */
  *#runs(from: number, to: number): Generator<readonly [from: number, to: number]> {
    for (let start = from; start < to; ) {
      const end = Math.min(to, start - (start % chunkSize) + chunkSize);
      yield [start, end];
      start = end;
    }
  }

  /** Where slots of one chunk lie. */
  #rowBlock(from: number, to: number): Block {
    const first = (this.#firsts[(from / chunkSize) | 0] ?? 0) + (from % chunkSize);
    return { offset: first * this.#rowBytes, bytes: (to - from) * this.#rowBytes };
  }

  #view(from: number, to: number): Uint8Array {
    return this.#memory.view(this.#rowBlock(from, to));
  }

  #row(slot: number): Uint8Array {
    return this.#view(slot, slot + 1);
  }

  /** Makes room for `size` slots. @returns The first new one. */
  #grow(size: number): number {
    const first = this.#size;
    this.reserve(size);
    this.#size = size;
    return first;
  }

  #sized(block: Block, needed: number, used: number): Block {
    if (needed <= block.bytes) return block;
    // Half as much again where it grows; what is filled at once takes no more than it needs.
    const grown = this.#memory.allocate(used === 0 ? needed : Math.ceil(needed * 1.5));
    this.#memory.view(grown).set(this.#memory.view(block).subarray(0, used));
    this.#memory.release(block);
    return grown;
  }
}

/** Those of the slots whose mask is 1. */
function masked(slots: Uint32Array, mask: Uint8Array): Uint32Array {
  const kept = new Uint32Array(slots.length);
  let size = 0;
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i]!;
    kept[size] = slot;
    size += mask[slot]!;
  }
  return kept.subarray(0, size);
}
