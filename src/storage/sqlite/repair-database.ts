import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { StrataError } from "../../contract/errors.ts";
import { asFull, makeWhole, putInPlace } from "./backup-database.ts";
import type { Connection } from "./connection.ts";
import { type KnownRows, readKnownRows } from "./known-rows.ts";
import { readLogFrames } from "./log-frames.ts";
import { applicationId, migrations } from "./migrations.ts";
import { openDatabase } from "./open-database.ts";
import { PageFile } from "./page-file.ts";
import type { LostDocument, LostMemory, RepairReport, TornDocument } from "./repair-report.ts";
import { replace } from "./restore-database.ts";
import { countLostTuning, joinJournal, joinSnapshots, joinVectors, restoreNames } from "./salvage-losses.ts";
import { type RefusedRow, type Salvaged, salvageRows } from "./salvage-rows.ts";
import { translateError } from "./sqlite-error.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import { verifyOnThread } from "./verify-on-thread.ts";
import { never } from "./write-step.ts";

export interface RepairOptions {
  readonly decayRate?: number | undefined;
  readonly now: number;
  /** Put the repaired file in the damaged one's place, which is kept under another name. Default false. */
  readonly replace?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

type Found = Omit<RepairReport, "path" | "kept" | "memories" | "documents" | "namespaces" | "logPages">;

/**
 * Makes a new database of all that can be read of a damaged one, row by row, its log included. The damaged file is only
 * read. No process may have it open. It may be of any earlier version of the schema.
 * @param target Where the new file is to be; taken from `replace` when that is set.
 * @throws NOT_A_DATABASE When nothing of a memory is in it. DATABASE_NEWER, DATABASE_EXISTS, DISK_FULL, DATABASE_BUSY
 */
export async function repairDatabase(
  source: string,
  target: string,
  options: RepairOptions,
): Promise<RepairReport> {
  const { signal, decayRate, now } = options;
  signal?.throwIfAborted();
  const partial = `${target}.${randomUUID()}.partial`;
  try {
    using file = new PageFile(source);
    assertNotNewer(file);
    const db = await openDatabase(partial, {
      durability: "process",
      readOnly: false,
      create: true,
      lockTimeoutMs: 1_000,
    });
    let found: Found;
    try {
      const salvaged = await salvageRows(file, db);
      signal?.throwIfAborted();
      const known = readKnownRows(file);
      found = await db.write(() => join(db, salvaged, known, now));
    } finally {
      db.close();
    }
    // Keys of relevance are made again by the first who opens it.
    await (await openSqliteStore(partial, { decayRate })).close();
    makeWhole(partial);
    const { memories, documents, namespaces, damages } = await verifyOnThread(partial, signal);
    if (damages.length > 0) {
      throw new StrataError(
        "INTERNAL",
        `The repaired database does not agree with itself: ${damages.join("; ")}.`,
      );
    }
    if (memories === 0 && found.lost.length === 0) {
      throw new StrataError("NOT_A_DATABASE", "Expected a damaged memory; the file holds nothing of one.");
    }
    const logPages = readLogFrames(`${source}-wal`)?.hidden ?? 0;
    const report = { memories, documents, namespaces, ...found, logPages };
    if (options.replace !== true) {
      await putInPlace(partial, target);
      return { path: target, ...report };
    }
    const kept = await replace(source, partial, now, true);
    await rm(`${source}-index`, { recursive: true, force: true });
    return { path: source, kept, ...report };
  } catch (error) {
    for (const suffix of ["", "-journal", "-wal", "-shm"]) await rm(partial + suffix, { force: true });
    throw asFull(translateError(error));
  }
}

const versionAt = 60;
const applicationAt = 68;

/** A table of a later version would be taken for none of ours. A version that damage made is no version. */
function assertNotNewer(file: PageFile): void {
  const start = file.page(1);
  if (start?.toString("latin1", 0, 15) !== "SQLite format 3") return;
  const version = start.readUInt32BE(versionAt);
  const supported = migrations.length;
  if (start.readUInt32BE(applicationAt) !== applicationId || !(version > supported && version < 10_000))
    return;
  throw new StrataError(
    "DATABASE_NEWER",
    `Expected a database of schema version ${supported} or older; got version ${version}. Repair it with the version of Strata that wrote it.`,
    { details: { version, supported } },
  );
}

/** Makes what was salvaged one whole again: what belongs to nothing goes, what can be made again is. */
function join(db: Connection, salvaged: Salvaged, known: KnownRows, now: number): Found {
  const renamed = restoreNames(db, known);
  const { lost, doubtful } = compare(db, salvaged.refused, known);
  const documents = knownDocuments(db, known);
  // What is staged, or was replaced or forgotten, is not brought back: nobody could see it.
  db.exec(`
    delete from memory where chunk is not null and not exists (select 1 from entry e where e.id = memory.entry and e.document = 1)
      and not exists (select 1 from document d where d.entry = memory.entry);
    delete from entry where document = 0 and id not in (select row from memory where chunk is null);
    delete from revision where state <> 1 or id not in (select entry from memory where chunk is not null);
  `);
  const relived = db
    .all<[string, string]>(
      `select n.name, m.id from memory m join namespace n on n.id = m.namespace
       where m.chunk is null and m.entry not in (select id from entry where document = 0)`,
    )
    .map(([namespace, id]) => ({ namespace, id }));
  const rebuilt = joinDocuments(db, now);
  const vectors = joinVectors(db, salvaged, known);
  const torn = findTorn(db);
  const journal = joinJournal(db, salvaged, known);
  const snapshots = joinSnapshots(db, known, now);
  derive(db);
  return {
    lost,
    lostDocuments: [...documents].flatMap(([entry, document]) =>
      db.get("select 1 from document where entry = ?", entry) ? [] : [document],
    ),
    torn,
    rebuilt,
    doubtful,
    relived,
    ...vectors,
    journal,
    ...snapshots,
    keptWithoutVector: salvaged.withoutKeptVector,
    lostTuning: countLostTuning(db, salvaged),
    renamed,
    restarted: db.all<[string]>("select name from namespace order by name").map(([name]) => name),
  };
}

/** Documents that were there, by their entry. */
function knownDocuments(db: Connection, { documents }: KnownRows): Map<number, LostDocument> {
  const names = new Map(db.all<[number, string]>("select id, name from namespace"));
  const rows = db.all<[number, number, string]>(
    `select entry, namespace, uri from document
     union all select id, namespace, json_extract(plan, '$.uri') from revision
       where state = 1 and json_extract(plan, '$.uri') is not null and id not in (select entry from document)`,
  );
  return new Map(
    [...documents.map(({ entry, namespace, uri }) => [entry, namespace, uri] as const), ...rows].map(
      ([entry, namespace, uri]) => [
        entry,
        { namespace: names.get(namespace) ?? `recovered-${namespace}`, uri },
      ],
    ),
  );
}

/** Gives chunks the document they are of, made anew where it is lost. Returns those. */
function joinDocuments(db: Connection, now: number): LostDocument[] {
  const day = Math.floor(now / 86_400_000);
  db.exec(`
    delete from entry where document = 0 and id in (select entry from memory where chunk is not null);
    -- An empty document has no chunks to tell of it.
    delete from entry where document = 1 and id not in (select entry from memory where chunk is not null)
      and id not in (select entry from document where chunks = 0);
    insert into entry select distinct entry, namespace, chunk is not null, 4, 0.5, 0, ${now}, ${day}, ${never}, 0, 0, 0.25, 0.25
      from memory where entry not in (select id from entry);
    update memory set namespace = (select e.namespace from entry e where e.id = memory.entry)
      where chunk is not null;
    update entry set expires_at = ${never} where pinned = 1;
    delete from document where entry not in (select id from entry where document = 1);
  `);
  const rebuilt = db.all<[number]>(
    `insert or ignore into document (entry, namespace, seq, id, uri, title, hash, created_at, updated_at, version, tags, metadata, chunks,
        bytes, characters)
      select e.id, e.namespace, 1, coalesce(r.document_id, 'recovered-' || e.id),
        coalesce(json_extract(r.plan, '$.uri'), 'recovered-' || e.id), json_extract(r.plan, '$.title'),
        coalesce(json_extract(r.plan, '$.hash'), ''), ${now}, ${now}, 0, nullif(json_extract(r.plan, '$.tags'), '[]'),
        nullif(json_extract(r.plan, '$.metadata'), '{}'), 0, 0, 0
      from entry e left join revision r on r.id = e.id
      where e.document = 1 and e.id not in (select entry from document)
      returning entry`,
  );
  db.exec(`
    delete from memory where chunk is not null and entry not in (select entry from document);
    delete from entry where document = 1 and id not in (select entry from document);
  `);
  return rebuilt.map(([entry]) => {
    const [namespace, uri] = db.get<[string, string]>(
      "select n.name, d.uri from document d join namespace n on n.id = d.namespace where d.entry = ?",
      entry,
    )!;
    return { namespace, uri };
  });
}

/** Compares what came back with the index of ids. */
function compare(
  db: Connection,
  refused: readonly RefusedRow[],
  { ids, ranges }: KnownRows,
): Pick<RepairReport, "lost" | "doubtful"> {
  const nameOf = (namespace: number) =>
    db.get<[string]>("select name from namespace where id = ?", namespace)?.[0] ?? `recovered-${namespace}`;
  const lost = new Map<number, LostMemory>();
  const doubtful: LostMemory[] = [];
  // Chunks that nobody could see: staged, replaced, or forgotten with their document.
  const hidden = ranges.filter(
    ({ revision }) =>
      !db.get("select 1 from entry where id = ? and document = 1", revision) &&
      !db.get("select 1 from document where entry = ?", revision),
  );
  const isHidden = (row: number) => hidden.some(({ first, last }) => first <= row && row <= last);
  for (const { namespace, id, row } of ids) {
    const found = db.get<[string]>("select id from memory where row = ?", row);
    if (found === undefined) {
      if (!isHidden(row)) lost.set(row, { namespace: nameOf(namespace), id });
    } else if (found[0] !== id) doubtful.push({ namespace: nameOf(namespace), id: found[0] });
  }
  for (const { table, rowid, id } of refused) {
    if (table !== "memory" || lost.has(rowid) || id === undefined) continue;
    lost.set(rowid, { namespace: "", id });
  }
  const nameless = db.all<[number, number]>(
    "select id, namespace from entry where document = 0 and id not in (select row from memory)",
  );
  for (const [row, namespace] of nameless) {
    if (!lost.has(row)) lost.set(row, { namespace: nameOf(namespace) });
  }
  return { lost: [...lost.values()], doubtful };
}

/** Documents whose chunks are no longer numbered without a gap, or fewer than they counted. */
function findTorn(db: Connection): TornDocument[] {
  return db
    .all<[number, string, string, string, number]>(
      `select d.entry, n.name, d.uri, d.id, d.chunks from document d join namespace n on n.id = d.namespace`,
    )
    .flatMap(([entry, namespace, uri, id, count]) => {
      const there = new Set(
        db
          .all<[number]>("select chunk from memory where entry = ? and chunk is not null", entry)
          .map(([chunk]) => chunk),
      );
      if (there.size === count) return [];
      const length = Math.max(count, ...[...there].map((chunk) => chunk + 1));
      const chunks = Array.from({ length }, (_, at) => at).filter((at) => !there.has(at));
      return chunks.length === 0 ? [] : [{ namespace, uri, id, chunks }];
    });
}

/** Counts, ranges, tags and numbers, made from the rows. */
function derive(db: Connection): void {
  db.exec(`
    update document set
      chunks = (select count(*) from memory m where m.entry = document.entry),
      bytes = (select coalesce(sum(bytes), 0) from memory m where m.entry = document.entry),
      characters = max(characters, (select coalesce(max(end_offset), 0) from memory m where m.entry = document.entry));
    delete from revision;
    insert into revision (id, namespace, state, due_at, document_id, plan, chunks, bytes, characters)
      select entry, namespace, 1, 0, id, json_object('uri', uri), chunks, bytes, characters from document;
    insert into chunk_range select entry, row, row from memory where chunk is not null;
    insert into revision_model (revision, model, chunks, unknown)
      select entry, model, sum(vectors), sum(unknown) from (
        select m.entry, coalesce(m.model, 0) as model, 1 as vectors, 0 as unknown from memory m
        where m.chunk is not null and (m.model is not null
          or not exists (select 1 from side_vector s where s.row = m.row and s.data is not null))
        union all
        select m.entry, s.model, s.data is not null, s.data is null from side_vector s join memory m on m.row = s.row
        where m.chunk is not null)
      group by entry, model;
    insert into model_count (namespace, model, memories, unknown)
      select namespace, model, sum(vectors), sum(unknown) from (
        select m.namespace, coalesce(m.model, 0) as model, 1 as vectors, 0 as unknown from memory m
        where (m.model is not null
          or not exists (select 1 from side_vector s where s.row = m.row and s.data is not null))
        union all
        select m.namespace, s.model, s.data is not null, s.data is null from side_vector s join memory m on m.row = s.row)
      group by namespace, model;
    insert into tier_count
      select e.namespace, e.tier, sum(1 - e.pinned), sum(e.pinned), sum(e.document),
        sum(case e.document when 1 then d.chunks else 1 end),
        sum(case e.document when 1 then d.bytes else m.bytes end)
      from entry e left join document d on e.document = 1 and d.entry = e.id
        left join memory m on e.document = 0 and m.row = e.id
      group by e.namespace, e.tier;
    insert or ignore into tag
      select m.namespace, j.value, m.entry from memory m, json_each(m.tags) j where m.chunk is null
      union select d.namespace, j.value, d.entry from document d, json_each(d.tags) j;

    update counter set
      last = max((select coalesce(max(row), 0) from memory), (select coalesce(max(id), 0) from entry),
        (select coalesce(max(revision), 0) from journal), (select coalesce(max(row), 0) from side_vector)),
      journal_rows = (select count(*) from journal), journal_bytes = (select coalesce(sum(bytes), 0) from journal);
    update namespace set seq = max(seq, (select coalesce(max(seq), 0) from memory where namespace = namespace.id),
      (select coalesce(max(seq), 0) from document d where d.namespace = namespace.id)) + 1;
    update namespace set trimmed = seq;
  `);
}
