import {
  blockTerms,
  bytesPerNumber,
  FiledPart,
  type PartColumn,
  type PartLayout,
  partColumns,
} from "./filed-part.ts";
import type { PartFile } from "./part-file.ts";
import type { Numbers, PostingSource } from "./posting-source.ts";
import type { Work } from "./sealed-postings.ts";

/** Numbers written at once. */
const sliceLength = 65_536;

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
export class PostingOutput {
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
  *addTerm(source: PostingSource): Work {
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
    return new FiledPart(this.#file, layout, this.#firsts, key);
  }
}
