import { fadedDay, relevanceKeys, utcDay } from "../../contract/relevance.ts";
import { tiers } from "../../contract/tier.ts";
import { never, type StoreContext, type WriteStep } from "./write-step.ts";

/** What a memory or a document lives by. */
export interface Life {
  readonly tier: number;
  readonly importance: number;
  readonly accessCount: number;
  readonly lastUsedAt: number;
  readonly pinned: boolean;
}

/** When an entry expires that was last used at a time; a pinned one never does. */
export function expiryOf(
  context: StoreContext,
  life: Pick<Life, "tier" | "pinned">,
  lastUsedAt: number,
): number {
  const { ttlSeconds } = context.tiers[tiers[life.tier]!];
  return life.pinned || ttlSeconds === 0 ? never : lastUsedAt + ttlSeconds * 1_000;
}

/** Stored keys and flag of a life, the flag as of the day of the namespace's other flags. */
function keyCells(step: WriteStep, life: Life): [day: number, faded: number, b: number, k: number] {
  const { decayRate } = step.context;
  const day = utcDay(life.lastUsedAt);
  const { b, k } = relevanceKeys(life, decayRate);
  return [day, day <= fadedDay(step.flagDay, decayRate) ? 1 : 0, b, k];
}

export function insertEntry(
  step: WriteStep,
  id: number,
  document: boolean,
  life: Life,
  expiresAt: number,
  tags: readonly string[],
): void {
  const [day, faded, b, k] = keyCells(step, life);
  step.db.run(
    "insert into entry values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    id,
    step.namespace,
    document ? 1 : 0,
    life.tier,
    life.importance,
    life.accessCount,
    life.lastUsedAt,
    day,
    expiresAt,
    life.pinned ? 1 : 0,
    faded,
    b,
    k,
  );
  insertTags(step, id, tags);
}

/** Changes what an entry lives by. */
export function updateEntry(step: WriteStep, id: number, life: Life, expiresAt: number): void {
  const [day, faded, b, k] = keyCells(step, life);
  step.db.run(
    `update entry set tier = ?, importance = ?, access_count = ?, last_used_at = ?, last_used_day = ?,
       expires_at = ?, pinned = ?, faded = ?, b = ?, k = ? where id = ?`,
    life.tier,
    life.importance,
    life.accessCount,
    life.lastUsedAt,
    day,
    expiresAt,
    life.pinned ? 1 : 0,
    faded,
    b,
    k,
    id,
  );
}

export function deleteEntry(step: WriteStep, id: number, tags: readonly string[]): void {
  step.db.run("delete from entry where id = ?", id);
  deleteTags(step, id, tags);
}

export function insertTags(step: WriteStep, entry: number, tags: readonly string[]): void {
  for (const tag of tags) step.db.run("insert into tag values (?, ?, ?)", step.namespace, tag, entry);
}

export function deleteTags(step: WriteStep, entry: number, tags: readonly string[]): void {
  for (const tag of tags) {
    step.db.run("delete from tag where namespace = ? and tag = ? and entry = ?", step.namespace, tag, entry);
  }
}

/** Adds uses to the entries of visible memories. */
export function touchEntries(
  step: WriteStep,
  uses: readonly { readonly id: string; readonly count: number; readonly lastUsedAt: number }[],
): void {
  for (const use of uses) {
    const row = step.db.get<[number, number, number, number, number, number, number]>(
      `select e.id, e.tier, e.importance, e.access_count, e.last_used_at, e.pinned, e.expires_at
       from memory m indexed by memory_id cross join entry e on e.id = m.entry
       where m.namespace = ? and m.id = ? and e.expires_at > ?`,
      step.namespace,
      use.id,
      step.now,
    );
    if (!row) continue;
    const [entry, tier, importance, accessCount, lastUsedAt, pinned, expiresAt] = row;
    const life: Life = {
      tier,
      importance,
      accessCount: accessCount + use.count,
      lastUsedAt: Math.max(lastUsedAt, use.lastUsedAt),
      pinned: pinned === 1,
    };
    updateEntry(step, entry, life, Math.max(expiresAt, expiryOf(step.context, life, life.lastUsedAt)));
  }
}
