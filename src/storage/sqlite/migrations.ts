/** Marks our files in SQLite's own header ("Stra"). */
export const applicationId = 0x53747261;

/**
 * Schema, forward only: entry n takes a file from version n to n + 1 inside one transaction. A published entry is
 * never edited.
 *
 * `memory` holds texts, `entry` what lives, moves and is evicted as one: a memory of its own (same number) or one
 * revision of a document (`memory.entry` of its chunks). A memory is visible while its entry exists and the entry's
 * `expires_at` lies ahead (2^53 - 1: never), so publishing, forgetting or evicting a document of any size changes one
 * row. Chunks whose entry is missing are staged, or retired and swept later.
 */
export const migrations: readonly string[] = [
  `
  create table setting (name text primary key, value any) strict, without rowid;

  -- One row: the last number given to a memory, an entry or a revision, and what the journal holds.
  create table counter (
    id integer primary key check (id = 1),
    last integer not null, journal_rows integer not null, journal_bytes integer not null
  ) strict;
  insert into counter values (1, 0, 0, 0);

  -- seq: number of the last write. trimmed: last number whose tombstones may be gone. faded_on: UTC day of the flags.
  create table namespace (
    id integer primary key, name text not null unique,
    seq integer not null default 0, trimmed integer not null default 0,
    faded_on integer not null default 0, evicted integer not null default 0
  ) strict;

  create table model (id integer primary key, name text not null unique) strict;

  create table entry (
    id integer primary key, namespace integer not null, document integer not null,
    tier integer not null, importance real not null, access_count integer not null,
    last_used_at integer not null, last_used_day integer not null, expires_at integer not null,
    pinned integer not null, faded integer not null, b real not null, k real not null
  ) strict;
  create index entry_fresh on entry (namespace, tier, k) where faded = 0 and pinned = 0;
  create index entry_faded on entry (namespace, tier, b) where faded = 1 and pinned = 0;
  create index entry_fading on entry (namespace, last_used_day) where faded = 0;
  create index entry_expiry on entry (namespace, tier, expires_at) where expires_at < 9007199254740991;

  create table memory (
    row integer primary key, namespace integer not null, entry integer not null,
    seq integer not null, id text not null, content_hash text not null, bytes integer not null, model integer,
    created_at integer not null, updated_at integer not null, at integer, happened_at integer not null,
    version integer not null, thread text, speaker text, idempotency_key text,
    chunk integer, start_offset integer, end_offset integer, headings text,
    tags text, metadata text, content text not null
  ) strict;
  -- Not unique: a new revision of a document may carry the ids of the former one's chunks.
  create index memory_id on memory (namespace, id);
  create unique index memory_idempotency on memory (namespace, idempotency_key) where idempotency_key is not null;
  create index memory_seq on memory (namespace, seq, row) where seq > 0;
  create index memory_list on memory (namespace, created_at, row);
  create index memory_thread on memory (namespace, thread, happened_at, row) where thread is not null;

  create table vector (row integer primary key, model integer not null, data blob not null) strict;

  create table tag (
    namespace integer not null, tag text not null, entry integer not null,
    primary key (namespace, tag, entry)
  ) strict, without rowid;

  create table document (
    entry integer primary key, namespace integer not null, seq integer not null,
    id text not null, uri text not null, title text, hash text not null,
    created_at integer not null, updated_at integer not null, version integer not null,
    tags text, metadata text,
    chunks integer not null, bytes integer not null, characters integer not null,
    unique (namespace, uri)
  ) strict;
  create index document_seq on document (namespace, seq);

  -- Every revision, by the number of its entry. state: 0 staged, 1 published, 2 retired. Once due_at has passed, what
  -- is not published is swept.
  create table revision (
    id integer primary key, namespace integer not null, state integer not null, due_at integer not null,
    document_id text not null, plan text not null,
    chunks integer not null default 0, bytes integer not null default 0, characters integer not null default 0
  ) strict;
  create index revision_state on revision (state, due_at);
  -- Rows of a revision's chunks, as runs without gaps at the time of writing.
  create table chunk_range (
    revision integer not null, first integer not null, last integer not null, primary key (revision, first)
  ) strict, without rowid;
  create table revision_model (
    revision integer not null, model integer not null, chunks integer not null, primary key (revision, model)
  ) strict, without rowid;

  -- What is there, visible or not yet cleaned up. model 0: without a vector.
  create table tier_count (
    namespace integer not null, tier integer not null,
    entries integer not null, pinned integer not null, documents integer not null,
    memories integer not null, bytes integer not null,
    primary key (namespace, tier)
  ) strict, without rowid;
  create table model_count (
    namespace integer not null, model integer not null, memories integer not null,
    primary key (namespace, model)
  ) strict, without rowid;

  -- Tombstones of the change feed: rows that left, as runs.
  create table gone (
    namespace integer not null, seq integer not null, first integer not null, last integer not null,
    primary key (namespace, seq, first)
  ) strict, without rowid;

  -- before, vector: what undo needs. revision: the retired revision kept for it.
  create table journal (
    id integer primary key autoincrement, namespace integer not null, at integer not null, kind integer not null,
    document integer not null, from_tier integer not null, to_tier integer, revision integer,
    run text not null, memory_id text not null, reason text not null, bytes integer not null,
    before text, vector blob
  ) strict;
  create index journal_memory on journal (namespace, memory_id);
  create index journal_namespace on journal (namespace, id);

  create table lease (name text primary key, holder text not null, until integer not null) strict, without rowid;

  create virtual table words using fts5(
    content, context, content='', contentless_delete=1,
    tokenize="unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*'"
  );
  `,
  `
  -- Named snapshots. state: 0 being saved, 1 whole, 2 on its way out; what is not whole is removed by the next who saves.
  create table snapshot (
    id integer primary key, namespace integer not null, name text not null, state integer not null,
    created_at integer not null, filter text not null,
    memories integer not null default 0, bytes integer not null default 0
  ) strict;
  create unique index snapshot_name on snapshot (namespace, name) where state = 1;
  create table snapshot_item (
    id integer primary key, snapshot integer not null, memory_id text not null,
    memory text not null, vector blob
  ) strict;
  create index snapshot_item_snapshot on snapshot_item (snapshot, id);
  `,
  `
  -- Vectors of further models beside a memory's own, one a model. data null: the model knows nothing in the text.
  create table side_vector (
    number integer primary key, row integer not null, model integer not null, data blob
  ) strict;
  create unique index side_vector_row on side_vector (row, model);

  -- unknown: memories in which the model knows nothing. settled: number of the feed before which followers of the
  -- model's vectors begin anew.
  alter table model_count add column unknown integer not null default 0;
  alter table model_count add column settled integer not null default 0;
  alter table revision_model add column unknown integer not null default 0;
  `,
  `
  -- The keys of memories and of documents apart, and of the faded also by the day of their last use: what faded since an
  -- earlier day is a range.
  drop index entry_fresh;
  drop index entry_faded;
  create index entry_fresh on entry (namespace, tier, document, k) where faded = 0 and pinned = 0;
  create index entry_faded on entry (namespace, tier, document, b) where faded = 1 and pinned = 0;
  create index entry_faded_day on entry (namespace, tier, document, last_used_day, b) where faded = 1 and pinned = 0;
  create index document_id on document (namespace, id);

  -- into_id: the memory that took it in. undone: the run that took it back.
  alter table journal add column into_id text;
  alter table journal add column undone text;
  create index journal_run on journal (namespace, run);
  create index journal_into on journal (namespace, into_id) where into_id is not null;

  create table state (
    namespace integer not null, name text not null, value text not null, primary key (namespace, name)
  ) strict, without rowid;
  `,
  `
  -- What is stored again is found by what it says. repeated: entries taken for a memory that was there.
  create index memory_content on memory (namespace, substr(content_hash, 1, 16), thread) where chunk is null;
  alter table namespace add column repeated integer not null default 0;
  `,
  `
  -- Followers of a model's vectors read those put beside others in the order of their numbers, none of which is given
  -- twice. settled, from now on: the last number that may be gone.
  alter table side_vector rename to former_side_vector;
  create table side_vector (
    number integer primary key autoincrement,
    namespace integer not null, row integer not null, model integer not null, data blob
  ) strict;
  insert into side_vector select s.number, m.namespace, s.row, s.model, s.data
    from former_side_vector s cross join memory m on m.row = s.row;
  drop table former_side_vector;
  create unique index side_vector_row on side_vector (row, model);
  create index side_vector_feed on side_vector (namespace, model, number);
  update model_count set settled = 0;
  `,
  `
  -- Decisions of self-tuning, of the whole store.
  create table tuning (
    id integer primary key autoincrement, at integer not null, parameter text not null,
    before real not null, after real not null, reason text not null
  ) strict;
  `,
  `
  -- Words are found by the indexes that are derived from texts, phrases by reading them.
  drop table words;
  delete from setting where name = 'analyzer';
  `,
];
