import { contextText, contextTurns, type IndexedFields } from "../../contract/index-text.ts";
import type { Connection } from "./connection.ts";
import type { StoreContext, WriteStep } from "./write-step.ts";

/** A memory as the keyword index sees it. */
export interface KeywordFields extends IndexedFields {
  readonly row: number;
  readonly happenedAt: number;
}

type TurnRow = readonly [
  row: number,
  content: string,
  happenedAt: number,
  at: number | null,
  speaker: string | null,
];

const turnsAfterPlace = `select m.row, m.content, m.happened_at, m.at, m.speaker from memory m indexed by memory_thread
     cross join entry e on e.id = m.entry
     where m.namespace = ? and m.thread = ? and (m.happened_at, m.row) > (?, ?) and e.expires_at > ?
     order by m.happened_at, m.row limit ${contextTurns}`;
const turnsBeforePlace = `select m.row, m.content, m.happened_at, m.at, m.speaker from memory m indexed by memory_thread
     cross join entry e on e.id = m.entry
     where m.namespace = ? and m.thread = ? and (m.happened_at, m.row) < (?, ?) and e.expires_at > ?
     order by m.happened_at desc, m.row desc limit ${contextTurns}`;

/** Terms as the full text holds them: each behind its namespace's number, so that namespaces cost each other nothing. */
export function prefixed(namespace: number, terms: readonly string[]): string {
  return terms.length === 0 ? "" : `${namespace}:${terms.join(` ${namespace}:`)}`;
}

/** Indexes the words of a memory that has none yet, with the words around it. */
export function addWords(step: WriteStep, fields: KeywordFields): void {
  const previous = fields.thread === undefined ? [] : turnsBefore(step, fields.thread, fields);
  const { analyzer } = step.context;
  step.db.run(
    "insert into words (rowid, content, context) values (?, ?, ?)",
    fields.row,
    prefixed(step.namespace, analyzer.terms(fields.content)),
    prefixed(step.namespace, analyzer.terms(contextText(fields, previous))),
  );
}

export function removeWords(db: Connection, row: number): void {
  db.run("delete from words where rowid = ?", row);
}

/** Indexes a memory's words again. */
export function replaceWords(step: WriteStep, fields: KeywordFields): void {
  removeWords(step.db, fields.row);
  addWords(step, fields);
}

/**
 * Indexes again the turns that stand right after a place in a thread: the words of what came, changed or left there
 * are part of what surrounds them.
 */
export function refreshSuccessors(
  step: WriteStep,
  thread: string,
  place: Pick<KeywordFields, "row" | "happenedAt">,
): void {
  const rows = step.db.all<TurnRow>(
    turnsAfterPlace,
    step.namespace,
    thread,
    place.happenedAt,
    place.row,
    step.now,
  );
  for (const row of rows) replaceWords(step, toFields(thread, row));
}

/** The turns before a place in its thread, oldest first. */
function turnsBefore(
  step: WriteStep,
  thread: string,
  place: Pick<KeywordFields, "row" | "happenedAt">,
): KeywordFields[] {
  const rows = step.db.all<TurnRow>(
    turnsBeforePlace,
    step.namespace,
    thread,
    place.happenedAt,
    place.row,
    step.now,
  );
  return rows.map((row) => toFields(thread, row)).reverse();
}

function toFields(thread: string, row: TurnRow): KeywordFields {
  const [number, content, happenedAt, at, speaker] = row;
  return { row: number, content, happenedAt, thread, at: at ?? undefined, speaker: speaker ?? undefined };
}

/** Visible rows whose content holds the terms next to each other, ascending. */
export function phraseRows(
  context: StoreContext,
  namespace: number,
  terms: readonly string[],
  limit: number,
): number[] {
  const phrase = terms.map((term) => `${namespace}:${term}`).join(" ");
  return context.connection
    .all<[number]>(
      `select m.row from words w cross join memory m on m.row = w.rowid cross join entry e on e.id = m.entry
       where w.words match ? and m.namespace = ? and e.expires_at > ? order by w.rowid limit ?`,
      `content : "${phrase.replaceAll('"', '""')}"`,
      namespace,
      context.now(),
      limit,
    )
    .map(([row]) => row);
}
