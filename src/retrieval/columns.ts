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
];

/** Columns that grow at their end. */
export class Columns {
  arrays: ColumnArrays;
  size: number;

  constructor(arrays?: ColumnArrays) {
    this.arrays = arrays ?? emptyColumns(0);
    this.size = this.arrays.rows.length;
  }

  get bytes(): number {
    return columnNames.reduce((sum, name) => sum + this.arrays[name].byteLength, 0);
  }

  push(values: ColumnValues): number {
    if (this.size === this.arrays.rows.length) this.#grow();
    const slot = this.size++;
    for (const name of columnNames) this.arrays[name][slot] = values[name];
    return slot;
  }

  at(slot: number): ColumnValues {
    const { rows, ats, threads, speakers, contentLengths, contextLengths, kinds, vectors } = this.arrays;
    const { happeneds, importances, pins } = this.arrays;
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
    };
  }

  #grow(): void {
    const arrays = emptyColumns(Math.max(16, Math.ceil(this.size * 1.5)));
    for (const name of columnNames) (arrays[name] as NumberArray).set(this.arrays[name] as NumberArray);
    this.arrays = arrays;
  }
}

function emptyColumns(size: number): ColumnArrays {
  return {
    rows: new Float64Array(size),
    ats: new Float64Array(size),
    threads: new Uint32Array(size),
    speakers: new Uint32Array(size),
    contentLengths: new Uint32Array(size),
    contextLengths: new Uint32Array(size),
    kinds: new Uint8Array(size),
    vectors: new Uint8Array(size),
    happeneds: new Float64Array(size),
    importances: new Float64Array(size),
    pins: new Uint8Array(size),
  };
}
