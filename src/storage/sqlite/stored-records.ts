import type { PageFile } from "./page-file.ts";

/** A value as a record holds it. */
export type StoredValue = null | number | string | Uint8Array;

export interface StoredRow {
  readonly rowid: number;
  readonly values: readonly StoredValue[];
}

/** Types of b-tree pages (SQLite's file format, section 1.6). */
const types = { indexInterior: 2, tableInterior: 5, indexLeaf: 10, tableLeaf: 13 } as const;

const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Rows of a page, if it is a table's leaf; cells that cannot be read are left out. */
export function rowsOfPage(file: PageFile, number: number): StoredRow[] {
  const page = file.page(number);
  if (!page || page[headerAt(number)] !== types.tableLeaf) return [];
  return cellsOf(page, number, 8).flatMap((at) => {
    const row = attempt(() => {
      const [length, afterLength] = varint(page, at);
      const [rowid, start] = varint(page, afterLength);
      return { rowid, values: parseRecord(payload(file, page, start, length, true)) };
    });
    return row ?? [];
  });
}

/** Rows of a table from its root page, as far as its pages lead to each other. */
export function* walkTable(file: PageFile, root: number): Generator<StoredRow> {
  for (const number of pagesFrom(file, root)) yield* rowsOfPage(file, number);
}

/** Records of an index, or of a table without row numbers, as far as its pages lead to each other. */
export function* walkIndex(file: PageFile, root: number): Generator<readonly StoredValue[]> {
  for (const number of pagesFrom(file, root)) {
    const page = file.page(number)!;
    const type = page[headerAt(number)];
    const isLeaf = type === types.indexLeaf;
    if (!isLeaf && type !== types.indexInterior) continue;
    for (const cell of cellsOf(page, number, isLeaf ? 8 : 12)) {
      const record = attempt(() => {
        const [length, start] = varint(page, isLeaf ? cell : cell + 4);
        return parseRecord(payload(file, page, start, length, false));
      });
      if (record) yield record;
    }
  }
}

/** Page numbers of a tree, each once, interior ones too. */
function* pagesFrom(file: PageFile, root: number): Generator<number> {
  const seen = new Set<number>();
  const waiting = [root];
  for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
    if (seen.has(number)) continue;
    seen.add(number);
    const page = file.page(number);
    if (!page) continue;
    yield number;
    const header = headerAt(number);
    if (page[header] !== types.tableInterior && page[header] !== types.indexInterior) continue;
    waiting.push(page.readUInt32BE(header + 8));
    for (const cell of cellsOf(page, number, 12)) waiting.push(page.readUInt32BE(cell));
  }
}

function headerAt(number: number): number {
  return number === 1 ? 100 : 0;
}

/** Where the cells of a page begin. */
function cellsOf(page: Buffer, number: number, headerBytes: number): number[] {
  const header = headerAt(number);
  const first = header + headerBytes;
  const count = Math.min(page.readUInt16BE(header + 3), Math.floor((page.length - first) / 2));
  return Array.from({ length: count }, (_, at) => page.readUInt16BE(first + 2 * at)).filter(
    (cell) => cell >= first + 2 * count && cell < page.length - 4,
  );
}

/** Bytes of a cell's record, those on overflow pages with it. @throws RangeError */
function payload(file: PageFile, page: Buffer, start: number, length: number, isTable: boolean): Buffer {
  const usable = file.pageSize;
  const most = isTable ? usable - 35 : Math.floor(((usable - 12) * 64) / 255) - 23;
  if (!(length >= 1 && length <= usable * file.pages)) throw new RangeError("length");
  if (length <= most) return slice(page, start, length);
  const least = Math.floor(((usable - 12) * 32) / 255) - 23;
  const wanted = least + ((length - least) % (usable - 4));
  const local = wanted <= most ? wanted : least;
  const parts = [slice(page, start, local)];
  let next = slice(page, start + local, 4).readUInt32BE(0);
  for (let left = length - local; left > 0; ) {
    const overflow = file.page(next);
    if (!overflow) throw new RangeError("overflow");
    const part = slice(overflow, 4, Math.min(left, usable - 4));
    parts.push(part);
    left -= part.length;
    next = overflow.readUInt32BE(0);
  }
  return Buffer.concat(parts);
}

/** @throws RangeError, TypeError for text that is no UTF-8 */
function parseRecord(bytes: Buffer): StoredValue[] {
  const [headerBytes, first] = varint(bytes, 0);
  const values: StoredValue[] = [];
  let body = headerBytes;
  for (let at = first; at < headerBytes; ) {
    const [type, next] = varint(bytes, at);
    at = next;
    const size = sizeOf(type);
    values.push(decodeValue(slice(bytes, body, size), type));
    body += size;
  }
  if (body !== bytes.length) throw new RangeError("body");
  return values;
}

const sizes = [0, 1, 2, 3, 4, 6, 8, 8, 0, 0];

function sizeOf(type: number): number {
  if (type >= 12) return (type - 12 - (type % 2)) / 2;
  const size = sizes[type];
  if (size === undefined) throw new RangeError("type");
  return size;
}

function decodeValue(bytes: Buffer, type: number): StoredValue {
  if (type === 0) return null;
  if (type === 8 || type === 9) return type - 8;
  if (type === 7) return bytes.readDoubleBE(0);
  if (type === 6) return Number(bytes.readBigInt64BE(0));
  if (type < 6) return bytes.readIntBE(0, bytes.length);
  return type % 2 === 1 ? text.decode(bytes) : new Uint8Array(bytes);
}

function slice(bytes: Buffer, from: number, length: number): Buffer {
  if (from + length > bytes.length) throw new RangeError("end");
  return bytes.subarray(from, from + length);
}

/** A number of one to nine bytes, and where it ends. Larger than 2^53 it is damaged. @throws RangeError */
function varint(bytes: Buffer, at: number): [value: number, end: number] {
  let value = 0;
  for (let length = 0; length < 8; length++) {
    const byte = bytes[at + length];
    if (byte === undefined) throw new RangeError("end");
    value = value * 128 + (byte & 0x7f);
    if (byte < 0x80) return [value, at + length + 1];
  }
  throw new RangeError("number");
}

/** Undefined for what damage made unreadable. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof RangeError || error instanceof TypeError) return undefined;
    throw error;
  }
}
