import { StrataError } from "../../contract/errors.ts";
import type { JournalKind } from "../../contract/memory-store.ts";
import { relevanceOffset, utcDay } from "../../contract/relevance.ts";
import { type Tier, type TierTable, tiers } from "../../contract/tier.ts";
import type { Connection } from "./connection.ts";

/** What every part of the store works with. */
export interface StoreContext {
  readonly connection: Connection;
  readonly now: () => number;
  readonly tiers: TierTable;
  readonly decayRate: number;
  readonly journalLimits: JournalLimits;
  /** Tombstones are kept for so many numbers of the feed; a follower further behind starts again. */
  readonly feedReach: number;
  readonly trimFeedEvery: number;
}

/** Bounds of the journal; what goes beyond leaves from its old end and can no longer be undone. */
export interface JournalLimits {
  readonly retentionMs: number;
  readonly maxRows: number;
  readonly maxBytes: number;
}

/** `expires_at` of what never expires. */
export const never: number = Number.MAX_SAFE_INTEGER;

export const journalKinds: readonly JournalKind[] = [
  "promote",
  "demote",
  "merge",
  "evict",
  "expire",
  "forget",
  "undo",
  "restore",
];

/** Number of a tier in the tables. @throws UNKNOWN_TIER */
export function tierCode(tier: Tier): number {
  const code = tiers.indexOf(tier);
  if (code < 0) {
    throw new StrataError("UNKNOWN_TIER", `Expected one of the tiers ${tiers.join(", ")}; got another name.`);
  }
  return code;
}

/** Changes to the figures of a tier. */
export interface TierDelta {
  entries?: number;
  pinned?: number;
  documents?: number;
  memories?: number;
  bytes?: number;
}

export interface JournalRow {
  readonly run: string;
  readonly kind: JournalKind;
  readonly id: string;
  readonly document: boolean;
  readonly from: number;
  readonly to?: number;
  /** Id of the memory that took it in. */
  readonly into?: string | undefined;
  readonly reason: string;
  /**
   * What undo needs, as JSON; absent when there is nothing to undo. What left is there whole; of what moved or came back
   * it is a few numbers, and nothing of the text.
   */
  readonly before?: string;
  readonly vector?: Uint8Array | undefined;
  /** Retired revision that is kept with the row. */
  readonly revision?: number;
  /** Bytes kept for undo outside the row. */
  readonly keptBytes?: number;
}

/**
 * One write to one namespace, inside one transaction. Figures, tombstones and the feed's number are gathered and
 * written once by {@link finish}.
 */
export class WriteStep {
  readonly context: StoreContext;
  readonly db: Connection;
  readonly name: string;
  readonly namespace: number;
  readonly now: number;
  /** The UTC day as of which the fresh and faded flags of the namespace are right. */
  readonly flagDay: number;
  /** What that day takes from every `k`. */
  readonly offset: number;
  readonly #seq: number;
  #numbered = false;
  #evicted = 0;
  #repeated = 0;
  /** Let the journal grow over its bounds for now. */
  keepJournal = false;
  #journalRows = 0;
  #journalBytes = 0;
  readonly #tiers = new Map<number, Required<TierDelta>>();
  readonly #entries = new Map<number, number>();
  readonly #models = new Map<number, { vectors: number; unknown: number }>();
  readonly #modelCodes = new Map<string, number>();
  readonly #gone: { first: number; last: number }[] = [];

  constructor(context: StoreContext, name: string) {
    this.context = context;
    this.db = context.connection;
    this.name = name;
    this.now = context.now();
    const row =
      this.db.get<[number, number, number]>("select id, seq, faded_on from namespace where name = ?", name) ??
      this.db.get<[number, number, number]>(
        "insert into namespace (name, faded_on) values (?, ?) returning id, seq, faded_on",
        name,
        utcDay(this.now),
      )!;
    this.namespace = row[0];
    this.#seq = row[1] + 1;
    this.flagDay = row[2];
    this.offset = relevanceOffset(this.flagDay, context.decayRate);
  }

