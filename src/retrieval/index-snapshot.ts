import { crc32 } from "node:zlib";
import {
  type ByteSource,
  CheckedReader,
  readAhead,
  sliceBytes,
  TornSource,
  trailerBytes,
} from "./checked-reader.ts";
import { type ColumnArrays, Columns, columnNames, vectorStates } from "./columns.ts";
import {
  bytesPerNumber,
  columnSlices,
  FiledPart,
  layOut,
  type PartLayout,
  partColumns,
  readFirsts,
} from "./filed-part.ts";
import { NameTable } from "./name-table.ts";
import { type IndexParts, type KindTotals, leastPostings, type NamespaceIndex } from "./namespace-index.ts";
import type { PartFile, PostingFiles } from "./part-file.ts";
import type { PostingRun } from "./posting-source.ts";
import { Postings } from "./postings.ts";
import type { VectorRows } from "./vector-rows.ts";

/** What must agree for a snapshot to be of use. */
export interface SnapshotIdentity {
  readonly namespace: string;
  readonly analyzer: string;
  readonly model: string;
  readonly dimensions: number;
}

/** Some memories by row, id and time of creation, that tell whether the rows still are of the same store. */
export type SnapshotProof = readonly (readonly [row: number, id: string, createdAt: number])[];

interface Header extends SnapshotIdentity {
  readonly cursor: string;
  readonly knowsTiers: boolean;
  readonly proof: SnapshotProof;
  readonly threads: { readonly names: readonly string[]; readonly uses: readonly number[] };
  readonly speakers: { readonly names: readonly string[]; readonly uses: readonly number[] };
  readonly totals: KindTotals[];
  /** Sealed parts of the postings, and of the labels. */
  readonly parts: number;
  readonly labelParts: number;
  /** Arrays in order, each aligned to 16 bytes from the header's end. */
  readonly sections: readonly { readonly name: string; readonly type: ArrayType; readonly length: number }[];
  readonly slots: number;
  /** Slots that have a sketch. */
  readonly sketched: number;
}

const arrayTypes = { f64: Float64Array, u32: Uint32Array, u16: Uint16Array, u8: Uint8Array };
type ArrayType = keyof typeof arrayTypes;
type SectionArray = Float64Array | Uint32Array | Uint16Array | Uint8Array;

/** "STRX" and the version of the layout; arrays are little-endian, as every machine that runs Node is. */
const magic = 0x58525453;
const layout = 4;
/** magic, layout, bytes of the header, crc32 of the header. */
const prologueBytes = 16;

/** Words, and what filters ask for. */
type PostingKind = "postings" | "labels";

/** A section on its way into a snapshot. */
interface Section {
  readonly name: string;
  readonly type: ArrayType;
  readonly length: number;
  readonly pieces: () => Iterable<Uint8Array | Promise<Uint8Array>>;
}

/** How much an index may take before its postings are left in a file. */
export interface IndexRoom {
  readonly maxBytes: number;
  readonly files: PostingFiles | undefined;
}

/**
 * An index as bytes: a prologue, a header in JSON, arrays to be viewed in place, sketches, vectors, a checksum. Lent
 * piece by piece, each to be used before the next is asked for; between two pieces the index may be used and changed,
 * but not tended. Its postings are sealed. The bytes are of the state in which the first piece was asked for.
 */
export async function* encodeSnapshot(
  index: NamespaceIndex,
  identity: SnapshotIdentity,
  proof: SnapshotProof,
): AsyncGenerator<Uint8Array> {
  const slots = index.columns.size;
  const { arrays } = index.columns;
  const parts = index.postings.sealed;
  const labelParts = index.labels.sealed;
  const { vectors } = index;
  const sections: Section[] = [
    ...columnNames.map((name) => arraySection(name, arrays[name].subarray(0, slots))),
    arraySection("live", index.live.slice(0, slots)),
    ...sectionsOf("postings", parts),
    ...sectionsOf("labels", labelParts),
  ];
  const header: Header = {
    ...identity,
    cursor: index.cursor ?? "",
    knowsTiers: index.knowsTiers,
    proof,
    threads: { names: index.threads.written, uses: index.threads.uses },
    speakers: { names: index.speakers.written, uses: index.speakers.uses },
    totals: index.totals,
    parts: parts.length,
    labelParts: labelParts.length,
    sections: sections.map(({ name, type, length }) => ({ name, type, length })),
    slots,
    sketched: Math.min(slots, vectors.sketched),
  };
  const text = Buffer.from(JSON.stringify(header));
  const prologue = new DataView(new ArrayBuffer(prologueBytes));
  prologue.setUint32(0, magic, true);
  prologue.setUint32(4, layout, true);
  prologue.setUint32(8, text.length, true);
  prologue.setUint32(12, crc32(text), true);
  let checksum = 0;
  const checked = (piece: Uint8Array): Uint8Array => {
    checksum = crc32(piece, checksum);
    return piece;
  };
  yield checked(new Uint8Array(prologue.buffer));
  yield checked(padded(text));
  for (const { pieces } of sections) {
    for (const piece of pieces()) yield checked(padded(await piece));
  }
  const { sketched } = header;
  for (const [from, to] of slices(sketched, vectors.sketchBytes)) {
    yield checked(padded(vectors.sketchesAt(from, to).slice()));
  }
  for (const [from, to] of slices(slots, vectors.rowBytes)) yield checked(vectors.rowsAt(from, to));
  const trailer = new DataView(new ArrayBuffer(trailerBytes));
  trailer.setUint32(0, checksum, true);
  yield new Uint8Array(trailer.buffer);
}

