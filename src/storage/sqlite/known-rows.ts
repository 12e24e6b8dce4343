import type { PageFile } from "./page-file.ts";
import { type StoredValue, walkIndex, walkTable } from "./stored-records.ts";

/** What indexes tell of rows that may be gone, as far as they can be read. */
export interface KnownRows {
  readonly ids: readonly { readonly namespace: number; readonly id: string; readonly row: number }[];
  /** Rows of the chunks of a revision. */
  readonly ranges: readonly { readonly revision: number; readonly first: number; readonly last: number }[];
  readonly namespaces: readonly { readonly id: number; readonly name: string }[];
  readonly models: readonly { readonly id: number; readonly name: string }[];
  readonly documents: readonly {
    readonly namespace: number;
    readonly uri: string;
    readonly entry: number;
  }[];
  readonly sideVectors: readonly { readonly row: number; readonly model: number }[];
  readonly journal: readonly number[];
  readonly snapshots: readonly { readonly namespace: number; readonly name: string; readonly id: number }[];
  readonly snapshotItems: readonly { readonly snapshot: number; readonly id: number }[];
}

/** Reads the indexes by the tables that lead to them. */
export function readKnownRows(file: PageFile): KnownRows {
  const roots = new Map<string, number>();
  for (const { values } of walkTable(file, 1)) {
    const [, name, , root] = values;
    if (typeof name === "string" && typeof root === "number") roots.set(name, root);
  }
  const read = <T>(index: string, toKnown: (cells: readonly StoredValue[]) => T | undefined): T[] => {
    const root = roots.get(index);
    if (root === undefined) return [];
    return [...walkIndex(file, root)].flatMap((cells) => toKnown(cells) ?? []);
  };
  const named = (index: string) =>
    read(index, ([name, id, ...rest]) =>
      isText(name) && isNumber(id) && rest.length === 0 ? { id, name } : undefined,
    );
  return {
    ids: read("memory_id", ([namespace, id, row, ...rest]) =>
      isNumber(namespace) && isText(id) && isNumber(row) && rest.length === 0
        ? { namespace, id, row }
        : undefined,
    ),
    ranges: read("chunk_range", ([revision, first, last, ...rest]) =>
      isNumber(revision) && isNumber(first) && isNumber(last) && rest.length === 0
        ? { revision, first, last }
        : undefined,
    ),
    namespaces: named("sqlite_autoindex_namespace_1"),
    models: named("sqlite_autoindex_model_1"),
    documents: read("sqlite_autoindex_document_1", ([namespace, uri, entry, ...rest]) =>
      isNumber(namespace) && isText(uri) && isNumber(entry) && rest.length === 0
        ? { namespace, uri, entry }
        : undefined,
    ),
    sideVectors: read("side_vector_row", ([row, model, number, ...rest]) =>
      isNumber(row) && isNumber(model) && isNumber(number) && rest.length === 0 ? { row, model } : undefined,
    ),
    journal: read("journal_memory", ([namespace, memory, id, ...rest]) =>
      isNumber(namespace) && isText(memory) && isNumber(id) && rest.length === 0 ? id : undefined,
    ),
    snapshots: read("snapshot_name", ([namespace, name, id, ...rest]) =>
      isNumber(namespace) && isText(name) && isNumber(id) && rest.length === 0
        ? { namespace, name, id }
        : undefined,
    ),
    snapshotItems: read("snapshot_item_snapshot", ([snapshot, item]) =>
      isNumber(snapshot) && isNumber(item) ? { snapshot, id: item } : undefined,
    ),
  };
}

function isNumber(value: StoredValue | undefined): value is number {
  return Number.isSafeInteger(value);
}

function isText(value: StoredValue | undefined): value is string {
  return typeof value === "string";
}
