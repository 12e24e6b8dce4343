import { StrataError } from "../../contract/errors.ts";
import { instantiateKernel, kernelMemory, kernelPageBytes } from "../../contract/kernel.ts";
import { rowsKernel } from "./kernels/rows-kernel.ts";

const headerBytes = 16;
const magic = 0x53545645;
const typeInt8 = 1;
const bytesPerScale = 4;
/** Rows fetched at once. A question and its candidates need some 500 of 30,522, common words next to each other. */
const rowsAtOnce = 16;

/** Fills `into` with what stands in the table's file from `offset` on. */
export type FetchBytes = (into: Uint8Array, offset: number) => void;

interface RowsKernel {
  sumRows(pieces: number, count: number, scales: number, rows: number, dimensions: number, sum: number): void;
  normalize(values: number, dimensions: number): number;
}

/** Values that the kernel takes at once: so many more than a row has may be read and written. */
const lanes = 16;
/** Pieces handed to the kernel at once. */
const piecesAtOnce = 8_192;
const maxDimensions = 8_192;

/** Memory that holds a table's file where the kernel reads it, so that the file is read into it and never copied. */
export class TableMemory {
  /** Of the file, zeros until they are read. */
  readonly file: Uint8Array<ArrayBuffer>;
  readonly kernel: RowsKernel;
  /** Behind the file. */
  readonly pieces: Int32Array<ArrayBuffer>;
  readonly sum: Float32Array<ArrayBuffer>;

  /** @param fileBytes Of the whole file. */
  constructor(fileBytes: number) {
    const pieces = Math.ceil((fileBytes + lanes) / 16) * 16;
    const sum = pieces + piecesAtOnce * Int32Array.BYTES_PER_ELEMENT;
    const bytes = sum + (maxDimensions + lanes) * Float32Array.BYTES_PER_ELEMENT;
    const pages = Math.ceil(bytes / kernelPageBytes);
    const memory = kernelMemory(pages, pages);
    this.kernel = instantiateKernel<RowsKernel>(rowsKernel, memory);
    this.file = new Uint8Array(memory.buffer, 0, fileBytes);
    this.pieces = new Int32Array(memory.buffer, pieces, piecesAtOnce);
    this.sum = new Float32Array(memory.buffer, sum, maxDimensions);
  }
}

/**
 * One row of weights a word piece, as 8-bit integers with one scale a row.
 *
 * File, little-endian: uint32 magic 0x53545645, rows, dimensions, type 1; float32 scale a row; int8 rows.
 * A weight is scale × integer. A row of zeros stands for a piece that says nothing, the unknown one among them.
 */
export class StaticTable {
  readonly size: number;
  readonly dimensions: number;
  readonly #memory: TableMemory;
  readonly #rows: Int8Array;
  readonly #sum: Float32Array<ArrayBuffer>;
  readonly #fetch: FetchBytes | undefined;
  /** By rows fetched at once: 1 when they are there. */
  readonly #fetched: Uint8Array;

  /**
   * @param memory With the whole file in it, or with what `fetch` will bring.
   * @param fetch Absent, the rows are there; else they and the scales are fetched, the rows when they are first used.
   * @throws FILE_UNREADABLE The file is no such table.
   */
  constructor(memory: TableMemory, fetch?: FetchBytes) {
    const { file } = memory;
    fetch?.(file.subarray(0, headerBytes), 0);
    const header = new DataView(file.buffer, file.byteOffset, Math.min(file.byteLength, headerBytes));
    const [mark, size, dimensions, type] = [0, 4, 8, 12].map((at) =>
      at + 4 <= header.byteLength ? header.getUint32(at, true) : 0,
    ) as [number, number, number, number];
    const expected = headerBytes + size * (bytesPerScale + dimensions);
    const isTable = mark === magic && type === typeInt8 && file.byteLength === expected;
    if (!(isTable && dimensions >= 1 && dimensions <= maxDimensions))
      throw new StrataError(
        "FILE_UNREADABLE",
        `Expected a table of int8 rows (magic ${magic.toString(16)}, type ${typeInt8}, ${expected} bytes, at most ${maxDimensions} dimensions); got magic ${mark.toString(16)}, type ${type}, ${file.byteLength} bytes. Make it again with models/builtin/training.`,
      );
    this.size = size;
    this.dimensions = dimensions;
    this.#memory = memory;
    this.#rows = new Int8Array(file.buffer, headerBytes + size * bytesPerScale, size * dimensions);
    this.#sum = memory.sum.subarray(0, dimensions);
    this.#fetch = fetch;
    this.#fetched = new Uint8Array(fetch ? Math.ceil(size / rowsAtOnce) : 0);
    fetch?.(file.subarray(headerBytes, headerBytes + size * bytesPerScale), headerBytes);
  }

  /**
   * Direction of the sum of the pieces' rows, `Float32Array[dimensions]` of unit length; null when they sum to nothing.
   * Depends on the pieces and their order alone, to the bit.
   */
  direction(pieces: Int32Array): Float32Array | null {
    const sum = this.#sum.fill(0);
    for (let from = 0; from < pieces.length; from += piecesAtOnce) this.#add(pieces, from);
    return this.#memory.kernel.normalize(sum.byteOffset, sum.length) > 0 ? sum.slice() : null;
  }

  /** Adds the rows of as many pieces as are handed over at once. */
  #add(pieces: Int32Array, from: number): void {
    const { kernel, pieces: handed } = this.#memory;
    const count = Math.min(piecesAtOnce, pieces.length - from);
    if (this.#fetch) for (let i = from; i < from + count; i++) this.#have(pieces[i]!);
    handed.set(count === pieces.length ? pieces : pieces.subarray(from, from + count));
    const { byteOffset: rows } = this.#rows;
    kernel.sumRows(handed.byteOffset, count, headerBytes, rows, this.dimensions, this.#sum.byteOffset);
  }

  /** Writes the leading values of one piece's row, brought to unit length; false when they are all zeros. */
  leadingRow(piece: number, into: Float32Array): boolean {
    this.#have(piece);
    const rows = this.#rows;
    const from = piece * this.dimensions;
    const length = Math.min(into.length, this.dimensions);
    let squares = 0;
    for (let d = 0; d < length; d++) squares += rows[from + d]! * rows[from + d]!;
    if (squares === 0) return false;
    // The row's scale falls out.
    const factor = 1 / Math.sqrt(squares);
    for (let d = 0; d < length; d++) into[d] = rows[from + d]! * factor;
    return true;
  }

  /** Fetches the piece's row, and its neighbours, unless it is there. */
  #have(piece: number): void {
    if (!this.#fetch) return;
    const run = Math.floor(piece / rowsAtOnce);
    if (this.#fetched[run] === 1) return;
    const { buffer, byteOffset } = this.#rows;
    const from = run * rowsAtOnce * this.dimensions;
    const bytes = Math.min(rowsAtOnce * this.dimensions, this.#rows.length - from);
    this.#fetch(
      new Uint8Array(buffer, byteOffset + from, bytes),
      headerBytes + this.size * bytesPerScale + from,
    );
    this.#fetched[run] = 1;
  }
}
