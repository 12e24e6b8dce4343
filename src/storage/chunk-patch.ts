import { StrataError } from "../contract/errors.ts";
import type { EntryPatch } from "../contract/memory-store.ts";

/** @throws CHUNK_IMMUTABLE when a patch changes what only ingesting the document again may change. */
export function assertChunkPatch(patch: EntryPatch): void {
  const fields = (["content", "vector", "at", "thread", "speaker"] as const).filter(
    (field) => patch[field] !== undefined,
  );
  if (fields.length === 0) return;
  throw new StrataError(
    "CHUNK_IMMUTABLE",
    `Expected a change of tier, importance, pin, tags or metadata; got ${fields.join(", ")} of a document's chunk. Ingest the changed document again.`,
  );
}

/** @throws VERSION_CONFLICT */
export function assertVersion(version: number, ifVersion: number | undefined): void {
  if (ifVersion === undefined || version === ifVersion) return;
  throw new StrataError(
    "VERSION_CONFLICT",
    `Expected version ${ifVersion}; the memory has version ${version}. Read it again and repeat the change.`,
    { details: { version, expected: ifVersion } },
  );
}

/** What `update` rejects with when no visible memory has the id. */
export function noSuchMemory(id: string): StrataError {
  return new StrataError("NOT_FOUND", "Expected the id of a visible memory; none has it.", {
    details: { id },
  });
}
