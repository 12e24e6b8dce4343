import { StrataError } from "../contract/errors.ts";
import { type IndexedFields, vectorText } from "../contract/index-text.ts";
import type { Memory } from "../contract/memory.ts";
import type { EntryPatch, UpdateResult } from "../contract/memory-store.ts";
import type { Scope } from "../contract/scope.ts";
import type { Parts } from "./parts.ts";
import { contentHash, type UnembeddedPatch } from "./store-options.ts";

interface UpdateCall {
  readonly ifVersion: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Changes a memory, and embeds it again when a field that is embedded changes. */
export async function updateMemory(
  parts: Parts,
  scope: Scope,
  id: string,
  patch: UnembeddedPatch,
  { ifVersion, signal }: UpdateCall,
): Promise<UpdateResult> {
  const { text, ...fields } = patch;
  const embedded = [text, fields.at, fields.speaker, fields.thread];
  if (embedded.every((field) => field === undefined)) {
    return parts.store.update(scope, id, fields, { signal, ifVersion });
  }
  for (;;) {
    const [current] = await parts.store.get(scope, [id]);
    if (!current) throw new StrataError("NOT_FOUND", `No memory has the id "${id}".`, { details: { id } });
    const [vectors] = await parts.embed(scope, [vectorText(patched(current, patch))], signal);
    const { vector, sideVectors } = vectors!;
    const content = text === undefined ? { vector } : { content: { text, hash: contentHash(text), vector } };
    const complete: EntryPatch = { ...fields, ...content, sideVectors };
    try {
      return await parts.store.update(scope, id, complete, {
        signal,
        ifVersion: ifVersion ?? current.version,
      });
    } catch (error) {
      // Somebody changed it between the read and the write: what is embedded must be made from what it is now.
      const raced =
        ifVersion === undefined && StrataError.isInstance(error) && error.code === "VERSION_CONFLICT";
      if (!raced) throw error;
    }
  }
}

/** The fields that are embedded, as they will be. */
function patched(memory: Memory, patch: UnembeddedPatch): IndexedFields {
  const field = <T>(given: T | null | undefined, now: T | undefined): T | undefined =>
    given === undefined ? now : (given ?? undefined);
  return {
    content: patch.text ?? memory.content,
    at: field(patch.at, memory.at),
    speaker: field(patch.speaker, memory.speaker),
    thread: field(patch.thread, memory.thread),
    source: memory.source,
  };
}
