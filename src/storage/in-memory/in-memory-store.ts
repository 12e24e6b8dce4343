import { v7 as uuidv7 } from "uuid";
import { type Clock, systemClock } from "../../contract/clock.ts";
import type {
  ApplyResult,
  CandidatePage,
  CandidateQuery,
  StoreAction,
  UndoResult,
} from "../../contract/consolidation.ts";
import { StrataError } from "../../contract/errors.ts";
import { isRepeat } from "../../contract/exact-duplicates.ts";
import type { Memory, StoredDocument, StoredVector } from "../../contract/memory.ts";
import type {
  AddResult,
  ChangePage,
  CleanupResult,
  Coverage,
  DocumentPage,
  DropPage,
  EntryPatch,
  Evicted,
  ForgetResult,
  JournalPage,
  MemoryPage,
  MemoryRowPage,
  MemoryStore,
  NewChunk,
  NewDocument,
  NewEntry,
  OrphanCounts,
  PublishResult,
  RowVector,
  StagedDocument,
  StoreCall,
  StoreStats,
  TierStats,
  UpdateResult,
  Use,
} from "../../contract/memory-store.ts";
import { utcDay } from "../../contract/relevance.ts";
import type { MemoryFilter, Scope } from "../../contract/scope.ts";
import { type SnapshotInfo, type SnapshotPage, snapshotBound } from "../../contract/snapshot.ts";
import { defaultTierTable, isTier, type Tier, type TierTable, tiers } from "../../contract/tier.ts";
import type { TuningDecision } from "../../contract/tuning.ts";
import { assertCandidateQuery } from "../candidate-query.ts";
import { assertChunkPatch, assertVersion, noSuchMemory } from "../chunk-patch.ts";
import { decodeCursor, decodeNameCursor, encodeCursor, encodeNameCursor } from "../cursor.ts";
import { matchesFilter } from "../filter-match.ts";
import { repeatPatch } from "../repeats.ts";
import { resolveEntries } from "../resolve-entries.ts";
import { noSuchSnapshot, snapshotLimitReached, snapshotTaken } from "../snapshot-errors.ts";
import { maxTuningDecisions } from "../tuning-bound.ts";
import { eraseFromJournal, eraseMerged } from "./erasure.ts";
import { applyActions, candidatesOf, expiryAfterMove } from "./moves.ts";
import {
  type Context,
  createNamespace,
  drop,
  expire,
  expiryOf,
  isVisible,
  makeRoom,
  type Namespace,
  partitionOf,
  record,
  remember,
  remove,
  removeChunk,
  type SavedSnapshot,
  type Staging,
  units,
} from "./namespace.ts";
import { changesIn, type Partition, type Position, wholeWrite } from "./partition.ts";
import {
  type DocumentRecord,
  isDocument,
  keepVectors,
  type MemoryRecord,
  memoriesOf,
  toDocument,
  toIndexRow,
  toMemory,
  type Unit,
  unitOf,
} from "./records.ts";
import { undoRun } from "./undo-run.ts";

/** Options of {@link createInMemoryStore}. */
export interface InMemoryStoreOptions {
  /** Parts a namespace is cut into, by thread, document or id, each with its equal share of the capacity. Default 1. */
  readonly partitions?: number | undefined;
  readonly tiers?: TierTable | undefined;
  /** Default 0.1. */
  readonly decayRate?: number | undefined;
  readonly clock?: Clock | undefined;
  /** Writes for which the feed remembers what left. Default 200,000. */
  readonly feedReach?: number | undefined;
  /** How long the journal's rows are kept. Default 30 days. */
  readonly forgetRetentionMs?: number | undefined;
}

/** A staged revision nobody has added to for so long was left behind. */
const stagingLeaseMs = 15 * 60_000;
const leaseSkewMs = 86_400_000;

/**
 * A store that lives as long as the process: for tests, and as the plainest statement of the contract. Eviction and
 * filters look at every entry.
 */
export function createInMemoryStore(options: InMemoryStoreOptions = {}): MemoryStore {
  return new InMemoryStore(options);
}

class InMemoryStore implements MemoryStore {
  readonly driver = "in-memory";
  readonly #context: Context;
  readonly #now: () => number;
  readonly #namespaces = new Map<string, Namespace>();
  readonly #leases = new Map<string, { readonly holder: string; readonly until: number }>();
  /** Newest first. */
  readonly #tuning: TuningDecision[] = [];
  #closed = false;

