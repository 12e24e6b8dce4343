import { createHash } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";

/** What must hold between tables, each as a query that counts where it does not. */
const rules: readonly (readonly [broken: string, sql: string])[] = [
  [
    "memories without the entry they live by",
    `select count(*) from memory m where m.chunk is null and not exists (
       select 1 from entry e where e.id = m.entry and e.id = m.row and e.document = 0 and e.namespace = m.namespace)`,
  ],
  [
    "chunks of no revision",
    `select count(*) from memory m where m.chunk is not null and not exists (
       select 1 from revision r join chunk_range c on c.revision = r.id
       where r.id = m.entry and r.namespace = m.namespace and m.row between c.first and c.last)`,
  ],
  [
    "entries without their memory",
    `select count(*) from entry e where e.document = 0 and not exists (
       select 1 from memory m where m.row = e.id and m.entry = e.id and m.chunk is null)`,
  ],
  [
    "entries without their document",
    `select count(*) from entry e where e.document = 1 and not exists (
       select 1 from document d join revision r on r.id = d.entry
       where d.entry = e.id and d.namespace = e.namespace and r.state = 1)`,
  ],
  [
    "documents without their entry",
    `select count(*) from document d where not exists (
       select 1 from entry e where e.id = d.entry and e.document = 1)`,
  ],
  [
    "published revisions without their document",
    `select count(*) from revision r where r.state = 1 and not exists (
       select 1 from document d where d.entry = r.id)`,
  ],
  [
    "revisions that count other chunks than they have",
    `select count(*) from revision r left join (
       select entry, count(*) as chunks, sum(bytes) as bytes from memory where chunk is not null group by entry
     ) f on f.entry = r.id
     where r.chunks <> coalesce(f.chunks, 0) or (r.state <> 2 and r.bytes <> coalesce(f.bytes, 0))`,
  ],
  [
    "documents that count other chunks than their revision",
    `select count(*) from document d join revision r on r.id = d.entry
     where d.chunks <> r.chunks or d.bytes <> r.bytes`,
  ],
  [
    "counts of a tier that disagree with its entries",
    `with found as materialized (
       select e.namespace, e.tier, sum(1 - e.pinned) as entries, sum(e.pinned) as pinned, sum(e.document) as documents,
         sum(case e.document when 1 then d.chunks else 1 end) as memories,
         sum(case e.document when 1 then d.bytes else m.bytes end) as bytes
       from entry e left join document d on e.document = 1 and d.entry = e.id
         left join memory m on e.document = 0 and m.row = e.id
       group by e.namespace, e.tier),
     kept as materialized (
       select namespace, tier, entries, pinned, documents, memories, bytes from tier_count
       where (entries, pinned, documents, memories, bytes) <> (0, 0, 0, 0, 0))
     select (select count(*) from (select * from found except select * from kept))
       + (select count(*) from (select * from kept except select * from found))`,
  ],
  [
    "counts of a model that disagree with its vectors",
    `with found as materialized (
       select namespace, model, sum(memories) as memories, sum(unknown) as unknown from (
         select m.namespace, coalesce(m.model, 0) as model, 1 as memories, 0 as unknown
         from memory m join entry e on e.id = m.entry
         where m.model is not null
           or not exists (select 1 from side_vector s where s.row = m.row and s.data is not null)
         union all
         select m.namespace, s.model, s.data is not null, s.data is null
         from side_vector s join memory m on m.row = s.row join entry e on e.id = m.entry)
       group by namespace, model),
     kept as materialized (
       select namespace, model, memories, unknown from model_count where (memories, unknown) <> (0, 0))
     select (select count(*) from (select * from found except select * from kept))
       + (select count(*) from (select * from kept except select * from found))`,
  ],
  [
    "counts of a revision's models that disagree with its chunks",
    `with found as materialized (
       select x.revision, x.model, sum(x.chunks) as chunks, sum(x.unknown) as unknown from (
         select m.entry as revision, coalesce(m.model, 0) as model, 1 as chunks, 0 as unknown
         from memory m where m.chunk is not null and (m.model is not null
           or not exists (select 1 from side_vector s where s.row = m.row and s.data is not null))
         union all
         select m.entry, s.model, s.data is not null, s.data is null
         from side_vector s join memory m on m.row = s.row where m.chunk is not null) x
       join revision r on r.id = x.revision and r.state <> 2 group by x.revision, x.model),
     kept as materialized (
       select q.revision, q.model, q.chunks, q.unknown from revision_model q join revision r on r.id = q.revision
       where r.state <> 2 and (q.chunks, q.unknown) <> (0, 0))
     select (select count(*) from (select * from found except select * from kept))
       + (select count(*) from (select * from kept except select * from found))`,
  ],
  [
    "vectors of further models of no memory",
    "select count(*) from side_vector s where not exists (select 1 from memory m where m.row = s.row)",
  ],
  [
    "memories without the vector their model made",
    `select count(*) from memory m where m.model is not null and not exists (
       select 1 from vector v where v.row = m.row and v.model = m.model)`,
  ],
  [
    "vectors of no memory",
    `select count(*) from vector v where not exists (
       select 1 from memory m where m.row = v.row and m.model = v.model)`,
  ],
  [
    "tags that disagree with their memories",
    `with found as materialized (
       select m.namespace, j.value as tag, m.entry from memory m, json_each(m.tags) j where m.chunk is null
       union select d.namespace, j.value, d.entry from document d, json_each(d.tags) j)
     select (select count(*) from (select * from found except select namespace, tag, entry from tag))
       + (select count(*) from (select namespace, tag, entry from tag except select * from found))`,
  ],
  [
    "ids that two memories have",
    `select count(*) from (select 1 from memory m join entry e on e.id = m.entry
       group by m.namespace, m.id having count(*) > 1)`,
  ],
  [
    "ids that two documents have",
    "select count(*) from (select 1 from document group by namespace, id having count(*) > 1)",
  ],
  [
    "counts of the journal that disagree with its rows",
    `select count(*) from counter c where (c.journal_rows, c.journal_bytes)
       <> (select count(*), coalesce(sum(bytes), 0) from journal)`,
  ],
  [
    "journal rows that need a revision that is gone",
    `select count(*) from journal j where j.revision is not null and not exists (
       select 1 from revision r where r.id = j.revision)`,
  ],
  [
    "numbers given out twice",
    `select count(*) from counter c where c.last < max(
       (select coalesce(max(row), 0) from memory), (select coalesce(max(id), 0) from entry),
       (select coalesce(max(id), 0) from revision))`,
  ],
  [
    "namespaces behind their own writes",
    `select count(*) from namespace n where n.seq < max(
       (select coalesce(max(seq), 0) from memory where namespace = n.id),
       (select coalesce(max(seq), 0) from document where namespace = n.id),
       (select coalesce(max(seq), 0) from gone where namespace = n.id))`,
  ],
  [
    "relevance keys that disagree with what they are made from",
    `select count(*) from entry e
       left join setting s on s.name = 'decay_rate'
     where abs(e.b - (0.5 * e.importance + 0.2 * min(1.0, e.access_count / 10.0))) > 1e-9
       or e.last_used_day <> cast(floor(e.last_used_at / 86400000.0) as integer)
       or abs(e.k - (e.b + 0.3 * coalesce(s.value, 0.1) * e.last_used_day)) > 1e-6`,
  ],
];

