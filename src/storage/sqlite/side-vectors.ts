import type { Coverage, DropPage, ModelVector, RowVector } from "../../contract/memory-store.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import type { Connection } from "./connection.ts";
import { vectorCell } from "./memory-rows.ts";
import type { WriteStep } from "./write-step.ts";

/** A memory whose vectors change: its own model, and the revision that counts it when it is a chunk. */
export interface VectorOwner {
  readonly row: number;
  readonly model: number | null;
  /** Undefined for a memory that lives by itself. */
  readonly revision: number | undefined;
  /** False for chunks of a revision that nobody sees: only the revision counts them. */
  readonly visible: boolean;
}

/** Adds to the figures of a model; `model` 0: without a vector. */
export function countVector(
  step: WriteStep,
  { revision, visible }: Pick<VectorOwner, "revision" | "visible">,
  model: number,
  vectors: number,
  unknown: number = 0,
): void {
  if (visible) step.countModel(model, vectors, unknown);
  if (revision === undefined) return;
  step.db.run(
    `insert into revision_model values (?, ?, ?, ?)
     on conflict do update set chunks = chunks + excluded.chunks, unknown = unknown + excluded.unknown`,
    revision,
    model,
    vectors,
    unknown,
  );
}

/** Puts vectors of further models beside a memory's own. */
export function insertSideVectors(
  step: WriteStep,
  owner: Pick<VectorOwner, "row" | "revision" | "visible">,
  vectors: readonly ModelVector[],
): void {
  for (const { model, values } of vectors) {
    const code = step.modelCode(model);
    const data = values && vectorCell({ model, values });
    step.db.run(
      "insert into side_vector (namespace, row, model, data) values (?, ?, ?, ?)",
      step.namespace,
      owner.row,
      code,
      data,
    );
    countVector(step, owner, code, data === null ? 0 : 1, data === null ? 1 : 0);
  }
}

/**
 * Takes away what stands beside a memory's own vector.
 * @param kept A model whose vector, or whose mark that it knows nothing, stays.
 * @returns How many vectors left.
 */
export function deleteSideVectors(step: WriteStep, owner: Omit<VectorOwner, "model">, kept = 0): number {
  let dropped = 0;
  for (const [model, known] of sideVectors(step.db, owner.row)) {
    if (model === kept) continue;
    step.db.run("delete from side_vector where row = ? and model = ?", owner.row, model);
    countVector(step, owner, model, -known, known - 1);
    dropped += known;
  }
  return dropped;
}

/** Models with something beside a memory's own vector; `known` 0: the model knows nothing in it. */
function sideVectors(db: Connection, row: number): [model: number, known: number][] {
  return db.all<[number, number]>("select model, data is not null from side_vector where row = ?", row);
}

export function coverage(db: Connection, namespace: number): Coverage {
  const [memories] = db.get<[number]>(
    "select coalesce(sum(memories), 0) from tier_count where namespace = ?",
    namespace,
  )!;
  const rows = db.all<[string, number, number]>(
    `select o.name, c.memories, c.unknown from model_count c cross join model o on o.id = c.model
     where c.namespace = ?`,
    namespace,
  );
  const models = rows
    .filter(([, vectors, unknown]) => vectors > 0 || unknown > 0)
    .map(([name, vectors, unknown]) => [name, { vectors, unknown }] as const);
  return { memories, models: Object.fromEntries(models) };
}

/** Number of a model; undefined while nothing of it was written. */
export function knownModel(db: Connection, name: string): number | undefined {
  return db.get<[number]>("select id from model where name = ?", name)?.[0];
}

/** The last number of a model's vectors beside others, and the last that may be gone. */
export function sideNumbers(
  db: Connection,
  namespace: number,
  model: number,
): { readonly newest: number; readonly settled: number } {
  const settled =
    db.get<[number]>(
      "select settled from model_count where namespace = ? and model = ?",
      namespace,
      model,
    )?.[0] ?? 0;
  const [newest] = db.get<[number | null]>(
    "select max(number) from side_vector where namespace = ? and model = ?",
    namespace,
    model,
  )!;
  return { newest: Math.max(newest ?? 0, settled), settled };
}

/** Rows that were given a vector beside others after a number, in that order. */
export function sideVectorsAfter(
  db: Connection,
  namespace: number,
  model: number,
  after: number,
  limit: number,
): [number: number, row: number][] {
  return db.all<[number, number]>(
    `select number, row from side_vector indexed by side_vector_feed
     where namespace = ? and model = ? and number > ? order by number limit ?`,
    namespace,
    model,
    after,
    limit,
  );
}