  constructor(options: InMemoryStoreOptions) {
    const partitions = options.partitions ?? 1;
    if (!(partitions >= 1)) {
      throw new StrataError("INVALID_ARGUMENT", `Expected at least 1 partition; got ${partitions}.`);
    }
    this.#now = (options.clock ?? systemClock).now;
    let lastNumber = 0;
    this.#context = {
      nextNumber: () => ++lastNumber,
      now: this.#now,
      partitions,
      tiers: options.tiers ?? defaultTierTable,
      decayRate: options.decayRate ?? 0.1,
      feedReach: options.feedReach ?? 200_000,
      forgetRetentionMs: options.forgetRetentionMs ?? 30 * 86_400_000,
    };
  }

  async add(scope: Scope, entries: readonly NewEntry[], call?: StoreCall): Promise<AddResult> {
    const space = this.#begin(scope, call);
    for (const entry of entries) assertTier(entry.tier);
    const resolutions = resolveEntries(entries, {
      byKey: (key) => this.#show(space, space.keys.get(key)),
      byId: (id) => this.#show(space, space.ids.get(id)),
      byContent: (entry) =>
        [...space.rows.values()]
          .filter((record) => record.contentHash === entry.contentHash)
          .sort((one, other) => one.row - other.row)
          .map((record) => this.#show(space, record))
          .find((memory) => memory !== undefined && isRepeat(entry, memory)),
    });
    const evicted: Evicted[] = [];
    const made = new Set<Unit>();
    const memories: AddResult["memories"][number][] = [];
    for (const [index, entry] of entries.entries()) {
      const resolution = resolutions[index]!;
      let known: Memory | undefined;
      if (resolution.kind === "existing") known = resolution.memory;
      else if (resolution.kind === "repeated") known = memories[resolution.index]!.memory;
      if (known && resolution.kind !== "new" && resolution.said) {
        known = this.#repeat(space, known.id, entry, evicted);
      }
      if (known) memories.push({ memory: known, outcome: "existing" });
      else {
        const record = this.#insert(space, entry);
        made.add(record);
        memories.push({ memory: toMemory(space.name, record), outcome: "stored" });
        evicted.push(...makeRoom(this.#context, space, record, made));
      }
    }
    return { memories, evicted };
  }

  async get(scope: Scope, ids: readonly string[]): Promise<(Memory | undefined)[]> {
    const space = this.#begin(scope);
    return ids.map((id) => this.#show(space, space.ids.get(id)));
  }

  async sameContent(scope: Scope, hashes: readonly string[], limit: number): Promise<Memory[]> {
    const wanted = new Set(hashes);
    return this.#matching(this.#begin(scope), {})
      .filter((record) => record.document === undefined && wanted.has(record.contentHash))
      .toSorted((one, other) => one.row - other.row)
      .slice(0, limit)
      .map((record) => toMemory(scope.namespace, record));
  }

  async update(
    scope: Scope,
    id: string,
    patch: EntryPatch,
    call?: StoreCall & { readonly ifVersion?: number | undefined },
  ): Promise<UpdateResult> {
    const space = this.#begin(scope, call);
    const record = space.ids.get(id);
    if (!record || !isVisible(this.#context, record)) throw noSuchMemory(id);
    assertVersion(record.version + (record.document?.version ?? 0), call?.ifVersion);
    if (record.document) assertChunkPatch(patch);
    if (patch.tier !== undefined) assertTier(patch.tier);
    if (record.document) this.#patchDocument(record.document, patch);
    else this.#patchText(space, record, patch);
    const evicted = this.#patchLife(space, unitOf(record), patch);
    this.#number(space, record);
    return { memory: toMemory(space.name, record), evicted };
  }

  async forget(
    scope: Scope,
    filter: MemoryFilter,
    call?: StoreCall & { readonly erase?: boolean | undefined },
  ): Promise<ForgetResult> {
    const space = this.#begin(scope, call);
    const run = uuidv7();
    const isErased = call?.erase ?? false;
    const departure = { run, kind: "forget", reason: "forgotten on request", isErased } as const;
    const records = new Set(this.#matching(space, filter));
    if (isErased) {
      const ids = new Set([...records].map(({ id }) => id));
      eraseMerged(space, [...ids]);
      eraseFromJournal(this.#context, space, ids, filter);
      eraseFromSnapshots(space, ids, filter);
    }
    for (const record of records) {
      const { document } = record;
      const isWhole = document !== undefined && [...document.chunks].every((chunk) => records.has(chunk));
      if (!space.rows.has(record.row)) continue;
      if (document && !isWhole) removeChunk(this.#context, space, record, departure);
      else remove(this.#context, space, unitOf(record), departure);
    }
    const forgotten = records.size;
    return forgotten === 0 || isErased ? { forgotten } : { forgotten, run };
  }

  async clear(scope: Scope, call?: StoreCall): Promise<number> {
    const { forgotten } = await this.forget(scope, {}, { ...call, erase: true });
    const space = this.#begin(scope);
    for (const unit of [...units(space)]) drop(this.#context, space, unit);
    space.staged.clear();
    space.snapshots.clear();
    space.state.clear();
    space.journal = [];
    return forgotten;
  }

  async list(
    scope: Scope,
    filter: MemoryFilter,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<MemoryPage> {
    const [createdAt, row] =
      page.cursor === undefined
        ? [Number.POSITIVE_INFINITY, 0]
        : (decodeCursor("list", page.cursor, 2) as [number, number]);
    const space = this.#begin(scope);
    const records = this.#matching(space, filter)
      .filter(
        (record) => record.createdAt < createdAt || (record.createdAt === createdAt && record.row < row),
      )
      .sort((one, other) => other.createdAt - one.createdAt || other.row - one.row);
    const shown = records.slice(0, page.limit);
    const last = shown.at(-1);
    return {
      memories: shown.map((record) => toMemory(space.name, record)),
      ...(records.length > page.limit && last
        ? { cursor: encodeCursor("list", [last.createdAt, last.row]) }
        : {}),
    };
  }

  async matchingRows(scope: Scope, filter: MemoryFilter): Promise<Float64Array> {
    const records = this.#matching(this.#begin(scope), filter);
    return Float64Array.from(records, (record) => record.row).sort();
  }

  async read(scope: Scope, rows: readonly number[]): Promise<(Memory | undefined)[]> {
    const space = this.#begin(scope);
    return rows.map((row) => this.#show(space, space.rows.get(row)));
  }

  async vectors(scope: Scope, ids: readonly string[]): Promise<(StoredVector | null)[]> {
    const space = this.#begin(scope);
    return ids.map((id) => {
      const record = space.ids.get(id);
      return record && isVisible(this.#context, record) ? vectorOf(record) : null;
    });
  }

  async touch(scope: Scope, uses: readonly Use[], call?: StoreCall): Promise<void> {
    const space = this.#begin(scope, call);
    for (const use of uses) {
      const record = space.ids.get(use.id);
      if (record && isVisible(this.#context, record)) this.#use(unitOf(record), use.count, use.lastUsedAt);
    }
  }

  async document(scope: Scope, uri: string): Promise<StoredDocument | undefined> {
    const document = this.#begin(scope).documents.get(uri);
    const isVisible = document !== undefined && document.life.expiresAt > this.#now();
    return isVisible ? toDocument(scope.namespace, document) : undefined;
  }

  async documents(
    scope: Scope,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<DocumentPage> {
    const after = page.cursor === undefined ? undefined : decodeNameCursor("documents", page.cursor);
    const space = this.#begin(scope);
    const all = [...space.documents.values()]
      .filter((document) => document.life.expiresAt > this.#now())
      .filter((document) => after === undefined || compareNames(document.uri, after) > 0)
      .sort((one, other) => compareNames(one.uri, other.uri));
    const documents = all.slice(0, page.limit).map((document) => toDocument(space.name, document));
    const last = documents.at(-1);
    return {
      documents,
      ...(all.length > page.limit && last ? { cursor: encodeNameCursor("documents", last.uri) } : {}),
    };
  }

  async stageDocument(scope: Scope, document: NewDocument, call?: StoreCall): Promise<StagedDocument> {
    const space = this.#begin(scope, call);
    assertTier(document.tier);
    this.#sweep(space);
    const known = space.documents.get(document.uri);
    const isKnown = known !== undefined && known.life.expiresAt > this.#now();
    const revision = this.#context.nextNumber();
    const documentId = isKnown ? known.id : uuidv7();
    space.staged.set(revision, { documentId, plan: document, chunks: [], touchedAt: this.#now() });
    return { documentId, namespace: space.name, revision };
  }

  async addChunks(staged: StagedDocument, chunks: readonly NewChunk[], call?: StoreCall): Promise<void> {
    const staging = stagingOf(this.#begin(staged, call), staged);
    staging.touchedAt = this.#now();
    for (const chunk of chunks)
      staging.chunks.push({ row: this.#context.nextNumber(), chunk, at: this.#now() });
  }

  async publishDocument(staged: StagedDocument, call?: StoreCall): Promise<PublishResult> {
    const space = this.#begin(staged, call);
    const staging = stagingOf(space, staged);
    space.staged.delete(staged.revision);
    const former = space.documents.get(staging.plan.uri);
    const isKnown = former !== undefined && former.life.expiresAt > this.#now();
    if (former && !isKnown) expire(this.#context, space, former);
    if (former && isKnown) drop(this.#context, space, former);
    const document = this.#publish(space, staged, staging, isKnown ? former : undefined);
    const evicted = makeRoom(this.#context, space, document, new Set([document]));
    return {
      document: toDocument(space.name, document),
      replaced: isKnown ? former.chunks.size : 0,
      evicted,
    };
  }

  async discardDocument(staged: StagedDocument): Promise<void> {
    this.#begin(staged).staged.delete(staged.revision);
  }

  async changes(
    scope: Scope,
    cursor: string | undefined,
    limit: number,
    model?: string,
  ): Promise<ChangePage> {
    const space = this.#begin(scope);
    const positions = space.partitions.map((partition, at) => this.#position(partition, cursor, at));
    const rows: MemoryRecord[] = [];
    const removed: number[] = [];
    const [vectors, newest] =
      model === undefined ? [0, 0] : [this.#vectorsRead(space, cursor, model), newestOf(space, model)];
    for (const [at, partition] of space.partitions.entries()) {
      if (rows.length >= Math.max(1, limit)) break;
      const page = changesIn(partition, positions[at]!, Math.max(1, limit) - rows.length);
      rows.push(...page.records);
      removed.push(...page.removed);
      positions[at] = page.end;
    }
    const { dropped = 0, rows: put = [] } = (model !== undefined && space.put.get(model)) || {};
    const beside = put.slice(vectors - dropped).slice(0, Math.max(1, limit) - rows.length);
    const read = vectors + beside.length;
    for (const row of beside) {
      const record = space.rows.get(row);
      if (record) rows.push(record);
    }
    return {
      rows: [...new Set(rows)]
        .filter((record) => isVisible(this.#context, record))
        .map((record) => toIndexRow(record, model)),
      // A memory whose new thread put it into another partition left the one but not the store.
      removed: removed.filter((row) => !space.rows.has(row)),
      cursor: encodeCursor("feed", [
        ...positions.flatMap(({ seq, row, horizon }) => [seq, row, horizon]),
        read,
      ]),
      more:
        read < newest ||
        space.partitions.some(({ seq }, at) => positions[at]!.seq < seq || positions[at]!.row < wholeWrite),
    };
  }

  async generation(scope: Scope, model?: string): Promise<string> {
    const space = this.#begin(scope);
    const numbers = space.partitions.map((partition) => partition.seq);
    return [...numbers, ...(model === undefined ? [] : [newestOf(space, model)])].join(".");
  }

  async coverage(scope: Scope): Promise<Coverage> {
    const { rows } = this.#begin(scope);
    const models: Record<string, { vectors: number; unknown: number }> = {};
    for (const { vector, side } of rows.values()) {
      const vectors = [...(vector ? [[vector.model, vector.values] as const] : []), ...side];
      for (const [model, values] of vectors) {
        models[model] ??= { vectors: 0, unknown: 0 };
        models[model][values ? "vectors" : "unknown"]++;
      }
    }
    return { memories: rows.size, models };
  }

  async lacking(
    scope: Scope,
    model: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<MemoryRowPage> {
    const space = this.#begin(scope);
    const [after] = page.cursor === undefined ? [0] : (decodeCursor("lacking", page.cursor, 1) as [number]);
    const records = [...space.rows.values()]
      .filter((record) => record.row > after && lacks(record, model) && isVisible(this.#context, record))
      .sort((one, other) => one.row - other.row);
    const shown = records.slice(0, page.limit);
    const memories = shown.map((record) => ({ row: record.row, memory: toMemory(space.name, record) }));
    const more = records.length > page.limit;
    return { memories, ...(more && { cursor: encodeCursor("lacking", [shown.at(-1)!.row]) }) };
  }

  async addVectors(
    scope: Scope,
    model: string,
    vectors: readonly RowVector[],
    call?: StoreCall,
  ): Promise<readonly boolean[]> {
    const space = this.#begin(scope, call);
    return vectors.map(({ row, version, values }) => {
      const record = space.rows.get(row);
      if (!record || !isVisible(this.#context, record) || !lacks(record, model)) return false;
      if (!record.document && record.version !== version) return false;
      record.side.set(model, values && new Float16Array(values));
      const put = space.put.get(model) ?? { dropped: 0, rows: [] };
      space.put.set(model, put);
      put.rows.push(row);
      return true;
    });
  }

  async dropOtherVectors(
    scope: Scope,
    model: string,
    _page: { readonly limit: number; readonly cursor?: string | undefined },
    call?: StoreCall,
  ): Promise<DropPage> {
    let dropped = 0;
    const space = this.#begin(scope, call);
    space.put.set(model, { dropped: newestOf(space, model), rows: [] });
    for (const snapshot of space.snapshots.values()) {
      snapshot.items = snapshot.items.map((item) => {
        if (item.vector === null || item.vector.model === model) return item;
        dropped++;
        return { ...item, vector: null };
      });
    }
    for (const record of space.rows.values()) if (!lacks(record, model)) dropped += keepOnly(record, model);
    // What is kept to undo is embedded again when it comes back.
    for (const { kept } of space.journal) {
      const left =
        kept?.what === "left" ? memoriesOf(kept.unit) : kept?.what === "chunk" ? [kept.record] : [];
      for (const record of left) dropped += keepOnly(record, model);
    }
    return { dropped };
  }

  async stats(scope?: Scope): Promise<StoreStats> {
    const spaces = scope ? [this.#begin(scope)] : [...this.#spaces()];
    const all = spaces.flatMap((space) => [...units(space)]);
    const visible = all.filter((unit) => unit.life.expiresAt > this.#now());
    const memories = visible.flatMap(memoriesOf);
    const models: Record<string, number> = {};
    const unknown: Record<string, number> = {};
    for (const { vector, side } of memories) {
      if (vector) add(models, vector.model);
      for (const [model, values] of side) add(values ? models : unknown, model);
    }
    return {
      tiers: byTier((tier) => this.#tierStats(visible, tier)),
      memories: memories.length,
      documents: visible.filter(isDocument).length,
      withoutVector: memories.filter(
        ({ vector, side }) => !vector && [...side.values()].every((each) => !each),
      ).length,
      models,
      unknown,
      expired: all.filter((unit) => unit.life.expiresAt <= this.#now()).flatMap(memoriesOf).length,
      evicted: spaces.reduce((sum, space) => sum + space.evicted, 0),
      namespaces: spaces.filter((space) => this.#holdsAnything(space)).length,
      repeated: spaces.reduce((sum, space) => sum + space.repeated, 0),
      journalRows: spaces.reduce((sum, space) => sum + space.journal.length, 0),
      bytesOnDisk: 0,
    };
  }

  /** One object holds all that belongs to a memory: there are none. */
  async orphans(): Promise<OrphanCounts> {
    return {
      memoriesWithoutEntry: 0,
      entriesWithoutMemory: 0,
      documentsWithoutEntry: 0,
      vectorsWithoutMemory: 0,
      tagsWithoutEntry: 0,
    };
  }

  async namespaces(): Promise<string[]> {
    const named = [...this.#spaces()].filter((space) => this.#holdsAnything(space));
    return named.map((space) => space.name).sort(compareNames);
  }

  async cleanup(
    options: { readonly dryRun: boolean; readonly scope?: Scope | undefined },
    call?: StoreCall,
  ): Promise<CleanupResult> {
    call?.signal?.throwIfAborted();
    const spaces = options.scope ? [this.#begin(options.scope)] : [...this.#spaces()];
    const expiredByTier = byTier(() => 0);
    let stagedChunks = 0;
    let journalRows = 0;
    for (const space of spaces) {
      const due = [...units(space)].filter((unit) => unit.life.expiresAt <= this.#now());
      for (const unit of due) expiredByTier[unit.life.tier] += memoriesOf(unit).length;
      const oldest = this.#now() - this.#context.forgetRetentionMs;
      journalRows += space.journal.filter(({ entry }) => entry.at < oldest).length;
      stagedChunks += this.#sweep(space, options.dryRun);
      if (options.dryRun) continue;
      space.journal = space.journal.filter(({ entry }) => entry.at >= oldest);
      for (const unit of due) expire(this.#context, space, unit);
    }
    const expired = Object.values(expiredByTier).reduce((sum, count) => sum + count, 0);
    return { expired, expiredByTier, stagedChunks, journalRows };
  }

  async journal(
    scope: Scope,
    page: {
      readonly limit: number;
      readonly cursor?: string | undefined;
      readonly memoryId?: string | undefined;
      readonly run?: string | undefined;
    },
  ): Promise<JournalPage> {
    const { memoryId, run } = page;
    const [before] =
      page.cursor === undefined ? [Number.POSITIVE_INFINITY] : decodeCursor("journal", page.cursor, 1);
    const found = this.#begin(scope)
      .journal.filter(({ entry, number }) => number < before! && (run ?? entry.run) === entry.run)
      .filter(({ entry }) => memoryId === undefined || entry.id === memoryId || entry.into === memoryId)
      .reverse();
    const shown = found.slice(0, page.limit);
    return {
      entries: shown.map(({ entry, kept }) => ({ ...entry, undoable: kept !== undefined })),
      ...(found.length > page.limit ? { cursor: encodeCursor("journal", [shown.at(-1)!.number]) } : {}),
    };
  }

  async saveSnapshot(
    scope: Scope,
    name: string,
    filter: MemoryFilter,
    call?: StoreCall & { readonly replace?: boolean | undefined },
  ): Promise<SnapshotInfo> {
    const space = this.#begin(scope, call);
    const isTaken = space.snapshots.has(name);
    if (isTaken && call?.replace !== true) throw snapshotTaken(name);
    if (!isTaken && space.snapshots.size >= snapshotBound) throw snapshotLimitReached(space.snapshots.size);
    const items = this.#matching(space, filter)
      .filter((record) => !record.document)
      .map((record) => ({ memory: toMemory(space.name, record), vector: vectorOf(record) }));
    const snapshot = { createdAt: this.#now(), filter: structuredClone(filter), items };
    space.snapshots.set(name, snapshot);
    return snapshotInfo(name, snapshot);
  }

  async snapshots(scope: Scope): Promise<SnapshotInfo[]> {
    const named = [...this.#begin(scope).snapshots].sort(([one], [other]) => compareNames(one, other));
    return named.map(([name, snapshot]) => snapshotInfo(name, snapshot));
  }

  async readSnapshot(
    scope: Scope,
    name: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<SnapshotPage> {
    const [start] = page.cursor === undefined ? [0] : decodeCursor("snapshot", page.cursor, 1);
    const snapshot = this.#begin(scope).snapshots.get(name);
    if (!snapshot) throw noSuchSnapshot(name);
    const end = start! + page.limit;
    return {
      items: structuredClone(snapshot.items.slice(start, end)),
      ...(end < snapshot.items.length ? { cursor: encodeCursor("snapshot", [end]) } : {}),
    };
  }

  async deleteSnapshot(scope: Scope, name: string, call?: StoreCall): Promise<void> {
    if (!this.#begin(scope, call).snapshots.delete(name)) throw noSuchSnapshot(name);
  }

  async candidates(scope: Scope, query: CandidateQuery, call?: StoreCall): Promise<CandidatePage> {
    const space = this.#begin(scope, call);
    assertTier(query.tier);
    assertCandidateQuery(query, utcDay(this.#now()));
    return candidatesOf(this.#context, space, query);
  }

  async apply(
    scope: Scope,
    run: string,
    actions: readonly StoreAction[],
    call?: StoreCall,
  ): Promise<ApplyResult> {
    return applyActions(this.#context, this.#begin(scope, call), run, actions);
  }

  async undo(scope: Scope, run: string, call?: StoreCall): Promise<UndoResult> {
    return undoRun(this.#context, this.#begin(scope, call), run);
  }

  async readState(scope: Scope, name: string): Promise<string | undefined> {
    return this.#begin(scope).state.get(name);
  }

  async writeState(scope: Scope, name: string, value: string, call?: StoreCall): Promise<void> {
    this.#begin(scope, call).state.set(name, value);
  }

  async noteTuning(decision: TuningDecision): Promise<void> {
    this.#assertOpen();
    this.#tuning.unshift(decision);
    this.#tuning.length = Math.min(this.#tuning.length, maxTuningDecisions);
  }

  async tuningDecisions(limit: number): Promise<TuningDecision[]> {
    this.#assertOpen();
    return this.#tuning.slice(0, limit);
  }

  async acquireLease(name: string, holder: string, ttlMs: number): Promise<boolean> {
    this.#assertOpen();
    const lease = this.#leases.get(name);
    const now = this.#now();
    // One that lasts for so much longer than it is taken for was taken before the clock was set back.
    const holds = lease && lease.until > now && lease.until <= now + ttlMs + leaseSkewMs;
    if (holds && lease.holder !== holder) return false;
    this.#leases.set(name, { holder, until: this.#now() + ttlMs });
    return true;
  }

  async releaseLease(name: string, holder: string): Promise<void> {
    if (this.#leases.get(name)?.holder === holder) this.#leases.delete(name);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#namespaces.clear();
  }

  #begin(scope: Scope, call?: StoreCall): Namespace {
    call?.signal?.throwIfAborted();
    if (this.#closed)
      throw new StrataError("CLOSED", "The store was closed before the call; make a new one.");
    let space = this.#namespaces.get(scope.namespace);
    if (!space) {
      space = createNamespace(scope.namespace, this.#context.partitions);
      this.#namespaces.set(scope.namespace, space);
    }
    return space;
  }

  #spaces(): Iterable<Namespace> {
    if (this.#closed)
      throw new StrataError("CLOSED", "The store was closed before the call; make a new one.");
    return this.#namespaces.values();
  }

  #assertOpen(): void {
    if (this.#closed)
      throw new StrataError("CLOSED", "The store was closed before the call; make a new one.");
  }

  #show(space: Namespace, record: MemoryRecord | undefined): Memory | undefined {
    return record && isVisible(this.#context, record) ? toMemory(space.name, record) : undefined;
  }

  /** Gives what lives as one with a record the next number of the feed. */
  #number(space: Namespace, record: MemoryRecord): void {
    const seq = ++space.partitions[record.partition]!.seq;
    for (const changed of memoriesOf(unitOf(record))) changed.seq = seq;
  }

  /** Uses a memory once more and gives it what an entry that repeats it asks for; undefined when it has left. */
  #repeat(space: Namespace, id: string, entry: NewEntry, evicted: Evicted[]): Memory | undefined {
    const record = space.ids.get(id);
    if (!record) return undefined;
    space.repeated++;
    this.#use(record, 1, this.#now());
    const patch = repeatPatch(toMemory(space.name, record), entry);
    if (patch) {
      this.#patchText(space, record, patch);
      evicted.push(...this.#patchLife(space, record, patch));
      this.#number(space, record);
    }
    return toMemory(space.name, record);
  }

  #use({ life }: Unit, count: number, lastUsedAt: number): void {
    life.accessCount += count;
    life.lastUsedAt = Math.max(life.lastUsedAt, lastUsedAt);
    life.expiresAt = Math.max(life.expiresAt, expiryOf(this.#context, life, life.lastUsedAt));
  }

  #matching(space: Namespace, filter: MemoryFilter): MemoryRecord[] {
    return [...space.rows.values()].filter(
      (record) => isVisible(this.#context, record) && matchesFilter(toMemory(space.name, record), filter),
    );
  }

  #insert(space: Namespace, entry: NewEntry): MemoryRecord {
    for (const named of [
      entry.idempotencyKey === undefined ? undefined : space.keys.get(entry.idempotencyKey),
      space.ids.get(entry.id),
    ]) {
      if (named && !isVisible(this.#context, named) && !named.document) {
        expire(this.#context, space, named);
      }
    }
    const createdAt = entry.createdAt ?? this.#now();
    const lastUsedAt = entry.lastUsedAt ?? createdAt;
    const at = partitionOf(this.#context, entry.thread ?? entry.id);
    const partition = space.partitions[at]!;
    const record: MemoryRecord = {
      row: this.#context.nextNumber(),
      id: entry.id,
      life: {
        tier: entry.tier,
        importance: entry.importance,
        accessCount: entry.accessCount ?? 0,
        lastUsedAt,
        expiresAt: expiryOf(this.#context, entry, lastUsedAt),
        pinned: entry.pinned,
      },
      partition: at,
      seq: ++partition.seq,
      content: entry.content,
      contentHash: entry.contentHash,
      createdAt,
      updatedAt: createdAt,
      at: entry.at,
      thread: entry.thread,
      speaker: entry.speaker,
      idempotencyKey: entry.idempotencyKey,
      tags: [...new Set(entry.tags)],
      metadata: structuredClone(entry.metadata),
      version: 1,
      ...keepVectors(entry.vector, entry.sideVectors),
      document: undefined,
      place: undefined,
    };
    partition.units.add(record);
    remember(space, record);
    if (entry.idempotencyKey !== undefined) space.keys.set(entry.idempotencyKey, record);
    return record;
  }

  #publish(
    space: Namespace,
    staged: StagedDocument,
    staging: Staging,
    former: DocumentRecord | undefined,
  ): DocumentRecord {
    const { plan } = staging;
    const at = partitionOf(this.#context, plan.uri);
    const partition = space.partitions[at]!;
    const now = this.#now();
    const document: DocumentRecord = {
      number: staged.revision,
      life: {
        tier: plan.tier,
        importance: plan.importance,
        accessCount: former?.life.accessCount ?? 0,
        lastUsedAt: now,
        expiresAt: expiryOf(this.#context, plan, now),
        pinned: plan.pinned,
      },
      partition: at,
      id: former?.id ?? staging.documentId,
      uri: plan.uri,
      title: plan.title,
      hash: plan.hash,
      createdAt: former?.createdAt ?? now,
      updatedAt: now,
      version: former ? former.version + 1 : 0,
      tags: [...new Set(plan.tags)],
      metadata: structuredClone(plan.metadata),
      characters: staging.chunks.reduce((most, { chunk }) => Math.max(most, chunk.source.end), 0),
      chunks: new Set(),
    };
    const seq = former ? partition.seq : ++partition.seq;
    for (const { row, chunk, at: addedAt } of staging.chunks) {
      const { headings, chunk: number, start, end } = chunk.source;
      const record: MemoryRecord = {
        row,
        id: chunk.id,
        life: document.life,
        partition: at,
        seq,
        content: chunk.content,
        contentHash: chunk.contentHash,
        createdAt: addedAt,
        updatedAt: addedAt,
        at: undefined,
        thread: undefined,
        speaker: undefined,
        idempotencyKey: undefined,
        tags: [],
        metadata: structuredClone(chunk.metadata),
        version: 1,
        ...keepVectors(chunk.vector, chunk.sideVectors),
        document,
        place: { headings: [...headings], chunk: number, start, end },
      };
      document.chunks.add(record);
      remember(space, record);
    }
    partition.units.add(document);
    space.documents.set(plan.uri, document);
    return document;
  }

  #patchDocument(document: DocumentRecord, patch: EntryPatch): void {
    if (patch.tags !== undefined) document.tags = [...new Set(patch.tags)];
    if (patch.metadata !== undefined) document.metadata = structuredClone(patch.metadata);
    document.version++;
    document.updatedAt = this.#now();
  }

  #patchText(space: Namespace, record: MemoryRecord, patch: EntryPatch): void {
    if (patch.content) {
      record.content = patch.content.text;
      record.contentHash = patch.content.hash;
    }
    const vector = patch.vector !== undefined ? patch.vector : patch.content?.vector;
    if (vector !== undefined) Object.assign(record, keepVectors(vector, patch.sideVectors));
    if (patch.tags !== undefined) record.tags = [...new Set(patch.tags)];
    if (patch.metadata !== undefined) record.metadata = structuredClone(patch.metadata);
    if (patch.at !== undefined) record.at = patch.at ?? undefined;
    if (patch.speaker !== undefined) record.speaker = patch.speaker ?? undefined;
    record.version++;
    record.updatedAt = this.#now();
    if (patch.thread === undefined) return;
    record.thread = patch.thread ?? undefined;
    const at = partitionOf(this.#context, record.thread ?? record.id);
    if (at === record.partition) return;
    const former = space.partitions[record.partition]!;
    former.units.delete(record);
    former.gone.push({ seq: ++former.seq, row: record.row });
    space.partitions[at]!.units.add(record);
    record.partition = at;
  }

  #patchLife(space: Namespace, unit: Unit, patch: EntryPatch): Evicted[] {
    const { life } = unit;
    const before = { ...life };
    const isMoved = patch.tier !== undefined && patch.tier !== life.tier;
    const isPinChanged = patch.pinned !== undefined && patch.pinned !== life.pinned;
    life.tier = patch.tier ?? life.tier;
    life.importance = patch.importance ?? life.importance;
    life.pinned = patch.pinned ?? life.pinned;
    if (isPinChanged) {
      life.expiresAt = expiryOf(this.#context, life, Math.max(this.#now(), life.lastUsedAt));
    } else if (isMoved) life.expiresAt = expiryAfterMove(this.#context, before, life.tier);
    if (isMoved) {
      record(
        space,
        {
          run: uuidv7(),
          at: this.#now(),
          kind: tiers.indexOf(life.tier) > tiers.indexOf(before.tier) ? "promote" : "demote",
          id: unit.id,
          document: isDocument(unit),
          from: before.tier,
          to: life.tier,
          reason: `moved by hand to ${life.tier}`,
        },
        { what: "moved", life: before },
      );
    }
    return makeRoom(this.#context, space, unit, new Set([unit]));
  }

  /** How many of the vectors put beside others a follower of the model has read. */
  #vectorsRead(space: Namespace, cursor: string | undefined, model: string): number {
    if (cursor === undefined) return newestOf(space, model);
    const read = decodeCursor("feed", cursor, 3 * this.#context.partitions + 1).at(-1)!;
    if (read < (space.put.get(model)?.dropped ?? 0)) throw truncated(read);
    return read;
  }

  #position(partition: Partition, cursor: string | undefined, at: number): Position {
    if (cursor === undefined) return { seq: 0, row: wholeWrite, horizon: partition.seq };
    const numbers = decodeCursor("feed", cursor, 3 * this.#context.partitions + 1);
    const [seq, row, horizon] = numbers.slice(3 * at) as [number, number, number];
    if (seq > partition.seq) {
      throw new StrataError(
        "INVALID_CURSOR",
        "The cursor is ahead of this store; it was made by another. Start without one.",
      );
    }
    if (Math.max(seq, horizon) < partition.trimmed) throw truncated(seq);
    return { seq, row, horizon };
  }

  /** Drops staged revisions that were left alone. Returns how many chunks they hold. */
  #sweep(space: Namespace, dryRun = false): number {
    let chunks = 0;
    for (const [revision, staging] of space.staged) {
      if (staging.touchedAt + stagingLeaseMs > this.#now()) continue;
      chunks += staging.chunks.length;
      if (!dryRun) space.staged.delete(revision);
    }
    return chunks;
  }

  #holdsAnything(space: Namespace): boolean {
    return [...units(space)].some((unit) => unit.life.expiresAt > this.#now());
  }

  #tierStats(visible: readonly Unit[], tier: Tier): TierStats {
    const inTier = visible.filter((unit) => unit.life.tier === tier);
    const memories = inTier.flatMap(memoriesOf);
    return {
      entries: inTier.length,
      memories: memories.length,
      documents: inTier.filter(isDocument).length,
      pinned: inTier.filter((unit) => unit.life.pinned).length,
      bytes: memories.reduce((sum, record) => sum + Buffer.byteLength(record.content), 0),
      ...this.#context.tiers[tier],
    };
  }
}

function add(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

function byTier<T>(value: (tier: Tier) => T): Record<Tier, T> {
  return Object.fromEntries(tiers.map((tier) => [tier, value(tier)])) as Record<Tier, T>;
}

/** Leaves a memory one model's vector alone. Returns how many left. */
function keepOnly(record: MemoryRecord, model: string): number {
  let dropped = 0;
  for (const [other, values] of record.side) {
    if (other === model) continue;
    record.side.delete(other);
    if (values) dropped++;
  }
  if (record.vector?.model === model) return dropped;
  if (record.vector) dropped++;
  const values = record.side.get(model);
  record.vector = values ? { model, values } : null;
  if (values) record.side.delete(model);
  return dropped;
}

/** How many vectors of a model were put beside others so far. */
function newestOf(space: Namespace, model: string): number {
  const { dropped, rows } = space.put.get(model) ?? { dropped: 0, rows: [] };
  return dropped + rows.length;
}

function truncated(cursor: number): StrataError {
  return new StrataError(
    "FEED_TRUNCATED",
    "The feed no longer reaches back to the cursor. Build what follows it again, starting without a cursor.",
    { details: { cursor } },
  );
}

/** True where the model has no vector and was not said to know nothing. */
function lacks({ vector, side }: MemoryRecord, model: string): boolean {
  return vector?.model !== model && !side.has(model);
}

/** By code point, as SQLite compares. */
function compareNames(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other));
}

/** @throws UNKNOWN_TIER */
function assertTier(tier: Tier): void {
  if (!isTier(tier)) {
    throw new StrataError("UNKNOWN_TIER", `Expected one of the tiers ${tiers.join(", ")}; got another name.`);
  }
}

/** @throws NOT_FOUND when the revision was published, discarded or swept. */
function stagingOf(space: Namespace, staged: StagedDocument): Staging {
  const staging = space.staged.get(staged.revision);
  if (staging) return staging;
  throw new StrataError(
    "NOT_FOUND",
    "Expected a staged document; it was published, discarded, or left alone for too long. Stage it again.",
    { details: { revision: staged.revision } },
  );
}

function snapshotInfo(name: string, { createdAt, filter, items }: SavedSnapshot): SnapshotInfo {
  const bytes = items.reduce(
    (sum, { memory, vector }) =>
      sum + Buffer.byteLength(JSON.stringify(memory)) + 2 * (vector?.values.length ?? 0),
    0,
  );
  return { name, createdAt, filter, memories: items.length, bytes };
}

function eraseFromSnapshots(space: Namespace, ids: ReadonlySet<string>, filter: MemoryFilter): void {
  for (const snapshot of space.snapshots.values()) {
    snapshot.items = snapshot.items.filter(
      ({ memory }) => !ids.has(memory.id) && !matchesFilter(memory, filter),
    );
  }
}

function vectorOf({ vector }: MemoryRecord): StoredVector | null {
  return vector && { model: vector.model, values: Float32Array.from(vector.values) };
}
