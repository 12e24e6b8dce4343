import { closeSync, openSync, readSync } from "node:fs";

/** A page's newer state in the write-ahead log. */
export interface LogFrame {
  readonly page: number;
  /** Pages of the database after the transaction this frame ends; 0: it ends none. */
  readonly commit: number;
  /** Where the page begins in the file. */
  readonly offset: number;
  /** Its checksum follows from its bytes and the frame before it. */
  readonly whole: boolean;
}

export interface LogFrames {
  readonly pageSize: number;
  /** Of transactions that were committed. Frames that were never committed are left out. */
  readonly frames: readonly LogFrame[];
  /** Committed frames from the first damaged one on, of which SQLite itself would tell nothing. */
  readonly hidden: number;
}

const headerBytes = 32;
const frameHeaderBytes = 24;
/** Frames read at once: a megabyte of usual ones. */
const framesAtOnce = 256;

/**
 * The committed frames of a write-ahead log, in order (SQLite's file format, section 4). SQLite stops at the first frame
 * that is damaged and forgets what follows; here each frame is checked against the checksum that the one before it
 * carries, so that what follows is found.
 *
 * A damaged frame is told from the remains of a transaction that a killed process had begun by what stands before it: such
 * remains follow a whole transaction, and are left out as SQLite leaves them out.
 * @returns Undefined when there is no log, or one whose header tells nothing.
 */
export function readLogFrames(path: string): LogFrames | undefined {
  const file = openIfThere(path);
  if (file === undefined) return undefined;
  try {
    const header = Buffer.alloc(headerBytes);
    if (readSync(file, header, 0, headerBytes, 0) < headerBytes) return undefined;
    const magic = header.readUInt32BE(0);
    const pageSize = header.readUInt32BE(8);
    if ((magic | 1) >>> 0 !== 0x377f0683 || !(pageSize >= 512 && pageSize <= 65_536)) return undefined;
    return { pageSize, ...committed(readFrames(file, header, pageSize, (magic & 1) === 1)) };
  } finally {
    closeSync(file);
  }
}

/** Frames of the log's present generation: a log is written again from its start, over what is left of former ones. */
function readFrames(file: number, header: Buffer, pageSize: number, bigEndian: boolean): LogFrame[] {
  const salts = header.subarray(16, 24);
  const size = frameHeaderBytes + pageSize;
  const buffer = Buffer.alloc(size * framesAtOnce);
  const sumsOf = checksum(buffer, bigEndian);
  const found: LogFrame[] = [];
  let stored: Sums = [header.readUInt32BE(24), header.readUInt32BE(28)];
  let passed = false;
  for (let start = headerBytes; ; start += buffer.length) {
    const read = readSync(file, buffer, 0, buffer.length, start);
    for (let at = 0; at + size <= read; at += size) {
      const isOurs = buffer.subarray(at + 8, at + 16).equals(salts);
      // One damaged frame header is passed over; behind it the log goes on, or it ended there.
      if (!isOurs && (passed || found.length === 0)) return found;
      passed = !isOurs;
      const sums = sumsOf(at + frameHeaderBytes, pageSize, sumsOf(at, 8, stored));
      stored = [buffer.readUInt32BE(at + 16), buffer.readUInt32BE(at + 20)];
      found.push({
        page: buffer.readUInt32BE(at),
        commit: buffer.readUInt32BE(at + 4),
        offset: start + at + frameHeaderBytes,
        whole: isOurs && sums[0] === stored[0] && sums[1] === stored[1],
      });
    }
    if (read < buffer.length) return found;
  }
}

/** Sentence about a log that hides committed writes; undefined when it hides none. */
export function damageOfLog(path: string): string | undefined {
  const hidden = readLogFrames(`${path}-wal`)?.hidden ?? 0;
  if (hidden === 0) return undefined;
  return `the write-ahead log is damaged: ${hidden} of its pages, written by acknowledged writes, cannot be reached`;
}

function committed(found: readonly LogFrame[]): Pick<LogFrames, "frames" | "hidden"> {
  const firstDamaged = found.findIndex(({ whole }) => !whole);
  const upTo = (frames: readonly LogFrame[]) =>
    frames.slice(0, frames.findLastIndex(({ commit, whole }) => commit > 0 && whole) + 1);
  if (firstDamaged < 0) return { frames: upTo(found), hidden: 0 };
  const before = upTo(found.slice(0, firstDamaged));
  const frames = upTo(found);
  // Remains of a killed process, or nothing committed behind the damage.
  if (before.length === firstDamaged || frames.length <= firstDamaged) return { frames: before, hidden: 0 };
  return { frames, hidden: frames.length - before.length };
}

type Sums = readonly [number, number];

/** Sums of a run of the buffer, from those of what came before it. */
function checksum(buffer: Buffer, bigEndian: boolean) {
  const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  return (from: number, length: number, [first, second]: Sums): Sums => {
    let [s0, s1] = [first, second];
    for (let at = from; at < from + length; at += 8) {
      s0 = (s0 + view.getUint32(at, !bigEndian) + s1) >>> 0;
      s1 = (s1 + view.getUint32(at + 4, !bigEndian) + s0) >>> 0;
    }
    return [s0, s1];
  };
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch {
    return undefined;
  }
}
