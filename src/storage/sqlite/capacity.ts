import { v7 as uuidv7 } from "uuid";
import type { Evicted } from "../../contract/memory-store.ts";
import { fadedDay, relevance, utcDay } from "../../contract/relevance.ts";
import { tiers } from "../../contract/tier.ts";
import type { WaitOptions } from "./connection.ts";
import { removeDocument, removeMemory } from "./removal.ts";
import { type StoreContext, WriteStep } from "./write-step.ts";

/** Flags turned, and entries evicted beyond what a write itself needs, in one transaction. */
const sliceSize = 256;

type HeadRow = readonly [entry: number, b: number, k: number];

export interface Head {
  readonly entry: number;
  readonly relevance: number;
}

/** What a write may not evict: numbers from `from` on, which it has just made, and one it is moving. */
export interface Protection {
  readonly from: number;
  readonly entry: number;
}

export const unprotected: Protection = { from: Number.MAX_SAFE_INTEGER, entry: 0 };

/** Evicts the least relevant of a tier until it is within its capacity, expired ones first. */
export function enforceCapacity(step: WriteStep, tier: number, protection: Protection): Evicted[] {
  const { capacity } = step.context.tiers[tiers[tier]!];
  const evicted: Evicted[] = [];
  if (capacity === 0 || step.entriesIn(tier) <= capacity) return evicted;
  expireSome(step, tier, step.entriesIn(tier) - capacity);
  while (step.entriesIn(tier) > capacity) {
    const head = leastRelevant(step, tier, protection) ?? leastRelevant(step, tier, unprotected);
    if (!head) break;
    evicted.push(evict(step, tier, head, capacity));
  }
  return evicted;
}

/** The lowest key of each of four ranges: fresh and faded memories, fresh and faded documents. */
export const heads: string = (
  [
    ["fresh", 0, "k"],
    ["faded", 1, "b"],
  ] as const
)
  .flatMap(([name, faded, key]) =>
    [0, 1].map(
      (document) => `select * from (select id, b, k from entry indexed by entry_${name}
        where namespace = ?1 and tier = ?2 and document = ${document} and faded = ${faded} and pinned = 0
          and id < ?3 and id <> ?4 order by ${key}, id limit 1)`,
    ),
  )
  .join(" union all ");

/** The least relevant of a tier, the oldest of equal ones. */
export function leastRelevant(step: WriteStep, tier: number, protection: Protection): Head | undefined {
  const rows = step.db.all<HeadRow>(heads, step.namespace, tier, protection.from, protection.entry);
  let least: Head | undefined;
  for (const [entry, b, k] of rows) {
    const value = relevance({ b, k }, step.offset);
    const isLess = least === undefined || value < least.relevance;
    if (isLess || (value === least!.relevance && entry < least!.entry)) least = { entry, relevance: value };
  }
  return least;
}

/** Evicts one entry, journaled under `run`. */
export function evict(
  step: WriteStep,
  tier: number,
  head: Head,
  capacity: number,
  run: string = uuidv7(),
): Evicted {
  const [isDocument] = step.db.get<[number]>("select document from entry where id = ?", head.entry)!;
  const departure = {
    run,
    kind: "evict",
    reason: `least relevant (${head.relevance.toFixed(4)}) of a tier at its capacity of ${capacity}`,
    undoable: true,
  } as const;
  const id =
    isDocument === 1
      ? step.db.get<[string]>("select id from document where entry = ?", head.entry)![0]
      : step.db.get<[string]>("select id from memory where row = ?", head.entry)![0];
  if (isDocument === 1) removeDocument(step, head.entry, departure);
  else removeMemory(step, head.entry, departure);
  step.evicted();
  return { id, document: isDocument === 1, tier: tiers[tier]!, relevance: head.relevance };
}

/** Removes up to `limit` expired entries of a tier. Returns memories and entries that left. */
export function expireSome(
  step: WriteStep,
  tier: number,
  limit: number,
): { readonly memories: number; readonly entries: number } {
  // SQLite searches by the first of the two upper bounds; the second only says that the partial index serves.
  const rows = step.db.all<[number, number]>(
    `select id, document from entry indexed by entry_expiry
     where namespace = ? and tier = ? and expires_at <= ? and expires_at < 9007199254740991
     order by expires_at limit ?`,
    step.namespace,
    tier,
    step.now,
    limit,
  );
  let memories = 0;
  for (const [entry, isDocument] of rows) {
    if (isDocument === 1) memories += removeDocument(step, entry, expired());
    else memories += removeMemory(step, entry, expired()) ? 1 : 0;
  }
  return { memories, entries: rows.length };
}

/** How an expired entry leaves: recorded, but not kept. */
export function expired(): { run: string; kind: "expire"; reason: string; undoable: false } {
  return { run: uuidv7(), kind: "expire", reason: "unused for longer than its tier keeps", undoable: false };
}

/**
 * Makes a namespace ready for a write of the day: turns the flags of entries that faded since they were last right,
 * in slices. Costs one short read when there is nothing to do.
 * @param today Day as of which the flags shall be right at least.
 */
export async function refreshFlags(
  context: StoreContext,
  name: string,
  wait?: WaitOptions,
  today: number = utcDay(context.now()),
): Promise<void> {
  for (;;) {
    const row = context.connection.get<[number]>("select faded_on from namespace where name = ?", name);
    if (!row || row[0] >= today) return;
    await context.connection.write(() => {
      const step = new WriteStep(context, name);
      const limit = fadedDay(today, context.decayRate);
      const turned = Number.isFinite(limit) ? turnFlags(step, limit) : 0;
      if (turned < sliceSize) {
        step.db.run("update namespace set faded_on = max(faded_on, ?) where id = ?", today, step.namespace);
      }
    }, wait);
  }
}

function turnFlags(step: WriteStep, lastFadedDay: number): number {
  return step.db.run(
    `update entry set faded = 1 where id in (
       select id from entry indexed by entry_fading
       where namespace = ? and faded = 0 and last_used_day <= ? limit ${sliceSize})`,
    step.namespace,
    lastFadedDay,
  );
}

/** Brings tiers that a changed configuration made too small within their capacity, in slices. */
export async function shrinkTiers(
  context: StoreContext,
  name: string,
  wait?: WaitOptions,
): Promise<Evicted[]> {
  const evicted: Evicted[] = [];
  for (let more = true; more; ) {
    await context.connection.write(() => {
      more = false;
      const step = new WriteStep(context, name);
      for (const [tier, tierName] of tiers.entries()) {
        const { capacity } = context.tiers[tierName];
        let left = sliceSize;
        while (capacity > 0 && step.entriesIn(tier) > capacity && left-- > 0) {
          const head = leastRelevant(step, tier, unprotected);
          if (!head) break;
          evicted.push(evict(step, tier, head, capacity));
        }
        if (left < 0) more = true;
      }
      step.finish();
    }, wait);
  }
  return evicted;
}
