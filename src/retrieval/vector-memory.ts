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
}

/** The part of the engine's WebAssembly that is used; the compiler's library for Node has none of it. */
interface WebAssemblyEngine {
  Memory: new (size: { initial: number; maximum: number }) => WasmMemory;
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: { env: { memory: WasmMemory } }) => { exports: object };
}

interface WasmMemory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

const pageBytes = 65_536;
const maxPages = 65_536;
/** What the kernel's widening of float16 takes from every value. */
const queryScale = 2 ** 112;
const emptyBlock: Block = { offset: 0, bytes: 0 };

/**
 * The one memory in which the kernel scans vectors, for all namespaces: an engine reserves gigabytes of address space
 * for each WebAssembly memory, so small namespaces cannot have one of their own. Blocks are handed out first fit.
 */
export class VectorMemory {
  readonly #memory: WasmMemory;
  readonly #kernel: DotKernel;
  /** Free pieces by offset; neighbours are joined. */
  #free: Block[] = [{ offset: 16, bytes: pageBytes - 16 }];
  #query: Block = emptyBlock;
  #scores: Block = emptyBlock;
  #slots: Block = emptyBlock;

  constructor() {
    const { Memory, Module, Instance } = Reflect.get(globalThis, "WebAssembly") as WebAssemblyEngine;
    this.#memory = new Memory({ initial: 1, maximum: maxPages });
    const module = new Module(Buffer.from(dotKernel, "base64"));
    this.#kernel = new Instance(module, { env: { memory: this.#memory } }).exports as DotKernel;
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
    const pages = Math.ceil(bytes / pageBytes);
    this.#memory.grow(pages);
    this.release({ offset: former, bytes: pages * pageBytes });
  }
}

/** Values a row takes: dimensions filled up to a multiple of eight with zeros. */
export function strideOf(dimensions: number): number {
  return Math.ceil(dimensions / 8) * 8;
}
