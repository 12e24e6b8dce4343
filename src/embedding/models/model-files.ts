import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { crc32 } from "node:zlib";
import { StrataError } from "../../contract/errors.ts";

/** A file of a model, as its manifest tells it. */
export interface ModelFile {
  readonly file: string;
  readonly bytes: number;
  /** CRC-32 (ISO 3309), eight hexadecimal digits: enough against a torn or foreign file, and read at every start. */
  readonly crc32: string;
}

/** `manifest.json` in a model's folder. */
export interface ModelManifest {
  readonly name: string;
  readonly table: ModelFile;
  readonly vocabulary: ModelFile;
}

const manifestFile = "manifest.json";
const shippedFolder = join("models", "builtin");
const sliceBytes = 1 << 20;

/**
 * Folder of the shipped model: `models/builtin` of the nearest folder above this file that has one, so that it is found
 * from the sources and from wherever a bundler puts the code inside the package.
 * @throws MODEL_NOT_FOUND
 */
export function shippedModelFolder(): string {
  let above = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const folder = join(above, shippedFolder);
    if (existsSync(join(folder, manifestFile))) return folder;
    if (dirname(above) === above) throw notFound(join(shippedFolder, manifestFile));
    above = dirname(above);
  }
}

/** @throws MODEL_NOT_FOUND, FILE_UNREADABLE */
export function readManifest(folder: string): ModelManifest {
  try {
    return parseManifest(readFileSync(join(folder, manifestFile), "utf8"));
  } catch (error) {
    throw isMissing(error) ? notFound(manifestFile) : error;
  }
}

function parseManifest(text: string): ModelManifest {
  let manifest: Partial<ModelManifest> | null;
  try {
    manifest = JSON.parse(text);
  } catch (cause) {
    throw new StrataError("FILE_UNREADABLE", `Expected JSON in the model's ${manifestFile}.`, { cause });
  }
  const { name, table, vocabulary } = manifest ?? {};
  if (typeof name === "string" && isModelFile(table) && isModelFile(vocabulary))
    return { name, table, vocabulary };
  throw new StrataError(
    "FILE_UNREADABLE",
    `Expected name, table and vocabulary (each file, bytes, crc32) in the model's ${manifestFile}.`,
  );
}

function isModelFile(value: ModelFile | undefined): value is ModelFile {
  return (
    typeof value?.file === "string" && Number.isSafeInteger(value.bytes) && /^[0-9a-f]{8}$/.test(value.crc32)
  );
}

/**
 * Reads a file of a model and checks it against its manifest.
 * @param into As many bytes as the file has; default fresh memory, which they start.
 * @throws MODEL_NOT_FOUND, CHECKSUM_MISMATCH
 */
export async function readModelFile(
  folder: string,
  expected: ModelFile,
  into?: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array> {
  const bytes = into ?? new Uint8Array(expected.bytes);
  let checksum = 0;
  try {
    await using handle = await open(join(folder, expected.file));
    const { size } = await handle.stat();
    if (size !== expected.bytes) throw mismatch(expected, `${size} bytes`);
    // All slices at once: fresh memory costs more time than reading, and the thread pool's threads share it. One slice
    // is checked here while they read the others.
    const starts = Array.from({ length: Math.ceil(size / sliceBytes) }, (_, index) => index * sliceBytes);
    const slices = starts.map((start) => readSlice(handle, bytes, start, Math.min(size, start + sliceBytes)));
    try {
      for (const slice of slices) checksum = crc32(await slice, checksum);
    } finally {
      // The file is closed only when nobody reads it any more.
      await Promise.allSettled(slices);
    }
  } catch (error) {
    throw isMissing(error) ? notFound(expected.file) : error;
  }
  const found = checksum.toString(16).padStart(8, "0");
  if (found !== expected.crc32) throw mismatch(expected, `checksum ${found}`);
  return bytes;
}

/** A file of a model that is open for reading some of it. */
export interface OpenModelFile {
  readonly bytes: number;
  /** Fills `into` with what stands from `offset` on. @throws CHECKSUM_MISMATCH The file has become shorter. */
  readonly read: (into: Uint8Array, offset: number) => void;
  /** Idempotent. */
  readonly close: () => void;
}

/**
 * Opens a file of a model to read some of it, on the spot. Its size is checked against the manifest; its checksum,
 * which takes all of it, is not.
 * @throws MODEL_NOT_FOUND, CHECKSUM_MISMATCH
 */
export function openModelFile(folder: string, expected: ModelFile): OpenModelFile {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(join(folder, expected.file), "r");
  } catch (error) {
    throw isMissing(error) ? notFound(expected.file) : error;
  }
  const file: OpenModelFile = {
    bytes: expected.bytes,
    read(into, offset) {
      for (let at = 0; at < into.length; ) {
        const read = readSync(descriptor!, into, at, into.length - at, offset + at);
        if (read === 0) throw mismatch(expected, `${offset + at} bytes`);
        at += read;
      }
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
    },
  };
  const { size } = fstatSync(descriptor);
  if (size === expected.bytes) return file;
  file.close();
  throw mismatch(expected, `${size} bytes`);
}

/** Fills `bytes` from `start` to `end` with what stands there in the file; what is missing stays zero. */
async function readSlice(
  handle: FileHandle,
  bytes: Uint8Array,
  start: number,
  end: number,
): Promise<Uint8Array> {
  for (let at = start; at < end; ) {
    const { bytesRead } = await handle.read(bytes, at, end - at, at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(start, end);
}

function mismatch(expected: ModelFile, found: string): StrataError {
  return new StrataError(
    "CHECKSUM_MISMATCH",
    `Expected ${expected.file} of ${expected.bytes} bytes with checksum ${expected.crc32}, got ${found}. Install the package again, or make the model again with its manifest.`,
    { details: { file: expected.file } },
  );
}

function notFound(file: string): StrataError {
  return new StrataError(
    "MODEL_NOT_FOUND",
    `Expected the built-in model's file ${file}, found none. Install the package again; a bundle must carry the package's models/builtin folder or name one as "folder".`,
    { details: { file } },
  );
}

function isMissing(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return code === "ENOENT" || code === "ENOTDIR";
}
