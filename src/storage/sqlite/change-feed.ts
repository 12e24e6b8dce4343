import { StrataError } from "../../contract/errors.ts";
import type { ChangePage, IndexRow } from "../../contract/memory-store.ts";
import { tiers } from "../../contract/tier.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import type { Connection } from "./connection.ts";
import { chunkSource, joinEntry, parseTags, vectorOf, type Writable } from "./memory-rows.ts";
import { lastJournaled, movesAfter } from "./moved-rows.ts";
import { knownModel, sideNumbers, sideVectorsAfter } from "./side-vectors.ts";

/**
 * Where a follower stands: all of the writes before `seq` and the rows up to `row` of it. Tombstones up to `horizon`,
 * the feed's number when the follower began, do not concern it: it was never told of those rows.
 */
interface Position {
  readonly seq: number;
  readonly row: number;
  readonly horizon: number;
  /** Number of the last vector, put beside others, of the model that it follows. */
  readonly vector: number;
  /** Number of the last row of the journal that was looked at for moves. */
  readonly move: number;
}

const wholeWrite = Number.MAX_SAFE_INTEGER;

type FeedRow = readonly [
  row: number,
  id: string,
  content: string,
  at: number | null,
  thread: string | null,
  speaker: string | null,
  tier: number,
  createdAt: number,
  importance: number,
  pinned: number,
  tags: string | null,
  model: number | null,
  vector: Uint8Array | null,
  chunk: number | null,
  start: number,
  end: number,
  headings: string | null,
  documentId: string | null,
  uri: string | null,
  title: string | null,
  /** 1 where the asked model has a vector, or knows nothing, beside the memory's own. */
  beside: number,
  besideVector: Uint8Array | null,
];

/** A page of the feed. Must run in one read transaction. */
export function changesAfter(
  db: Connection,
  name: string,
  cursor: string | undefined,
  limit: number,
  now: number,
  model: string | undefined,
): ChangePage {
  const found = db.get<[number, number, number]>(
    "select id, seq, trimmed from namespace where name = ?",
    name,
  );
  const namespace = found?.[0];
  const [, seq, trimmed] = found ?? [0, 0, 0];
  const asked = model === undefined ? 0 : (knownModel(db, model) ?? 0);
  const vectors =
    namespace === undefined || asked === 0 ? { newest: 0, settled: 0 } : sideNumbers(db, namespace, asked);
  const position =
    cursor === undefined
      ? { seq: 0, row: wholeWrite, horizon: seq, vector: vectors.newest, move: lastJournaled(db) }
      : parse(cursor, seq, trimmed, vectors.settled);
  const isAtEnd = position.seq === seq && position.row === wholeWrite;
  if (namespace === undefined || (isAtEnd && position.vector >= vectors.newest)) {
    return { rows: [], removed: [], moved: [], cursor: format(position), more: false };
  }
  const after = Math.max(position.seq, position.horizon);
  // A new follower is told of no tombstones, and hardly ever of vectors put beside others.
  const gone = after < seq ? goneAfter(db, namespace, after, limit) : { runs: [], upTo: undefined };
  const keys = changedKeys(db, namespace, position, gone.upTo ?? seq, limit);
  const full = keys.length > limit;
  const page = full ? keys.slice(0, limit) : keys;
  const last = page.at(-1);
  const shown = new Set(page.map((key) => key[1]));
  const end = full ? { seq: last![0], row: last![1] } : { seq: gone.upTo ?? seq, row: wholeWrite };
  const room = limit - page.length;
  const beside =
    position.vector < vectors.newest ? sideVectorsAfter(db, namespace, asked, position.vector, room) : [];
  const read = beside.length < room ? vectors.newest : (beside.at(-1)?.[0] ?? position.vector);
  const vector = Math.max(position.vector, read);
  const rows = beside.length > 0 ? [...new Set([...shown, ...beside.map(([, row]) => row)])] : [...shown];
  const besides = vectors.newest > 0 ? asked : 0;
  const moves = movesAfter(db, namespace, position.move);
  return {
    rows: toIndexRows(db, readRows(db, rows, now, besides), besides, model),
    // What left and was restored is there.
    removed: gone.runs
      .filter((run) => run.seq <= end.seq)
      .flatMap(rowsOf)
      .filter((row) => !shown.has(row)),
    ...(moves.moved && { moved: moves.moved }),
    // With moves left the same page is told again: hardly ever so many are new at once.
    cursor: format({ ...position, ...(moves.more ? {} : { ...end, vector }), move: moves.upTo }),
    more: full || end.seq < seq || vector < vectors.newest || moves.more,
  };
}

function format(position: Position): string {
  return encodeCursor("feed", [position.seq, position.row, position.horizon, position.vector, position.move]);
}

function parse(cursor: string, newest: number, trimmed: number, settled: number): Position {
  const [seq, row, horizon, vector, move] = decodeCursor("feed", cursor, 5) as [
    number,
    number,
    number,
    number,
    number,
  ];
  if (seq > newest) {
    throw new StrataError(
      "INVALID_CURSOR",
      "The cursor is ahead of this store; it was made by another. Start without one.",
    );
  }
  if (Math.max(seq, horizon) < trimmed || vector < settled) {
    throw new StrataError(
      "FEED_TRUNCATED",
      "The feed no longer reaches back to the cursor. Build what follows it again, starting without a cursor.",
      { details: { cursor: seq, oldest: trimmed } },
    );
  }
  return { seq, row, horizon, vector, move };
}

interface GoneRun {
  readonly seq: number;
  readonly first: number;
  readonly last: number;
}

