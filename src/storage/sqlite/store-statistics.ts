import { statSync } from "node:fs";
import type { StoreStats, TierStats } from "../../contract/memory-store.ts";
import { type Tier, tiers } from "../../contract/tier.ts";
import type { StoreContext } from "./write-step.ts";

type Sums = readonly [
  tier: number,
  entries: number,
  pinned: number,
  documents: number,
  memories: number,
  bytes: number,
];

/**
 * Figures of one namespace, or of all: kept sums, less what has expired and was not removed yet. Costs as much as
 * there are expired entries, never as much as there are memories. Must run in one read transaction.
 */
export function readStats(context: StoreContext, namespace: number | undefined, path: string): StoreStats {
  const db = context.connection;
  const only = namespace ?? null;
  const expired = expiredSums(context, only);
  const kept = db.all<Sums>(
    `select tier, sum(entries), sum(pinned), sum(documents), sum(memories), sum(bytes) from tier_count
     where ? is null or namespace = ? group by tier`,
    only,
    only,
  );
  const byTier = tiers.map((tier, code) => tierStats(context, tier, find(kept, code), find(expired, code)));
  const models = visibleModels(context, only);
  const total = (figure: (stats: TierStats) => number) =>
    byTier.reduce((sum, stats) => sum + figure(stats), 0);
  const [evicted, repeated] = db.get<[number, number]>(
    "select coalesce(sum(evicted), 0), coalesce(sum(repeated), 0) from namespace where ? is null or id = ?",
    only,
    only,
  )!;
  return {
    tiers: Object.fromEntries(tiers.map((tier, code) => [tier, byTier[code]])) as Record<Tier, TierStats>,
    memories: total((stats) => stats.memories),
    documents: total((stats) => stats.documents),
    withoutVector: models.withoutVector,
    models: models.byName,
    unknown: models.unknown,
    expired: expired.reduce((sum, row) => sum + row[4], 0),
    evicted,
    repeated,
    namespaces: countNamespaces(context, namespace),
    journalRows: countJournal(context, namespace),
    bytesOnDisk: ["", "-wal", "-shm"].reduce(
      (sum, suffix) => sum + (statSync(`${path}${suffix}`, { throwIfNoEntry: false })?.size ?? 0),
      0,
    ),
  };
}

function find(rows: readonly Sums[], tier: number): Sums {
  return rows.find((row) => row[0] === tier) ?? [tier, 0, 0, 0, 0, 0];
}

function tierStats(context: StoreContext, tier: Tier, kept: Sums, expired: Sums): TierStats {
  return {
    entries: kept[1] + kept[2] - expired[1] - expired[2],
    pinned: kept[2] - expired[2],
    documents: kept[3] - expired[3],
    memories: kept[4] - expired[4],
    bytes: kept[5] - expired[5],
    capacity: context.tiers[tier].capacity,
    ttlSeconds: context.tiers[tier].ttlSeconds,
  };
}

/**
 * Entries expired at a time as rows `x`: tier by tier, so that each is a range of the expiry index.
 * @param time Parameter that the time is bound to.
 */
const expiredAt = (time: string) => `tier_count t cross join entry x indexed by entry_expiry
  on x.namespace = t.namespace and x.tier = t.tier and x.expires_at <= ${time} and x.expires_at < 9007199254740991`;
const expiredEntries = expiredAt("?");

/** What has expired and is still there, by tier. */
export function expiredSums(context: StoreContext, only: number | null): Sums[] {
  return context.connection.all<Sums>(
    `select x.tier, sum(1 - x.pinned), sum(x.pinned), sum(x.document),
       sum(case x.document when 1 then d.chunks else 1 end),
       sum(case x.document when 1 then d.bytes else m.bytes end)
     from ${expiredEntries}
     left join document d on x.document = 1 and d.entry = x.id
     left join memory m on x.document = 0 and m.row = x.id
     where ? is null or t.namespace = ? group by x.tier`,
    context.now(),
    only,
    only,
  );
}

interface VisibleModels {
  readonly withoutVector: number;
  readonly byName: Record<string, number>;
  readonly unknown: Record<string, number>;
}

type ModelSums = readonly [model: number, vectors: number, unknown: number];

function visibleModels(context: StoreContext, only: number | null): VisibleModels {
  const db = context.connection;
  const kept = db.all<ModelSums>(
    `select model, sum(memories), sum(unknown) from model_count where ? is null or namespace = ? group by model`,
    only,
    only,
  );
  const sums = new Map(kept.map(([model, vectors, unknown]) => [model, { vectors, unknown }]));
  for (const [model, vectors, unknown] of expiredModels(context, only)) {
    const sum = sums.get(model);
    if (!sum) continue;
    sum.vectors -= vectors;
    sum.unknown -= unknown;
  }
  const byName: Record<string, number> = {};
  const unknown: Record<string, number> = {};
  for (const [code, name] of db.all<[number, string]>("select id, name from model")) {
    const sum = sums.get(code);
    if (sum && sum.vectors > 0) byName[name] = sum.vectors;
    if (sum && sum.unknown > 0) unknown[name] = sum.unknown;
  }
  return { withoutVector: sums.get(0)?.vectors ?? 0, byName, unknown };
}

/** What has expired and is still there, by model. */
function expiredModels(context: StoreContext, only: number | null): ModelSums[] {
  const { connection: db } = context;
  const now = context.now();
  const own = db.all<ModelSums>(
    `select coalesce(r.model, m.model, 0) as code,
       sum(case x.document when 1 then coalesce(r.chunks, 0) else 1 end), sum(coalesce(r.unknown, 0))
     from ${expiredEntries}
     left join revision_model r on x.document = 1 and r.revision = x.id
     left join memory m on x.document = 0 and m.row = x.id
     where (? is null or t.namespace = ?) and (x.document = 1 or m.model is not null or not exists
       (select 1 from side_vector s where s.row = x.id and s.data is not null)) group by code`,
    now,
    only,
    only,
  );
  const beside = db.all<ModelSums>(
    `select s.model, sum(s.data is not null), sum(s.data is null)
     from ${expiredEntries} cross join side_vector s on x.document = 0 and s.row = x.id
     where ? is null or t.namespace = ? group by s.model`,
    now,
    only,
    only,
  );
  return [...own, ...beside];
}

/**
 * True of a namespace `n` that holds something visible: by kept sums, since no index tells a namespace's entries of every
 * kind. Takes the time, `?1`.
 */
const holdsAnything = `(select sum(t.entries + t.pinned) from tier_count t where t.namespace = n.id)
  > (select count(*) from ${expiredAt("?1")} where t.namespace = n.id)`;

/** Names after one, in order, each with whether its namespace holds anything visible. */
export const namesAfter: string = `select n.name, ${holdsAnything}
  from (select id, name from namespace where name > ?2 order by name limit ?3) n order by n.name`;

export const visibleNamespaces: string = `select count(*) from namespace n
  where (?2 is null or n.id = ?2) and ${holdsAnything}`;

function countNamespaces(context: StoreContext, namespace: number | undefined): number {
  return context.connection.get<[number]>(visibleNamespaces, context.now(), namespace ?? null)![0];
}

function countJournal(context: StoreContext, namespace: number | undefined): number {
  const db = context.connection;
  const [rows] =
    namespace === undefined
      ? db.get<[number]>("select journal_rows from counter where id = 1")!
      : db.get<[number]>("select count(*) from journal where namespace = ?", namespace)!;
  return rows;
}