/** Texts held at once while they are compared with their hashes. */
const sliceSize = 256;

/**
 * Compares everything a database keeps twice: counts with rows, vectors and tags with memories, documents with
 * chunks, texts with their hashes. Reads all of it on one unchanging state.
 * @returns What does not agree, a sentence each; empty: all of it does.
 */
export function checkConsistency(database: DatabaseSync): string[] {
  database.exec("begin");
  try {
    const found = rules.flatMap(([broken, sql]) => {
      const count = Number(Object.values(database.prepare(sql).get() ?? {})[0]);
      return count === 0 ? [] : [`${count} ${broken}`];
    });
    const unlike = countUnlikeHashes(database);
    return unlike === 0 ? found : [...found, `${unlike} texts that disagree with their hash`];
  } finally {
    if (database.isTransaction) database.exec("rollback");
  }
}

function countUnlikeHashes(database: DatabaseSync): number {
  const read = database.prepare(
    `select row, content, content_hash from memory where row > ? order by row limit ${sliceSize}`,
  );
  let unlike = 0;
  for (let after = 0, more = true; more; ) {
    const rows = read.all(after);
    for (const row of rows) {
      const hash = createHash("sha256").update(String(row["content"])).digest("hex");
      if (hash !== row["content_hash"]) unlike++;
    }
    more = rows.length === sliceSize;
    after = Number(rows.at(-1)?.["row"]);
  }
  return unlike;
}
