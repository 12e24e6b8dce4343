import type { PartFile } from "./part-file.ts";
import {
  lowerBound,
  type PostingList,
  placeOfTerm,
  type SealedTerms,
  type TermShare,
  termAt,
} from "./sealed-postings.ts";

/** Terms that are read together; of the first of them memory knows the name. */
export const blockTerms = 128;
/** Terms whose greatest share is remembered. */
const maxShares = 10_000;
/** Numbers read at once where a whole column is gone through. */
const sliceLength = 131_072;

export const partColumns = ["units", "starts", "offsets", "slots", "counts"] as const;
export type PartColumn = (typeof partColumns)[number];

/** How many numbers each column of a part holds, and at which byte of its file each begins. */
export interface PartLayout {
  readonly lengths: Readonly<Record<PartColumn, number>>;
  readonly places: Readonly<Record<PartColumn, number>>;
}

/** What of filed parts is kept in memory, by part and block or term. */
export interface ReadPostings {
  get(key: string): SealedTerms | PostingList | undefined;
  /** @param options `size` in bytes. */
  set(key: string, read: SealedTerms | PostingList, options: { readonly size: number }): unknown;
}

export function bytesPerNumber(column: PartColumn): number {
  return column === "units" || column === "counts" ? 2 : 4;
}

/** Where columns of these lengths go in a file, one after the other. */
export function layOut(lengths: PartLayout["lengths"]): PartLayout {
  const places: Partial<Record<PartColumn, number>> = {};
  let place = 0;
  for (const column of partColumns) {
    places[column] = place;
    place += Math.ceil((lengths[column] * bytesPerNumber(column)) / 16) * 16;
  }
  return { lengths, places: places as Record<PartColumn, number> };
}

/** The first terms of a part's blocks, and where they begin among its units. */
export interface BlockFirsts {
  readonly names: readonly string[];
  readonly starts: readonly number[];
}

/** Sealed postings in a file, columns as in memory; memory holds one term in {@link blockTerms}. */
export class FiledPart {
  readonly layout: PartLayout;
  readonly file: PartFile;
  readonly #firsts: BlockFirsts;
  readonly #key: string;
  readonly #shares = new Map<number, TermShare>();

  /** @param key Tells it from other parts. */
  constructor(file: PartFile, layout: PartLayout, firsts: BlockFirsts, key: string) {
    this.file = file;
    this.layout = layout;
    this.#firsts = firsts;
    this.#key = key;
  }

  /** Postings it holds. */
  get size(): number {
    return this.layout.lengths.slots;
  }

  /** In memory. */
  get bytes(): number {
    return this.#firsts.names.length * 64 + this.#shares.size * 150;
  }

  /** Where a term's postings stand; undefined when there are none. */
  async rangeOf(term: string, known: ReadPostings): Promise<readonly [from: number, to: number] | undefined> {
    const block = this.#blockOf(term);
    if (block < 0) return undefined;
    const table = await this.#block(block, known);
    const at = placeOfTerm(table, term);
    return at < 0 ? undefined : [table.offsets[at]!, table.offsets[at + 1]!];
  }

  async list(from: number, to: number, known: ReadPostings): Promise<PostingList> {
    const key = `${this.#key}/${from}`;
    const kept = known.get(key) as PostingList | undefined;
    if (kept) return kept;
    const slots = new Uint32Array(to - from);
    const counts = new Uint16Array(to - from);
    await Promise.all([this.#read("slots", slots, from), this.#read("counts", counts, from)]);
    if (this.#shares.size >= maxShares) this.#shares.clear();
    const list: PostingList = { slots, counts, from: 0, to: to - from, shares: this.#shares, place: from };
    known.set(key, list, { size: slots.byteLength + counts.byteLength + 400 });
    return list;
  }

  /** At most `limit` terms that begin so, ascending. */
  async startingWith(prefix: string, limit: number, known: ReadPostings): Promise<string[]> {
    const found: string[] = [];
    for (let block = Math.max(0, this.#blockOf(prefix)); block < this.#firsts.names.length; block++) {
      const table = await this.#block(block, known);
      const terms = table.offsets.length - 1;
      for (let at = lowerBound(table, prefix); at < terms; at++) {
        const term = termAt(table, at);
        if (found.length === limit || !term.startsWith(prefix)) return found;
        found.push(term);
      }
    }
    return found;
  }

  close(): Promise<void> {
    return this.file.close();
  }

  /** The last block that may hold a term; -1 when it is before all. */
  #blockOf(term: string): number {
    const { names } = this.#firsts;
    let low = 0;
    let high = names.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (names[middle]! <= term) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  async #block(block: number, known: ReadPostings): Promise<SealedTerms> {
    const key = `${this.#key}:${block}`;
    const kept = known.get(key) as SealedTerms | undefined;
    if (kept) return kept;
    const { lengths } = this.layout;
    const first = block * blockTerms;
    const size = Math.min(blockTerms, lengths.starts - 1 - first) + 1;
    const base = this.#firsts.starts[block]!;
    const units = new Uint16Array((this.#firsts.starts[block + 1] ?? lengths.units) - base);
    const starts = new Uint32Array(size);
    const offsets = new Uint32Array(size);
    await Promise.all([
      this.#read("units", units, base),
      this.#read("starts", starts, first),
      this.#read("offsets", offsets, first),
    ]);
    for (let at = 0; at < size; at++) starts[at] = starts[at]! - base;
    const table = { units, starts, offsets };
    known.set(key, table, { size: units.byteLength + starts.byteLength + offsets.byteLength + 400 });
    return table;
  }

  #read(column: PartColumn, into: Uint16Array | Uint32Array, from: number): Promise<void> {
    return readColumn(this.file, this.layout, column, into, from);
  }
}

/** Fills `into` from a column's number `from` on. */
export function readColumn(
  file: PartFile,
  { places }: PartLayout,
  column: PartColumn,
  into: Uint16Array | Uint32Array,
  from: number,
): Promise<void> {
  const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
  return file.read(bytes, places[column] + from * bytesPerNumber(column));
}

/** Reads from a part's file which terms its blocks begin with. */
export async function readFirsts(file: PartFile, layout: PartLayout): Promise<BlockFirsts> {
  const names: string[] = [];
  const firstStarts: number[] = [];
  const terms = layout.lengths.starts - 1;
  const termsAtOnce = sliceLength - (sliceLength % blockTerms);
  for (let first = 0; first < terms; first += termsAtOnce) {
    const size = Math.min(termsAtOnce, terms - first);
    const starts = new Uint32Array(size + 1);
    await readColumn(file, layout, "starts", starts, first);
    const base = starts[0]!;
    const units = new Uint16Array(starts[size]! - base);
    await readColumn(file, layout, "units", units, base);
    for (let at = 0; at < size; at += blockTerms) {
      names.push(String.fromCharCode(...units.subarray(starts[at]! - base, starts[at + 1]! - base)));
      firstStarts.push(starts[at]!);
    }
  }
  return { names, starts: firstStarts };
}

/** A column's bytes in slices, each to be waited for before it is used. */
export function* columnSlices(
  part: FiledPart,
  column: PartColumn,
  sliceBytes: number,
): Generator<Promise<Uint8Array>> {
  const { lengths, places } = part.layout;
  const bytes = lengths[column] * bytesPerNumber(column);
  for (let at = 0; at < bytes; at += sliceBytes) {
    const slice = new Uint8Array(Math.min(sliceBytes, bytes - at));
    yield part.file.read(slice, places[column] + at).then(() => slice);
  }
}
