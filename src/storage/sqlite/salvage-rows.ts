import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import type { Connection } from "./connection.ts";
import { migrations } from "./migrations.ts";
import type { PageFile } from "./page-file.ts";
import { rowsOfPage, type StoredRow, type StoredValue } from "./stored-records.ts";

/** Tables with row numbers that cannot be made from others. */
const salvagedTables = [
  "memory",
  "entry",
  "document",
  "journal",
  "revision",
  "snapshot",
  "snapshot_item",
  "namespace",
  "side_vector",
  "vector",
  "model",
  "tuning",
] as const;
type Table = (typeof salvagedTables)[number];

interface Column {
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  /** It is the row's number, which the record leaves out. */
  readonly key: boolean;
  readonly fallback: string | null;
}

interface Shape {
  readonly table: Table;
  readonly columns: readonly Column[];
  /** Columns that its table had at first: a record is never shorter. */
  readonly least: number;
  readonly insert: string;
}

/** A row that was read and does not agree with itself. */
export interface RefusedRow {
  readonly table: string;
  readonly rowid: number;
  /** As the row tells it, for a memory; it may be what is damaged. */
  readonly id?: string;
  /** As the row tells them, for a vector beside a memory's own. */
  readonly beside?: { readonly row: number; readonly model: number };
}

/** What rows tell beside those that were copied. */
export interface Salvaged {
  readonly refused: RefusedRow[];
  /** Rows of the journal that no longer have what undo needs. */
  withoutUndo: number;
  /** Memories of the journal or a snapshot of which the vector is damaged. */
  withoutKeptVector: number;
  /** Rows that the journal counted. */
  journalRows: number;
  /** Last number that was given out, of `journal` and `tuning`. */
  readonly sequences: Map<string, number>;
}

/** Pages looked at in one transaction. */
const sliceSize = 64;

/**
 * Copies every row that can be read, page by page, into a database that has the tables and nothing in them. A page tells
 * by the shape of its rows which table it is of, so that no page is needed to find another.
 */
export async function salvageRows(file: PageFile, db: Connection): Promise<Salvaged> {
  const shapes = readShapes();
  const salvaged: Salvaged = {
    refused: [],
    withoutUndo: 0,
    withoutKeptVector: 0,
    journalRows: 0,
    sequences: new Map(),
  };
  for (let first = 1; first <= file.pages; first += sliceSize) {
    await db.write(() => {
      const last = Math.min(file.pages, first + sliceSize - 1);
      for (let page = first; page <= last; page++) {
        for (const row of rowsOfPage(file, page)) take(db, shapes, row, salvaged);
      }
    });
  }
  return salvaged;
}

function take(db: Connection, shapes: readonly Shape[], row: StoredRow, salvaged: Salvaged): void {
  const shape = shapes.find((one) => fits(one, row));
  if (!shape) {
    takeFigures(row, salvaged);
    return;
  }
  const values = named(shape, row);
  if (!agrees(shape.table, values)) {
    salvaged.refused.push({ table: shape.table, rowid: row.rowid, ...traceOf(shape.table, values) });
    return;
  }
  if (shape.table === "journal" || shape.table === "snapshot_item") mend(values, salvaged);
  const cells = Object.values(values);
  if (db.run(shape.insert, ...cells) > 0) return;
  // Its key is taken by a row that came before it.
  if (shape.table === "memory") db.run(shape.insert, ...Object.values({ ...values, idempotency_key: null }));
  else salvaged.refused.push({ table: shape.table, rowid: row.rowid });
}

/** Rows that are made again, and tell how many of others there were: `counter` and SQLite's own `sqlite_sequence`. */
function takeFigures({ rowid, values }: StoredRow, salvaged: Salvaged): void {
  const [first, second, third, fourth] = values;
  if (values.length === 2 && (first === "journal" || first === "tuning")) {
    if (isCount(second)) salvaged.sequences.set(first, second);
  } else if (values.length === 4 && rowid === 1 && first === null && isCount(second) && isCount(fourth)) {
    if (isCount(third)) salvaged.journalRows = third;
  }
}

function isCount(value: StoredValue | undefined): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function traceOf(table: Table, values: Record<string, StoredValue>): Pick<RefusedRow, "id" | "beside"> {
  if (table === "memory") return { id: String(values["id"]) };
  if (table !== "side_vector") return {};
  return { beside: { row: Number(values["row"]), model: Number(values["model"]) } };
}

/** Leaves out the parts of a row of the journal or a snapshot's that do not agree with themselves. */
function mend(values: Record<string, StoredValue>, salvaged: Salvaged): void {
  const { before, vector } = values;
  if (typeof before === "string" && !isKeptMemory(before)) {
    Object.assign(values, { before: null, vector: null, bytes: 0 });
    salvaged.withoutUndo++;
  } else if (vector instanceof Uint8Array && !isUnit(vector)) {
    values["vector"] = null;
    if (typeof values["bytes"] === "number") values["bytes"] = Math.max(0, values["bytes"] - vector.length);
    salvaged.withoutKeptVector++;
  }
}

/** Whether the JSON of a memory, or of what a move kept, can be read; its text must have its hash. */
function isKeptMemory(text: string): boolean {
  if (!isJson(text)) return false;
  const kept: unknown = JSON.parse(text);
  if (typeof kept !== "object" || kept === null) return false;
  const { content, contentHash } = kept as Record<string, unknown>;
  if (typeof content !== "string" || contentHash === undefined) return true;
  return createHash("sha256").update(content).digest("hex") === contentHash;
}

