import type { MemoryFilter } from "../../contract/scope.ts";
import { documentMatches, matchesFilter } from "../filter-match.ts";
import { withoutOrigin } from "../merge-memories.ts";
import type { WaitOptions } from "./connection.ts";
import { objectCell, parseMetadata, readByIds } from "./memory-rows.ts";
import { sweepRevisions } from "./sweep.ts";
import { dropJournalRow, type StoreContext, WriteStep, wipeJournalRow } from "./write-step.ts";

/** Journal rows looked at in one transaction. */
const sliceSize = 256;

/**
 * Notes, inside the transaction that removes rows for good, that their bytes are still to be wiped. A process that
 * dies before {@link wipe} has ended leaves the note for the next one.
 */
export function noteWipe(step: WriteStep): void {
  step.db.run("insert into setting values ('wipe', 1) on conflict do update set value = value + 1");
}

export function isWipeDue(context: StoreContext): boolean {
  return context.connection.get("select 1 from setting where name = 'wipe'") !== undefined;
}

/**
 * Wipes what removed rows left behind in the write-ahead log. Freed pages and cells were overwritten with zeros when
 * they were freed (`secure_delete`).
 */
export async function wipe(context: StoreContext, options?: WaitOptions): Promise<void> {
  const db = context.connection;
  const note = db.get<[number]>("select value from setting where name = 'wipe'")?.[0] ?? 0;
  await truncateLog(context, options);
  // Another removal meanwhile has raised the note, and wipes for itself.
  await db.write(() => db.run("delete from setting where name = 'wipe' and value = ?", note), options);
}

/** Copies the log into the database and empties it, once no reader needs it any more. */
async function truncateLog(context: StoreContext, options?: WaitOptions): Promise<void> {
  await context.connection.outside(() => {
    const [busy] = context.connection.get<[number]>("pragma wal_checkpoint(truncate)")!;
    if (busy !== 0) throw Object.assign(new Error("log in use"), { code: "ERR_SQLITE_ERROR", errcode: 5 });
  }, options);
}

type LeftRow = readonly [
  id: number,
  memoryId: string,
  document: number,
  into: string | null,
  bytes: number,
  revision: number | null,
  before: string | null,
];

/**
 * Takes out of the journal what it keeps of memories of these ids, and of those that match as it keeps them, so that
 * erasing what was already forgotten, evicted, merged or changed back erases it too. A row's text is wiped, the fact that it moved stays.
 */
export async function eraseFromJournal(
  context: StoreContext,
  name: string,
  namespace: number,
  ids: ReadonlySet<string>,
  filter: MemoryFilter,
  options?: WaitOptions,
): Promise<void> {
  const db = context.connection;
  let after = 0;
  for (let more = true; more; ) {
    await db.write(() => {
      // Rows of what moved keep a few numbers and nothing of the memory.
      const rows = db.all<LeftRow>(
        `select id, memory_id, document, into_id, bytes, revision, case when to_tier is null then before end
         from journal indexed by journal_namespace where namespace = ? and id > ? order by id limit ${sliceSize}`,
        namespace,
        after,
      );
      const step = new WriteStep(context, name);
      for (const row of rows) eraseIfMatching(step, row, ids, filter);
      if (rows.some((row) => row[6] !== null)) noteWipe(step);
      step.finish();
      after = rows.at(-1)?.[0] ?? after;
      more = rows.length === sliceSize;
    }, options);
  }
  await sweepRevisions(context, { namespace: name, signal: options?.signal });
}

function eraseIfMatching(
  step: WriteStep,
  row: LeftRow,
  ids: ReadonlySet<string>,
  filter: MemoryFilter,
): void {
  const [id, memoryId, isDocument, into, bytes, revision, before] = row;
  if (before === null) return;
  const left = JSON.parse(before);
  const matches = () => (isDocument === 1 ? documentMatches(left, filter) : matchesFilter(left, filter));
  if (!ids.has(memoryId) && !matches()) return;
  // Rows erased with an earlier one of this slice are empty by now.
  const isKept = step.db.get<[number]>("select before is not null from journal where id = ?", id)?.[0] === 1;
  if (isKept) wipeJournalRow(step.db, id, bytes, revision);
  eraseMerged(step, [memoryId]);
  if (into !== null) forgetOrigin(step, into, memoryId);
}

/** Takes out of the journal what these memories took in, and what it keeps of them as others took them in. */
export function eraseMerged(step: WriteStep, ids: readonly string[]): void {
  const open = [...ids];
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const rows = step.db.all<[number, string, string, number, number | null]>(
      `select id, memory_id, into_id, bytes, revision from journal indexed by journal_into
       where namespace = ?1 and into_id = ?2 and before is not null
       union all select id, memory_id, into_id, bytes, revision from journal indexed by journal_memory
       where namespace = ?1 and memory_id = ?2 and into_id is not null and before is not null`,
      step.namespace,
      id,
    );
    for (const [number, memoryId, into, bytes, revision] of rows) {
      wipeJournalRow(step.db, number, bytes, revision);
      if (into === id) open.push(memoryId);
    }
  }
}

/** Takes the trace of an erased memory off the one that took it in. */
function forgetOrigin(step: WriteStep, keeper: string, id: string): void {
  const row = readByIds(step.db, step.namespace, [keeper], step.now)[0];
  if (!row || row[14] !== null) return;
  step.db.run(
    "update memory set metadata = ?, version = version + 1, updated_at = ?, seq = ? where row = ?",
    objectCell(withoutOrigin(parseMetadata(row[11]), id)),
    step.now,
    step.seq,
    row[0],
  );
}

/** Removes all of a namespace's journal. */
export async function clearJournal(
  context: StoreContext,
  namespace: number,
  options?: WaitOptions,
): Promise<void> {
  const db = context.connection;
  for (let more = true; more; ) {
    await db.write(() => {
      const rows = db.all<[number, number]>(
        `select id, bytes from journal indexed by journal_namespace where namespace = ? limit ${sliceSize}`,
        namespace,
      );
      for (const [id, bytes] of rows) dropJournalRow(db, id, bytes);
      more = rows.length === sliceSize;
    }, options);
  }
}
