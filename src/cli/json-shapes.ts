import type { ConsolidationReport } from "../consolidation/consolidation-report.ts";
import type { NextMove } from "../consolidation/next-moves.ts";
import type { ChunkSource, Memory, Metadata, StoredDocument } from "../contract/memory.ts";
import type { JournalEntry } from "../contract/memory-store.ts";
import type {
  Explanation,
  Hit,
  HitExplanation,
  PackedHits,
  Passage,
  Recall,
  Research,
} from "../contract/recall.ts";
import type { SnapshotInfo } from "../contract/snapshot.ts";
import type { Tier } from "../contract/tier.ts";
import type { MemoryLife } from "../engine/consolidate-options.ts";

/** What `--json` prints; a field is added in a minor version, changed or removed only in a major one. Times are ISO 8601 in UTC. */
export interface MemoryJson {
  readonly id: string;
  readonly namespace: string;
  readonly tier: Tier;
  readonly content: string;
  readonly contentHash: string;
  readonly importance: number;
  readonly accessCount: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly lastUsedAt: string;
  readonly expiresAt?: string;
  readonly at?: string;
  readonly thread?: string;
  readonly speaker?: string;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  readonly source?: ChunkSource;
  readonly pinned: boolean;
  readonly version: number;
  readonly model?: string;
}

export interface DocumentJson {
  readonly id: string;
  readonly namespace: string;
  readonly uri: string;
  readonly title?: string;
  readonly hash: string;
  readonly tier: Tier;
  readonly importance: number;
  readonly accessCount: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly lastUsedAt: string;
  readonly expiresAt?: string;
  readonly pinned: boolean;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  readonly chunks: number;
  readonly characters: number;
}

export interface HitJson {
  readonly memory: MemoryJson;
  readonly score: number;
  readonly why?: HitExplanation;
  readonly highlights?: Hit["highlights"] & {};
  readonly passage?: Passage;
  readonly folded?: readonly string[];
}

export interface RecallJson {
  readonly hits: readonly HitJson[];
  readonly packed?: PackedHits;
  readonly skipped?: number;
  readonly explanation?: Explanation;
}

export interface ResearchJson {
  readonly hits: readonly (HitJson & { readonly questions: readonly number[] })[];
  readonly packed?: PackedHits;
  readonly skipped?: number;
  readonly explanations?: readonly Explanation[];
}

export interface JournalEntryJson extends Omit<JournalEntry, "at"> {
  readonly at: string;
}

export interface SnapshotJson extends Omit<SnapshotInfo, "createdAt"> {
  readonly createdAt: string;
}

export interface ConsolidationJson extends Omit<ConsolidationReport, "startedAt"> {
  readonly startedAt: string;
}

export interface LifeJson extends Pick<MemoryLife, "id" | "relevance"> {
  readonly memory?: MemoryJson;
  readonly journal: readonly JournalEntryJson[];
  readonly next: readonly (Omit<NextMove, "at"> & { readonly at?: string })[];
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** Field by field, so that what is printed is what is documented. */
export function memoryJson(memory: Memory): MemoryJson {
  const { expiresAt, at, thread, speaker, source, model } = memory;
  return {
    id: memory.id,
    namespace: memory.namespace,
    tier: memory.tier,
    content: memory.content,
    contentHash: memory.contentHash,
    importance: memory.importance,
    accessCount: memory.accessCount,
    createdAt: iso(memory.createdAt),
    updatedAt: iso(memory.updatedAt),
    lastUsedAt: iso(memory.lastUsedAt),
    ...(expiresAt !== undefined && { expiresAt: iso(expiresAt) }),
    ...(at !== undefined && { at: iso(at) }),
    ...(thread !== undefined && { thread }),
    ...(speaker !== undefined && { speaker }),
    tags: memory.tags,
    metadata: memory.metadata,
    ...(source && { source }),
    pinned: memory.pinned,
    version: memory.version,
    ...(model !== undefined && { model }),
  };
}

export function documentJson(document: StoredDocument): DocumentJson {
  const { title, expiresAt } = document;
  return {
    id: document.id,
    namespace: document.namespace,
    uri: document.uri,
    ...(title !== undefined && { title }),
    hash: document.hash,
    tier: document.tier,
    importance: document.importance,
    accessCount: document.accessCount,
    createdAt: iso(document.createdAt),
    updatedAt: iso(document.updatedAt),
    lastUsedAt: iso(document.lastUsedAt),
    ...(expiresAt !== undefined && { expiresAt: iso(expiresAt) }),
    pinned: document.pinned,
    tags: document.tags,
    metadata: document.metadata,
    chunks: document.chunks,
    characters: document.characters,
  };
}

function hitJson({ memory, score, why, highlights, passage, folded }: Hit): HitJson {
  return {
    memory: memoryJson(memory),
    score,
    ...(why && { why }),
    ...(highlights && { highlights }),
    ...(passage && { passage }),
    ...(folded && { folded }),
  };
}

export function recallJson({ hits, packed, skipped, explanation }: Recall): RecallJson {
  return {
    hits: hits.map(hitJson),
    ...(packed && { packed }),
    ...(skipped !== undefined && { skipped }),
    ...(explanation && { explanation }),
  };
}

export function researchJson({ hits, packed, skipped, explanations }: Research): ResearchJson {
  return {
    hits: hits.map((hit) => ({ ...hitJson(hit), questions: hit.questions })),
    ...(packed && { packed }),
    ...(skipped !== undefined && { skipped }),
    ...(explanations && { explanations }),
  };
}

export function journalEntryJson(entry: JournalEntry): JournalEntryJson {
  const { run, kind, id, document, from, to, into, undoable, reason } = entry;
  const place = { from, ...(to && { to }), ...(into && { into }) };
  return { run, at: iso(entry.at), kind, id, document, ...place, undoable, reason };
}

export function consolidationJson(report: ConsolidationReport): ConsolidationJson {
  const { startedAt, ...rest } = report;
  return { ...rest, startedAt: iso(startedAt) };
}

export function lifeJson({ id, memory, relevance, journal, next }: MemoryLife): LifeJson {
  return {
    id,
    ...(memory && { memory: memoryJson(memory) }),
    ...(relevance && { relevance }),
    journal: journal.map(journalEntryJson),
    next: next.map(({ at, ...move }) => ({ ...move, ...(at !== undefined && { at: iso(at) }) })),
  };
}

export function snapshotJson({ name, createdAt, filter, memories, bytes }: SnapshotInfo): SnapshotJson {
  return { name, createdAt: iso(createdAt), filter, memories, bytes };
}