/** A place in the order of `memory_list`. */
export type ListedPlace = readonly [createdAt: number, row: number];

/** Rows of a namespace from a place on, `lacks` 1 where the model has nothing of them. Costs as much as `limit`. */
export function rowsLacking(
  db: Connection,
  namespace: number,
  model: number,
  [createdAt, row]: ListedPlace,
  limit: number,
): [row: number, createdAt: number, lacks: number][] {
  return db.all<[number, number, number]>(
    `select m.row, m.created_at, m.model is not ? and not exists
       (select 1 from side_vector s where s.row = m.row and s.model = ?)
     from memory m indexed by memory_list
     where m.namespace = ? and (m.created_at, m.row) > (?, ?) order by m.created_at, m.row limit ?`,
    model,
    model,
    namespace,
    createdAt,
    row,
    limit,
  );
}

/** Where a memory stands among what its vectors are counted by. */
function ownerOf(
  step: WriteStep,
  row: number,
): (VectorOwner & { readonly version: number; readonly expiresAt: number }) | undefined {
  const found = step.db.get<[number | null, number | null, number, number, number | null]>(
    `select m.model, m.chunk, m.entry, m.version, (select expires_at from entry e where e.id = m.entry) from memory m
     where m.row = ? and m.namespace = ?`,
    row,
    step.namespace,
  );
  if (!found) return undefined;
  const [model, chunk, entry, version, expiresAt] = found;
  return {
    row,
    model,
    revision: chunk === null ? undefined : entry,
    visible: expiresAt !== null,
    version,
    expiresAt: expiresAt ?? 0,
  };
}

/** Puts vectors of one model beside those that are there; false where the memory left, changed, or has one. */
export function addVectors(step: WriteStep, model: string, vectors: readonly RowVector[]): boolean[] {
  const code = step.modelCode(model);
  return vectors.map(({ row, version, values }) => {
    const owner = ownerOf(step, row);
    if (!owner || !(owner.expiresAt > step.now) || owner.model === code) return false;
    // A chunk's text never changes, and its version counts changes of its document.
    if (owner.revision === undefined && owner.version !== version) return false;
    const beside = sideVectors(step.db, row);
    if (beside.some(([other]) => other === code)) return false;
    // It stays beside even where there is no other: followers find it by its number.
    const isFirst = owner.model === null && beside.every(([, known]) => known === 0);
    if (values !== null && isFirst) countVector(step, owner, 0, -1);
    insertSideVectors(step, owner, [{ model, values }]);
    return true;
  });
}

/** What {@link dropOtherVectors} goes through, one after the other. */
const phases = { memories: 0, retired: 1, journal: 2, snapshots: 3 } as const;

/** One slice of dropping every vector but one model's. */
export function dropOtherVectors(
  step: WriteStep,
  model: string,
  cursor: string | undefined,
  limit: number,
): DropPage {
  const code = step.modelCode(model);
  const place =
    cursor === undefined ? [phases.memories, Number.MIN_SAFE_INTEGER, 0] : decodeCursor("vectors", cursor, 3);
  const [phase, from, row] = place as [number, number, number];
  // Followers that have not read so far find numbers missing, once their vectors have become the memories' own.
  if (cursor === undefined) settle(step, code);
  const slice =
    phase === phases.memories
      ? dropFromMemories(step, code, [from, row], limit)
      : phase === phases.retired
        ? dropFromRetired(step, code, [from, row], limit)
        : phase === phases.journal
          ? dropFromJournal(step, model, from, limit)
          : dropFromSnapshots(step, model, [from, row], limit);
  const next = slice.next ? [phase, ...slice.next] : phase < phases.snapshots ? [phase + 1, 0, 0] : undefined;
  return { dropped: slice.dropped, ...(next && { cursor: encodeCursor("vectors", next) }) };
}

interface DroppedSlice {
  readonly dropped: number;
  readonly next: readonly [number, number] | undefined;
}

function settle(step: WriteStep, code: number): void {
  step.db.run(
    `insert into model_count (namespace, model, memories, settled) values (?, ?, 0, ?)
     on conflict do update set settled = excluded.settled`,
    step.namespace,
    code,
    sideNumbers(step.db, step.namespace, code).newest,
  );
}

