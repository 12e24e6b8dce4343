import { createHash } from "node:crypto";
import { StrataError } from "../contract/errors.ts";
import type { Memory, StoredDocument, StoredVector } from "../contract/memory.ts";

/** Version of the format; a reader refuses a newer one. */
export const formatVersion = 1;

/** A memory or chunk with what the store knows of it; the vector as {@link encodeVector} writes it. */
export type MemoryLine = { readonly type: "memory" | "chunk"; readonly vector?: string } & Memory;
export type DocumentLine = { readonly type: "document" } & StoredDocument;
export interface EndLine {
  readonly type: "end";
  readonly memories: number;
  readonly documents: number;
  readonly sha256: string;
}
export type Line =
  | MemoryLine
  | DocumentLine
  | EndLine
  | { readonly type: "strata-export"; readonly version: number };

/** Little-endian float16, Base64: what the store keeps. */
export function encodeVector(vector: StoredVector): string {
  return Buffer.from(Float16Array.from(vector.values).buffer).toString("base64");
}

/** What {@link encodeVector} wrote. */
export function decodeVector(model: string, text: string): StoredVector {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return { model, values: Float32Array.from(new Float16Array(bytes.buffer)) };
}

/**
 * Reads what `export` wrote and tells whether it is whole.
 * @throws CHECKSUM_MISMATCH, FILE_UNREADABLE
 */
export async function verifyExport(lines: AsyncIterable<string> | Iterable<string>): Promise<void> {
  for await (const _ of checkedLines(lines)) {
    // The reader checks as it goes.
  }
}

/** Parses lines and holds head, counts and checksum to what was written. */
export async function* checkedLines(
  lines: AsyncIterable<string> | Iterable<string>,
): AsyncGenerator<MemoryLine | DocumentLine> {
  const sum = createHash("sha256");
  const counts = { memories: 0, documents: 0 };
  let number = 0;
  let ended = false;
  for await (const text of lines) {
    const source = text.replace(/\r?\n$/, "");
    number += 1;
    if (source === "" || ended) continue;
    const line = parseLine(source, number);
    if (number === 1) checkHead(line);
    else if (line.type === "end") {
      const whole =
        line.sha256 === sum.digest("hex") &&
        line.memories === counts.memories &&
        line.documents === counts.documents;
      if (!whole) throw mismatch("its last line's checksum or counts differ from what stands before it");
      ended = true;
      continue;
    } else if (line.type === "document") counts.documents += 1;
    else counts.memories += 1;
    sum.update(`${source}\n`);
    if (line.type === "memory" || line.type === "chunk" || line.type === "document") yield line;
  }
  if (!ended) throw mismatch("its last line is missing: it was cut off");
}

function mismatch(what: string): StrataError {
  return new StrataError(
    "CHECKSUM_MISMATCH",
    `Expected a whole export, but ${what}. Export again, or get the file again.`,
  );
}

function parseLine(source: string, number: number): Line {
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch {
    // Told below, without the text.
  }
  const type = typeof value === "object" && value !== null ? Reflect.get(value, "type") : undefined;
  if (["strata-export", "memory", "chunk", "document", "end"].includes(String(type))) return value as Line;
  throw new StrataError("FILE_UNREADABLE", `Line ${number} is not one that "strata export" writes.`, {
    details: { line: number },
  });
}

function checkHead(line: Line): void {
  if (line.type === "strata-export" && line.version <= formatVersion) return;
  throw new StrataError(
    "FILE_UNREADABLE",
    `Expected an export of format ${formatVersion} or older to begin with its head.`,
  );
}
