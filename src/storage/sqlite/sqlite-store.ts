import type { SQLOutputValue } from "node:sqlite";
import { LRUCache } from "lru-cache";
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
  UpdateResult,
  Use,
} from "../../contract/memory-store.ts";
import { utcDay } from "../../contract/relevance.ts";
import type { MemoryFilter, Scope } from "../../contract/scope.ts";
import type { SnapshotInfo, SnapshotPage } from "../../contract/snapshot.ts";
import { defaultTierTable, type TierTable } from "../../contract/tier.ts";
import type { TuningDecision } from "../../contract/tuning.ts";
import { assertCandidateQuery } from "../candidate-query.ts";
import { decodeCursor, decodeNameCursor, encodeCursor, encodeNameCursor } from "../cursor.ts";
import { holdsMetadata } from "../filter-match.ts";
import { addMemories } from "./add-memories.ts";
import { applyActions } from "./apply-actions.ts";
import { refreshFlags, shrinkTiers } from "./capacity.ts";
import { changesAfter } from "./change-feed.ts";
import { Checkpointer } from "./checkpointer.ts";
import { cleanUp } from "./clean-up.ts";
import { type Connection, closedError } from "./connection.ts";
import { refreshDerived } from "./derived-columns.ts";
import { documentByUri, documentsAfter, toDocument } from "./document-rows.ts";
import { addStagedChunks, discard, publish, stage } from "./document-staging.ts";
import { touchEntries } from "./entry-rows.ts";
import { clearJournal, eraseFromJournal, eraseMerged, isWipeDue, noteWipe, wipe } from "./erasure.ts";
import { findCandidates } from "./find-candidates.ts";
import { forgetRows, idsOf, wholeDocuments } from "./forget-memories.ts";
import { readJournal } from "./journal-page.ts";
import {
  hasEnough,
  type ListPlace,
  listed,
  type Match,
  matchingPages,
  metadataFunction,
} from "./matching.ts";
import {
  namespaceCode,
  readByHashes,
  readByIds,
  readByName,
  readByRows,
  toMemory,
  vectorOf,
} from "./memory-rows.ts";
import {
  clearSnapshots,
  deleteSnapshot,
  eraseFromSnapshots,
  listSnapshots,
  readSnapshot,
  saveSnapshot,
} from "./named-snapshots.ts";
import { openDatabase } from "./open-database.ts";
import { findOrphans } from "./orphans.ts";
import {
  addVectors,
  coverage,
  dropOtherVectors,
  knownModel,
  type ListedPlace,
  rowsLacking,
} from "./side-vectors.ts";
import { namesAfter, readStats } from "./store-statistics.ts";
import { sweepRevisions } from "./sweep.ts";
import { addTuning, readTuning } from "./tuning-rows.ts";
import { undoRun } from "./undo-run.ts";
import { updateMemory } from "./update-memory.ts";
import { type StoreContext, WriteStep } from "./write-step.ts";

/** Options of {@link openSqliteStore}. */
export interface SqliteStoreOptions {
  /** Default: the reference's limits. */
  readonly tiers?: TierTable | undefined;
  /** How much of its recency a memory loses a day; 0: nothing fades. Default 0.1. */
  readonly decayRate?: number | undefined;
  readonly clock?: Clock | undefined;
  /** What an acknowledged write survives: the death of the process (default), or a power cut at the cost of a sync. */
  readonly durability?: "process" | "power" | undefined;
  /** How long what was forgotten or evicted is kept to undo it. Default 30 days. */
  readonly forgetRetentionMs?: number | undefined;
  /** Most rows of the journal; older ones leave. Default 100,000. */
  readonly journalMaxRows?: number | undefined;
  /** Most bytes kept to undo what was forgotten or evicted. Default 256 MiB. */
  readonly journalMaxBytes?: number | undefined;
  /** Writes for which the change feed remembers what left; a follower further behind starts again. Default 200,000. */
  readonly feedReach?: number | undefined;
  /** Default false. */
  readonly readOnly?: boolean | undefined;
  /** Make the file, and its folder, when there is none. Default true. */
  readonly create?: boolean | undefined;
  /** How long a write waits for another process's. Default 10,000. */
  readonly lockTimeoutMs?: number | undefined;
}

