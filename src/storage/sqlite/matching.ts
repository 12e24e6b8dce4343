import type { SQLInputValue } from "node:sqlite";
import type { MemoryFilter } from "../../contract/scope.ts";
import type { Connection } from "./connection.ts";
import { joinEntry } from "./memory-rows.ts";
import { never, tierCode } from "./write-step.ts";

/** Most candidates looked at in one statement, so that none holds the event loop for more than a few milliseconds. */
const windowSize = 4_096;
/** The first statement looks at few, for those who need only a page. */
const firstWindowSize = 128;

/** A matching memory and what lists are ordered by. */
export type Match = readonly [row: number, createdAt: number];

/** Where a walk stands among candidates; meaningful to its own driver only. */
type Place = readonly [number, number];

interface Part {
  readonly sql: string;
  readonly parameters: readonly SQLInputValue[];
}

/**
 * A way to walk candidates in windows: `from` joins a window's candidates to `memory m`; `last` finds where a full
 * window ends.
 */
interface Walk {
  readonly from: (place: Place | undefined, size: number) => Part;
  readonly last: (place: Place | undefined, size: number) => Part;
}

/** Name of the SQL function that {@link matchingPages} needs for metadata. */
export const metadataFunction = "strata_metadata_matches";

/**
 * Visible memories that match, one window of candidates after the other; nothing is held between windows. Without
 * `ids`, `document`, `tags` and `thread` they come newest `createdAt` first, then highest row.
 * @param before Start after this place in that order.
 */
export function* matchingPages(
  db: Connection,
  namespace: number,
  filter: MemoryFilter,
  now: number,
  before?: ListPlace,
): Generator<Match[]> {
  if (filter.ids) {
    yield* byIds(db, namespace, filter, filter.ids, now);
    return;
  }
  const walk = chooseWalk(namespace, filter);
  const conditions = conditionsOf(namespace, filter, now);
  let place: Place | undefined = isOrdered(filter) ? before : undefined;
  for (let size = firstWindowSize; ; size = Math.min(windowSize, 4 * size)) {
    const from = walk.from(place, size);
    const last = walk.last(place, size);
    // Together, so that a window ends where the next one begins whatever is written in between.
    const { matches, end } = db.atOnce(() => ({
      matches: db.all<Match>(
        `select m.row, m.created_at ${from.sql} ${joinEntry} where ${conditions.sql}`,
        ...from.parameters,
        ...conditions.parameters,
      ),
      end: db.get<[number, number]>(last.sql, ...last.parameters),
    }));
    yield matches;
    if (!end) return;
    place = end;
  }
}

/** Where a list goes on: after this `createdAt` and row. */
export type ListPlace = readonly [createdAt: number, row: number];

/** True when {@link matchingPages} comes in the order of lists. */
function isOrdered(filter: MemoryFilter): boolean {
  return !filter.ids && filter.document === undefined && !filter.tags?.length && filter.thread === undefined;
}

/** Whether pages of matches hold the first `count` of a list; without an order of their own only all of them do. */
export function hasEnough(pages: readonly Match[][], filter: MemoryFilter, count: number): boolean {
  return isOrdered(filter) && pages.reduce((sum, page) => sum + page.length, 0) >= count;
}

/** The first `count` matches after a place in the order of lists: newest `createdAt` first, then highest row. */
export function listed(
  pages: readonly Match[][],
  filter: MemoryFilter,
  count: number,
  place: ListPlace | undefined,
): Match[] {
  const matches = pages.flat();
  if (isOrdered(filter)) return matches.slice(0, count);
  return matches
    .filter(
      ([row, createdAt]) => !place || createdAt < place[0] || (createdAt === place[0] && row < place[1]),
    )
    .sort((one, other) => other[1] - one[1] || other[0] - one[0])
    .slice(0, count);
}

function* byIds(
  db: Connection,
  namespace: number,
  filter: MemoryFilter,
  ids: readonly string[],
  now: number,
): Generator<Match[]> {
  const conditions = conditionsOf(namespace, filter, now);
  const distinct = [...new Set(ids)];
  for (let start = 0; start < distinct.length; start += windowSize) {
    yield db.all<Match>(
      `select m.row, m.created_at from json_each(?) j
       cross join memory m indexed by memory_id on m.namespace = ? and m.id = j.value
       ${joinEntry} where ${conditions.sql}`,
      JSON.stringify(distinct.slice(start, start + windowSize)),
      namespace,
      ...conditions.parameters,
    );
  }
}

function chooseWalk(namespace: number, filter: MemoryFilter): Walk {
  if (filter.document !== undefined) return walkDocument(namespace, filter.document);
  if (filter.thread !== undefined) return walkThread(namespace, filter.thread);
  const tag = filter.tags?.[0];
  return tag === undefined ? walkAll(namespace) : walkTag(namespace, tag);
}

