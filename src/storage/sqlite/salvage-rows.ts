import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import type { Connection } from "./connection.ts";
import { migrations } from "./migrations.ts";
import type { PageFile } from "./page-file.ts";
import { rowsOfPage, type StoredRow, type StoredValue } from "./stored-records.ts";

/** Tables with row numbers that cannot be made from others. */
const salvaged = [
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
] as const;
type Table = (typeof salvaged)[number];

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
  readonly insert: string;
}

/** A row that was read and does not agree with itself. */
export interface RefusedRow {
  readonly table: string;
  readonly rowid: number;
  /** As the row tells it, for a memory; it may be what is damaged. */
  readonly id?: string;
}

/** Pages looked at in one transaction. */
const sliceSize = 64;

/**
 * Copies every row that can be read, page by page, into a database that has the tables and nothing in them. A page tells
 * by the shape of its rows which table it is of, so that no page is needed to find another.
 */
export async function salvageRows(file: PageFile, db: Connection): Promise<RefusedRow[]> {
  const shapes = readShapes();
  const refused: RefusedRow[] = [];
  for (let first = 1; first <= file.pages; first += sliceSize) {
    await db.write(() => {
      const last = Math.min(file.pages, first + sliceSize - 1);
      for (let page = first; page <= last; page++) {
        for (const row of rowsOfPage(file, page)) take(db, shapes, row, refused);
      }
    });
  }
  return refused;
}

function take(db: Connection, shapes: readonly Shape[], row: StoredRow, refused: RefusedRow[]): void {
  const shape = shapes.find((one) => fits(one, row));
  if (!shape) return;
  const values = named(shape, row);
  if (!agrees(shape.table, values)) {
    const id = shape.table === "memory" ? { id: String(values["id"]) } : {};
    refused.push({ table: shape.table, rowid: row.rowid, ...id });
    return;
  }
  const cells = Object.values(values);
  if (db.run(shape.insert, ...cells) > 0 || shape.table !== "memory") return;
  // Its key is taken by a row that came before it.
  db.run(shape.insert, ...Object.values({ ...values, idempotency_key: null }));
}

function readShapes(): Shape[] {
  using database = new DatabaseSync(":memory:");
  for (const migration of migrations) database.exec(migration);
  const shapes = salvaged.map((table) => {
    const columns = database
      .prepare(`pragma table_info(${table})`)
      .all()
      .map((row) => ({
        name: String(row["name"]),
        type: String(row["type"]).toLowerCase(),
        nullable: Number(row["notnull"]) === 0,
        key: Number(row["pk"]) === 1,
        fallback: row["dflt_value"] as string | null,
      }));
    const insert = `insert or ignore into ${table} (${columns.map(({ name }) => name).join()})
      values (${columns.map(() => "?").join()})`;
    return { table, columns, insert };
  });
  // A short record fits a long shape whose last columns may be missing: the shortest that fits is its own.
  return shapes.sort((a, b) => a.columns.length - b.columns.length);
}

/** A record of an older schema lacks the columns that came later. */
function fits({ columns }: Shape, { rowid, values }: StoredRow): boolean {
  if (values.length > columns.length || !(rowid > 0 && rowid <= Number.MAX_SAFE_INTEGER)) return false;
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
      return json("before") && number("from_tier") >= 0 && number("from_tier") <= 4;
    case "revision":
      return json("plan");
    case "snapshot_item":
      return json("memory");
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
