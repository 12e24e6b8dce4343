import { isDeepStrictEqual } from "node:util";
import type { Memory, Metadata, StoredDocument } from "../contract/memory.ts";
import type { MemoryFilter } from "../contract/scope.ts";

/** Whether a memory matches a filter, one memory at a time: what every driver's queries must agree with. */
export function matchesFilter(memory: Memory, filter: MemoryFilter): boolean {
  const happenedAt = memory.at ?? memory.createdAt;
  return (
    (filter.ids === undefined || filter.ids.includes(memory.id)) &&
    (filter.tiers === undefined || filter.tiers.includes(memory.tier)) &&
    (filter.tags === undefined || filter.tags.every((tag) => memory.tags.includes(tag))) &&
    (filter.after === undefined || happenedAt >= filter.after) &&
    (filter.before === undefined || happenedAt < filter.before) &&
    (filter.minImportance === undefined || memory.importance >= filter.minImportance) &&
    (filter.thread === undefined || memory.thread === filter.thread) &&
    (filter.speaker === undefined || memory.speaker === filter.speaker) &&
    (filter.document === undefined || memory.source?.uri === filter.document) &&
    (filter.pinned === undefined || memory.pinned === filter.pinned) &&
    (filter.metadata === undefined || holdsMetadata(memory.metadata, filter.metadata))
  );
}

/** Whether metadata has every wanted key with exactly the wanted value. */
export function holdsMetadata(metadata: Metadata, wanted: Metadata): boolean {
  return Object.keys(wanted).every(
    (key) => Object.hasOwn(metadata, key) && isDeepStrictEqual(metadata[key], wanted[key]),
  );
}

/** A forgotten document as its chunks would match, as far as its chunks share it. */
export function documentMatches(document: StoredDocument, filter: MemoryFilter): boolean {
  const { document: uri, ...rest } = filter;
  const {
    chunks: _chunks,
    characters: _characters,
    hash: _hash,
    uri: ownUri,
    title: _title,
    ...life
  } = document;
  const memory: Memory = { ...life, content: "", contentHash: "", version: 1 };
  return (uri === undefined || uri === ownUri) && matchesFilter(memory, rest);
}