  /** The feed's number of this write; all that one step changes shares it. */
  get seq(): number {
    this.#numbered = true;
    return this.#seq;
  }

  /** Takes a number of the feed, so that cached answers are outdated, though followers may find nothing to read. */
  changed(): void {
    this.#numbered = true;
  }

  /** First of `count` new numbers for memories, entries or revisions. */
  allocate(count: number): number {
    const [last] = this.db.get<[number]>(
      "update counter set last = last + ? where id = 1 returning last",
      count,
    )!;
    return last - count + 1;
  }

  count(tier: number, delta: TierDelta): void {
    const sum = this.#tiers.get(tier) ?? { entries: 0, pinned: 0, documents: 0, memories: 0, bytes: 0 };
    sum.entries += delta.entries ?? 0;
    sum.pinned += delta.pinned ?? 0;
    sum.documents += delta.documents ?? 0;
    sum.memories += delta.memories ?? 0;
    sum.bytes += delta.bytes ?? 0;
    this.#tiers.set(tier, sum);
  }

  /**
   * @param model Number of a model; 0 for memories without a vector of their own.
   * @param unknown Memories in which the model knows nothing.
   */
  countModel(model: number, vectors: number, unknown: number = 0): void {
    const sum = this.#models.get(model) ?? { vectors: 0, unknown: 0 };
    sum.vectors += vectors;
    sum.unknown += unknown;
    this.#models.set(model, sum);
  }

