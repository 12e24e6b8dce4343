import { dayMs, fadedDay, relevance, relevanceKeys, relevanceOffset } from "../../contract/relevance.ts";
import { decodeCursor, encodeCursor, halvesOf, invalidCursor, ofHalves } from "../cursor.ts";
import type { Connection } from "./connection.ts";

/** Which entries of a tier, and as of which day. */
export interface RangeQuery {
  readonly namespace: number;
  readonly tier: number;
  readonly side: "at-least" | "below";
  readonly threshold: number;
  /** At most `flagDay`. */
  readonly day: number;
  /** Day as of which the flags of the namespace are right. */
  readonly flagDay: number;
  readonly decayRate: number;
  /** Entries that have expired by then are left out. */
  readonly now: number;
  readonly memoriesOnly: boolean;
  /** Entries the walk is meant to take; it reads few beyond. */
  readonly limit: number;
}

export type EntryRow = readonly [
  id: number,
  document: number,
  importance: number,
  accessCount: number,
  lastUsedAt: number,
  expiresAt: number,
  b: number,
  k: number,
];

/** Rows read at once from one range: few at first, as most of a page often comes from another. */
const firstRows = 32;
const moreRows = 256;

const fresh = 0;
const faded = 1;
const fadedSince = 2;
type Kind = typeof fresh | typeof faded | typeof fadedSince;
const indexes = ["entry_fresh", "entry_faded", "entry_faded_day"] as const;

/** Without an id: before or behind all of that key. */
type Place = readonly [key: number, id?: number];

/** One range of one index, whose rows stand in the order of their relevance. */
interface Range {
  readonly kind: Kind;
  readonly document: number;
  /** For {@link fadedSince}: the day on which all of its entries were last used. */
  readonly lastUsedDay: number;
  /** Relevance of an entry whose key is 0. */
  readonly base: number;
  /** Key and id of the row after which reading goes on. */
  read: Place;
  /** The same of the last row taken. */
  place: Place;
  /** True once a row was taken from it. */
  begun: boolean;
  rows: readonly EntryRow[];
  next: number;
  ended: boolean;
}

/**
 * Entries at or above a threshold from the most relevant on, or below it from the least relevant on, merged from ranges
 * that are each in order: the fresh by `k`, the faded by `b`, and, when relevance is judged as of a day before that of the
 * flags, those that faded since by the day of their last use and `b`; memories and documents apart.
 */
export class RelevanceWalk {
  readonly #db: Connection;
  readonly #query: RangeQuery;
  readonly #offset: number;
  /** Wider than what adding and subtracting keys can be off. */
  readonly #slack: number;
  readonly #ranges: Range[];
  /** Relevance of the last row taken. */
  #last = 0;
  /** The same when the cursor was made. */
  #resumedAt: number | undefined;
  #taken = 0;

  constructor(db: Connection, query: RangeQuery, cursor?: string) {
    this.#db = db;
    this.#query = query;
    this.#offset = relevanceOffset(query.day, query.decayRate);
    this.#slack = 1e-12 * (1_000 + Math.abs(this.#offset));
    const documents = query.memoriesOnly ? [0] : [0, 1];
    this.#ranges = documents.flatMap((document) => this.#rangesOf(document));
    if (cursor !== undefined) this.#resume(cursor);
  }

  /** Whether there is another entry. */
  get more(): boolean {
    return this.#ranges.some((range) => this.#head(range) !== undefined);
  }

