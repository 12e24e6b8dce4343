import { crc32 } from "node:zlib";
import { type ColumnArrays, Columns, columnNames } from "./columns.ts";
import { NameTable } from "./name-table.ts";
import type { IndexParts, KindTotals, NamespaceIndex } from "./namespace-index.ts";
import { Postings } from "./postings.ts";
import { type Block, strideOf, type VectorMemory } from "./vector-memory.ts";

/** What must agree for a snapshot to be of use. */
export interface SnapshotIdentity {
  readonly namespace: string;
  readonly analyzer: string;
  readonly model: string;
  readonly dimensions: number;
}

/** Some memories by row, id and time of creation, that tell whether the rows still are of the same store. */
export type SnapshotProof = readonly (readonly [row: number, id: string, createdAt: number])[];

/** Where bytes come from. */
export interface ByteSource {
  readonly size: number;
  /** Fills `into` from `offset` on; false when there are not so many. */
  read(into: Uint8Array, offset: number): boolean;
}

interface Header extends SnapshotIdentity {
  readonly cursor: string;
  readonly proof: SnapshotProof;
  readonly threads: { readonly names: readonly string[]; readonly uses: readonly number[] };
  readonly speakers: { readonly names: readonly string[]; readonly uses: readonly number[] };
  readonly totals: KindTotals[];
  /** Arrays in order, each aligned to 16 bytes from the header's end. */
  readonly sections: readonly { readonly name: string; readonly type: ArrayType; readonly length: number }[];
  readonly vectorRows: number;
}

const arrayTypes = { f64: Float64Array, u32: Uint32Array, u16: Uint16Array, u8: Uint8Array };
type ArrayType = keyof typeof arrayTypes;
type SectionArray = Float64Array | Uint32Array | Uint16Array | Uint8Array;

/** "STRX" and the version of the layout; arrays are little-endian, as every machine that runs Node is. */
const magic = 0x58525453;
const layout = 1;
/** magic, layout, crc32 of all that follows, bytes of the header. */
const prologueBytes = 16;
const postingNames = ["units", "starts", "offsets", "slots", "counts"] as const;
/** Bytes checked or copied at a time. */
const sliceBytes = 1 << 20;

/**
 * A sealed index as bytes: a prologue, a header in JSON, arrays to be viewed in place, vectors last. Lent piece by
 * piece, each to be used before the next is asked for.
 */
