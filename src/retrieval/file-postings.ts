import {
  type BlockFirsts,
  blockTerms,
  bytesPerNumber,
  FiledPart,
  layOut,
  type PartColumn,
  type PartLayout,
  partColumns,
  readColumn,
} from "./filed-part.ts";
import type { PartFile } from "./part-file.ts";
import { compareUnits, type SealedPostings, type Work } from "./sealed-postings.ts";

type Numbers = Uint16Array | Uint32Array;

/** Numbers read or written at once. */
const sliceLength = 65_536;
/** Postings copied before others run: a millisecond or two. */
const copiedAtOnce = 65_536;

/** What is merged: postings in memory or in a file. */
export type PostingRun = SealedPostings | FiledPart;

/**
 * Writes runs as one part into a new file, reading those in files on the way: memory holds a slice of each column.
 * Slots of a run come after those of the run before.
 * @param key Tells the part from others.
 * @param slotNow The slot that each slot becomes, ascending as they do, or -1 for one that leaves; a term that nothing
 *   holds any more leaves no trace. Absent: they stay.
 */
export function* filePostings(
  runs: readonly PostingRun[],
  open: () => Promise<PartFile>,
  key: string,
  slotNow?: Int32Array,
): Work<FiledPart> {
  yield;
  let file: PartFile | undefined;
  let done = false;
  try {
    yield open().then((opened) => {
      // Given up meanwhile: nobody else closes it.
      if (done) void opened.close();
      file = opened;
    });
    const sources = runs.map((run) => new Source(run));
    const sum = (column: PartColumn): number =>
      sources.reduce((total, { lengths }) => total + lengths[column], 0);
    const most = Object.fromEntries(
      partColumns.map((column) => [column, sum(column)]),
    ) as PartLayout["lengths"];
    const { places } = layOut(most);
    const output = new Output(file!, places);
    for (const source of sources) yield* source.begin();
    yield* mergeInto(output, sources, slotNow);
    const part = yield* output.end(key);
    done = true;
    return part;
  } finally {
    if (!done) {
      done = true;
      void file?.close().catch(() => {});
    }
  }
}

function* mergeInto(output: Output, sources: readonly Source[], slotNow: Int32Array | undefined): Work {
  let copied = 0;
  for (;;) {
    let least: Source | undefined;
    for (const source of sources) if (!source.ended && (!least || source.compare(least) < 0)) least = source;
    if (!least) return;
    const same = sources.filter(
      (source) => !source.ended && (source === least || source.compare(least) === 0),
    );
    const before = output.entries;
    for (const source of same) {
      copied += source.entries + 8;
      yield* slotNow ? renumberEntries(source, output, slotNow) : copyEntries(source, output);
    }
    if (output.entries > before) yield* output.addTerm(least);
    for (const source of same) yield* source.next();
    if (copied < copiedAtOnce) continue;
    copied = 0;
    yield;
  }
}

function* copyEntries(source: Source, output: Output): Work {
  for (let left = source.entries; left > 0; ) {
    if (source.slots.left === 0) yield* source.slots.ensure(1);
    if (source.counts.left === 0) yield* source.counts.ensure(1);
    const size = Math.min(left, source.slots.left, source.counts.left, output.slots.room, output.counts.room);
    output.slots.add(source.slots.take(size));
    output.counts.add(source.counts.take(size));
    if (output.slots.room === 0) yield* output.slots.flush();
    if (output.counts.room === 0) yield* output.counts.flush();
    left -= size;
  }
}

function* renumberEntries(source: Source, output: Output, slotNow: Int32Array): Work {
  for (let left = source.entries; left > 0; left--) {
    if (source.slots.left === 0) yield* source.slots.ensure(1);
    if (source.counts.left === 0) yield* source.counts.ensure(1);
    const slot = slotNow[source.slots.take1()]!;
    const count = source.counts.take1();
    if (slot < 0) continue;
    output.slots.add1(slot);
    output.counts.add1(count);
    if (output.slots.room === 0) yield* output.slots.flush();
    if (output.counts.room === 0) yield* output.counts.flush();
  }
}

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
class Source {
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

  compare(other: Source): number {
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

/** One column on its way into a file. */
class OutputColumn {
  written = 0;
  readonly #file: PartFile;
  readonly #place: number;
  readonly #buffer: Numbers;
  #filled = 0;

  constructor(file: PartFile, column: PartColumn, place: number) {
    this.#file = file;
    this.#place = place;
    this.#buffer = bytesPerNumber(column) === 2 ? new Uint16Array(sliceLength) : new Uint32Array(sliceLength);
  }

  get room(): number {
    return this.#buffer.length - this.#filled;
  }

  get length(): number {
    return this.written + this.#filled;
  }

  add(values: Numbers): void {
    this.#buffer.set(values, this.#filled);
    this.#filled += values.length;
  }

  add1(value: number): void {
    this.#buffer[this.#filled++] = value;
  }

  *flush(): Work {
    if (this.#filled === 0) return;
    const { BYTES_PER_ELEMENT: size } = this.#buffer;
    const bytes = new Uint8Array(this.#buffer.buffer, 0, this.#filled * size);
    yield this.#file.write(bytes, this.#place + this.written * size);
    this.written += this.#filled;
    this.#filled = 0;
  }
}

/** A part on its way into a file. */
class Output {
  readonly slots: OutputColumn;
  readonly counts: OutputColumn;
  readonly #units: OutputColumn;
  readonly #starts: OutputColumn;
  readonly #offsets: OutputColumn;
  readonly #file: PartFile;
  readonly #places: PartLayout["places"];
  readonly #firsts: { names: string[]; starts: number[] } = { names: [], starts: [] };
  #terms = 0;

  constructor(file: PartFile, places: PartLayout["places"]) {
    const column = (name: PartColumn): OutputColumn => new OutputColumn(file, name, places[name]);
    this.#file = file;
    this.#places = places;
    this.#units = column("units");
    this.#starts = column("starts");
    this.#offsets = column("offsets");
    this.slots = column("slots");
    this.counts = column("counts");
    this.#starts.add1(0);
    this.#offsets.add1(0);
  }

  get entries(): number {
    return this.slots.length;
  }

  /** Closes a term whose entries were added. */
  *addTerm(source: Source): Work {
    const { term } = source;
    if (this.#terms++ % blockTerms === 0) {
      this.#firsts.names.push(String.fromCharCode(...term));
      this.#firsts.starts.push(this.#units.length);
    }
    if (this.#units.room < term.length) yield* this.#units.flush();
    this.#units.add(term);
    this.#starts.add1(this.#units.length);
    this.#offsets.add1(this.entries);
    if (this.#starts.room === 0) yield* this.#starts.flush();
    if (this.#offsets.room === 0) yield* this.#offsets.flush();
  }

  *end(key: string): Work<FiledPart> {
    const columns = {
      units: this.#units,
      starts: this.#starts,
      offsets: this.#offsets,
      slots: this.slots,
      counts: this.counts,
    };
    for (const column of partColumns) yield* columns[column].flush();
    const lengths = Object.fromEntries(partColumns.map((column) => [column, columns[column].length]));
    const layout: PartLayout = { lengths: lengths as PartLayout["lengths"], places: this.#places };
    const firsts: BlockFirsts = this.#firsts;
    return new FiledPart(this.#file, layout, firsts, key);
  }
}