  next(): EntryRow | undefined {
    const isAscending = this.#query.side === "below";
    let best: Range | undefined;
    let value = 0;
    for (const range of this.#ranges) {
      const head = this.#head(range);
      if (!head) continue;
      const own = this.#relevance(head);
      if (best === undefined || (own === value ? this.#isOlder(head, best) : own < value) === isAscending) {
        best = range;
        value = own;
      }
    }
    if (best === undefined) return undefined;
    const row = best.rows[best.next++]!;
    best.place = [keyOf(best.kind, row), row[0]];
    best.begun = true;
    this.#last = value;
    this.#taken++;
    return row;
  }

  /** Where the walk stands; going on from it is right although entries moved or faded meanwhile. */
  cursor(): string {
    const begun = this.#ranges.filter((range) => range.begun);
    return encodeCursor("candidates", [
      ...halvesOf(this.#last),
      ...begun.flatMap(({ kind, document, lastUsedDay, place }) => [
        kind,
        document,
        lastUsedDay,
        ...halvesOf(place[0]),
        place[1] ?? 0,
      ]),
    ]);
  }

  #resume(cursor: string): void {
    const [low, high, ...places] = decodeCursor("candidates", cursor);
    if (high === undefined || places.length % 6 !== 0) throw invalidCursor();
    const last = ofHalves(low!, high);
    const away = this.#query.side === "below" ? -this.#slack : this.#slack;
    this.#last = last;
    this.#resumedAt = last;
    for (const range of this.#ranges) range.read = [last - range.base + away];
    for (let at = 0; at < places.length; at += 6) {
      const [kind, document, lastUsedDay, keyLow, keyHigh, id] = places.slice(at) as number[];
      const range = this.#ranges.find(
        (one) => one.kind === kind && one.document === document && one.lastUsedDay === lastUsedDay,
      );
      if (!range) continue;
      range.place = [ofHalves(keyLow!, keyHigh!), id!];
      range.read = range.place;
      range.begun = true;
    }
  }

  #rangesOf(document: number): Range[] {
    const { day, flagDay, decayRate } = this.#query;
    const edge = this.#query.side === "below" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    const range = (kind: Kind, lastUsedDay: number, base: number): Range => {
      const place: Place = [edge];
      const unread = { read: place, place, begun: false, rows: [], next: 0, ended: false };
      return { kind, document, lastUsedDay, base, ...unread };
    };
    const ranges = [range(fresh, 0, -this.#offset)];
    const before = fadedDay(day, decayRate);
    if (!Number.isFinite(before)) return ranges;
    ranges.push(range(faded, 0, 0));
    for (let last = fadedDay(flagDay, decayRate); last > before; last--) {
      const row = this.#db.get<[number]>(
        `select last_used_day from entry indexed by entry_faded_day
         where namespace = ? and tier = ? and document = ? and faded = 1 and pinned = 0 and last_used_day <= ?
         order by last_used_day desc limit 1`,
        this.#query.namespace,
        this.#query.tier,
        document,
        last,
      );
      if (!row || row[0] <= before) break;
      last = row[0];
      const recency = relevanceKeys({ importance: 0, accessCount: 0, lastUsedAt: last * dayMs }, decayRate).k;
      ranges.push(range(fadedSince, last, recency - this.#offset));
    }
    return ranges;
  }

  #isOlder(row: EntryRow, other: Range): boolean {
    return row[0] < other.rows[other.next]![0];
  }

  #relevance(row: EntryRow): number {
    return relevance({ b: row[6], k: row[7] }, this.#offset);
  }

  #head(range: Range): EntryRow | undefined {
    while (range.next === range.rows.length && !range.ended) this.#fill(range);
    return range.rows[range.next];
  }

  #fill(range: Range): void {
    const wanted = Math.max(1, this.#query.limit - this.#taken + 1);
    const limit = Math.min(wanted, range.rows.length === 0 ? firstRows : moreRows);
    const [key, id] = range.read;
    // A range of a pair of columns would begin at the first of equal keys each time.
    const equals = id === undefined ? [] : this.#select(range, "equal", [key, id], limit);
    const rest = limit - equals.length;
    const rows = rest === 0 ? equals : [...equals, ...this.#select(range, "beyond", [key], rest)];
    range.ended = rows.length < limit;
    const last = rows.at(-1);
    if (last) range.read = [keyOf(range.kind, last), last[0]];
    range.rows = range.begun ? rows : rows.filter((row) => this.#isAhead(row));
    range.next = 0;
  }

  #select(range: Range, part: Part, place: readonly number[], limit: number): EntryRow[] {
    const { namespace, tier, side, threshold, day, decayRate, now } = this.#query;
    const bound = threshold - range.base + (side === "below" ? this.#slack : -this.#slack);
    const days =
      range.kind === fresh ? [] : [range.kind === faded ? fadedDay(day, decayRate) : range.lastUsedDay];
    return this.#db.all<EntryRow>(
      selectRange(range.kind, side, part),
      namespace,
      tier,
      range.document,
      ...place,
      ...(part === "beyond" ? [bound] : []),
      ...days,
      now,
      threshold,
      threshold + this.#offset,
      limit,
    );
  }

  /** A range that came into being since the cursor was made holds what was shown from another. */
  #isAhead(row: EntryRow): boolean {
    if (this.#resumedAt === undefined) return true;
    const value = this.#relevance(row);
    return this.#query.side === "below" ? value >= this.#resumedAt : value <= this.#resumedAt;
  }
}

function keyOf(kind: Kind, row: EntryRow): number {
  return kind === fresh ? row[7] : row[6];
}

/** Rows of the same key as the last one, or those beyond it. */
type Part = "equal" | "beyond";

/** Statement of a range. Its order is the index's, so that nothing is sorted. */
export function selectRange(kind: Kind, side: RangeQuery["side"], part: Part): string {
  const key = kind === fresh ? "k" : "b";
  const days = ["", "and last_used_day <= ?", "and last_used_day = ?"][kind];
  const [after, within, is, order] = side === "below" ? [">", "<", "not", ""] : ["<", ">=", "", "desc"];
  const place =
    part === "equal" ? `${key} = ? and id ${after} ?` : `${key} ${after} ? and ${key} ${within} ?`;
  return `select id, document, importance, access_count, last_used_at, expires_at, b, k
    from entry indexed by ${indexes[kind]}
    where namespace = ? and tier = ? and document = ? and faded = ${kind === fresh ? 0 : 1} and pinned = 0
      and ${place} ${days} and expires_at > ? and ${is} (b >= ? or k >= ?)
    order by ${key} ${order}, id ${order} limit ?`;
}
