import type { Connection } from "./connection.ts";
import { type Departure, removeDocument, removeMemory } from "./removal.ts";
import type { WriteStep } from "./write-step.ts";

/**
 * Removes those of the rows that are still visible: a document whole when all of its chunks are among `all`, else
 * memories and chunks one by one. Returns how many memories left, chunks one by one, and the documents' revisions.
 */
export function forgetRows(
  step: WriteStep,
  rows: readonly number[],
  wholeDocuments: ReadonlySet<number>,
  departure: Departure,
): number {
  let forgotten = 0;
  const seen = new Set<number>();
  for (const row of rows) {
    const found = step.db.get<[number]>(
      `select m.entry from memory m cross join entry e on e.id = m.entry
       where m.row = ? and m.namespace = ? and e.expires_at > ?`,
      row,
      step.namespace,
      step.now,
    );
    if (!found || seen.has(found[0])) continue;
    const [entry] = found;
    if (wholeDocuments.has(entry)) {
      seen.add(entry);
      forgotten += removeDocument(step, entry, departure);
    } else if (removeMemory(step, row, departure)) forgotten++;
  }
  return forgotten;
}

/** Entries of documents all of whose chunks are among the rows. */
export function wholeDocuments(db: Connection, rows: readonly number[]): Set<number> {
  return new Set(
    db
      .all<[number]>(
        `select d.entry from json_each(?) j cross join memory m on m.row = j.value
         cross join document d on d.entry = m.entry group by d.entry having count(*) = max(d.chunks)`,
        JSON.stringify(rows),
      )
      .map(([entry]) => entry),
  );
}

/** Ids of the memories in these rows. */
export function idsOf(db: Connection, rows: readonly number[]): string[] {
  return db
    .all<[string]>(
      "select m.id from json_each(?) j cross join memory m on m.row = j.value",
      JSON.stringify(rows),
    )
    .map(([id]) => id);
}
