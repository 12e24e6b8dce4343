import { StrataError } from "../../contract/errors.ts";
import type { ChangePage, IndexRow } from "../../contract/memory-store.ts";
import { tiers } from "../../contract/tier.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import type { Cell, Connection } from "./connection.ts";
import { chunkSource, joinEntry, parseTags, vectorOf, type Writable } from "./memory-rows.ts";
import { lastJournaled, movesAfter } from "./moved-rows.ts";
import { sideVectorsAfter } from "./side-vectors.ts";

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

/** What stands in the feed for every memory. Each cell of each row takes its time: few, and none that are the same for all. */
type FeedRow = readonly [
  row: number,
  id: string,
  content: string,
  at: number | null,
  thread: string | null,
  speaker: string | null,
  /** See {@link lifeCell}. */
  life: number,
  createdAt: number,
  importance: number,
  tags: string | null,
  vector: Uint8Array | null,
  /** Number of its last write where it was read in the order of writes. */
  seq: number,
  ...Cell[],
];

/** What follows for those that may be chunks. */
type DocumentCells = readonly [
  chunk: number | null,
  start: number,
  end: number,
  headings: string | null,
  documentId: string,
  uri: string,
  title: string | null,
];

const documentAt = 12;
const documentEnd = documentAt + 7;

/** A namespace and a model: where writes and the model's vectors beside others stand. */
type Head = readonly [
  namespace: number,
  seq: number,
  trimmed: number,
  model: number | null,
  settled: number | null,
  newest: number | null,
  journaled: number | null,
  hasDocuments: number,
];

const noHead: Head = [0, 0, 0, null, null, null, null, 0];
const selectHead = `select n.id, n.seq, n.trimmed, o.id, c.settled,
    (select max(number) from side_vector s where s.namespace = n.id and s.model = o.id),
    (select seq from sqlite_sequence where name = 'journal'),
    exists (select 1 from document d where d.namespace = n.id)
  from namespace n left join model o on o.name = ? left join model_count c on c.namespace = n.id and c.model = o.id
  where n.name = ?`;

