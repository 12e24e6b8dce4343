import {
  bytesPerNumber,
  FiledPart,
  type PartColumn,
  type PartLayout,
  partColumns,
  readColumn,
} from "./filed-part.ts";
import { compareUnits, type SealedPostings, type Work } from "./sealed-postings.ts";

/** Postings in memory or in a file. */
export type PostingRun = SealedPostings | FiledPart;

export type Numbers = Uint16Array | Uint32Array;

/** Numbers read at once. */
const sliceLength = 65_536;

/** Numbers one after the other, from memory or in slices from a file. */
class Input {
  values: Numbers;
  at = 0;
  readonly #more: ((into: Numbers, from: number) => Promise<void>) | undefined;
  readonly #length: number;
  #read: number;

  constructor(values: Numbers, length: number, more?: (into: Numbers, from: number) => Promise<void>) {
    this.values = values;
    this.#length = length;
    this.#read = values.length;
    this.#more = more;
  }

  /** Numbers at hand. */
  get left(): number {
    return this.values.length - this.at;
  }

  /** Has at least so many at hand. */
  *ensure(count: number): Work {
    if (this.left >= count) return;
    const kept = this.values.subarray(this.at);
    const size = Math.min(this.#length - this.#read, Math.max(sliceLength, count));
    const Type = this.values.constructor as new (length: number) => Numbers;
    const values = new Type(kept.length + size);
    values.set(kept);
    yield this.#more?.(values.subarray(kept.length), this.#read);
    this.#read += size;
    this.values = values;
    this.at = 0;
  }

  take(count: number): Numbers {
    this.at += count;
    return this.values.subarray(this.at - count, this.at);
  }

  take1(): number {
    return this.values[this.at++]!;
  }
}

/** A run, term by term. */
export class PostingSource {
  readonly lengths: PartLayout["lengths"];
  readonly slots: Input;
  readonly counts: Input;
  /** Of the term that stands first. */
  entries = 0;
  ended = false;
  readonly #units: Input;
  readonly #starts: Input;
  readonly #offsets: Input;
  #length = 0;
  #start = 0;
  #offset = 0;
  #terms: number;

  constructor(run: PostingRun) {
    const input = (column: PartColumn): Input => {
      if (!(run instanceof FiledPart)) return new Input(run[column], run[column].length);
      const { file, layout } = run;
      const empty = bytesPerNumber(column) === 2 ? new Uint16Array(0) : new Uint32Array(0);
      const more = (into: Numbers, from: number): Promise<void> =>
        readColumn(file, layout, column, into, from);
      return new Input(empty, layout.lengths[column], more);
    };
    this.lengths =
      run instanceof FiledPart
        ? run.layout.lengths
        : (Object.fromEntries(
            partColumns.map((column) => [column, run[column].length]),
          ) as PartLayout["lengths"]);
    this.#units = input("units");
    this.#starts = input("starts");
    this.#offsets = input("offsets");
    this.slots = input("slots");
    this.counts = input("counts");
    this.#terms = this.lengths.starts - 1;
  }

  *begin(): Work {
    yield* this.#starts.ensure(1);
    yield* this.#offsets.ensure(1);
    this.#start = this.#starts.take1();
    this.#offset = this.#offsets.take1();
    yield* this.next();
  }

  *next(): Work {
    this.#units.at += this.#length;
    this.#length = this.entries = 0;
    this.ended = this.#terms === 0;
    if (this.ended) return;
    this.#terms--;
    if (this.#starts.left === 0) yield* this.#starts.ensure(1);
    if (this.#offsets.left === 0) yield* this.#offsets.ensure(1);
    const [start, offset] = [this.#starts.take1(), this.#offsets.take1()];
    this.#length = start - this.#start;
    this.entries = offset - this.#offset;
    this.#start = start;
    this.#offset = offset;
    if (this.#units.left < this.#length) yield* this.#units.ensure(this.#length);
  }

  compare(other: PostingSource): number {
    const [a, b] = [this.#units, other.#units];
    return compareUnits(
      a.values as Uint16Array,
      a.at,
      this.#length,
      b.values as Uint16Array,
      b.at,
      other.#length,
    );
  }

  /** Units of the term that stands first. */
  get term(): Numbers {
    const { values, at } = this.#units;
    return values.subarray(at, at + this.#length);
  }
}
