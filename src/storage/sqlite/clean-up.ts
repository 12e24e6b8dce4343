import type { CleanupResult } from "../../contract/memory-store.ts";
import type { Scope } from "../../contract/scope.ts";
import { type Tier, tiers } from "../../contract/tier.ts";
import { expireSome } from "./capacity.ts";
import type { WaitOptions } from "./connection.ts";
import { namespaceCode } from "./memory-rows.ts";
import { expiredSums } from "./store-statistics.ts";
import { countDueChunks, sweepRevisions } from "./sweep.ts";
import { dropJournalRow, type StoreContext, WriteStep } from "./write-step.ts";

const sliceSize = 128;

/** Removes, or with `dryRun` counts, what has expired, what nobody published and journal rows past their time. */
export async function cleanUp(
  context: StoreContext,
  options: { readonly dryRun: boolean; readonly scope?: Scope | undefined },
  wait?: WaitOptions,
): Promise<CleanupResult> {
  const db = context.connection;
  const name = options.scope?.namespace;
  // No namespace has the number 0.
  const namespace = name === undefined ? undefined : (namespaceCode(db, name) ?? 0);
  if (options.dryRun) return db.read(() => plan(context, namespace), wait);
  const sweep = () => sweepRevisions(context, { namespace: name, signal: wait?.signal });
  const stagedChunks = await sweep();
  const journalRows = await dropOldRows(context, namespace, wait);
  const expiredByTier = await expireAll(context, namespace, wait);
  // Chunks of documents that expired just now, or that can no longer be undone, are counted as such already.
  await sweep();
  const expired = Object.values(expiredByTier).reduce((sum, count) => sum + count, 0);
  return { expired, expiredByTier, stagedChunks, journalRows };
}

function plan(context: StoreContext, namespace: number | undefined): CleanupResult {
  const sums = expiredSums(context, namespace ?? null);
  const [journalRows] = context.connection.get<[number]>(
    "select count(*) from journal where at < ? and (? is null or namespace = ?)",
    context.now() - context.journalLimits.retentionMs,
    namespace ?? null,
    namespace ?? null,
  )!;
  return {
    expired: sums.reduce((sum, row) => sum + row[4], 0),
    expiredByTier: byTier((code) => sums.find((row) => row[0] === code)?.[4] ?? 0),
    stagedChunks: countDueChunks(context, namespace),
    journalRows,
  };
}

function byTier(count: (code: number) => number): Record<Tier, number> {
  return Object.fromEntries(tiers.map((tier, code) => [tier, count(code)])) as Record<Tier, number>;
}

async function expireAll(
  context: StoreContext,
  only: number | undefined,
  wait?: WaitOptions,
): Promise<Record<Tier, number>> {
  const db = context.connection;
  const counts = tiers.map(() => 0);
  const places = db.all<[string, number]>(
    `select n.name, t.tier from tier_count t cross join namespace n on n.id = t.namespace
     where (? is null or t.namespace = ?) and exists (
       select 1 from entry x indexed by entry_expiry where x.namespace = t.namespace and x.tier = t.tier
         and x.expires_at <= ? and x.expires_at < 9007199254740991)`,
    only ?? null,
    only ?? null,
    context.now(),
  );
  for (const [name, tier] of places) {
    for (let more = true; more; ) {
      const removed = await db.write(() => {
        const step = new WriteStep(context, name);
        const result = expireSome(step, tier, sliceSize);
        step.finish();
        return result;
      }, wait);
      counts[tier]! += removed.memories;
      more = removed.entries === sliceSize;
    }
  }
  return byTier((code) => counts[code]!);
}

async function dropOldRows(
  context: StoreContext,
  only: number | undefined,
  wait?: WaitOptions,
): Promise<number> {
  const db = context.connection;
  let dropped = 0;
  for (let more = true; more; ) {
    await db.write(() => {
      const rows = db.all<[number, number]>(
        "select id, bytes from journal where at < ? and (? is null or namespace = ?) order by id limit ?",
        context.now() - context.journalLimits.retentionMs,
        only ?? null,
        only ?? null,
        sliceSize,
      );
      for (const [id, bytes] of rows) dropJournalRow(db, id, bytes);
      dropped += rows.length;
      more = rows.length === sliceSize;
    }, wait);
  }
  return dropped;
}
