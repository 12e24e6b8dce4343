import type {
  ApplyResult,
  CandidatePage,
  CandidateQuery,
  Evicted,
  StoreAction,
  UndoResult,
} from "./consolidation.ts";
import type { ChunkSource, Memory, Metadata, StoredDocument, StoredVector } from "./memory.ts";
import type { MemoryFilter, Scope } from "./scope.ts";
import type { SnapshotInfo, SnapshotPage } from "./snapshot.ts";
import type { Tier } from "./tier.ts";
import type { TuningDecision } from "./tuning.ts";

export type { Evicted } from "./consolidation.ts";

/**
 * Where memories live: the truth from which everything else is derived. Each method is one atomic step; there are no
 * transactions to hold. A driver is done when it passes the contract suite in `testing/`.
 *
 * A memory is *visible* when it has not expired and, for a chunk, when it belongs to the published revision of its
 * document. No method but `stats` and `cleanup` tells anything of invisible ones.
 */
export interface MemoryStore {
  /** Name of the driver: "sqlite", "in-memory". */
  readonly driver: string;

  /**
   * Adds all entries or none. A taken idempotency key, or a taken id with the same content, gives the memory that is there.
   * An entry with `foldRepeat` gives the memory that says the same, if there is one (see {@link NewEntry.foldRepeat}).
   * Tiers over their capacity lose their least relevant entries, never one just added by this call unless the call
   * alone exceeds the capacity, never a pinned one.
   * @throws ALREADY_EXISTS A taken id with other content. DISK_FULL, DATABASE_BUSY
   */
  add(scope: Scope, entries: readonly NewEntry[], call?: StoreCall): Promise<AddResult>;

  /** Memories in the order of `ids`; undefined where none is visible. */
  get(scope: Scope, ids: readonly string[]): Promise<(Memory | undefined)[]>;

  /**
   * Changes one memory. Tier, importance and pin of a chunk change those of its document.
   * @throws NOT_FOUND, VERSION_CONFLICT, CHUNK_IMMUTABLE
   */
  update(
    scope: Scope,
    id: string,
    patch: EntryPatch,
    call?: StoreCall & { readonly ifVersion?: number | undefined },
  ): Promise<UpdateResult>;

  /**
   * Removes what matches; whole documents when the filter names `document`. Journaled with what is needed to undo it, unless `erase`: then the bytes
   * are gone from rows, indexes, journal, free pages and log when it resolves.
   */
  forget(
    scope: Scope,
    filter: MemoryFilter,
    call?: StoreCall & { readonly erase?: boolean | undefined },
  ): Promise<ForgetResult>;

  /** Removes a namespace's memories, documents and journal for good, as `erase` does. Returns how many memories. */
  clear(scope: Scope, call?: StoreCall): Promise<number>;