const dayMs = 86_400_000;
/** A lease that lasts for so much longer than it is taken for was taken before the clock was set back. */
const leaseSkewMs = dayMs;
/** Memories read, removed or touched in one transaction. */
const sliceSize = 256;
/** Vectors put beside others in one transaction. */
const vectorSlice = 64;
/** Slices of memories looked at for those that lack a vector before a page is returned, however many were found. */
const lackingReach = 32;
const listStart: ListedPlace = [Number.MIN_SAFE_INTEGER, 0];
/** Namespaces made ready for writing that are remembered as such. */
const readyBound = 10_000;

/**
 * Opens the store in a file, making it when there is none.
 * @throws DATABASE_IS_DIRECTORY, DATABASE_NOT_FOUND, NOT_A_DATABASE, DATABASE_NEWER, DATABASE_READ_ONLY,
 * DATABASE_CORRUPT, DATABASE_BUSY, DISK_FULL, INVALID_ARGUMENT
 */
export async function openSqliteStore(path: string, options: SqliteStoreOptions = {}): Promise<MemoryStore> {
  const readOnly = options.readOnly ?? false;
  const feedReach = atLeast("feedReach", options.feedReach ?? 200_000, 1);
  const context = {
    feedReach,
    trimFeedEvery: Math.max(1, Math.min(1_024, Math.floor(feedReach / 2))),
    now: (options.clock ?? systemClock).now,
    tiers: options.tiers ?? defaultTierTable,
    decayRate: atLeast("decayRate", options.decayRate ?? 0.1, 0),
    journalLimits: {
      retentionMs: atLeast("forgetRetentionMs", options.forgetRetentionMs ?? 30 * dayMs, 0),
      maxRows: atLeast("journalMaxRows", options.journalMaxRows ?? 100_000, 1),
      maxBytes: atLeast("journalMaxBytes", options.journalMaxBytes ?? 256 * 2 ** 20, 1),
    },
  };
  const connection = await openDatabase(path, {
    durability: options.durability ?? "process",
    readOnly,
    create: options.create ?? true,
    lockTimeoutMs: atLeast("lockTimeoutMs", options.lockTimeoutMs ?? 10_000, 0),
  });
  try {
    connection.define(metadataFunction, metadataMatches);
    const store = new SqliteStore(path, { ...context, connection }, readOnly);
    if (!readOnly) await store.prepare();
    return store;
  } catch (error) {
    connection.close();
    throw error;
  }
}