/**
 * The parts of an index, or undefined when the bytes are damaged, torn, of another layout, model, analyzer or
 * namespace. Read slice by slice, so that nothing waits for long.
 * @param vectors Empty; filled here, and released when the bytes are of no use.
 * @param room What it may take; more postings go to files, closed when the bytes are of no use.
 */
export async function decodeSnapshot(
  source: ByteSource,
  identity: SnapshotIdentity,
  vectors: VectorRows,
  room: IndexRoom = { maxBytes: Number.POSITIVE_INFINITY, files: undefined },
): Promise<(IndexParts & { readonly proof: SnapshotProof }) | undefined> {
  const reader = new CheckedReader(source);
  const opened: PartFile[] = [];
  let whole = false;
  try {
    const parts = await readParts(reader, source.size, identity, vectors, room, opened);
    whole = parts !== undefined && (await reader.endsWell());
    return whole ? parts : undefined;
  } catch (error) {
    if (error instanceof TornSource) return undefined;
    throw error;
  } finally {
    if (!whole) {
      vectors.release();
      await Promise.all(opened.map((file) => file.close()));
    }
  }
}

async function readParts(
  reader: CheckedReader,
  size: number,
  identity: SnapshotIdentity,
  vectors: VectorRows,
  room: IndexRoom,
  opened: PartFile[],
): Promise<(IndexParts & { readonly proof: SnapshotProof }) | undefined> {
  const prologue = new DataView(new ArrayBuffer(prologueBytes));
  await reader.fill(new Uint8Array(prologue.buffer));
  if (prologue.getUint32(0, true) !== magic || prologue.getUint32(4, true) !== layout) return undefined;
  const headerBytes = prologue.getUint32(8, true);
  if (prologueBytes + headerBytes > size) return undefined;
  const text = Buffer.alloc(aligned(headerBytes));
  await reader.fill(text);
  if (crc32(text.subarray(0, headerBytes)) !== prologue.getUint32(12, true)) return undefined;
  const header = parseHeader(text.toString("utf8", 0, headerBytes), identity);
  if (!header || prologueBytes + text.length + bodyBytes(header, vectors) + trailerBytes !== size) {
    return undefined;
  }

  const arrays = new Map<string, SectionArray>();
  const runs: Record<PostingKind, PostingRun[]> = { postings: [], labels: [] };
  const postingBytes = header.sections
    .filter(({ name }) => name.startsWith("postings."))
    .reduce((sum, { type, length }) => sum + length * arrayTypes[type].BYTES_PER_ELEMENT, 0);
  const { files } = room;
  const filing = size > room.maxBytes && postingBytes > room.maxBytes * leastPostings ? files : undefined;
  for (const group of Object.values(Object.groupBy(header.sections, ({ name }) => groupOf(name)))) {
    const name = groupOf(group![0]!.name);
    const kind = name.slice(0, name.indexOf(".")) as PostingKind;
    if (filing && kind === "postings") {
      const file = await filing.open();
      opened.push(file);
      runs.postings.push(await readFiled(reader, group!, file, name));
      continue;
    }
    await readArrays(reader, group!, arrays);
    if (name === "columns") continue;
    const columns = partColumns.map((column) => [column, arrays.get(`${name}.${column}`)!]);
    runs[kind].push(Object.fromEntries(columns) as PostingRun);
  }
  const columns = Object.fromEntries(columnNames.map((name) => [name, arrays.get(name)!]));
  const live = arrays.get("live") as Uint8Array;
  const lent = reader.readsNow
    ? sliceBytes
    : Math.min(readAhead * sliceBytes, header.slots * vectors.rowBytes);
  const slice = new Uint8Array(aligned(lent));
  for (const [from, to] of slices(header.sketched, vectors.sketchBytes)) {
    const bytes = slice.subarray(0, aligned((to - from) * vectors.sketchBytes));
    await reader.fill(bytes);
    vectors.appendSketches(bytes.subarray(0, (to - from) * vectors.sketchBytes), header.sketched);
  }
  const states = arrays.get("vectors")!;
  vectors.reserve(header.slots);
  for (const [from, to] of slices(header.slots, vectors.rowBytes, readAhead)) {
    const marks = live.slice(from, to);
    for (let i = 0; i < marks.length; i++) if (states[from + i] !== vectorStates.ours) marks[i] = 0;
    if (reader.readsNow) {
      vectors.appendInPlace(marks, (rows) => reader.fillNow(rows));
      continue;
    }
    const rows = slice.subarray(0, (to - from) * vectors.rowBytes);
    await reader.fill(rows);
    vectors.append(rows, marks);
  }
  return {
    cursor: header.cursor,
    knowsTiers: header.knowsTiers,
    proof: header.proof,
    columns: new Columns(columns as unknown as ColumnArrays),
    live,
    postings: new Postings(runs.postings, files),
    labels: new Postings(runs.labels),
    vectors,
    threads: new NameTable(header.threads.names, header.threads.uses),
    speakers: new NameTable(header.speakers.names, header.speakers.uses),
    totals: header.totals,
  };
}