function dropFromMemories(step: WriteStep, code: number, place: ListedPlace, limit: number): DroppedSlice {
  const rows = rowsLacking(step.db, step.namespace, code, place, limit);
  let dropped = 0;
  for (const [row, , lacks] of rows) {
    const owner = lacks === 1 ? undefined : ownerOf(step, row);
    if (owner?.visible) dropped += keepOnly(step, owner, code);
  }
  const last = rows.at(-1);
  return { dropped, next: rows.length === limit && last ? [last[1], last[0]] : undefined };
}

/** Chunks of revisions that are kept to undo: whatever comes back is embedded again. */
function dropFromRetired(
  step: WriteStep,
  code: number,
  [revision, row]: readonly [number, number],
  limit: number,
): DroppedSlice {
  const rows = step.db.all<[number, number]>(
    `select r.id, m.row from revision r cross join chunk_range c on c.revision = r.id
       cross join memory m on m.row between c.first and c.last
     where r.id >= ? and r.namespace = ? and r.state = 2 and (r.id, m.row) > (?, ?) order by r.id, m.row limit ?`,
    revision,
    step.namespace,
    revision,
    row,
    limit,
  );
  let dropped = 0;
  for (const [, number] of rows) {
    const owner = ownerOf(step, number);
    if (owner) dropped += keepOnly(step, owner, code);
  }
  return { dropped, next: rows.length === limit ? rows.at(-1)! : undefined };
}

/** Leaves a memory one model's vector alone, as its own, or the mark that the model knows nothing in it. */
function keepOnly(step: WriteStep, owner: VectorOwner, code: number): number {
  const { row, model } = owner;
  const droppedBeside = deleteSideVectors(step, owner, code);
  if (model === code) return droppedBeside;
  const kept = step.db.get<[Uint8Array | null]>(
    "select data from side_vector where row = ? and model = ?",
    row,
    code,
  )?.[0];
  if (kept) {
    step.db.run("insert or replace into vector values (?, ?, ?)", row, code, kept);
    step.db.run("delete from side_vector where row = ? and model = ?", row, code);
  } else step.db.run("delete from vector where row = ?", row);
  step.db.run("update memory set model = ? where row = ?", kept ? code : null, row);
  if (model !== null) countVector(step, owner, model, -1);
  const dropped = droppedBeside + (model === null ? 0 : 1);
  if (!kept && dropped > 0) countVector(step, owner, 0, 1);
  return dropped;
}

function dropFromJournal(step: WriteStep, model: string, after: number, limit: number): DroppedSlice {
  const rows = step.db.all<[number, number, number]>(
    `select id, coalesce(length(vector), 0), vector is not null and json_extract(before, '$.model') is not ?
     from journal indexed by journal_namespace where namespace = ? and id > ? order by id limit ?`,
    model,
    step.namespace,
    after,
    limit,
  );
  let dropped = 0;
  for (const [id, bytes, foreign] of rows) {
    if (foreign === 0) continue;
    step.db.run("update journal set vector = null, bytes = bytes - ? where id = ?", bytes, id);
    step.db.run("update counter set journal_bytes = journal_bytes - ? where id = 1", bytes);
    dropped++;
  }
  const last = rows.at(-1);
  return { dropped, next: rows.length === limit && last ? [last[0], 0] : undefined };
}

/** Named snapshots: what is loaded from one is embedded again. */
function dropFromSnapshots(
  step: WriteStep,
  model: string,
  [snapshot, item]: readonly [number, number],
  limit: number,
): DroppedSlice {
  const rows = step.db.all<[number, number, number, number]>(
    `select s.id, i.id, coalesce(length(i.vector), 0),
       i.vector is not null and json_extract(i.memory, '$.model') is not ?
     from snapshot s cross join snapshot_item i on i.snapshot = s.id
     where s.id >= ? and s.namespace = ? and (s.id, i.id) > (?, ?) order by s.id, i.id limit ?`,
    model,
    snapshot,
    step.namespace,
    snapshot,
    item,
    limit,
  );
  let dropped = 0;
  for (const [of, id, bytes, foreign] of rows) {
    if (foreign === 0) continue;
    step.db.run("update snapshot_item set vector = null where id = ?", id);
    step.db.run("update snapshot set bytes = bytes - ? where id = ?", bytes, of);
    dropped++;
  }
  const last = rows.at(-1);
  return { dropped, next: rows.length === limit && last ? [last[0], last[1]] : undefined };
}
