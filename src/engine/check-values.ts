import { suggestion } from "../config/nearest-name.ts";
import { StrataError } from "../contract/errors.ts";
import { type Json, type Metadata, maxTags } from "../contract/memory.ts";
import { isTier, type Tier, tiers } from "../contract/tier.ts";

/** A moment: a Date, milliseconds since 1970, or ISO 8601 text; without a zone it is read as UTC. */
export type Time = Date | number | string;

/** Longest content of one memory, in UTF-16 units: longer text is a document. */
export const maxContentLength = 65_536;
/** Most bytes of a memory's metadata as JSON. */
const maxMetadataBytes = 65_536;
const maxNameLength = 256;

function invalid(message: string, argument: string): StrataError {
  return new StrataError("INVALID_ARGUMENT", message, { details: { argument } });
}

/** How a value looks in an error, without telling it. */
function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/**
 * Checks that options are an object with known names only.
 * @throws INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export function checkOptions<T extends object>(
  options: T | undefined,
  known: readonly string[],
  verb: string,
): Partial<T> {
  if (options === undefined) return {};
  if (options === null || typeof options !== "object" || Array.isArray(options)) {
    throw invalid(`${verb} expected its options as an object, got ${typeOf(options)}.`, "options");
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw new StrataError(
        "UNKNOWN_OPTION",
        `${verb} has no option "${name}"${suggestion(name, known) || "."}`,
        {
          details: { option: name },
        },
      );
    }
  }
  return options;
}

/** @throws INVALID_ARGUMENT, EMPTY_TEXT, TEXT_TOO_LARGE */
export function checkContent(value: unknown): string {
  if (typeof value !== "string")
    throw invalid(`Expected the text of a memory as a string, got ${typeOf(value)}.`, "content");
  if (value.length > maxContentLength) {
    throw new StrataError(
      "TEXT_TOO_LARGE",
      `A memory holds at most ${maxContentLength} characters, got ${value.length}: ingest it as a document instead.`,
      { details: { length: value.length } },
    );
  }
  if (value.trim() === "")
    throw new StrataError("EMPTY_TEXT", "Expected a text, got one that is empty or only white space.");
  if (!value.isWellFormed())
    throw new StrataError(
      "INVALID_UTF8",
      "The text holds half a surrogate pair and cannot be stored as UTF-8.",
    );
  return value;
}

/** @throws INVALID_ARGUMENT */
export function checkQuestion(value: unknown): string {
  if (typeof value !== "string")
    throw invalid(`Expected the question as a string, got ${typeOf(value)}.`, "question");
  return value.toWellFormed();
}

/** @throws UNKNOWN_TIER */
export function checkTier(value: unknown): Tier {
  if (isTier(value)) return value;
  const hint = typeof value === "string" ? suggestion(value, tiers) : "";
  throw new StrataError("UNKNOWN_TIER", `Expected a tier (${tiers.join(", ")})${hint || "."}`);
}

/** @throws INVALID_IMPORTANCE */
export function checkImportance(value: unknown): number {
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  const got = typeof value === "number" ? String(value) : typeOf(value);
  throw new StrataError("INVALID_IMPORTANCE", `Expected importance as a number from 0 to 1, got ${got}.`);
}

/** A short name: id, tag, thread, speaker, key. @throws INVALID_ARGUMENT */
export function checkName(value: unknown, argument: string): string {
  const fits = typeof value === "string" && value.trim() !== "" && value.length <= maxNameLength;
  if (fits && !/\p{Cc}/u.test(value) && value.isWellFormed()) return value;
  throw invalid(
    `Expected ${argument} as 1 to ${maxNameLength} characters without control characters.`,
    argument,
  );
}

/** @throws INVALID_ARGUMENT */
export function checkTags(value: unknown): readonly string[] {
  if (!Array.isArray(value))
    throw invalid(`Expected tags as an array of strings, got ${typeOf(value)}.`, "tags");
  if (value.length > maxTags) throw invalid(`Expected at most ${maxTags} tags, got ${value.length}.`, "tags");
  return [...new Set(value.map((tag) => checkName(tag, "each tag")))];
}

function isJson(value: unknown): value is Json {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return false;
  if (Array.isArray(value)) return value.every(isJson);
  const plain = Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null;
  return plain && Object.values(value).every(isJson);
}

/** @throws INVALID_ARGUMENT */
export function checkMetadata(value: unknown): Metadata {
  let fits = false;
  try {
    fits = typeof value === "object" && value !== null && !Array.isArray(value) && isJson(value);
  } catch {
    // A structure that contains itself ends in a stack overflow; it is not JSON either.
  }
  if (!fits) throw invalid("Expected metadata as a plain object of JSON values.", "metadata");
  const bytes = Buffer.byteLength(JSON.stringify(value));
  if (bytes > maxMetadataBytes)
    throw invalid(
      `Expected metadata of at most ${maxMetadataBytes} bytes as JSON, got ${bytes}.`,
      "metadata",
    );
  return value as Metadata;
}

/** Milliseconds since 1970. @throws INVALID_ARGUMENT */
export function checkTime(value: unknown, argument: string): number {
  const time = value instanceof Date ? value.getTime() : typeof value === "string" ? parseTime(value) : value;
  // The range of a JavaScript date.
  if (typeof time === "number" && Math.abs(time) <= 8.64e15) return Math.trunc(time);
  throw invalid(`Expected ${argument} as a Date, milliseconds since 1970, or ISO 8601 text.`, argument);
}

function parseTime(text: string): number {
  if (!/^\d{4}-\d{2}(-\d{2})?/.test(text)) return Number.NaN;
  const zoneless = /T\d{2}:\d{2}(:\d{2}(\.\d+)?)?$/.test(text);
  return Date.parse(zoneless ? `${text}Z` : text);
}

/** @throws INVALID_ARGUMENT */
export function checkFlag(value: unknown, argument: string): boolean {
  if (typeof value === "boolean") return value;
  throw invalid(`Expected ${argument} as true or false, got ${typeOf(value)}.`, argument);
}

/** A whole number in a range. @throws INVALID_ARGUMENT */
export function checkCount(value: unknown, argument: string, minimum: number, maximum: number): number {
  if (Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum)
    return value as number;
  throw invalid(`Expected ${argument} as a whole number from ${minimum} to ${maximum}.`, argument);
}

/** A number from 0 to 1. @throws INVALID_ARGUMENT */
export function checkShare(value: unknown, argument: string): number {
  if (typeof value === "number" && value >= 0 && value <= 1) return value;
  throw invalid(`Expected ${argument} as a number from 0 to 1.`, argument);
}

/** @throws INVALID_ARGUMENT */
export function checkIds(ids: unknown): readonly string[] {
  if (!Array.isArray(ids)) throw invalid(`Expected ids as an array of strings, got ${typeOf(ids)}.`, "ids");
  return ids.map((id) => checkName(id, "each id"));
}

/** Longest `uri` of a document: the longest path of the common systems. */
const maxUriLength = 4_096;

/** @throws INVALID_ARGUMENT */
export function checkUri(value: unknown): string {
  if (typeof value === "string" && value !== "" && value.length <= maxUriLength && !value.includes("\0"))
    return value;
  throw invalid(`Expected the name of a document as 1 to ${maxUriLength} characters.`, "document");
}