/** Shapes of this version and of earlier ones, where a table was made anew with other columns. */
function readShapes(): Shape[] {
  using database = new DatabaseSync(":memory:");
  const shapes = new Map<Table, Shape[]>();
  for (const migration of migrations) {
    database.exec(migration);
    for (const table of salvagedTables) {
      const columns = readColumns(database, table);
      const former = shapes.get(table) ?? [];
      const last = former.at(-1);
      if (columns.length === 0) continue;
      const isSame = last?.columns.every(({ name }, at) => columns[at]?.name === name) === true;
      const least = isSame ? last!.least : columns.length;
      shapes.set(table, [...(isSame ? former.slice(0, -1) : former), { table, columns, least, insert: "" }]);
    }
  }
  // A short record fits a long shape whose last columns may be missing: the shortest that fits is its own.
  return [...shapes.values()]
    .flat()
    .map((shape) => ({ ...shape, insert: insertOf(shape) }))
    .sort((a, b) => a.columns.length - b.columns.length);
}

function readColumns(database: DatabaseSync, table: Table): Column[] {
  return database
    .prepare(`pragma table_info(${table})`)
    .all()
    .map((row) => ({
      name: String(row["name"]),
      type: String(row["type"]).toLowerCase(),
      nullable: Number(row["notnull"]) === 0,
      key: Number(row["pk"]) === 1,
      fallback: row["dflt_value"] as string | null,
    }));
}

function insertOf({ table, columns }: Shape): string {
  const names = columns.map(({ name }) => name);
  const marks = names.map(() => "?");
  // The namespace of what an earlier version put beside a memory is the memory's, which may come later.
  if (table === "side_vector" && !names.includes("namespace")) {
    names.push("namespace");
    marks.push("0");
  }
  return `insert or ignore into ${table} (${names.join()}) values (${marks.join()})`;
}

/** A record of an older schema lacks the columns that came later. */
function fits({ columns, least }: Shape, { rowid, values }: StoredRow): boolean {
  if (!(values.length >= least && values.length <= columns.length)) return false;
  if (!(rowid > 0 && rowid <= Number.MAX_SAFE_INTEGER)) return false;
  return columns.every((column, at) => {
    if (at >= values.length) return column.nullable || column.fallback !== null;
    const value = values[at]!;
    if (column.key) return value === null;
    if (value === null) return column.nullable;
    if (column.type === "text") return typeof value === "string";
    if (column.type === "blob") return value instanceof Uint8Array;
    return column.type === "real" ? typeof value === "number" : Number.isSafeInteger(value);
  });
}

function named({ columns }: Shape, { rowid, values }: StoredRow): Record<string, StoredValue> {
  return Object.fromEntries(
    columns.map(({ name, key, fallback }, at) => {
      const missing = fallback === null ? null : Number(fallback);
      return [name, key ? rowid : at < values.length ? values[at]! : missing];
    }),
  );
}

/** Whether a row is what was stored, as far as its own parts tell. */
function agrees(table: Table, row: Record<string, StoredValue>): boolean {
  const json = (name: string) => row[name] === null || isJson(String(row[name]));
  const flag = (name: string) => row[name] === 0 || row[name] === 1;
  const number = (name: string) => Number(row[name]);
  switch (table) {
    case "memory": {
      const content = String(row["content"]);
      const happenedAt = row["at"] ?? row["created_at"];
      return (
        createHash("sha256").update(content).digest("hex") === row["content_hash"] &&
        Buffer.byteLength(content) === row["bytes"] &&
        row["happened_at"] === happenedAt &&
        row["id"] !== "" &&
        number("version") >= 1 &&
        (row["chunk"] === null
          ? row["entry"] === row["row"]
          : number("end_offset") - number("start_offset") === content.length) &&
        json("tags") &&
        json("metadata") &&
        json("headings")
      );
    }
    case "entry":
      return (
        number("tier") >= 0 &&
        number("tier") <= 4 &&
        number("importance") >= 0 &&
        number("importance") <= 1 &&
        number("access_count") >= 0 &&
        [flag("document"), flag("pinned"), flag("faded")].every(Boolean) &&
        number("last_used_day") === Math.floor(number("last_used_at") / 86_400_000) &&
        Math.abs(
          number("b") - (0.5 * number("importance") + 0.2 * Math.min(1, number("access_count") / 10)),
        ) < 1e-9
      );
    case "document":
      return json("tags") && json("metadata") && /^[0-9a-f]{64}$/.test(String(row["hash"]));
    case "journal":
      return number("from_tier") >= 0 && number("from_tier") <= 4;
    case "revision":
      return json("plan");
    case "snapshot_item":
      return isKeptMemory(String(row["memory"]));
    case "snapshot":
      return json("filter") && number("state") >= 0 && number("state") <= 2;
    case "tuning":
      return row["parameter"] !== "" && Number.isFinite(row["before"]) && Number.isFinite(row["after"]);
    case "vector":
    case "side_vector":
      return row["data"] === null || isUnit(row["data"] as Uint8Array);
    default:
      return true;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Float16 numbers of a vector of length 1, within what their rounding adds up to. */
function isUnit(data: Uint8Array): boolean {
  if (data.length === 0 || data.length % 2 !== 0) return false;
  let sum = 0;
  for (const value of new Float16Array(new Uint8Array(data).buffer)) sum += value * value;
  return Math.abs(sum - 1) < 0.01;
}
