import { promisify } from "node:util";
import { inflateRaw } from "node:zlib";
import { StrataError } from "../../contract/errors.ts";

/** One entry of a ZIP archive, as its central directory lists it. */
export interface ZipEntry {
  readonly name: string;
  readonly encrypted: boolean;
  /** 0 stored, 8 deflated. */
  readonly method: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  /** Where its local header starts. */
  readonly offset: number;
}

const inflate = promisify(inflateRaw);
const endSignature = 0x06054b50;
const entrySignature = 0x02014b50;
const endLength = 22;
const entryLength = 46;
const localLength = 30;

/**
 * Entries of an archive, in the order of its central directory (PKWARE APPNOTE 4.3.12, 4.3.16).
 * @throws FILE_UNREADABLE
 */
export function zipEntries(bytes: Uint8Array, name: string): ZipEntry[] {
  try {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const end = endOfDirectory(view);
    const count = view.readUInt16LE(end + 10);
    let at = view.readUInt32LE(end + 16);
    const entries: ZipEntry[] = [];
    for (let index = 0; index < count; index += 1) {
      if (view.readUInt32LE(at) !== entrySignature) throw new RangeError("no entry where one is listed");
      const nameLength = view.readUInt16LE(at + 28);
      entries.push({
        name: view.toString("utf8", at + entryLength, at + entryLength + nameLength),
        encrypted: (view.readUInt16LE(at + 8) & 1) === 1,
        method: view.readUInt16LE(at + 10),
        compressedBytes: view.readUInt32LE(at + 20),
        bytes: view.readUInt32LE(at + 24),
        offset: view.readUInt32LE(at + 42),
      });
      at += entryLength + nameLength + view.readUInt16LE(at + 30) + view.readUInt16LE(at + 32);
    }
    return entries;
  } catch (cause) {
    throw damaged(name, cause);
  }
}

/**
 * Bytes of one entry, never more than its directory promises.
 * @throws FILE_UNREADABLE
 */
export async function readZipEntry(bytes: Uint8Array, entry: ZipEntry, name: string): Promise<Uint8Array> {
  try {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    const header = entry.offset + localLength;
    const start = header + view.readUInt16LE(entry.offset + 26) + view.readUInt16LE(entry.offset + 28);
    const data = view.subarray(start, start + entry.compressedBytes);
    return entry.method === 0 ? data : await inflate(data, { maxOutputLength: Math.max(1, entry.bytes) });
  } catch (cause) {
    throw damaged(name, cause);
  }
}

function endOfDirectory(view: Buffer): number {
  // A comment of at most 65,535 bytes may follow the record.
  const first = Math.max(0, view.length - endLength - 0xffff);
  for (let at = view.length - endLength; at >= first; at -= 1) {
    if (view.readUInt32LE(at) === endSignature) return at;
  }
  throw new RangeError("no end of central directory");
}

function damaged(name: string, cause: unknown): StrataError {
  return new StrataError("FILE_UNREADABLE", `${name} starts like a ZIP archive but is damaged.`, {
    cause,
    details: { name },
  });
}