export function* encodeSnapshot(
  index: NamespaceIndex,
  identity: SnapshotIdentity,
  proof: SnapshotProof,
  memory: VectorMemory,
): Generator<Uint8Array> {
  const sections: { name: string; array: SectionArray }[] = [
    ...columnNames.map((name) => ({ name, array: index.columns.arrays[name] })),
    ...postingNames.map((name) => ({ name: `postings.${name}`, array: index.postings.sealed[name] })),
  ];
  const header: Header = {
    ...identity,
    cursor: index.cursor ?? "",
    proof,
    threads: { names: index.threads.names, uses: index.threads.uses },
    speakers: { names: index.speakers.names, uses: index.speakers.uses },
    totals: index.totals,
    sections: sections.map(({ name, array }) => ({ name, type: typeOf(array), length: array.length })),
    vectorRows: index.columns.size,
  };
  const vectorBytes = header.vectorRows * strideOf(identity.dimensions) * 2;
  const body = function* (): Generator<Uint8Array> {
    const text = Buffer.from(JSON.stringify(header));
    yield padded(text);
    for (const { array } of sections)
      yield padded(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    for (let at = 0; at < vectorBytes; at += sliceBytes) {
      yield memory.view(index.vectors).slice(at, Math.min(vectorBytes, at + sliceBytes));
    }
  };
  let checksum = 0;
  for (const piece of body()) checksum = crc32(piece, checksum);
  const prologue = new DataView(new ArrayBuffer(prologueBytes));
  prologue.setUint32(0, magic, true);
  prologue.setUint32(4, layout, true);
  prologue.setUint32(8, checksum, true);
  prologue.setUint32(12, Buffer.byteLength(JSON.stringify(header)), true);
  yield new Uint8Array(prologue.buffer);
  yield* body();
}

/**
 * The parts of an index, or undefined when the bytes are damaged, torn, of another layout, model, analyzer or
 * namespace. Arrays are views of one buffer: nothing is done per memory.
 */
export function decodeSnapshot(
  source: ByteSource,
  identity: SnapshotIdentity,
  memory: VectorMemory,
): (IndexParts & { readonly proof: SnapshotProof }) | undefined {
  const start = new Uint8Array(prologueBytes);
  if (!source.read(start, 0)) return undefined;
  const prologue = new DataView(start.buffer);
  if (prologue.getUint32(0, true) !== magic || prologue.getUint32(4, true) !== layout) return undefined;
  const headerBytes = prologue.getUint32(12, true);
  if (prologueBytes + headerBytes > source.size) return undefined;
  const text = Buffer.alloc(aligned(headerBytes));
  if (!source.read(text, prologueBytes)) return undefined;
  let checksum = crc32(text);
  const header = parseHeader(text.toString("utf8", 0, headerBytes), identity);
  if (!header) return undefined;

  const arraysAt = prologueBytes + text.length;
  const arrayBytes = header.sections.reduce(
    (sum, { type, length }) => sum + aligned(length * arrayTypes[type].BYTES_PER_ELEMENT),
    0,
  );
  const vectorBytes = header.vectorRows * strideOf(identity.dimensions) * 2;
  if (arraysAt + arrayBytes + vectorBytes !== source.size) return undefined;
  const bytes = new Uint8Array(arrayBytes);
  if (!source.read(bytes, arraysAt)) return undefined;
  checksum = crc32(bytes, checksum);

  const vectors: Block = memory.allocate(vectorBytes);
  const rows = memory.view(vectors).subarray(0, vectorBytes);
  const whole = source.read(rows, arraysAt + arrayBytes);
  if (whole) checksum = crc32(rows, checksum);
  if (!whole || checksum !== prologue.getUint32(8, true)) {
    memory.release(vectors);
    return undefined;
  }
  return partsOf(header, bytes, vectors);
}

function partsOf(
  header: Header,
  bytes: Uint8Array<ArrayBuffer>,
  vectors: Block,
): IndexParts & { readonly proof: SnapshotProof } {
  const arrays = new Map<string, SectionArray>();
  let at = 0;
  for (const { name, type, length } of header.sections) {
    const Type = arrayTypes[type];
    arrays.set(name, new Type(bytes.buffer, bytes.byteOffset + at, length));
    at += aligned(length * Type.BYTES_PER_ELEMENT);
  }
  const columns = Object.fromEntries(columnNames.map((name) => [name, arrays.get(name)!]));
  const postings = Object.fromEntries(postingNames.map((name) => [name, arrays.get(`postings.${name}`)!]));
  return {
    cursor: header.cursor,
    proof: header.proof,
    columns: new Columns(columns as unknown as ColumnArrays),
    postings: new Postings(postings as unknown as Postings["sealed"]),
    vectors,
    threads: new NameTable(header.threads.names, header.threads.uses),
    speakers: new NameTable(header.speakers.names, header.speakers.uses),
    totals: header.totals,
  };
}

/** The header, unless it is no JSON or of something else. Its figures are trusted only once the checksum agrees. */
function parseHeader(text: string, identity: SnapshotIdentity): Header | undefined {
  try {
    const header = JSON.parse(text) as Header;
    const agrees =
      header.namespace === identity.namespace &&
      header.analyzer === identity.analyzer &&
      header.model === identity.model &&
      header.dimensions === identity.dimensions;
    const sized =
      Number.isSafeInteger(header.vectorRows) &&
      header.sections.every(({ type, length }) => type in arrayTypes && Number.isSafeInteger(length));
    return agrees && sized ? header : undefined;
  } catch {
    return undefined;
  }
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
