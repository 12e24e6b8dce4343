import type { Memory, StoredDocument } from "../../contract/memory.ts";
import type { MemoryFilter } from "../../contract/scope.ts";
import { matchesFilter } from "../filter-match.ts";
import type { WaitOptions } from "./connection.ts";
import { sweepRevisions } from "./sweep.ts";
import { dropJournalRow, type StoreContext, WriteStep } from "./write-step.ts";

/** Pages of the full text merged in one step: a few milliseconds. */
const mergePages = 64;
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
 * Wipes what removed rows left behind: terms in merged-over segments of the full text, then everything in the
 * write-ahead log. Freed pages and cells were overwritten with zeros when they were freed (`secure_delete`).
 */
export async function wipe(context: StoreContext, options?: WaitOptions): Promise<void> {
  const db = context.connection;
  const note = db.get<[number]>("select value from setting where name = 'wipe'")?.[0] ?? 0;
  let pages = -mergePages;
  for (let more = true; more; pages = mergePages) {
    await db.write(() => {
      const [before] = db.get<[number]>("select total_changes()")!;
      db.run("insert into words (words, rank) values ('merge', ?)", pages);
      const [after] = db.get<[number]>("select total_changes()")!;
      // SQLite's documentation of 'merge': fewer than two changes mean that nothing was left to merge.
      more = pages < 0 || after - before >= 2;
    }, options);
    await new Promise(setImmediate);
  }
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

/**
 * Takes out of the journal what it keeps of memories that match, so that erasing what was already forgotten or
 * evicted erases it too. A row's text is wiped, the fact that it moved stays.
 */
export async function eraseFromJournal(
  context: StoreContext,
  name: string,
  namespace: number,
  filter: MemoryFilter,
  options?: WaitOptions,
): Promise<void> {
  const db = context.connection;
  let after = 0;
  for (let more = true; more; ) {
    await db.write(() => {
      const rows = db.all<[number, number, string, number, number | null]>(
        `select id, document, before, bytes, revision from journal indexed by journal_namespace
         where namespace = ? and id > ? and before is not null order by id limit ${sliceSize}`,
        namespace,
        after,
      );
      for (const [id, isDocument, before, bytes, revision] of rows) {
        after = id;
        if (
          !(isDocument === 1
            ? documentMatches(JSON.parse(before), filter)
            : matchesFilter(JSON.parse(before), filter))
        )
          continue;
        db.run(
          "update journal set before = null, vector = null, revision = null, bytes = 0 where id = ?",
          id,
        );
        db.run("update counter set journal_bytes = journal_bytes - ? where id = 1", bytes);
        if (revision !== null) db.run("update revision set due_at = 0 where id = ? and state = 2", revision);
      }
      if (rows.length > 0) noteWipe(new WriteStep(context, name));
      more = rows.length === sliceSize;
    }, options);
  }
  await sweepRevisions(context, { namespace: name, signal: options?.signal });
}

/** A forgotten document as its chunks would match, as far as its chunks share it. */
function documentMatches(document: StoredDocument, filter: MemoryFilter): boolean {
  const { document: uri, ...rest } = filter;
  const {
    chunks: _chunks,
    characters: _characters,
    hash: _hash,
    uri: ownUri,
    title: _title,
    ...life
  } = document;
  const memory: Memory = { ...life, content: "", contentHash: "", version: 1 };
  return (uri === undefined || uri === ownUri) && matchesFilter(memory, rest);
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
