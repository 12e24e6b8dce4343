import { StrataError } from "../../contract/errors.ts";

const headerBytes = 16;
const magic = 0x53545645;
const typeInt8 = 1;
const bytesPerScale = 4;
/** Rows fetched at once. A question and its candidates need some 500 of 30,522, common words next to each other. */
const rowsAtOnce = 16;

/** Fills `into` with what stands in the table's file from `offset` on. */
export type FetchBytes = (into: Uint8Array, offset: number) => void;

/**
 * One row of weights a word piece, as 8-bit integers with one scale a row.
 *
 * File, little-endian: uint32 magic 0x53545645, rows, dimensions, type 1; float32 scale a row; int8 rows.
 * A weight is scale × integer. A row of zeros stands for a piece that says nothing, the unknown one among them.
 */
export class StaticTable {
  readonly size: number;
  readonly dimensions: number;
  readonly #scales: Float32Array;
  readonly #rows: Int8Array;
  readonly #sum: Float64Array<ArrayBuffer>;
  readonly #fetch: FetchBytes | undefined;
  /** By rows fetched at once: 1 when they are there. */
  readonly #fetched: Uint8Array;

  /**
   * @param bytes A whole file, starting at a multiple of four of its buffer. Kept, not copied: 8 MB that are read once.
   * @param fetch Absent, the rows are there; else they and the scales are fetched into the bytes, the rows when they
   * are first used.
   * @throws FILE_UNREADABLE The bytes are no such table.
   */
  constructor(bytes: Uint8Array, fetch?: FetchBytes) {
    fetch?.(bytes.subarray(0, headerBytes), 0);
    const header = new DataView(bytes.buffer, bytes.byteOffset, Math.min(bytes.byteLength, headerBytes));
    const [mark, size, dimensions, type] = [0, 4, 8, 12].map((at) =>
      at + 4 <= header.byteLength ? header.getUint32(at, true) : 0,
    ) as [number, number, number, number];
    const expected = headerBytes + size * (bytesPerScale + dimensions);
    if (mark !== magic || type !== typeInt8 || !(dimensions >= 1) || bytes.byteLength !== expected)
      throw new StrataError(
        "FILE_UNREADABLE",
        `Expected a table of int8 rows (magic ${magic.toString(16)}, type ${typeInt8}, ${expected} bytes); got magic ${mark.toString(16)}, type ${type}, ${bytes.byteLength} bytes. Make it again with models/builtin/training.`,
      );
    this.size = size;
    this.dimensions = dimensions;
    this.#scales = new Float32Array(bytes.buffer, bytes.byteOffset + headerBytes, size);
    this.#rows = new Int8Array(bytes.buffer, bytes.byteOffset + headerBytes + size * bytesPerScale);
    this.#sum = new Float64Array(dimensions);
    this.#fetch = fetch;
    this.#fetched = new Uint8Array(fetch ? Math.ceil(size / rowsAtOnce) : 0);
    fetch?.(bytes.subarray(headerBytes, headerBytes + size * bytesPerScale), headerBytes);
  }

  /**
   * Direction of the sum of the pieces' rows, `Float32Array[dimensions]` of unit length; null when they sum to nothing.
   * Depends on the pieces and their order alone, to the bit.
   */
  direction(pieces: ArrayLike<number>): Float32Array | null {
    const sum = this.#sum.fill(0);
    const dimensions = this.dimensions;
    const rows = this.#rows;
    const scales = this.#scales;
    if (this.#fetch) for (let i = 0; i < pieces.length; i++) this.#have(pieces[i]!);
    let i = 0;
    // Four rows a pass: the sum is read and written a quarter as often, which takes a third off the whole.
    for (; i + 4 <= pieces.length; i += 4) {
      const [a, b, c, e] = [pieces[i]!, pieces[i + 1]!, pieces[i + 2]!, pieces[i + 3]!];
      const [scaleA, scaleB, scaleC, scaleE] = [scales[a]!, scales[b]!, scales[c]!, scales[e]!];
      const [fromA, fromB, fromC, fromE] = [a * dimensions, b * dimensions, c * dimensions, e * dimensions];
      for (let d = 0; d < dimensions; d++)
        sum[d]! +=
          scaleA * rows[fromA + d]! +
          scaleB * rows[fromB + d]! +
          scaleC * rows[fromC + d]! +
          scaleE * rows[fromE + d]!;
    }
    for (; i < pieces.length; i++) {
      const scale = scales[pieces[i]!]!;
      const from = pieces[i]! * dimensions;
      for (let d = 0; d < dimensions; d++) sum[d]! += scale * rows[from + d]!;
    }
    let squares = 0;
    for (let d = 0; d < dimensions; d++) squares += sum[d]! * sum[d]!;
    if (!(squares > 0)) return null;
    const factor = 1 / Math.sqrt(squares);
    const unit = new Float32Array(dimensions);
    for (let d = 0; d < dimensions; d++) unit[d] = sum[d]! * factor;
    return unit;
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
