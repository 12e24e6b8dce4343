/** What a memory is to ranking. */
export const kinds = { note: 0, turn: 1, chunk: 2 } as const;
export const kindCount = 3;

/** What an indexed memory has for a vector. */
export const vectorStates = { none: 0, ours: 1, otherModel: 2 } as const;

/** Fixed facts of the memories of one namespace, by slot. */
export interface ColumnArrays {
  /** Row of the memory in its store. */
  rows: Float64Array;
  /** Event time, NaN when there is none. */
  ats: Float64Array;
  /** Number of its thread from 1, 0 when there is none; so for `speakers`. */
  threads: Uint32Array;
  speakers: Uint32Array;
  /** Terms of the content, and of the context, that are no stop words. */
  contentLengths: Uint32Array;
  contextLengths: Uint32Array;
  kinds: Uint8Array;
  vectors: Uint8Array;
  /** What filters ask for: event time or else that of creation, importance, 1 for what is pinned. */
  happeneds: Float64Array;
  importances: Float64Array;
  pins: Uint8Array;
  /** Number of the tier; the only column that changes while its slot lives. */
  tiers: Uint8Array;
}

/** A slot's values, as {@link ColumnArrays} names them. */
export type ColumnValues = { readonly [Name in keyof ColumnArrays]: number };

type NumberArray = Float64Array | Uint32Array | Uint8Array;

export const columnNames: readonly (keyof ColumnArrays)[] = [
  "rows",
  "ats",
  "threads",
  "speakers",
  "contentLengths",
  "contextLengths",
  "kinds",
  "vectors",
  "happeneds",
  "importances",
  "pins",
  "tiers",
];

/** In {@link Columns.lengths} the kind stands in so many of the low bits. */
export const kindBits = 2;

/** Columns that grow at their end. */
export class Columns {
  arrays: ColumnArrays;
  size: number;
  /** By slot, terms of content and context together, and the kind: all that a posting's score asks for, in one place. */
  lengths: Uint32Array;

  constructor(arrays?: ColumnArrays) {
    this.arrays = arrays ?? emptyColumns(0);
    this.size = this.arrays.rows.length;
    const { contentLengths, contextLengths, kinds } = this.arrays;
    this.lengths = new Uint32Array(this.size);
    for (let slot = 0; slot < this.size; slot++) {
      this.lengths[slot] = packed(contentLengths[slot]! + contextLengths[slot]!, kinds[slot]!);
    }
  }

  get bytes(): number {
    return columnNames.reduce((sum, name) => sum + this.arrays[name].byteLength, this.lengths.byteLength);
  }

  /** Makes room for so many in all: for no more at first, then for half as many again as there are. */
  reserve(size: number): void {
    if (size <= this.arrays.rows.length) return;
    const arrays = emptyColumns(Math.max(size, this.size === 0 ? 0 : 16, Math.ceil(this.size * 1.5)));
    for (const name of columnNames) (arrays[name] as NumberArray).set(this.arrays[name] as NumberArray);
    this.arrays = arrays;
    const lengths = new Uint32Array(arrays.rows.length);
    lengths.set(this.lengths);
    this.lengths = lengths;
  }

  push(values: ColumnValues): number {
    this.reserve(this.size + 1);
    const slot = this.size++;
    const { arrays } = this;
    // By name: a loop over the names takes ten times as long.
    arrays.rows[slot] = values.rows;
    arrays.ats[slot] = values.ats;
    arrays.threads[slot] = values.threads;
    arrays.speakers[slot] = values.speakers;
    arrays.contentLengths[slot] = values.contentLengths;
    arrays.contextLengths[slot] = values.contextLengths;
    arrays.kinds[slot] = values.kinds;
    arrays.vectors[slot] = values.vectors;
    arrays.happeneds[slot] = values.happeneds;
    arrays.importances[slot] = values.importances;
    arrays.pins[slot] = values.pins;
    arrays.tiers[slot] = values.tiers;
    this.lengths[slot] = packed(values.contentLengths + values.contextLengths, values.kinds);
    return slot;
  }

  at(slot: number): ColumnValues {
    const { rows, ats, threads, speakers, contentLengths, contextLengths, kinds, vectors } = this.arrays;
    const { happeneds, importances, pins, tiers } = this.arrays;
    return {
      rows: rows[slot]!,
      ats: ats[slot]!,
      threads: threads[slot]!,
      speakers: speakers[slot]!,
      contentLengths: contentLengths[slot]!,
      contextLengths: contextLengths[slot]!,
      kinds: kinds[slot]!,
      vectors: vectors[slot]!,
      happeneds: happeneds[slot]!,
      importances: importances[slot]!,
      pins: pins[slot]!,
      tiers: tiers[slot]!,
    };
  }
}

/** All in one piece of memory: to allocate and to free each takes longer than to fill it, where there are few slots. */
function emptyColumns(size: number): ColumnArrays {
  const wide = 8 * size;
  const narrow = 4 * wide + 4 * size * 4;
  const buffer = new ArrayBuffer(narrow + 4 * size);
  return {
    rows: new Float64Array(buffer, 0, size),
    ats: new Float64Array(buffer, wide, size),
    happeneds: new Float64Array(buffer, 2 * wide, size),
    importances: new Float64Array(buffer, 3 * wide, size),
    threads: new Uint32Array(buffer, 4 * wide, size),
    speakers: new Uint32Array(buffer, 4 * wide + 4 * size, size),
    contentLengths: new Uint32Array(buffer, 4 * wide + 8 * size, size),
    contextLengths: new Uint32Array(buffer, 4 * wide + 12 * size, size),
    kinds: new Uint8Array(buffer, narrow, size),
    vectors: new Uint8Array(buffer, narrow + size, size),
    pins: new Uint8Array(buffer, narrow + 2 * size, size),
    tiers: new Uint8Array(buffer, narrow + 3 * size, size),
  };
}

/** As {@link Columns.lengths} keeps it. */
export function packed(length: number, kind: number): number {
  return (length << kindBits) | kind;
}
