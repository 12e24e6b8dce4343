import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { StrataError } from "../../contract/errors.ts";
import type { TextAnalyzer } from "../../contract/text-analyzer.ts";
import { asFull, makeWhole, putInPlace } from "./backup-database.ts";
import type { Connection } from "./connection.ts";
import { readLogFrames } from "./log-frames.ts";
import { openDatabase } from "./open-database.ts";
import { PageFile } from "./page-file.ts";
import { replace } from "./restore-database.ts";
import { type RefusedRow, salvageRows } from "./salvage-rows.ts";
import { translateError } from "./sqlite-error.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import { walkIndex, walkTable } from "./stored-records.ts";
import { verifyOnThread } from "./verify-on-thread.ts";
import { never } from "./write-step.ts";

export interface RepairOptions {
  readonly analyzer: TextAnalyzer;
  readonly decayRate?: number | undefined;
  readonly now: number;
  /** Put the repaired file in the damaged one's place, which is kept under another name. Default false. */
  readonly replace?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A memory that did not come back. */
export interface LostMemory {
  readonly namespace: string;
  /** Absent: nothing tells it any more. */
  readonly id?: string;
}

/** A document of which chunks did not come back. */
export interface TornDocument {
  readonly namespace: string;
  readonly uri: string;
  readonly id: string;
  /** Numbers of the chunks that are missing. */
  readonly chunks: readonly number[];
}

export interface RepairReport {
  /** Where the repaired memory is. */
  readonly path: string;
  /** Where the damaged one is kept, when it was replaced. */
  readonly kept?: string;
  readonly memories: number;
  readonly documents: number;
  readonly namespaces: number;
  readonly lost: readonly LostMemory[];
  readonly torn: readonly TornDocument[];
  /** Ids of memories of which the index says something else than they do: look at them. */
  readonly doubtful: readonly LostMemory[];
  /** Memories that came back without what they lived by: in `semantic`, of importance .5. */
  readonly relived: readonly LostMemory[];
  /** Memories that came back without their vector: found by words until they are embedded again. */
  readonly withoutVector: number;
  /** Pages of committed writes behind a damage of the log that were found again. */
  readonly logPages: number;
}

/**
 * Makes a new database of all that can be read of a damaged one, row by row, its log included. The damaged file is only
 * read. No process may have it open.
 * @param target Where the new file is to be; taken from `replace` when that is set.
 * @throws NOT_A_DATABASE When nothing of a memory is in it. DATABASE_EXISTS, DISK_FULL, DATABASE_BUSY
 */
export async function repairDatabase(
  source: string,
  target: string,
  options: RepairOptions,
): Promise<RepairReport> {
  const { signal, analyzer, decayRate, now } = options;
  signal?.throwIfAborted();
  const partial = `${target}.${randomUUID()}.partial`;
  try {
    using file = new PageFile(source);
    const db = await openDatabase(partial, {
      durability: "process",
      readOnly: false,
      create: true,
      lockTimeoutMs: 1_000,
    });
    let found: Pick<RepairReport, "lost" | "torn" | "doubtful" | "relived" | "withoutVector">;
    try {
      const refused = await salvageRows(file, db);
      signal?.throwIfAborted();
      const known = readKnown(file);
      found = await db.write(() => join(db, refused, known, now));
    } finally {
      db.close();
    }
    // Keys of relevance and words are made again by the first who opens it.
    await (await openSqliteStore(partial, { analyzer, decayRate })).close();
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

interface Known {
  readonly ids: readonly { readonly namespace: number; readonly id: string; readonly row: number }[];
  /** Rows of the chunks of a revision. */
  readonly ranges: readonly { readonly revision: number; readonly first: number; readonly last: number }[];
}

/** What the index of ids and the ranges of chunks tell of memories, as far as they can be read. */
function readKnown(file: PageFile): Known {
  const ids: Known["ids"][number][] = [];
  const ranges: Known["ranges"][number][] = [];
  for (const { values } of walkTable(file, 1)) {
    const [, name, , root] = values;
    if (typeof root !== "number" || (name !== "memory_id" && name !== "chunk_range")) continue;
    for (const [first, second, third, ...rest] of walkIndex(file, root)) {
      if (typeof first !== "number" || typeof third !== "number" || rest.length > 0) continue;
      if (typeof second === "string") ids.push({ namespace: first, id: second, row: third });
      else if (typeof second === "number") ranges.push({ revision: first, first: second, last: third });
    }
  }
  return { ids, ranges };
}

/** Makes what was salvaged one whole again: what belongs to nothing goes, what can be made again is. */
function join(
  db: Connection,
  refused: readonly RefusedRow[],
  known: Known,
  now: number,
): Pick<RepairReport, "lost" | "torn" | "doubtful" | "relived" | "withoutVector"> {
  db.exec(`
    create temp table vectorless (row integer primary key);
    insert or ignore into namespace (id, name) select distinct namespace, 'recovered-' || namespace from memory
      where namespace not in (select id from namespace);
  `);
  const { lost, doubtful } = compare(db, refused, known);
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
  const day = Math.floor(now / 86_400_000);
  db.exec(`
    delete from entry where (document = 1) <> (id in (select entry from memory where chunk is not null));
    insert into entry select distinct entry, namespace, chunk is not null, 4, 0.5, 0, ${now}, ${day}, ${never}, 0, 0, 0.25, 0.25
      from memory where entry not in (select id from entry);
    update memory set namespace = (select e.namespace from entry e where e.id = memory.entry)
      where chunk is not null;
    update entry set expires_at = ${never} where pinned = 1;
    delete from document where entry not in (select id from entry where document = 1);
    insert or ignore into document (entry, namespace, seq, id, uri, title, hash, created_at, updated_at, version, tags, metadata, chunks,
        bytes, characters)
      select e.id, e.namespace, 1, coalesce(r.document_id, 'recovered-' || e.id),
        coalesce(json_extract(r.plan, '$.uri'), 'recovered-' || e.id), json_extract(r.plan, '$.title'),
        coalesce(json_extract(r.plan, '$.hash'), ''), ${now}, ${now}, 0, nullif(json_extract(r.plan, '$.tags'), '[]'),
        nullif(json_extract(r.plan, '$.metadata'), '{}'), 0, 0, 0
      from entry e left join revision r on r.id = e.id
      where e.document = 1 and e.id not in (select entry from document);
    delete from memory where chunk is not null and entry not in (select entry from document);
    delete from entry where document = 1 and id not in (select entry from document);

    delete from vector where not exists (
      select 1 from memory m join model o on o.id = m.model where m.row = vector.row and m.model = vector.model);
    insert into vectorless select row from memory where model is not null and row not in (select row from vector);
    update memory set model = null where model is not null and row not in (select row from vector);
    delete from side_vector where row not in (select row from memory) or model not in (select id from model);
    -- Where its own vector is lost, one of another model takes its place.
    insert into vector select s.row, s.model, s.data from side_vector s join memory m on m.row = s.row
      where m.model is null and s.data is not null group by s.row;
    update memory set model = (select v.model from vector v where v.row = memory.row)
      where model is null and row in (select row from vector);
    delete from side_vector where (row, model) in (select row, model from vector);
    delete from vectorless where row in (select row from vector);
  `);
  const withoutVector = db.get<[number]>("select count(*) from vectorless")![0];
  const torn = findTorn(db);
  derive(db);
  return { lost, torn, doubtful, relived, withoutVector };
}

/** Compares what came back with the index of ids. */
function compare(
  db: Connection,
  refused: readonly RefusedRow[],
  { ids, ranges }: Known,
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

    update journal set before = null, vector = null, bytes = 0, revision = null where revision is not null;
    delete from journal where namespace not in (select id from namespace);
    delete from snapshot where namespace not in (select id from namespace);
    delete from snapshot_item where snapshot not in (select id from snapshot);
    update snapshot set
      memories = (select count(*) from snapshot_item i where i.snapshot = snapshot.id);
    update counter set
      last = max((select coalesce(max(row), 0) from memory), (select coalesce(max(id), 0) from entry),
        (select coalesce(max(revision), 0) from journal), (select coalesce(max(row), 0) from side_vector)),
      journal_rows = (select count(*) from journal), journal_bytes = (select coalesce(sum(bytes), 0) from journal);
    update namespace set seq = max(seq, (select coalesce(max(seq), 0) from memory where namespace = namespace.id),
      (select coalesce(max(seq), 0) from document d where d.namespace = namespace.id)) + 1;
    update namespace set trimmed = seq;
  `);
}
