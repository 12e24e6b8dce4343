import { StrataError } from "../../contract/errors.ts";
import type { ChangePage, IndexRow } from "../../contract/memory-store.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import type { Connection } from "./connection.ts";
import { joinEntry, namespaceCode, parseTags, vectorOf } from "./memory-rows.ts";
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
}

const wholeWrite = Number.MAX_SAFE_INTEGER;

type FeedRow = readonly [
  row: number,
  id: string,
  content: string,
  at: number | null,
  thread: string | null,
  speaker: string | null,
  chunk: number | null,
  start: number,
  end: number,
  headings: string | null,
  documentId: string | null,
  uri: string | null,
  title: string | null,
  createdAt: number,
  importance: number,
  pinned: number,
  tags: string | null,
  model: string | null,
  vector: Uint8Array | null,
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
  const namespace = namespaceCode(db, name);
  const [seq, trimmed] = (namespace === undefined
    ? undefined
    : db.get<[number, number]>("select seq, trimmed from namespace where id = ?", namespace)) ?? [0, 0];
  const asked = model === undefined ? 0 : (knownModel(db, model) ?? 0);
  const vectors =
    namespace === undefined || asked === 0 ? { newest: 0, settled: 0 } : sideNumbers(db, namespace, asked);
  const position =
    cursor === undefined
      ? { seq: 0, row: wholeWrite, horizon: seq, vector: vectors.newest }
      : parse(cursor, seq, trimmed, vectors.settled);
  const isAtEnd = position.seq === seq && position.row === wholeWrite;
  if (namespace === undefined || (isAtEnd && position.vector >= vectors.newest)) {
    return { rows: [], removed: [], cursor: format(position), more: false };
  }
  const gone = goneAfter(db, namespace, position, limit);
  const keys = changedKeys(db, namespace, position, gone.upTo ?? seq, limit);
  const full = keys.length > limit;
  const page = full ? keys.slice(0, limit) : keys;
  const last = page.at(-1);
  const shown = new Set(page.map((key) => key.row));
  const end = full ? { seq: last!.seq, row: last!.row } : { seq: gone.upTo ?? seq, row: wholeWrite };
  const room = limit - page.length;
  const beside = sideVectorsAfter(db, namespace, asked, position.vector, room);
  const read = beside.length < room ? vectors.newest : (beside.at(-1)?.[0] ?? position.vector);
  const vector = Math.max(position.vector, read);
  return {
    rows: readRows(
      db,
      [...new Set([...page.map((key) => key.row), ...beside.map(([, row]) => row)])],
      now,
      asked,
    ).map((row) => toIndexRow(row, model)),
    // What left and was restored is there.
    removed: gone.runs
      .filter((run) => run.seq <= end.seq)
      .flatMap(rowsOf)
      .filter((row) => !shown.has(row)),
    cursor: format({ ...end, horizon: position.horizon, vector }),
    more: full || end.seq < seq || vector < vectors.newest,
  };
}

function format(position: Position): string {
  return encodeCursor("feed", [position.seq, position.row, position.horizon, position.vector]);
}

function parse(cursor: string, newest: number, trimmed: number, settled: number): Position {
  const [seq, row, horizon, vector] = decodeCursor("feed", cursor, 4) as [number, number, number, number];
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
  return { seq, row, horizon, vector };
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
  position: Position,
  limit: number,
): { readonly runs: readonly GoneRun[]; readonly upTo: number | undefined } {
  const after = Math.max(position.seq, position.horizon);
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

interface ChangeKey {
  readonly seq: number;
  readonly row: number;
}

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
  const keys = db
    .all<[number, number]>(
      `select seq, row from memory indexed by memory_seq
       where namespace = ? and (seq, row) > (?, ?) and seq > 0 and seq <= ? order by seq, row limit ?`,
      namespace,
      position.seq,
      position.row,
      upTo,
      limit + 1,
    )
    .map(([seq, row]) => ({ seq, row }));
  const reach = keys.length > limit ? keys.at(-1)!.seq : upTo;
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
    for (const [row] of rows) keys.push({ seq, row });
    chunks += rows.length;
  }
  if (chunks > 0) keys.sort((one, other) => one.seq - other.seq || one.row - other.row);
  return keys.slice(0, limit + 1);
}

/** @param asked Number of the model whose vectors are wanted where they stand beside the memories' own; 0: none. */
function readRows(db: Connection, rows: readonly number[], now: number, asked: number): FeedRow[] {
  if (rows.length === 0) return [];
  return db.all<FeedRow>(
    `select m.row, m.id, m.content, m.at, m.thread, m.speaker, m.chunk, m.start_offset, m.end_offset, m.headings,
       d.id, d.uri, d.title, m.created_at, e.importance, e.pinned, iif(m.chunk is null, m.tags, d.tags), (select name from model where id = m.model), v.data, s.row is not null, s.data
     from json_each(?) j cross join memory m on m.row = j.value ${joinEntry}
     left join vector v on v.row = m.row
     left join side_vector s on s.row = m.row and s.model = ?
     where e.expires_at > ?`,
    JSON.stringify(rows),
    asked,
    now,
  );
}

function toIndexRow(cells: FeedRow, asked: string | undefined): IndexRow {
  const [row, id, content, at, thread, speaker, chunk, start, end, headings, documentId, uri, title] = cells;
  const [createdAt, importance, pinned, tags, ownModel, ownVector, beside, besideVector] = cells.slice(
    13,
  ) as [number, number, number, string | null, string | null, Uint8Array | null, number, Uint8Array | null];
  const isBeside = asked !== undefined && beside === 1;
  const vector = isBeside ? besideVector : ownVector;
  const model = isBeside ? vector && asked : ownModel;
  return {
    row,
    id,
    content,
    ...(at === null ? {} : { at }),
    ...(thread === null ? {} : { thread }),
    ...(speaker === null ? {} : { speaker }),
    ...(chunk === null
      ? {}
      : {
          source: {
            documentId: documentId!,
            uri: uri!,
            ...(title === null ? {} : { title }),
            headings: parseTags(headings),
            chunk,
            start,
            end,
          },
        }),
    createdAt,
    importance,
    pinned: pinned === 1,
    tags: parseTags(tags),
    ...(model === null ? {} : { model }),
    vector: vector === null ? null : vectorOf(vector),
  };
}
