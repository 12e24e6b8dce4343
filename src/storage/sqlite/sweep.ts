import { deleteMemoryRow } from "./removal.ts";
import { type StoreContext, WriteStep } from "./write-step.ts";

/** Chunks swept in one transaction. */
const sliceSize = 128;

/** What is due: staged and left alone, replaced, or forgotten for longer than it can be undone. */
const due = "state in (0, 2) and due_at <= ?";

/**
 * Removes chunks of revisions that nobody can see, in slices; safe to run twice at once.
 * @param only Sweep this revision alone.
 * @returns How many chunks were removed.
 */
export async function sweepRevisions(
  context: StoreContext,
  options: {
    readonly namespace?: string | undefined;
    readonly only?: number;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<number> {
  let swept = 0;
  for (let more = true; more; ) {
    const slice = await context.connection.write(() => sweepSlice(context, options), options);
    swept += slice.chunks;
    more = slice.more;
  }
  return swept;
}

/** Chunks that a sweep would remove now. */
export function countDueChunks(context: StoreContext, namespace: number | undefined): number {
  const [chunks] = context.connection.get<[number]>(
    `select coalesce(sum(chunks), 0) from revision where ${due} and (? is null or namespace = ?)`,
    context.now(),
    namespace ?? null,
    namespace ?? null,
  )!;
  return chunks;
}

function sweepSlice(
  context: StoreContext,
  options: { readonly namespace?: string | undefined; readonly only?: number },
): { readonly chunks: number; readonly more: boolean } {
  const db = context.connection;
  const found = db.get<[number, string]>(
    `select r.id, n.name from revision r cross join namespace n on n.id = r.namespace
     where r.${due} and (? is null or r.id = ?) and (? is null or n.name = ?) limit 1`,
    context.now(),
    options.only ?? null,
    options.only ?? null,
    options.namespace ?? null,
    options.namespace ?? null,
  );
  if (!found) return { chunks: 0, more: false };
  const [revision, name] = found;
  const step = new WriteStep(context, name);
  const rows = db.all<[number, number | null]>(
    `select m.row, m.model from chunk_range r cross join memory m on m.row between r.first and r.last
     where r.revision = ? limit ${sliceSize}`,
    revision,
  );
  for (const [row, model] of rows) deleteMemoryRow(step, row, model);
  db.run("update revision set chunks = chunks - ? where id = ?", rows.length, revision);
  if (rows.length < sliceSize) {
    db.run("delete from chunk_range where revision = ?", revision);
    db.run("delete from revision_model where revision = ?", revision);
    db.run("delete from revision where id = ?", revision);
  }
  return { chunks: rows.length, more: rows.length === sliceSize || options.only === undefined };
}