/** A page of the feed. Must run in one read transaction. */
export function changesAfter(
  db: Connection,
  name: string,
  cursor: string | undefined,
  limit: number,
  now: number,
  model: string | undefined,
): ChangePage {
  const head = db.get<Head>(selectHead, model ?? null, name);
  const [namespace, seq, trimmed, code, ended, greatest, journaled, hasDocuments] = head ?? noHead;
  const asked = code ?? 0;
  const settled = ended ?? 0;
  const newest = Math.max(greatest ?? 0, settled);
  const lastMove = head ? (journaled ?? 0) : lastJournaled(db);
  const position =
    cursor === undefined
      ? { seq: 0, row: wholeWrite, horizon: seq, vector: newest, move: lastMove }
      : parse(cursor, seq, trimmed, settled);
  const isAtEnd = position.seq === seq && position.row === wholeWrite;
  if (namespace === 0 || (isAtEnd && position.vector >= newest)) {
    return { rows: [], removed: [], moved: [], cursor: format(position), more: false };
  }
  const after = Math.max(position.seq, position.horizon);
  // A new follower is told of no tombstones, and hardly ever of vectors put beside others.
  const gone = after < seq ? goneAfter(db, namespace, after, limit) : { runs: [], upTo: undefined };
  const besides = newest > 0 ? asked : 0;
  const upTo = gone.upTo ?? seq;
  const changed = ownAfter(db, namespace, position, upTo, limit, besides, now);
  if (hasDocuments === 1) addChunks(db, namespace, changed, position, upTo, limit);
  const full = changed.length > limit;
  const page = full ? changed.slice(0, limit) : changed;
  const last = page.at(-1);
  const end = full ? { seq: last!.seq, row: last!.row } : { seq: upTo, row: wholeWrite };
  const room = limit - page.length;
  const beside =
    position.vector < newest ? sideVectorsAfter(db, namespace, asked, position.vector, room) : [];
  const read = beside.length < room ? newest : (beside.at(-1)?.[0] ?? position.vector);
  const vector = Math.max(position.vector, read);
  const shown = new Set(page.map(({ row }) => row));
  const others = beside.flatMap(([, row]) => (shown.has(row) ? [] : row));
  const rows = allRows(db, page, [...new Set(others)], besides, now);
  const moves = movesAfter(db, namespace, position.move, lastMove);
  return {
    rows: toIndexRows(db, rows, besides, model === undefined ? undefined : { code: asked, name: model }),
    // What left and was restored is there.
    removed: gone.runs
      .filter((run) => run.seq <= end.seq)
      .flatMap(rowsOf)
      .filter((row) => !shown.has(row)),
    ...(moves.moved && { moved: moves.moved }),
    // With moves left the same page is told again: hardly ever so many are new at once.
    cursor: format({ ...position, ...(moves.more ? {} : { ...end, vector }), move: moves.upTo }),
    more: full || end.seq < seq || vector < newest || moves.more,
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

/** A row that changed, with what it holds where that was read with its number. */
interface Changed {
  readonly seq: number;
  readonly row: number;
  readonly cells?: FeedRow;
}

// Made once: a text put together for each page would be hashed each time, to find its statement.
/** From the least bit on: three of the tier, pinned, visible, then the number of the model, 0 for none. */
const lifeCell = "(coalesce(m.model, 0) << 5) | ((e.expires_at > ?) << 4) | (e.pinned << 3) | e.tier";
const ownCells = `m.row, m.id, m.content, m.at, m.thread, m.speaker, ${lifeCell}, m.created_at, e.importance, m.tags,
  v.data, m.seq`;
const feedCells = `m.row, m.id, m.content, m.at, m.thread, m.speaker, ${lifeCell}, m.created_at, e.importance,
  iif(m.chunk is null, m.tags, d.tags), v.data, 0,
  m.chunk, m.start_offset, m.end_offset, m.headings, d.id, d.uri, d.title`;
const joinVector = "left join vector v on v.row = m.row";
/** 1 where the asked model has a vector, or knows nothing, beside the memory's own. */
const besideCells = "s.row is not null, s.data";
const joinBeside = "left join side_vector s on s.row = m.row and s.model = ?";
// Rows of one write lie next to each other in each of the tables, so that all is read on one way through them. The first
// lower bound is the one SQLite begins at: `seq > 0`, which the partial index asks for, must come second, or each page
// would read the namespace from its beginning.
const ownRows = `from memory m indexed by memory_seq cross join entry e on e.id = m.entry ${joinVector}`;
const inOrder = `where m.namespace = ? and (m.seq, m.row) > (?, ?) and m.seq > 0 and m.seq <= ?
  order by m.seq, m.row limit ?`;
const selectOwn = `select ${ownCells} ${ownRows} ${inOrder}`;
const selectOwnBeside = `select ${ownCells}, ${besideCells} ${ownRows} ${joinBeside} ${inOrder}`;
const feedRows = `from json_each(?) j cross join memory m on m.row = j.value ${joinEntry} ${joinVector}`;
const selectFeed = `select ${feedCells} ${feedRows}`;
const selectFeedBeside = `select ${feedCells}, ${besideCells} ${feedRows} ${joinBeside}`;

/** Up to `limit + 1` memories that are no chunks, changed after a position and not after write `upTo`, in order. */
function ownAfter(
  db: Connection,
  namespace: number,
  position: Position,
  upTo: number,
  limit: number,
  besides: number,
  now: number,
): Changed[] {
  const after = [namespace, position.seq, position.row, upTo, limit + 1];
  const rows =
    besides === 0
      ? db.all<FeedRow>(selectOwn, now, ...after)
      : db.all<FeedRow>(selectOwnBeside, now, besides, ...after);
  return rows.map((cells) => ({ seq: cells[11], row: cells[0], cells }));
}

/** Adds the chunks of documents changed meanwhile, so that up to `limit + 1` of both are there, in order. */
function addChunks(
  db: Connection,
  namespace: number,
  changed: Changed[],
  position: Position,
  upTo: number,
  limit: number,
): void {
  const reach = changed.length > limit ? changed.at(-1)!.seq : upTo;
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
    for (const [row] of rows) changed.push({ seq, row });
    chunks += rows.length;
  }
  if (chunks > 0) changed.sort((one, other) => one.seq - other.seq || one.row - other.row);
  if (changed.length > limit + 1) changed.length = limit + 1;
}

/**
 * What the rows of a page and others hold, in their order, of those that are visible.
 * @param besides Number of the model whose vectors are wanted where they stand beside the memories' own; 0: there are none.
 */
function allRows(
  db: Connection,
  page: readonly Changed[],
  others: readonly number[],
  besides: number,
  now: number,
): FeedRow[] {
  const unread = [...page.flatMap(({ row, cells }) => (cells ? [] : row)), ...others];
  const read = new Map<number, FeedRow>();
  if (unread.length > 0) {
    const numbers = JSON.stringify(unread);
    const found =
      besides === 0
        ? db.all<FeedRow>(selectFeed, now, numbers)
        : db.all<FeedRow>(selectFeedBeside, now, numbers, besides);
    for (const cells of found) read.set(cells[0], cells);
  }
  const all: FeedRow[] = [];
  const tell = (cells: FeedRow | undefined): void => {
    if (cells && (cells[6] & 16) !== 0) all.push(cells);
  };
  for (const { row, cells } of page) tell(cells ?? read.get(row));
  for (const row of others) tell(read.get(row));
  return all;
}

function toIndexRows(
  db: Connection,
  rows: readonly FeedRow[],
  besides: number,
  asked: { readonly code: number; readonly name: string } | undefined,
): IndexRow[] {
  const names = new Map<number, string>(asked && [[asked.code, asked.name]]);
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
    const isBeside = besides !== 0 && cells.at(-2) === 1;
    const vector = isBeside ? (cells.at(-1) as Uint8Array | null) : cells[10];
    const life = cells[6];
    const row: Writable<IndexRow> = {
      row: cells[0],
      id: cells[1],
      content: cells[2],
      tier: tiers[life & 7]!,
      createdAt: cells[7],
      importance: cells[8],
      pinned: (life & 8) !== 0,
      tags: parseTags(cells[9]),
      vector: vector === null ? null : vectorOf(vector),
    };
    if (cells[3] !== null) row.at = cells[3];
    if (cells[4] !== null) row.thread = cells[4];
    if (cells[5] !== null) row.speaker = cells[5];
    if (cells.length >= documentEnd) {
      const cell = cells.slice(documentAt, documentEnd) as unknown as DocumentCells;
      if (cell[0] !== null) {
        row.source = chunkSource(cell[4], cell[5], cell[6], cell[3], cell[0], cell[1], cell[2]);
      }
    }
    const model = life >> 5;
    if (isBeside) {
      if (vector !== null) row.model = asked!.name;
    } else if (model > 0) row.model = nameOf(model);
    return row;
  });
}