function atLeast(name: string, value: number, least: number): number {
  if (!(value >= least)) {
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Expected ${name} to be a number of at least ${least}; got ${value}.`,
    );
  }
  return value;
}

function metadataMatches(own: SQLOutputValue, document: SQLOutputValue, wanted: SQLOutputValue): number {
  const parse = (cell: SQLOutputValue) => (typeof cell === "string" ? JSON.parse(cell) : {});
  return holdsMetadata({ ...parse(document), ...parse(own) }, parse(wanted)) ? 1 : 0;
}

class SqliteStore implements MemoryStore {
  readonly driver = "sqlite";
  readonly #path: string;
  readonly #context: StoreContext;
  readonly #db: Connection;
  readonly #checkpointer: Checkpointer | undefined;
  /** Namespaces whose tiers were brought within this store's limits. */
  readonly #ready = new LRUCache<string, true>({ max: readyBound });

  constructor(path: string, context: StoreContext, readOnly: boolean) {
    this.#path = path;
    this.#context = context;
    this.#db = context.connection;
    this.#checkpointer = readOnly ? undefined : new Checkpointer(path, this.#db);
  }

  /** Brings what is derived up to this store's options, and ends what a dead process began. */
  async prepare(): Promise<void> {
    await refreshDerived(this.#context);
    if (isWipeDue(this.#context)) await wipe(this.#context);
  }

  async add(scope: Scope, entries: readonly NewEntry[], call?: StoreCall): Promise<AddResult> {
    if (entries.length === 0) return { memories: [], evicted: [] };
    const evicted = await this.#makeReady(scope, call);
    const result = await this.#write(scope, (step) => addMemories(step, entries), call);
    return evicted.length === 0 ? result : { ...result, evicted: [...evicted, ...result.evicted] };
  }

  async sameContent(scope: Scope, hashes: readonly string[], limit: number): Promise<Memory[]> {
    return this.#db.read(() => {
      const namespace = namespaceCode(this.#db, scope.namespace);
      if (namespace === undefined) return [];
      return readByHashes(this.#db, namespace, hashes, limit, this.#context.now()).map((row) =>
        toMemory(scope.namespace, row),
      );
    });
  }

  async get(scope: Scope, ids: readonly string[]): Promise<(Memory | undefined)[]> {
    const found = new Map<string, Memory>();
    await this.#inNamespace(scope, ids, (namespace, slice, now) => {
      for (const row of readByIds(this.#db, namespace, slice, now)) {
        const memory = toMemory(scope.namespace, row);
        found.set(memory.id, memory);
      }
    });
    return ids.map((id) => found.get(id));
  }

  async update(
    scope: Scope,
    id: string,
    patch: EntryPatch,
    call?: StoreCall & { readonly ifVersion?: number | undefined },
  ): Promise<UpdateResult> {
    const evicted = await this.#makeReady(scope, call);
    const result = await this.#write(scope, (step) => updateMemory(step, id, patch, call?.ifVersion), call);
    return { ...result, evicted: [...evicted, ...result.evicted] };
  }

  async forget(
    scope: Scope,
    filter: MemoryFilter,
    call?: StoreCall & { readonly erase?: boolean | undefined },
  ): Promise<ForgetResult> {
    const erase = call?.erase ?? false;
    const namespace = namespaceCode(this.#open(), scope.namespace);
    if (namespace === undefined) return { forgotten: 0 };
    const run = uuidv7();
    const rows = (await this.#matches(namespace, filter)).map(([row]) => row);
    // Before the rows, so that a process that dies in between finds what to erase again.
    const ids = erase ? await this.#idsOf(scope, rows) : undefined;
    const eraseCopies = async (erased: ReadonlySet<string>) => {
      await eraseFromJournal(this.#context, scope.namespace, namespace, erased, filter, call);
      await eraseFromSnapshots(this.#context, scope.namespace, namespace, erased, filter, call);
    };
    if (ids) await eraseCopies(ids);
    const forgotten = await this.#forgetRows(scope, rows, erase, run, call);
    if (!ids) return forgotten === 0 ? { forgotten } : { forgotten, run };
    // After them too, for what was copied meanwhile.
    await eraseCopies(ids);
    if (isWipeDue(this.#context)) await wipe(this.#context, call);
    return { forgotten };
  }

  async clear(scope: Scope, call?: StoreCall): Promise<number> {
    const namespace = namespaceCode(this.#open(), scope.namespace);
    if (namespace === undefined) return 0;
    const rows = (await this.#matches(namespace, {})).map(([row]) => row);
    const cleared = await this.#forgetRows(scope, rows, true, uuidv7(), call);
    await cleanUp(this.#context, { dryRun: false, scope }, call);
    await clearJournal(this.#context, namespace, call);
    await clearSnapshots(this.#context, namespace, call);
    await sweepRevisions(this.#context, { namespace: scope.namespace, signal: call?.signal });
    await this.#write(
      scope,
      (step) => {
        noteWipe(step);
        step.db.run("delete from state where namespace = ?", step.namespace);
      },
      call,
    );
    await wipe(this.#context, call);
    return cleared;
  }

  async list(
    scope: Scope,
    filter: MemoryFilter,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<MemoryPage> {
    const before = page.cursor === undefined ? undefined : decodeCursor("list", page.cursor, 2);
    const namespace = namespaceCode(this.#open(), scope.namespace);
    if (namespace === undefined) return { memories: [] };
    const place = before && ([before[0]!, before[1]!] as const);
    const { matches, memories } = await this.#readListed(scope, namespace, filter, page.limit, place);
    const last = matches[page.limit - 1];
    return {
      memories,
      ...(matches.length > page.limit && last ? { cursor: encodeCursor("list", [last[1], last[0]]) } : {}),
    };
  }

  async matchingRows(scope: Scope, filter: MemoryFilter): Promise<Float64Array> {
    const namespace = namespaceCode(this.#open(), scope.namespace);
    if (namespace === undefined) return new Float64Array(0);
    const matches = await this.#matches(namespace, filter);
    return Float64Array.from(matches, ([row]) => row).sort();
  }

  async read(scope: Scope, rows: readonly number[]): Promise<(Memory | undefined)[]> {
    const found = new Map<number, Memory>();
    await this.#inSlices(rows, (slice, now) => {
      for (const row of readByName(this.#db, scope.namespace, slice, now)) {
        found.set(row[0], toMemory(scope.namespace, row));
      }
    });
    return rows.map((row) => found.get(row));
  }

  async vectors(scope: Scope, ids: readonly string[]): Promise<(StoredVector | null)[]> {
    const found = new Map<string, StoredVector>();
    await this.#inNamespace(scope, ids, (namespace, slice, now) => {
      const rows = this.#db.all<[string, string, Uint8Array]>(
        `select m.id, o.name, v.data from json_each(?) j
         cross join memory m indexed by memory_id on m.namespace = ? and m.id = j.value
         cross join entry e on e.id = m.entry cross join vector v on v.row = m.row
         cross join model o on o.id = v.model where e.expires_at > ?`,
        JSON.stringify(slice),
        namespace,
        now,
      );
      for (const [id, model, data] of rows)
        found.set(id, { model, values: Float32Array.from(vectorOf(data)) });
    });
    return ids.map((id) => found.get(id) ?? null);
  }

  async touch(scope: Scope, uses: readonly Use[], call?: StoreCall): Promise<void> {
    for (let start = 0; start < uses.length; start += sliceSize) {
      const slice = uses.slice(start, start + sliceSize);
      await this.#write(scope, (step) => touchEntries(step, slice), call);
    }
  }

  async document(scope: Scope, uri: string): Promise<StoredDocument | undefined> {
    const namespace = namespaceCode(this.#open(), scope.namespace);
    const row = namespace === undefined ? undefined : documentByUri(this.#db, namespace, uri);
    const isVisible = row !== undefined && row[11] > this.#context.now();
    return isVisible ? toDocument(scope.namespace, row) : undefined;
  }

  async documents(
    scope: Scope,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<DocumentPage> {
    const after = page.cursor === undefined ? "" : decodeNameCursor("documents", page.cursor);
    const namespace = namespaceCode(this.#open(), scope.namespace);
    if (namespace === undefined) return { documents: [] };
    const rows = documentsAfter(this.#db, namespace, after, this.#context.now(), page.limit + 1);
    const documents = rows.slice(0, page.limit).map((row) => toDocument(scope.namespace, row));
    const last = documents.at(-1);
    return {
      documents,
      ...(rows.length > page.limit && last ? { cursor: encodeNameCursor("documents", last.uri) } : {}),
    };
  }

  async stageDocument(scope: Scope, document: NewDocument, call?: StoreCall): Promise<StagedDocument> {
    await sweepRevisions(this.#context, { namespace: scope.namespace, signal: call?.signal });
    return this.#write(scope, (step) => stage(step, document), call);
  }

  async addChunks(staged: StagedDocument, chunks: readonly NewChunk[], call?: StoreCall): Promise<void> {
    await this.#write(staged, (step) => addStagedChunks(step, staged, chunks), call);
  }

  async publishDocument(staged: StagedDocument, call?: StoreCall): Promise<PublishResult> {
    const evicted = await this.#makeReady(staged, call);
    const result = await this.#write(staged, (step) => publish(step, staged), call);
    // The document is published whatever becomes of this; what is left is swept by the next who stages or cleans up.
    await sweepRevisions(this.#context, { namespace: staged.namespace }).catch(() => undefined);
    return evicted.length === 0 ? result : { ...result, evicted: [...evicted, ...result.evicted] };
  }

  async discardDocument(staged: StagedDocument): Promise<void> {
    await this.#write(staged, (step) => discard(step, staged));
    await sweepRevisions(this.#context, { only: staged.revision });
  }

  async changes(
    scope: Scope,
    cursor: string | undefined,
    limit: number,
    model?: string,
  ): Promise<ChangePage> {
    return this.#db.read(() =>
      changesAfter(this.#db, scope.namespace, cursor, Math.max(1, limit), this.#context.now(), model),
    );
  }

  async generation(scope: Scope, model?: string): Promise<string> {
    if (model === undefined) {
      const row = this.#open().get<[number]>("select seq from namespace where name = ?", scope.namespace);
      return String(row?.[0] ?? 0);
    }
    const row = this.#open().get<[number, number | null, number | null]>(
      `select n.seq, c.settled, (select max(number) from side_vector s where s.namespace = n.id and s.model = o.id)
       from namespace n left join model o on o.name = ? left join model_count c on c.namespace = n.id and c.model = o.id
       where n.name = ?`,
      model,
      scope.namespace,
    );
    const [seq, settled, newest] = row ?? [0, 0, 0];
    return `${seq}.${Math.max(settled ?? 0, newest ?? 0)}`;
  }

  async coverage(scope: Scope): Promise<Coverage> {
    const namespace = namespaceCode(this.#open(), scope.namespace);
    return namespace === undefined
      ? { memories: 0, models: {} }
      : this.#db.outside(() => coverage(this.#db, namespace));
  }

  async lacking(
    scope: Scope,
    model: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<MemoryRowPage> {
    const namespace = namespaceCode(this.#open(), scope.namespace);
    if (namespace === undefined) return { memories: [] };
    let place: ListedPlace | undefined =
      page.cursor === undefined ? listStart : (decodeCursor("lacking", page.cursor, 2) as [number, number]);
    const memories: MemoryRowPage["memories"][number][] = [];
    for (let looked = 0; place && looked < lackingReach && memories.length < page.limit; looked++) {
      if (looked > 0) await new Promise(setImmediate);
      const from: ListedPlace = place;
      place = await this.#db.outside(() => {
        const code = knownModel(this.#db, model) ?? 0;
        const rows = rowsLacking(this.#db, namespace, code, from, sliceSize);
        const room = page.limit - memories.length;
        const lacking = rows.filter(([, , lacks]) => lacks === 1);
        const wanted = lacking.slice(0, room).map(([row]) => row);
        for (const row of readByRows(this.#db, namespace, wanted, this.#context.now())) {
          memories.push({ row: row[0], memory: toMemory(scope.namespace, row) });
        }
        const last = lacking.length > room ? lacking[room - 1] : rows.at(-1);
        const ended = rows.length < sliceSize && lacking.length <= room;
        return ended || !last ? undefined : ([last[1], last[0]] as const);
      });
    }
    return { memories, ...(place && { cursor: encodeCursor("lacking", place) }) };
  }

  async addVectors(
    scope: Scope,
    model: string,
    vectors: readonly RowVector[],
    call?: StoreCall,
  ): Promise<readonly boolean[]> {
    const put: boolean[] = [];
    for (let start = 0; start < vectors.length; start += vectorSlice) {
      const slice = vectors.slice(start, start + vectorSlice);
      put.push(...(await this.#write(scope, (step) => addVectors(step, model, slice), call)));
    }
    return put;
  }

  async dropOtherVectors(
    scope: Scope,
    model: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
    call?: StoreCall,
  ): Promise<DropPage> {
    const { limit, cursor } = page;
    return this.#write(scope, (step) => dropOtherVectors(step, model, cursor, limit), call);
  }

  async stats(scope?: Scope): Promise<StoreStats> {
    return this.#db.read(() => {
      // No namespace has the number 0: one that was never written to has empty figures.
      const namespace = scope && (namespaceCode(this.#db, scope.namespace) ?? 0);
      return readStats(this.#context, namespace, this.#path);
    });
  }

  async orphans(options: { readonly dryRun: boolean }, call?: StoreCall): Promise<OrphanCounts> {
    this.#open();
    return findOrphans(this.#context, options, call);
  }

  async namespaces(): Promise<string[]> {
    const names: string[] = [];
    let after = "";
    for (let more = true; more; ) {
      const page = await this.#db.outside(() =>
        this.#db.all<[string, number | null]>(namesAfter, this.#context.now(), after, sliceSize),
      );
      for (const [name, holds] of page) if (holds === 1) names.push(name);
      more = page.length === sliceSize;
      if (more) await new Promise(setImmediate);
      after = page.at(-1)?.[0] ?? after;
    }
    return names;
  }

  async cleanup(
    options: { readonly dryRun: boolean; readonly scope?: Scope | undefined },
    call?: StoreCall,
  ): Promise<CleanupResult> {
    this.#open();
    return cleanUp(this.#context, options, call);
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
    const namespace = namespaceCode(this.#open(), scope.namespace);
    return namespace === undefined ? { entries: [] } : readJournal(this.#db, namespace, page);
  }

  async saveSnapshot(
    scope: Scope,
    name: string,
    filter: MemoryFilter,
    call?: StoreCall & { readonly replace?: boolean | undefined },
  ): Promise<SnapshotInfo> {
    const namespace = namespaceCode(this.#open(), scope.namespace);
    const matches = namespace === undefined ? [] : await this.#matches(namespace, filter);
    return saveSnapshot(
      this.#context,
      scope,
      name,
      filter,
      matches.map(([row]) => row),
      call ?? {},
    );
  }

  async snapshots(scope: Scope): Promise<SnapshotInfo[]> {
    this.#open();
    return listSnapshots(this.#context, scope);
  }

  async readSnapshot(
    scope: Scope,
    name: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<SnapshotPage> {
    this.#open();
    return readSnapshot(this.#context, scope, name, page);
  }

  async deleteSnapshot(scope: Scope, name: string, call?: StoreCall): Promise<void> {
    this.#open();
    await deleteSnapshot(this.#context, scope, name, call);
  }

  async candidates(scope: Scope, query: CandidateQuery, call?: StoreCall): Promise<CandidatePage> {
    this.#open();
    assertCandidateQuery(query, utcDay(this.#context.now()));
    await refreshFlags(this.#context, scope.namespace, call, query.day);
    return this.#db.read(() => findCandidates(this.#context, scope.namespace, query), call);
  }

  async apply(
    scope: Scope,
    run: string,
    actions: readonly StoreAction[],
    call?: StoreCall,
  ): Promise<ApplyResult> {
    if (actions.length === 0) return { outcomes: [], evicted: [] };
    const evicted = await this.#makeReady(scope, call);
    const result = await this.#write(scope, (step) => applyActions(step, run, actions), call);
    return evicted.length === 0 ? result : { ...result, evicted: [...evicted, ...result.evicted] };
  }

  async undo(scope: Scope, run: string, call?: StoreCall): Promise<UndoResult> {
    await this.#makeReady(scope, call);
    const namespace = namespaceCode(this.#open(), scope.namespace);
    return undoRun(this.#context, scope.namespace, namespace, run, call);
  }

  async readState(scope: Scope, name: string): Promise<string | undefined> {
    return this.#open().get<[string]>(
      "select s.value from state s cross join namespace n on n.id = s.namespace where n.name = ? and s.name = ?",
      scope.namespace,
      name,
    )?.[0];
  }

  async writeState(scope: Scope, name: string, value: string, call?: StoreCall): Promise<void> {
    await this.#write(
      scope,
      (step) => {
        step.db.run("insert or replace into state values (?, ?, ?)", step.namespace, name, value);
      },
      call,
    );
  }

  async noteTuning(decision: TuningDecision): Promise<void> {
    await this.#db.write(() => addTuning(this.#db, decision));
  }

  async tuningDecisions(limit: number): Promise<TuningDecision[]> {
    return readTuning(this.#open(), limit);
  }

  async acquireLease(name: string, holder: string, ttlMs: number): Promise<boolean> {
    const now = this.#context.now();
    const changed = await this.#db.write(() =>
      this.#db.run(
        `insert into lease values (?, ?, ?) on conflict (name) do update
         set holder = excluded.holder, until = excluded.until where holder = excluded.holder or until <= ? or until > ?`,
        name,
        holder,
        now + ttlMs,
        now,
        now + ttlMs + leaseSkewMs,
      ),
    );
    return changed > 0;
  }

  async releaseLease(name: string, holder: string): Promise<void> {
    await this.#db.write(() => this.#db.run("delete from lease where name = ? and holder = ?", name, holder));
  }

  async close(): Promise<void> {
    this.#db.close();
    await this.#checkpointer?.close();
  }

  #open(): Connection {
    if (!this.#db.open) throw closedError();
    return this.#db;
  }

  async #write<T>(
    scope: Scope,
    run: (step: WriteStep) => T extends PromiseLike<unknown> ? never : T,
    call?: StoreCall,
  ): Promise<T> {
    return this.#db.write<T>(() => {
      const step = new WriteStep(this.#context, scope.namespace);
      const result = run(step);
      step.finish();
      return result;
    }, call);
  }

  /** Makes a namespace ready for writes that may evict: the day's flags, and once the limits of this store's options. */
  async #makeReady(scope: Scope, call?: StoreCall): Promise<readonly Evicted[]> {
    this.#open();
    await refreshFlags(this.#context, scope.namespace, call);
    if (this.#ready.has(scope.namespace)) return [];
    const evicted = await shrinkTiers(this.#context, scope.namespace, call);
    this.#ready.set(scope.namespace, true);
    return evicted;
  }

  /** The same as {@link #inSlices}, where there is such a namespace. */
  async #inNamespace<T>(
    scope: Scope,
    items: readonly T[],
    read: (namespace: number, slice: readonly T[], now: number) => void,
  ): Promise<void> {
    const namespace = namespaceCode(this.#open(), scope.namespace);
    if (namespace === undefined) return;
    await this.#inSlices(items, (slice, now) => read(namespace, slice, now));
  }

  /** Reads slices of ids or rows, leaving the event loop free between them. */
  async #inSlices<T>(items: readonly T[], read: (slice: readonly T[], now: number) => void): Promise<void> {
    this.#open();
    for (let start = 0; start < items.length; start += sliceSize) {
      if (start > 0) await new Promise(setImmediate);
      const slice = items.length <= sliceSize ? items : items.slice(start, start + sliceSize);
      await this.#db.outside(() => read(slice, this.#context.now()));
    }
  }

  async #matches(namespace: number, filter: MemoryFilter): Promise<Match[]> {
    const pages: Match[][] = [];
    for (const page of matchingPages(this.#db, namespace, filter, this.#context.now())) {
      pages.push(page);
      await new Promise(setImmediate);
      this.#open();
    }
    return pages.flat();
  }

  /**
   * A page's matches, one more than its limit when there are, and its memories. When some left between finding and
   * reading, both are done again on one state of the database, so that a document under replacement shows its old or
   * its new revision, never neither.
   */
  async #readListed(
    scope: Scope,
    namespace: number,
    filter: MemoryFilter,
    limit: number,
    place: ListPlace | undefined,
  ): Promise<{ readonly matches: readonly Match[]; readonly memories: readonly Memory[] }> {
    const walk = () => matchingPages(this.#db, namespace, filter, this.#context.now(), place);
    const pages: Match[][] = [];
    for (const page of walk()) {
      pages.push(page);
      if (hasEnough(pages, filter, limit + 1)) break;
      await new Promise(setImmediate);
      this.#open();
    }
    const matches = listed(pages, filter, limit + 1, place);
    const rows = matches.slice(0, limit).map(([row]) => row);
    const memories = (await this.read(scope, rows)).filter((memory) => memory !== undefined);
    if (memories.length === rows.length) return { matches, memories };
    return this.#db.read(() => {
      const again: Match[][] = [];
      for (const page of walk()) {
        again.push(page);
        if (hasEnough(again, filter, limit + 1)) break;
      }
      const found = listed(again, filter, limit + 1, place);
      const shown = found.slice(0, limit).map(([row]) => row);
      const byRow = new Map(
        readByRows(this.#db, namespace, shown, this.#context.now()).map((row) => [row[0], row]),
      );
      const kept = shown.map((row) => byRow.get(row)).filter((row) => row !== undefined);
      return { matches: found, memories: kept.map((row) => toMemory(scope.namespace, row)) };
    });
  }

  async #idsOf(scope: Scope, rows: readonly number[]): Promise<ReadonlySet<string>> {
    const ids = new Set<string>();
    await this.#inNamespace(scope, rows, (_, slice) => {
      const found = this.#db.all<[string]>(
        "select m.id from json_each(?) j cross join memory m on m.row = j.value",
        JSON.stringify(slice),
      );
      for (const [id] of found) ids.add(id);
    });
    return ids;
  }

  /** Forgets rows in slices. Erased ones leave no row in the journal, and their chunks are swept at once. */
  async #forgetRows(
    scope: Scope,
    rows: readonly number[],
    erase: boolean,
    run: string,
    call?: StoreCall,
  ): Promise<number> {
    const departure = {
      run,
      kind: "forget",
      reason: "forgotten on request",
      undoable: !erase,
      unrecorded: erase,
    } as const;
    if (rows.length === 0) return 0;
    const whole = await this.#db.outside(() => wholeDocuments(this.#db, rows));
    let forgotten = 0;
    for (let start = 0; start < rows.length; start += sliceSize) {
      const slice = rows.slice(start, start + sliceSize);
      forgotten += await this.#write(
        scope,
        (step) => {
          if (erase) {
            noteWipe(step);
            eraseMerged(step, idsOf(this.#db, slice));
          }
          return forgetRows(step, slice, whole, departure);
        },
        call,
      );
    }
    if (erase) await sweepRevisions(this.#context, { namespace: scope.namespace, signal: call?.signal });
    return forgotten;
  }
}
