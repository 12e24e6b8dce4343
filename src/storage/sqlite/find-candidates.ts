import type { Candidate, CandidatePage, CandidateQuery } from "../../contract/consolidation.ts";
import { type EntryRow, RelevanceWalk } from "./relevance-ranges.ts";
import { never, type StoreContext, tierCode } from "./write-step.ts";

/** A page of candidates. Must run in one read transaction, with flags right as of the query's day or a later one. */
export function findCandidates(context: StoreContext, name: string, query: CandidateQuery): CandidatePage {
  const db = context.connection;
  const namespace = db.get<[number, number]>("select id, faded_on from namespace where name = ?", name);
  if (!namespace) return { candidates: [] };
  const walk = new RelevanceWalk(
    db,
    {
      namespace: namespace[0],
      tier: tierCode(query.tier),
      side: query.side,
      threshold: query.threshold,
      day: query.day,
      flagDay: namespace[1],
      decayRate: context.decayRate,
      now: context.now(),
      memoriesOnly: query.memoriesOnly ?? false,
      limit: query.limit,
    },
    query.cursor,
  );
  const rows: EntryRow[] = [];
  while (rows.length < query.limit) {
    const row = walk.next();
    if (!row) break;
    rows.push(row);
  }
  const more = rows.length === query.limit && walk.more;
  return { candidates: named(context, query, rows), ...(more ? { cursor: walk.cursor() } : {}) };
}

type NameRow = readonly [entry: number, id: string, createdAt: number, version: number];

function named(context: StoreContext, query: CandidateQuery, rows: readonly EntryRow[]): Candidate[] {
  const names = new Map<number, NameRow>();
  const read = (document: number, sql: string) => {
    const ids = rows.filter((row) => row[1] === document).map((row) => row[0]);
    if (ids.length === 0) return;
    for (const row of context.connection.all<NameRow>(sql, JSON.stringify(ids))) names.set(row[0], row);
  };
  read(
    0,
    "select m.row, m.id, m.created_at, m.version from json_each(?) j cross join memory m on m.row = j.value",
  );
  read(
    1,
    "select d.entry, d.id, d.created_at, d.version from json_each(?) j cross join document d on d.entry = j.value",
  );
  return rows.map((row): Candidate => {
    const [entry, document, importance, accessCount, lastUsedAt, expiresAt, b, k] = row;
    const [, id, createdAt, version] = names.get(entry)!;
    return {
      id,
      document: document === 1,
      tier: query.tier,
      importance,
      accessCount,
      createdAt,
      lastUsedAt,
      ...(expiresAt === never ? {} : { expiresAt }),
      version,
      keys: { b, k },
    };
  });
}