  /** Visible memories that match, newest `createdAt` first (then by row), a page at a time. */
  list(
    scope: Scope,
    filter: MemoryFilter,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<MemoryPage>;

  /** Rows of all visible memories that match, ascending. */
  matchingRows(scope: Scope, filter: MemoryFilter): Promise<Float64Array>;

  /** Memories in the order of `rows`; undefined where none is visible. */
  read(scope: Scope, rows: readonly number[]): Promise<(Memory | undefined)[]>;

  /** Stored vectors in the order of `ids`; null where there is none. */
  vectors(scope: Scope, ids: readonly string[]): Promise<(StoredVector | null)[]>;

  /** Adds uses: raises access counts, last use and expiry. Not a write: no number in the feed. */
  touch(scope: Scope, uses: readonly Use[], call?: StoreCall): Promise<void>;

  /** The document of that name, if visible. */
  document(scope: Scope, uri: string): Promise<StoredDocument | undefined>;

  /** Visible documents by `uri`, a page at a time. */
  documents(
    scope: Scope,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<DocumentPage>;

  /** Begins an invisible revision of a document; what a dead process left of an earlier one is swept. */
  stageDocument(scope: Scope, document: NewDocument, call?: StoreCall): Promise<StagedDocument>;

  /** Adds chunks to a staged revision, all or none of the call's. */
  addChunks(staged: StagedDocument, chunks: readonly NewChunk[], call?: StoreCall): Promise<void>;

  /** Makes the revision the document, at once for every reader; the former one's chunks are gone for them. */
  publishDocument(staged: StagedDocument, call?: StoreCall): Promise<PublishResult>;

  /** Drops a staged revision. */
  discardDocument(staged: StagedDocument): Promise<void>;

  /**
   * What changed after `cursor` (absent: from the beginning, so that following the feed builds an index), each
   * memory at most once as it is now, and what moved to another tier. `more` tells that the next call has something already.
   * @param model Whose vectors the rows carry where they have one; absent: each memory's own. A follower keeps to one, and
   *   is told of vectors of it that were put beside others.
   * @throws FEED_TRUNCATED, INVALID_CURSOR
   */
  changes(scope: Scope, cursor: string | undefined, limit: number, model?: string): Promise<ChangePage>;

  /**
   * Differs from an earlier answer whenever the namespace may have changed since, by any process. Costs microseconds.
   * @param model Tells changes of its vectors too.
   */
  generation(scope: Scope, model?: string): Promise<string>;

  /** Of how many memories each model has a vector. Costs microseconds; counts what has expired and was not removed yet. */
  coverage(scope: Scope): Promise<Coverage>;

  /**
   * Visible memories of which the model has neither a vector nor was said to know nothing, a page at a time. A page may
   * be short or empty though more follows; what comes while the pages are read may be on none of them.
   */
  lacking(
    scope: Scope,
    model: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<MemoryRowPage>;

  /**
   * Puts vectors of a model beside those that are there. Left out where the memory is gone, was changed since or has one
   * of this model. Not a write: only who follows this model's vectors is told.
   * @returns For each, whether it was put.
   */
  addVectors(
    scope: Scope,
    model: string,
    vectors: readonly RowVector[],
    call?: StoreCall,
  ): Promise<readonly boolean[]>;

  /**
   * Drops the vectors of all other models where the model has one or knows nothing, and whatever of other models is kept
   * to undo; a slice of about `limit` memories at a time. What lacks one of the model stays as it is. Followers of the
   * model that have not read all of its vectors before begin anew.
   */
  dropOtherVectors(
    scope: Scope,
    model: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
    call?: StoreCall,
  ): Promise<DropPage>;

  /** Figures of one namespace, or of all. */
  stats(scope?: Scope): Promise<StoreStats>;

  /** Names of all namespaces that hold anything, sorted. */
  namespaces(): Promise<string[]>;

  /** Removes what has expired, staged leftovers and journal rows past their time. */
  cleanup(
    options: { readonly dryRun: boolean; readonly scope?: Scope | undefined },
    call?: StoreCall,
  ): Promise<CleanupResult>;

  /** What happened to memories, newest first; of one memory also what it took in. */
  journal(
    scope: Scope,
    page: {
      readonly limit: number;
      readonly cursor?: string | undefined;
      readonly memoryId?: string | undefined;
      readonly run?: string | undefined;
    },
  ): Promise<JournalPage>;

  /**
   * Keeps a copy of every visible memory that matches, chunks of documents left out, under a name; there whole or not at
   * all. Each memory is as it was when it was read; what is written meanwhile may be in it or not.
   * @throws ALREADY_EXISTS Unless `replace`. LIMIT_REACHED At {@link snapshotBound} snapshots.
   */
  saveSnapshot(
    scope: Scope,
    name: string,
    filter: MemoryFilter,
    call?: StoreCall & { readonly replace?: boolean | undefined },
  ): Promise<SnapshotInfo>;

  /** Snapshots of a namespace by name. */
  snapshots(scope: Scope): Promise<SnapshotInfo[]>;

  /**
   * What a snapshot keeps, in a fixed order, a page at a time.
   * @throws NOT_FOUND
   */
  readSnapshot(
    scope: Scope,
    name: string,
    page: { readonly limit: number; readonly cursor?: string | undefined },
  ): Promise<SnapshotPage>;

  /** @throws NOT_FOUND */
  deleteSnapshot(scope: Scope, name: string, call?: StoreCall): Promise<void>;

  /** Visible memories of their own (no chunks) whose content has one of these hashes, found by an index; at most `limit`. */
  sameContent(scope: Scope, hashes: readonly string[], limit: number): Promise<Memory[]>;

  /**
   * Entries of a tier by their relevance, found by ranges of the stored keys: costs what it returns, not what the tier
   * holds.
   * @throws INVALID_ARGUMENT A threshold out of 0..1, a day to come, a limit below 1. INVALID_CURSOR
   */
  candidates(scope: Scope, query: CandidateQuery, call?: StoreCall): Promise<CandidatePage>;

  /**
   * Performs actions in one transaction, each only if nothing changed since it was planned; journaled under `run` with
   * what undo needs. A move into a full tier takes the place of its least relevant entry, if that is less relevant.
   * @throws INVALID_ARGUMENT A promotion down or a demotion up.
   */
  apply(scope: Scope, run: string, actions: readonly StoreAction[], call?: StoreCall): Promise<ApplyResult>;

  /**
   * Takes back what the journal holds of a run (moves, merges, evictions, forgetting, another undo), latest first, in
   * slices; called again after a crash it goes on where it stood. Entries are as they were, ids, versions, times and all,
   * but for uses since then, which stay; one whose time to live ran out meanwhile gets it anew. A merge is taken back only
   * if the memory that took the other in was not changed since. What expired cannot be taken back. Tiers that are too full
   * afterwards lose their least relevant, what the undo put back last.
   * @throws NOT_FOUND No row of that run is there.
   */
  undo(scope: Scope, run: string, call?: StoreCall): Promise<UndoResult>;

  /**
   * Counts what nothing owns any more, in all namespaces, and unless it is a dry run removes it. There is none, unless the
   * file was damaged or changed by other programs.
   */
  orphans(options: { readonly dryRun: boolean }, call?: StoreCall): Promise<OrphanCounts>;

  /** A small value kept under a name for whoever tends the namespace; no write for the feed, gone when it is cleared. */
  readState(scope: Scope, name: string): Promise<string | undefined>;

  writeState(scope: Scope, name: string, value: string, call?: StoreCall): Promise<void>;

  /** Adds a decision of self-tuning to the journal; it belongs to the store, not to a namespace. The oldest of more than 1,000 leave. */
  noteTuning(decision: TuningDecision): Promise<void>;

  /** Decisions of self-tuning, newest first, at most `limit`. */
  tuningDecisions(limit: number): Promise<TuningDecision[]>;

  /** Takes the lease of that name for `ttlMs`, or tells that another holds it. Taking it again as the same holder renews it. */
  acquireLease(name: string, holder: string, ttlMs: number): Promise<boolean>;

  releaseLease(name: string, holder: string): Promise<void>;

  /** Idempotent; later calls reject with CLOSED. */
  close(): Promise<void>;
}

/** How a write is called. */
export interface StoreCall {
  /** Rejects with its reason when aborted before the step began; a step begun ends. */
  readonly signal?: AbortSignal | undefined;
}

/** What a model makes of a memory's text. */
export interface ModelVector {
  readonly model: string;
  /** Null: it knows nothing in the text. */
  readonly values: Float32Array | null;
}

/** What {@link MemoryStore.addVectors} puts. */
export interface RowVector {
  readonly row: number;
  /** The memory's, when its text was read. */
  readonly version: number;
  /** Unit length; null: the model knows nothing in the text. */
  readonly values: Float32Array | null;
}

export interface MemoryRowPage {
  readonly memories: readonly { readonly row: number; readonly memory: Memory }[];
  /** For the next page; absent on the last. */
  readonly cursor?: string;
}

export interface DropPage {
  /** Vectors dropped. */
  readonly dropped: number;
  /** For the next slice; absent after the last. */
  readonly cursor?: string;
}

/** How far the vectors of each model reach. */
export interface Coverage {
  readonly memories: number;
  /** By model: memories with a vector of it, and those in which it knows nothing. */
  readonly models: Readonly<Record<string, { readonly vectors: number; readonly unknown: number }>>;
}

/** A memory to add. Every option is decided by the caller; times are milliseconds since 1970. */
export interface NewEntry {
  readonly id: string;
  /** The id was made for this entry, so that none has it yet and none is looked for. Default false. */
  readonly isNewId?: boolean | undefined;
  readonly content: string;
  readonly contentHash: string;
  readonly tier: Tier;
  readonly importance: number;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
  readonly pinned: boolean;
  readonly at?: number | undefined;
  readonly thread?: string | undefined;
  readonly speaker?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  /**
   * Instead of being added, the entry is taken for a visible memory that it repeats (`isRepeat`). That memory is used once
   * more, takes over further tags, and importance, tier and pin where they are higher. Of several, the one added first.
   * Default false.
   */
  readonly foldRepeat?: boolean | undefined;
  /** Null when the model knew nothing in the text. */
  readonly vector: StoredVector | null;
  /** What else models make of it, the one of `vector` too when that is null: so that nobody asks it again. */
  readonly sideVectors?: readonly ModelVector[] | undefined;
  /** Given by an import, else the driver's clock and 0. */
  readonly createdAt?: number | undefined;
  readonly lastUsedAt?: number | undefined;
  readonly accessCount?: number | undefined;
}

export interface AddResult {
  /** In the order of the entries. */
  readonly memories: readonly { readonly memory: Memory; readonly outcome: "stored" | "existing" }[];
  readonly evicted: readonly Evicted[];
}

/** Fields to change; an absent one stays, `null` takes the optional ones away. */
export interface EntryPatch {
  readonly content?:
    | { readonly text: string; readonly hash: string; readonly vector: StoredVector | null }
    | undefined;
  /** A new vector without new content: speaker or time are part of what is embedded. */
  readonly vector?: StoredVector | null | undefined;
  /** Beside a new vector; those of other models are gone with the former one. */
  readonly sideVectors?: readonly ModelVector[] | undefined;
  readonly tier?: Tier | undefined;
  readonly importance?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly metadata?: Metadata | undefined;
  readonly pinned?: boolean | undefined;
  readonly at?: number | null | undefined;
  readonly thread?: string | null | undefined;
  readonly speaker?: string | null | undefined;
}

export interface UpdateResult {
  readonly memory: Memory;
  readonly evicted: readonly Evicted[];
}

export interface ForgetResult {
  /** Memories removed, chunks one by one. */
  readonly forgotten: number;
  /** Journal run that can undo it; absent when nothing matched or it was erased. */
  readonly run?: string;
}

export interface MemoryPage {
  readonly memories: readonly Memory[];
  /** For the next page; absent on the last. */
  readonly cursor?: string;
}

/** Uses of one memory since they were last written. */
export interface Use {
  readonly id: string;
  readonly count: number;
  readonly lastUsedAt: number;
}

export interface DocumentPage {
  readonly documents: readonly StoredDocument[];
  readonly cursor?: string;
}

export interface NewDocument {
  readonly uri: string;
  readonly title?: string | undefined;
  readonly hash: string;
  readonly tier: Tier;
  readonly importance: number;
  readonly pinned: boolean;
  readonly tags: readonly string[];
  readonly metadata: Metadata;
}

export interface NewChunk {
  readonly id: string;
  readonly content: string;
  readonly contentHash: string;
  readonly metadata: Metadata;
  readonly source: Omit<ChunkSource, "documentId" | "uri" | "title">;
  readonly vector: StoredVector | null;
  readonly sideVectors?: readonly ModelVector[] | undefined;
}

/** A revision under way; opaque to callers but for the document's id. */
export interface StagedDocument {
  readonly documentId: string;
  readonly namespace: string;
  readonly revision: number;
}

export interface PublishResult {
  readonly document: StoredDocument;
  /** Chunks of the former revision that left. */
  readonly replaced: number;
  readonly evicted: readonly Evicted[];
}

/** A visible memory as an index needs it. */
export interface IndexRow {
  /** Stable positive integer of the memory in its store, at most 2^53 - 1; higher for what was added later. */
  readonly row: number;
  readonly id: string;
  readonly content: string;
  readonly at?: number;
  readonly thread?: string;
  readonly speaker?: string;
  readonly source?: ChunkSource;
  /** What filters ask for, as it is now. */
  readonly tier: Tier;
  readonly createdAt: number;
  readonly importance: number;
  readonly pinned: boolean;
  readonly tags: readonly string[];
  readonly model?: string;
  /** Unit vector, float16; null when there is none. */
  readonly vector: Float16Array | null;
}

export interface ChangePage {
  /** Added or changed, as they are now. */
  readonly rows: readonly IndexRow[];
  /** Rows that are gone. An expired memory may be missing here: `read` leaves it out. */
  readonly removed: readonly number[];
  /**
   * Rows that moved to another tier, and where they are now. Absent where that cannot be told: then the tiers that a
   * follower holds are worth nothing until it begins anew.
   */
  readonly moved?: readonly MovedRow[];
  readonly cursor: string;
  readonly more: boolean;
}

export interface MovedRow {
  readonly row: number;
  readonly tier: Tier;
}

export interface TierStats {
  /** Entries that count against the capacity plus pinned ones; a document counts one. */
  readonly entries: number;
  readonly memories: number;
  readonly documents: number;
  readonly pinned: number;
  /** Bytes of the memories' texts, UTF-8. */
  readonly bytes: number;
  readonly capacity: number;
  readonly ttlSeconds: number;
}

export interface StoreStats {
  readonly tiers: Readonly<Record<Tier, TierStats>>;
  /** Visible memories in all tiers. */
  readonly memories: number;
  readonly documents: number;
  /** Without a vector of any model. */
  readonly withoutVector: number;
  /** Visible memories by model of their vector; during a change of models a memory has one of each. */
  readonly models: Readonly<Record<string, number>>;
  /** Visible memories in which a model is known to know nothing, by model. */
  readonly unknown: Readonly<Record<string, number>>;
  /** Expired, not yet removed. */
  readonly expired: number;
  /** Evicted since the store was made. */
  readonly evicted: number;
  /** Entries that were taken for a memory that was there, since the store was made. */
  readonly repeated: number;
  readonly namespaces: number;
  readonly journalRows: number;
  /** Bytes the store takes on its disk, write-ahead log included; 0 when it has none. */
  readonly bytesOnDisk: number;
}

export interface CleanupResult {
  readonly expired: number;
  readonly expiredByTier: Readonly<Record<Tier, number>>;
  /** Chunks of revisions nobody published or that were replaced. */
  readonly stagedChunks: number;
  readonly journalRows: number;
}

/** What a store can hold without anything that owns it. */
export type OrphanKind =
  | "memoriesWithoutEntry"
  | "entriesWithoutMemory"
  | "documentsWithoutEntry"
  | "vectorsWithoutMemory"
  | "tagsWithoutEntry";

export type OrphanCounts = Readonly<Record<OrphanKind, number>>;

export type JournalKind = "promote" | "demote" | "merge" | "evict" | "expire" | "forget" | "undo" | "restore";

/** One move of one memory (or, when `document` is true, of one document). */
export interface JournalEntry {
  readonly run: string;
  readonly at: number;
  readonly kind: JournalKind;
  readonly id: string;
  readonly document: boolean;
  readonly from: Tier;
  /** Absent when it left; the same as `from` when it came back. */
  readonly to?: Tier;
  /** Id of the memory that took it in, for `merge`. */
  readonly into?: string;
  /** What undo needs is kept, and it was not undone yet. */
  readonly undoable: boolean;
  /** Why, with figures; never the text. */
  readonly reason: string;
}

export interface JournalPage {
  readonly entries: readonly JournalEntry[];
  readonly cursor?: string;
}