  /** Entries of the tier that are not pinned, this step's changes included. */
  entriesIn(tier: number): number {
    let before = this.#entries.get(tier);
    if (before === undefined) {
      const row = this.db.get<[number]>(
        "select entries from tier_count where namespace = ? and tier = ?",
        this.namespace,
        tier,
      );
      before = row?.[0] ?? 0;
      this.#entries.set(tier, before);
    }
    return before + (this.#tiers.get(tier)?.entries ?? 0);
  }

  modelCode(name: string): number {
    let code = this.#modelCodes.get(name);
    if (code === undefined) {
      const row =
        this.db.get<[number]>("select id from model where name = ?", name) ??
        this.db.get<[number]>("insert into model (name) values (?) returning id", name)!;
      code = row[0];
      this.#modelCodes.set(name, code);
    }
    return code;
  }

  /** Tells followers of the feed that these rows left. */
  gone(first: number, last: number): void {
    this.#numbered = true;
    const previous = this.#gone.at(-1);
    if (previous && previous.last + 1 === first) previous.last = last;
    else this.#gone.push({ first, last });
  }

  evicted(): void {
    this.#evicted++;
  }

  /** Counts an entry that was taken for a memory that was there. */
  repeated(): void {
    this.#repeated++;
  }

  journal(row: JournalRow): void {
    const bytes = (row.before?.length ?? 0) + (row.vector?.length ?? 0) + (row.keptBytes ?? 0);
    this.db.run(
      `insert into journal (namespace, at, kind, document, from_tier, to_tier, revision, run, memory_id, reason,
        bytes, before, vector, into_id) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      this.namespace,
      this.now,
      journalKinds.indexOf(row.kind),
      row.document ? 1 : 0,
      row.from,
      row.to ?? null,
      row.revision ?? null,
      row.run,
      row.id,
      row.reason,
      bytes,
      row.before ?? null,
      row.vector ?? null,
      row.into ?? null,
    );
    this.#journalRows++;
    this.#journalBytes += bytes;
  }

  finish(): void {
    for (const [tier, sum] of this.#tiers) {
      this.db.run(
        `insert into tier_count values (?, ?, ?, ?, ?, ?, ?)
         on conflict do update set entries = entries + excluded.entries, pinned = pinned + excluded.pinned,
           documents = documents + excluded.documents, memories = memories + excluded.memories,
           bytes = bytes + excluded.bytes`,
        this.namespace,
        tier,
        sum.entries,
        sum.pinned,
        sum.documents,
        sum.memories,
        sum.bytes,
      );
    }
    for (const [model, { vectors, unknown }] of this.#models) {
      if (vectors === 0 && unknown === 0) continue;
      this.db.run(
        `insert into model_count (namespace, model, memories, unknown) values (?, ?, ?, ?)
         on conflict do update set memories = memories + excluded.memories, unknown = unknown + excluded.unknown`,
        this.namespace,
        model,
        vectors,
        unknown,
      );
    }
    for (const run of this.#gone) {
      this.db.run(
        "insert or ignore into gone values (?, ?, ?, ?)",
        this.namespace,
        this.#seq,
        run.first,
        run.last,
      );
    }
    if (this.#journalRows > 0) countJournal(this.db, this.#journalRows, this.#journalBytes);
    if (this.#journalRows > 0 && !this.keepJournal) {
      trimJournal(this.context, this.now, this.#journalRows + 8);
    }
    if (this.#repeated > 0) {
      this.db.run(
        "update namespace set repeated = repeated + ? where id = ?",
        this.#repeated,
        this.namespace,
      );
    }
    if (this.#numbered) {
      this.db.run(
        "update namespace set seq = ?, evicted = evicted + ? where id = ?",
        this.#seq,
        this.#evicted,
        this.namespace,
      );
      if (this.#seq % this.context.trimFeedEvery === 0) trimFeed(this, this.#seq);
    }
  }
}

function trimFeed(step: WriteStep, seq: number): void {
  const trimmed = seq - step.context.feedReach;
  if (trimmed <= 0) return;
  step.db.run("delete from gone where namespace = ? and seq <= ?", step.namespace, trimmed);
  step.db.run("update namespace set trimmed = max(trimmed, ?) where id = ?", trimmed, step.namespace);
}

function countJournal(db: Connection, rows: number, bytes: number): void {
  db.run(
    "update counter set journal_rows = journal_rows + ?, journal_bytes = journal_bytes + ? where id = 1",
    rows,
    bytes,
  );
}

/** Takes old rows out of the journal as its bounds ask for, at most so many. Returns how many. */
export function trimJournal(context: StoreContext, now: number, most: number): number {
  const { connection: db, journalLimits: limits } = context;
  let [rows, bytes] = db.get<[number, number]>(
    "select journal_rows, journal_bytes from counter where id = 1",
  )!;
  for (let taken = 0; taken < most; taken++) {
    const oldest = db.get<[number, number, number]>("select id, at, bytes from journal order by id limit 1");
    if (!oldest) return taken;
    const [id, at, size] = oldest;
    const over = rows > limits.maxRows || bytes > limits.maxBytes || at < now - limits.retentionMs;
    if (!over) return taken;
    dropJournalRow(db, id, size);
    rows--;
    bytes -= size;
  }
  return most;
}

/** Removes one journal row; a revision kept for it becomes due for sweeping. */
export function dropJournalRow(db: Connection, id: number, bytes: number): void {
  const row = db.get<[number | null]>("delete from journal where id = ? returning revision", id);
  if (!row) return;
  if (row[0] !== null) db.run("update revision set due_at = 0 where id = ? and state = 2", row[0]);
  db.run(
    "update counter set journal_rows = journal_rows - 1, journal_bytes = journal_bytes - ? where id = 1",
    bytes,
  );
}

/** Takes out of a journal row what undo needs; a revision kept for it becomes due for sweeping. */
export function wipeJournalRow(db: Connection, id: number, bytes: number, revision: number | null): void {
  db.run("update journal set before = null, vector = null, revision = null, bytes = 0 where id = ?", id);
  db.run("update counter set journal_bytes = journal_bytes - ? where id = 1", bytes);
  if (revision !== null) db.run("update revision set due_at = 0 where id = ? and state = 2", revision);
}