function arraySection(name: string, array: SectionArray): Section {
  return { name, type: typeOf(array), length: array.length, pieces: () => arraySlices(array) };
}

function sectionsOf(kind: PostingKind, parts: readonly PostingRun[]): Section[] {
  return parts.flatMap((part, at) =>
    partColumns.map((column): Section => {
      const name = `${kind}.${at}.${column}`;
      if (!(part instanceof FiledPart)) return arraySection(name, part[column]);
      const type = bytesPerNumber(column) === 2 ? "u16" : "u32";
      const { lengths } = part.layout;
      return { name, type, length: lengths[column], pieces: () => columnSlices(part, column, sliceBytes) };
    }),
  );
}

/** Sections of one group are kept in one buffer: all columns, each part of the postings and of the labels. */
function groupOf(name: string): string {
  return name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : "columns";
}

async function readArrays(
  reader: CheckedReader,
  sections: Header["sections"],
  arrays: Map<string, SectionArray>,
): Promise<void> {
  const sizes = sections.map(({ type, length }) => aligned(length * arrayTypes[type].BYTES_PER_ELEMENT));
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + size, 0));
  await reader.fill(bytes);
  let at = 0;
  sections.forEach(({ name, type, length }, index) => {
    arrays.set(name, new arrayTypes[type](bytes.buffer, at, length));
    at += sizes[index]!;
  });
}

/** Moves a part of the postings into a file, slice by slice. */
async function readFiled(
  reader: CheckedReader,
  sections: Header["sections"],
  file: PartFile,
  key: string,
): Promise<FiledPart> {
  const lengths = Object.fromEntries(sections.map(({ length }, at) => [partColumns[at]!, length]));
  const layout = layOut(lengths as PartLayout["lengths"]);
  const slice = new Uint8Array(readAhead * sliceBytes);
  for (const [at, { type, length }] of sections.entries()) {
    const place = layout.places[partColumns[at]!];
    const bytes = aligned(length * arrayTypes[type].BYTES_PER_ELEMENT);
    for (let from = 0; from < bytes; from += slice.length) {
      const piece = slice.subarray(0, Math.min(slice.length, bytes - from));
      await reader.fill(piece);
      await file.write(piece, place + from);
    }
  }
  return new FiledPart(file, layout, await readFirsts(file, layout), key);
}

function* arraySlices(array: SectionArray): Generator<Uint8Array> {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  for (let at = 0; at < bytes.length; at += sliceBytes) {
    yield bytes.subarray(at, Math.min(bytes.length, at + sliceBytes));
  }
}

/** Runs of so many things of a size that each is at most a slice. */
function* slices(count: number, size: number, times = 1): Generator<readonly [from: number, to: number]> {
  const step = Math.max(1, Math.floor((times * sliceBytes) / size));
  for (let from = 0; from < count; from += step) yield [from, Math.min(count, from + step)];
}

function bodyBytes(header: Header, vectors: VectorRows): number {
  let bytes = header.slots * vectors.rowBytes;
  for (const { type, length } of header.sections) {
    bytes += aligned(length * arrayTypes[type].BYTES_PER_ELEMENT);
  }
  for (const [from, to] of slices(header.sketched, vectors.sketchBytes)) {
    bytes += aligned((to - from) * vectors.sketchBytes);
  }
  return bytes;
}

/** The header, unless it is no JSON or of something else. */
function parseHeader(text: string, identity: SnapshotIdentity): Header | undefined {
  const header = JSON.parse(text) as Header;
  const agrees =
    header.namespace === identity.namespace &&
    header.analyzer === identity.analyzer &&
    header.model === identity.model &&
    header.dimensions === identity.dimensions;
  return agrees ? header : undefined;
}

function typeOf(array: SectionArray): ArrayType {
  if (array instanceof Float64Array) return "f64";
  if (array instanceof Uint32Array) return "u32";
  return array instanceof Uint16Array ? "u16" : "u8";
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / 16) * 16;
}

function padded(bytes: Uint8Array): Uint8Array {
  if (bytes.length === aligned(bytes.length)) return bytes;
  const whole = new Uint8Array(aligned(bytes.length));
  whole.set(bytes);
  return whole;
}
