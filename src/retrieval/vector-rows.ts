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
const emptyBlock: Block = { offset: 0, bytes: 0 };

/**
 * The unit vectors of one namespace by slot, float16, in one piece of memory. Where there are many, each also has a
 * sketch of a bit a dimension, by which the nearest are found without reading all vectors. Vectors that came last have
 * none yet and are compared themselves.
 */
export class VectorRows {
  readonly #memory: VectorMemory;
  readonly #dimensions: number;
  readonly #rowBytes: number;
  readonly #exactRows: number;
  #rows: Block;
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
    this.#rows = emptyBlock;
    this.#marks = emptyBlock;
    this.#effort = Math.max(1, usualBits / dimensions);
  }

  get bytes(): number {
    return this.#rows.bytes + this.#marks.bytes + this.#sketches.bytes;
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
    const bytes = this.#memory.view(this.#rows);
    const at = slot * this.#rowBytes;
    bytes.fill(0, at, at + this.#rowBytes);
    if (vector) bytes.set(new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength), at);
    this.#memory.view(this.#marks)[slot] = vector ? 1 : 0;
  }

  /** Adds a copy of another slot's. */
  pushCopy(former: number): void {
    const slot = this.#grow(this.#size + 1);
    const from = former * this.#rowBytes;
    this.#memory.view(this.#rows).copyWithin(slot * this.#rowBytes, from, from + this.#rowBytes);
    const marks = this.#memory.view(this.#marks);
    marks[slot] = marks[former]!;
  }

  /** Adds a copy of another's slot, with its sketch when all before it have theirs. */
  pushFrom(other: VectorRows, from: number): void {
    const slot = this.#grow(this.#size + 1);
    const marks = this.#memory.view(this.#marks);
    marks[slot] = this.#memory.view(other.#marks)[from]!;
    this.#memory.view(this.#rows).set(other.row(from), slot * this.#rowBytes);
    if (this.#sketched !== slot || from >= other.#sketched) return;
    const at = slot * this.sketchBytes;
    this.#sketches = this.#sized(this.#sketches, at + this.sketchBytes, at);
    this.#memory.view(this.#sketches).set(other.sketchesAt(from, from + 1), at);
    this.#sketched++;
  }

  /** Makes room for this many slots at once. */
  reserve(size: number): void {
    if (size * this.#rowBytes <= this.#rows.bytes) return;
    this.#rows = this.#sized(this.#rows, size * this.#rowBytes, this.#size * this.#rowBytes);
    this.#marks = this.#sized(this.#marks, size, this.#size);
  }

  /** Adds rows as they are kept, with a mark for each. */
  append(rows: Uint8Array, marks: Uint8Array): void {
    const first = this.#grow(this.#size + marks.length);
    this.#memory.view(this.#rows).set(rows, first * this.#rowBytes);
    this.#memory.view(this.#marks).set(marks, first);
  }

  /** Takes a slot out of what may be found. */
  hide(slot: number): void {
    this.#memory.view(this.#marks)[slot] = 0;
  }

  /** A slot's vector as it is kept; good until the next call. */
  row(slot: number): Uint8Array {
    return this.rowsAt(slot, slot + 1);
  }

  /** A slot's vector, zeros where there is none; good until the next call. */
  halves(slot: number): Float16Array {
    const bytes = this.row(slot);
    return new Float16Array(bytes.buffer, bytes.byteOffset, this.#dimensions);
  }

  /** Vectors from one slot up to another as they are kept; good until the next call. */
  rowsAt(from: number, to: number): Uint8Array {
    return this.#memory.view(this.#rows).subarray(from * this.#rowBytes, to * this.#rowBytes);
  }

  /** Sketches some of what has none. @returns True when more is left. */
  sketchSome(): boolean {
    if (this.#size <= this.#exactRows) return false;
    const to = Math.min(this.#size, this.#sketched + sketchedAtOnce);
    if (to === this.#sketched) return false;
    this.#sketches = this.#sized(this.#sketches, to * this.sketchBytes, this.#sketched * this.sketchBytes);
    this.#memory.sketch(this.#rows, this.#dimensions, this.#sketched, to, this.#sketches);
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
   */
  nearest(
    query: Float32Array,
    limit: number,
    mask: Uint8Array | undefined,
    slots: Uint32Array | undefined,
  ): ScoredRows & { readonly path: VectorPath } {
    if (slots && slots.length <= this.#exactRows) {
      const marks = this.#memory.view(this.#marks);
      const numbers = slots.filter((slot) => marks[slot] === 1 && (!mask || mask[slot] === 1));
      return { numbers, scores: this.cosines(query, numbers), path: "exact" };
    }
    const marks = mask ? this.#masked(mask) : this.#marks;
    if (this.path === "exact") {
      return { ...this.#memory.scanBest(query, this.#rows, marks, this.#size, limit), path: "exact" };
    }
    const coarse = Math.max(leastCoarse, this.#sketched * coarseShare, limit * coarsePerWanted);
    const wanted = Math.max(leastCompared, this.#sketched * comparedShare, limit * comparedPerWanted);
    const near = this.#memory.nearestSketches(
      query,
      this.#sketches,
      marks,
      this.#sketched,
      coarse * this.#effort,
      wanted * this.#effort,
    );
    const unsketched = this.#memory.view(marks).subarray(this.#sketched, this.#size);
    const numbers = new Uint32Array(near.length + unsketched.length);
    numbers.set(near);
    let size = near.length;
    for (let i = 0; i < unsketched.length; i++) if (unsketched[i] === 1) numbers[size++] = this.#sketched + i;
    const found = numbers.subarray(0, size);
    return { numbers: found, scores: this.cosines(query, found), path: "approximate" };
  }

  /** Exact cosines of slots to a unit vector, in their order; 0 where there is no vector. */
  cosines(query: Float32Array, slots: Uint32Array): Float32Array {
    return this.#memory.scanSome(query, this.#rows, slots).slice();
  }

  /** The same for slots next to each other. */
  cosinesAt(query: Float32Array, from: number, to: number): Float32Array {
    const rows = { offset: this.#rows.offset + from * this.#rowBytes, bytes: (to - from) * this.#rowBytes };
    return this.#memory.scanAll(query, rows, to - from).slice();
  }

  /** True for a slot whose vector may be found. */
  holds(slot: number): boolean {
    return this.#memory.view(this.#marks)[slot] === 1;
  }

  /** Gives the memory back. */
  release(): void {
    for (const block of [this.#rows, this.#marks, this.#sketches]) this.#memory.release(block);
    this.#rows = this.#marks = this.#sketches = emptyBlock;
    this.#size = this.#sketched = 0;
  }

  #masked(mask: Uint8Array): Block {
    const lent = this.#memory.lend(mask.subarray(0, this.#size));
    const both = this.#memory.view(lent);
    const marks = this.#memory.view(this.#marks);
    for (let slot = 0; slot < this.#size; slot++) both[slot] = both[slot]! & marks[slot]!;
    return lent;
  }

  /** Makes room for `size` slots. @returns The first new one. */
  #grow(size: number): number {
    const first = this.#size;
    this.#rows = this.#sized(this.#rows, size * this.#rowBytes, first * this.#rowBytes);
    this.#marks = this.#sized(this.#marks, size, first);
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