/** Tombstones after a position; `upTo` is the last write that is wholly among them when there are more. */
function goneAfter(
  db: Connection,
  namespace: number,
  after: number,
  limit: number,
): { readonly runs: readonly GoneRun[]; readonly upTo: number | undefined } {
  // The write a page ended in the middle of has told its tombstones with its first rows.
  const rows = db.all<[number, number, number]>(
    "select seq, first, last from gone where namespace = ? and seq > ? order by seq, first limit ?",
    namespace,
    after,
    limit,
  );
  const runs = rows.map(([seq, first, last]) => ({ seq, first, last }));
  if (runs.length < limit) return { runs, upTo: undefined };
  const upTo = runs.at(-1)!.seq;
  const rest = db.all<[number, number, number]>(
    "select seq, first, last from gone where namespace = ? and seq = ? and first > ? order by first",
    namespace,
    upTo,
    runs.at(-1)!.first,
  );
  return { runs: [...runs, ...rest.map(([seq, first, last]) => ({ seq, first, last }))], upTo };
}

function rowsOf(run: GoneRun): number[] {
  return Array.from({ length: run.last - run.first + 1 }, (_, index) => run.first + index);
}

type ChangeKey = readonly [seq: number, row: number];

/** Up to `limit + 1` rows changed after a position and not after write `upTo`, in order. */
function changedKeys(
  db: Connection,
  namespace: number,
  position: Position,
  upTo: number,
  limit: number,
): ChangeKey[] {
  // The first lower bound is the one SQLite begins at: `seq > 0`, which the partial index asks for, must come second, or
  // each page would read the namespace from its beginning.
  const keys: ChangeKey[] = db.all<ChangeKey>(
    `select seq, row from memory indexed by memory_seq
     where namespace = ? and (seq, row) > (?, ?) and seq > 0 and seq <= ? order by seq, row limit ?`,
    namespace,
    position.seq,
    position.row,
    upTo,
    limit + 1,
  );
  const reach = keys.length > limit ? keys.at(-1)![0] : upTo;
  let chunks = 0;
  const documents = db.all<[number, number]>(
    "select seq, entry from document where namespace = ? and seq >= ? and seq <= ? order by seq limit ?",
    namespace,
    position.seq,
    reach,
    limit + 2,
  );
  for (const [seq, entry] of documents) {
    if (chunks > limit) break;
    const after = seq === position.seq ? position.row : 0;
    const rows = db.all<[number]>(
      `select m.row from chunk_range r cross join memory m on m.row between r.first and r.last
       where r.revision = ? and r.last > ? and m.row > ? order by r.first, m.row limit ?`,
      entry,
      after,
      after,
      limit + 1 - chunks,
    );
    for (const [row] of rows) keys.push([seq, row]);
    chunks += rows.length;
  }
  if (chunks > 0) keys.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
  return keys.length > limit + 1 ? keys.slice(0, limit + 1) : keys;
}

const feedColumns = `m.row, m.id, m.content, m.at, m.thread, m.speaker, e.tier, m.created_at, e.importance, e.pinned,
  iif(m.chunk is null, m.tags, d.tags), m.model, v.data,
  m.chunk, m.start_offset, m.end_offset, m.headings, d.id, d.uri, d.title`;
const feedRows = `json_each(?) j cross join memory m on m.row = j.value ${joinEntry}
  left join vector v on v.row = m.row`;
// Made once: a text put together for each page would be hashed each time, to find its statement.
const selectFeed = `select ${feedColumns}, 0, null from ${feedRows} where e.expires_at > ?`;
const selectFeedBeside = `select ${feedColumns}, s.row is not null, s.data from ${feedRows}
  left join side_vector s on s.row = m.row and s.model = ? where e.expires_at > ?`;

/** @param besides Number of the model whose vectors are wanted where they stand beside the memories' own; 0: there are none. */
function readRows(db: Connection, rows: readonly number[], now: number, besides: number): FeedRow[] {
  if (rows.length === 0) return [];
  const numbers = JSON.stringify(rows);
  return besides === 0
    ? db.all<FeedRow>(selectFeed, numbers, now)
    : db.all<FeedRow>(selectFeedBeside, numbers, besides, now);
}

function toIndexRows(
  db: Connection,
  rows: readonly FeedRow[],
  besides: number,
  asked: string | undefined,
): IndexRow[] {
  const names = new Map<number, string>();
  const nameOf = (model: number): string => {
    let name = names.get(model);
    if (name === undefined) {
      name = db.get<[string]>("select name from model where id = ?", model)![0];
      names.set(model, name);
    }
    return name;
  };
  return rows.map((cells) => {
    // Cells by their places: to take a row apart by a pattern allocates as much as the row.
    const isBeside = besides !== 0 && cells[20] === 1;
    const vector = isBeside ? cells[21] : cells[12];
    const row: Writable<IndexRow> = {
      row: cells[0],
      id: cells[1],
      content: cells[2],
      tier: tiers[cells[6]]!,
      createdAt: cells[7],
      importance: cells[8],
      pinned: cells[9] === 1,
      tags: parseTags(cells[10]),
      vector: vector === null ? null : vectorOf(vector),
    };
    if (cells[3] !== null) row.at = cells[3];
    if (cells[4] !== null) row.thread = cells[4];
    if (cells[5] !== null) row.speaker = cells[5];
    if (cells[13] !== null) {
      row.source = chunkSource(cells[17]!, cells[18]!, cells[19], cells[16], cells[13], cells[14], cells[15]);
    }
    const model = isBeside ? vector && asked : cells[11] === null ? null : nameOf(cells[11]);
    if (model !== null && model !== undefined) row.model = model;
    return row;
  });
}
