import { StrataError } from "./errors.ts";
import type { Metadata } from "./memory.ts";
import type { Tier } from "./tier.ts";

/** What a call may see: one namespace. Nothing crosses it. */
export interface Scope {
  readonly namespace: string;
}

/** Which memories a call is about; every given field must match. Times are milliseconds since 1970. */
export interface MemoryFilter {
  readonly ids?: readonly string[] | undefined;
  readonly tiers?: readonly Tier[] | undefined;
  /** The memory carries all of these. */
  readonly tags?: readonly string[] | undefined;
  /** Event time (`at`, else `createdAt`) at or after. */
  readonly after?: number | undefined;
  /** Event time (`at`, else `createdAt`) before. */
  readonly before?: number | undefined;
  readonly minImportance?: number | undefined;
  readonly thread?: string | undefined;
  readonly speaker?: string | undefined;
  /** Chunks of this document, by its `uri`. */
  readonly document?: string | undefined;
  /** Every given key has exactly this value at the top level of the memory's (for a chunk: its own, then its document's) metadata. */
  readonly metadata?: Metadata | undefined;
  readonly pinned?: boolean | undefined;
}

/** Longest namespace, in UTF-16 units. */
const maxNamespaceLength = 256;

/**
 * Returns the namespace when it is one: 1 to 256 characters, none of them white space or a control character.
 * @throws INVALID_ARGUMENT
 */
export function checkNamespace(value: unknown): string {
  if (typeof value === "string" && /^[^\s\p{Cc}\p{Cs}]+$/u.test(value) && value.length <= maxNamespaceLength)
    return value;
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Expected a namespace of 1 to ${maxNamespaceLength} characters without white space or control characters.`,
    { details: { argument: "namespace" } },
  );
}