function walkAll(namespace: number): Walk {
  const window = (place: Place | undefined): Part => ({
    sql: `select created_at, row from memory indexed by memory_list
      where namespace = ? and (created_at, row) < (?, ?) order by created_at desc, row desc`,
    parameters: [namespace, ...(place ?? [never, never])],
  });
  return {
    from: (place, size) => joined(window(place), size, "cross join memory m on m.row = w.row"),
    last: (place, size) => lastOf(window(place), size),
  };
}

function walkThread(namespace: number, thread: string): Walk {
  const window = (place: Place | undefined): Part => ({
    sql: `select happened_at, row from memory indexed by memory_thread
      where namespace = ? and thread = ? and (happened_at, row) > (?, ?) order by happened_at, row`,
    parameters: [namespace, thread, ...(place ?? [-never, 0])],
  });
  return {
    from: (place, size) => joined(window(place), size, "cross join memory m on m.row = w.row"),
    last: (place, size) => lastOf(window(place), size),
  };
}

function walkDocument(namespace: number, uri: string): Walk {
  const window = (place: Place | undefined): Part => ({
    sql: `select 0, m.row as row from document d
      cross join chunk_range r on r.revision = d.entry cross join memory m on m.row between r.first and r.last
      where d.namespace = ? and d.uri = ? and m.row > ? order by r.first, m.row`,
    parameters: [namespace, uri, place?.[1] ?? 0],
  });
  return {
    from: (place, size) => joined(window(place), size, "cross join memory m on m.row = w.row"),
    last: (place, size) => lastOf(window(place), size),
  };
}

function walkTag(namespace: number, tag: string): Walk {
  const window = (place: Place | undefined): Part => ({
    sql: "select 0, entry from tag where namespace = ? and tag = ? and entry > ? order by entry",
    parameters: [namespace, tag, place?.[1] ?? 0],
  });
  // A memory by itself has its entry's number; a document's chunks lie in the ranges of its revision.
  const rows = `cross join memory m on m.row in (
    select w.entry union all
    select c.row from chunk_range r cross join memory c on c.row between r.first and r.last where r.revision = w.entry)
    and m.entry = w.entry`;
  return {
    from: (place, size) => joined(window(place), size, rows),
    last: (place, size) => lastOf(window(place), size),
  };
}

function joined(window: Part, size: number, join: string): Part {
  return { sql: `from (${window.sql} limit ?) w ${join}`, parameters: [...window.parameters, size] };
}

function lastOf(window: Part, size: number): Part {
  return { sql: `${window.sql} limit 1 offset ?`, parameters: [...window.parameters, size - 1] };
}

/** What a visible memory must fulfil, over `m`, `e` and `d`. */
function conditionsOf(namespace: number, filter: MemoryFilter, now: number): Part {
  // The plus keeps the planner from walking the whole namespace instead of the window's rows.
  const clauses: string[] = ["+m.namespace = ?", "e.expires_at > ?"];
  const parameters: SQLInputValue[] = [namespace, now];
  const where = (clause: string, ...values: SQLInputValue[]) => {
    clauses.push(clause);
    parameters.push(...values);
  };
  if (filter.tiers)
    where("e.tier in (select value from json_each(?))", JSON.stringify(filter.tiers.map(tierCode)));
  for (const tag of filter.tags ?? []) {
    where(
      "exists (select 1 from tag t where t.namespace = m.namespace and t.tag = ? and t.entry = m.entry)",
      tag,
    );
  }
  if (filter.after !== undefined) where("m.happened_at >= ?", filter.after);
  if (filter.before !== undefined) where("m.happened_at < ?", filter.before);
  if (filter.minImportance !== undefined) where("e.importance >= ?", filter.minImportance);
  if (filter.thread !== undefined) where("m.thread = ?", filter.thread);
  if (filter.speaker !== undefined) where("m.speaker = ?", filter.speaker);
  if (filter.document !== undefined) where("d.uri = ?", filter.document);
  if (filter.pinned !== undefined) where("e.pinned = ?", filter.pinned ? 1 : 0);
  for (const [key, value] of Object.entries(filter.metadata ?? {})) {
    // Our own serialisation holds each pair in one way only, so that most others fall out before they are parsed.
    const isPlain = value === null || typeof value !== "object";
    const sign = isPlain ? JSON.stringify({ [key]: value }).slice(1, -1) : `${JSON.stringify(key)}:`;
    where("(instr(m.metadata, ?) > 0 or instr(d.metadata, ?) > 0)", sign, sign);
  }
  if (filter.metadata && Object.keys(filter.metadata).length > 0) {
    where(`${metadataFunction}(m.metadata, d.metadata, ?)`, JSON.stringify(filter.metadata));
  }
  return { sql: clauses.join(" and "), parameters };
}
