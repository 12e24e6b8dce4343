import { maxTuningDecisions } from "../tuning-bound.ts";
import type { Connection } from "./connection.ts";
import type { KnownRows } from "./known-rows.ts";
import type { JournalLoss, LostVectors, TornSnapshot } from "./repair-report.ts";
import type { Salvaged } from "./salvage-rows.ts";

/** Gives namespaces and models the names that only an index tells any more, and the others one to be seen by. */
export function restoreNames(db: Connection, { namespaces, models, snapshots }: KnownRows): string[] {
  for (const { id, name } of namespaces) {
    db.run("insert or ignore into namespace (id, name) values (?, ?)", id, name);
  }
  for (const { id, name } of models) db.run("insert or ignore into model (id, name) values (?, ?)", id, name);
  const told = snapshots.map(({ namespace }) => namespace);
  return db
    .all<[string]>(
      `insert or ignore into namespace (id, name) select u.namespace, 'recovered-' || u.namespace from (
         select namespace from memory union select namespace from journal
         union select namespace from snapshot where state = 1 union select value from json_each(?)) u
       where u.namespace not in (select id from namespace) returning name`,
      JSON.stringify(told),
    )
    .map(([name]) => name);
}

/** Takes away vectors of no memory or no model, counts what is missing, and puts others in the place of lost ones. */
export function joinVectors(
  db: Connection,
  { refused }: Salvaged,
  { sideVectors }: KnownRows,
): { readonly withoutVector: number; readonly lostVectors: readonly LostVectors[] } {
  db.exec(`
    create temp table vectorless (row integer primary key);
    create temp table known_side (row integer, model integer, primary key (row, model)) without rowid;
    create temp table lost_vector (row integer, model integer, primary key (row, model)) without rowid;
  `);
  const known = [...sideVectors, ...refused.flatMap(({ beside }) => beside ?? [])];
  for (const { row, model } of known) db.run("insert or ignore into known_side values (?, ?)", row, model);
  db.exec(`
    delete from vector where not exists (
      select 1 from memory m join model o on o.id = m.model where m.row = vector.row and m.model = vector.model);
    insert or ignore into known_side select row, model from side_vector;
    delete from side_vector where row not in (select row from memory) or model not in (select id from model);
    update side_vector set namespace = (select m.namespace from memory m where m.row = side_vector.row);
    insert into vectorless select row from memory where model is not null and row not in (select row from vector);
    insert into lost_vector select row, model from memory where row in (select row from vectorless);
    insert or ignore into lost_vector select k.row, k.model from known_side k join memory m on m.row = k.row
      where m.model is not k.model and not exists (
        select 1 from side_vector s where s.row = k.row and s.model = k.model);
    update memory set model = null where model is not null and row not in (select row from vector);
    -- Where its own vector is lost, one of another model takes its place: of the latest, which a change leads to.
    insert into vector select s.row, max(s.model), s.data from side_vector s join memory m on m.row = s.row
      where m.model is null and s.data is not null and s.row in (select row from vectorless) group by s.row;
    update memory set model = (select v.model from vector v where v.row = memory.row)
      where model is null and row in (select row from vector);
    delete from side_vector where (row, model) in (select row, model from vector);
    delete from vectorless where row in (select row from vector);
  `);
  const lost = db.all<[string | null, number]>(
    "select o.name, count(*) from lost_vector l left join model o on o.id = l.model group by l.model order by o.name",
  );
  return {
    withoutVector: db.get<[number]>("select count(*) from vectorless")![0],
    lostVectors: lost.map(([model, vectors]) => ({ ...(model !== null && { model }), vectors })),
  };
}

/** Puts snapshots and their memories together again; one of which nothing is left goes. */
export function joinSnapshots(
  db: Connection,
  known: KnownRows,
  now: number,
): { readonly snapshots: number; readonly tornSnapshots: readonly TornSnapshot[] } {
  const declared = new Map(db.all<[number, number]>("select id, memories from snapshot where state = 1"));
  const told = new Map<number, number>();
  for (const { snapshot } of known.snapshotItems) told.set(snapshot, (told.get(snapshot) ?? 0) + 1);
  const insert =
    "insert or ignore into snapshot (id, namespace, name, state, created_at, filter) values (?, ?, ?, 1, ?, '{}')";
  for (const { id, namespace, name } of known.snapshots) db.run(insert, id, namespace, name, now);
  const nameless = db.all<[number, number]>(
    `select i.snapshot, min(n.id) from snapshot_item i join namespace n on n.name = json_extract(i.memory, '$.namespace')
     where i.snapshot not in (select id from snapshot) group by i.snapshot`,
  );
  for (const [id, namespace] of nameless) db.run(insert, id, namespace, `recovered-${id}`, now);
  // What was being saved or was on its way out is not brought back: nobody could see it.
  db.exec(`
    delete from snapshot where state <> 1;
    delete from snapshot_item where snapshot not in (select id from snapshot);
    update snapshot set (memories, bytes) = (
      select count(*), coalesce(sum(length(cast(memory as blob)) + coalesce(length(vector), 0)), 0)
      from snapshot_item i where i.snapshot = snapshot.id);
  `);
  const rows = db.all<[number, string, string, number]>(
    "select s.id, n.name, s.name, s.memories from snapshot s join namespace n on n.id = s.namespace order by s.id",
  );
  const tornSnapshots = rows.flatMap(([id, namespace, name, memories]) => {
    const count = declared.get(id) ?? told.get(id);
    const lost = count === undefined ? undefined : Math.max(0, count - memories);
    if (lost === 0 && declared.has(id)) return [];
    if (memories === 0) db.run("delete from snapshot where id = ?", id);
    return [{ namespace, name, memories, ...(lost !== undefined && { lost }) }];
  });
  return { snapshots: db.get<[number]>("select count(*) from snapshot")![0], tornSnapshots };
}

/** Keeps what the journal tells; what only a revision that nobody saw could bring back is told without it. */
export function joinJournal(db: Connection, salvaged: Salvaged, { journal }: KnownRows): JournalLoss {
  const [rows] = db.get<[number]>("select count(*) from journal")!;
  const missing = new Set(journal.filter((id) => !db.get("select 1 from journal where id = ?", id)));
  const given = salvaged.sequences.get("journal") ?? Number.MAX_SAFE_INTEGER;
  const counted = Math.min(salvaged.journalRows, given);
  const documents = db.run(
    "update journal set before = null, vector = null, bytes = 0 where revision is not null and before is not null",
  );
  db.run("update journal set bytes = 0, revision = null where revision is not null");
  const withoutUndo = salvaged.withoutUndo + documents;
  return { rows, lost: Math.max(missing.size, counted - rows, 0), withoutUndo };
}

/** Decisions are numbered without a gap, and the oldest leave. */
export function countLostTuning(db: Connection, { sequences }: Salvaged): number {
  const [count, last] = db.get<[number, number]>("select count(*), coalesce(max(id), 0) from tuning")!;
  const given = Math.max(last, sequences.get("tuning") ?? 0);
  return Math.max(0, Math.min(given, maxTuningDecisions) - count);
}
