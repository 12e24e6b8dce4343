import type { Memory } from "../../contract/memory.ts";
import type { MemoryFilter, Scope } from "../../contract/scope.ts";
import {
  type SnapshotInfo,
  type SnapshotItem,
  type SnapshotPage,
  snapshotBound,
} from "../../contract/snapshot.ts";
import { decodeCursor, encodeCursor } from "../cursor.ts";
import { matchesFilter } from "../filter-match.ts";
import { noSuchSnapshot, snapshotLimitReached, snapshotTaken } from "../snapshot-errors.ts";
import type { WaitOptions } from "./connection.ts";
import { noteWipe } from "./erasure.ts";
import { namespaceCode, readByRows, toMemory, vectorOf } from "./memory-rows.ts";
import { type StoreContext, WriteStep } from "./write-step.ts";

/** Memories copied or removed in one transaction. */
const sliceSize = 128;
/** A save under way renews nothing; one that takes longer than this was left behind by a dead process. */
const savingLeaseMs = 60 * 60_000;

const saving = 0;
const whole = 1;
const leaving = 2;

type InfoRow = readonly [name: string, createdAt: number, filter: string, memories: number, bytes: number];

const infoColumns = "name, created_at, filter, memories, bytes";

/** Copies the rows that are still visible, then makes the copy the snapshot of that name in one step. */
export async function saveSnapshot(
  context: StoreContext,
  scope: Scope,
  name: string,
  filter: MemoryFilter,
  rows: readonly number[],
  options: WaitOptions & { readonly replace?: boolean | undefined },
): Promise<SnapshotInfo> {
  await sweepSnapshots(context, options);
  const { connection: db } = context;
  const id = await db.write(() => {
    const { namespace } = new WriteStep(context, scope.namespace);
    assertRoom(context, namespace, name, options.replace === true);
    return db.get<[number]>(
      "insert into snapshot (namespace, name, state, created_at, filter) values (?, ?, ?, ?, ?) returning id",
      namespace,
      name,
      saving,
      context.now(),
      JSON.stringify(filter),
    )![0];
  }, options);
  try {
    for (let start = 0; start < rows.length; start += sliceSize) {
      const slice = rows.slice(start, start + sliceSize);
      await db.write(() => copyRows(context, scope, id, slice), options);
    }
    return await db.write(() => {
      const { namespace } = new WriteStep(context, scope.namespace);
      assertRoom(context, namespace, name, options.replace === true);
      db.run(
        "update snapshot set state = ? where namespace = ? and name = ? and state = ?",
        leaving,
        namespace,
        name,
        whole,
      );
      const row = db.get<InfoRow>(
        `update snapshot set state = ? where id = ? returning ${infoColumns}`,
        whole,
        id,
      )!;
      return toInfo(row);
    }, options);
  } catch (error) {
    // What a failed save leaves is invisible; it goes now, or with the next sweep.
    await db.write(() => db.run("update snapshot set state = ? where id = ?", leaving, id)).catch(() => {});
    throw error;
  } finally {
    await sweepSnapshots(context).catch(() => {});
  }
}

function assertRoom(context: StoreContext, namespace: number, name: string, replace: boolean): void {
  const { connection: db } = context;
  const isTaken = db.get(
    "select 1 from snapshot where namespace = ? and name = ? and state = 1",
    namespace,
    name,
  );
  if (isTaken && !replace) throw snapshotTaken(name);
  const [count] = db.get<[number]>(
    "select count(*) from snapshot where namespace = ? and state = 1",
    namespace,
  )!;
  if (!isTaken && count >= snapshotBound) throw snapshotLimitReached(count);
}

function copyRows(context: StoreContext, scope: Scope, snapshot: number, rows: readonly number[]): void {
  const { connection: db } = context;
  const namespace = namespaceCode(db, scope.namespace);
  if (namespace === undefined) return;
  let memories = 0;
  let bytes = 0;
  for (const row of readByRows(db, namespace, rows, context.now())) {
    const memory = toMemory(scope.namespace, row);
    if (memory.source) continue;
    const text = JSON.stringify(memory);
    const vector = db.get<[Uint8Array]>("select data from vector where row = ?", row[0])?.[0] ?? null;
    db.run(
      "insert into snapshot_item (snapshot, memory_id, memory, vector) values (?, ?, ?, ?)",
      snapshot,
      memory.id,
      text,
      vector,
    );
    memories++;
    bytes += Buffer.byteLength(text) + (vector?.length ?? 0);
  }
  db.run(
    "update snapshot set memories = memories + ?, bytes = bytes + ? where id = ?",
    memories,
    bytes,
    snapshot,
  );
}

export function listSnapshots(context: StoreContext, scope: Scope): SnapshotInfo[] {
  const { connection: db } = context;
  const namespace = namespaceCode(db, scope.namespace);
  if (namespace === undefined) return [];
  return db
    .all<InfoRow>(
      `select ${infoColumns} from snapshot where namespace = ? and state = 1 order by name`,
      namespace,
    )
    .map(toInfo);
}

function toInfo([name, createdAt, filter, memories, bytes]: InfoRow): SnapshotInfo {
  return { name, createdAt, filter: JSON.parse(filter), memories, bytes };
}

export function readSnapshot(
  context: StoreContext,
  scope: Scope,
  name: string,
  page: { readonly limit: number; readonly cursor?: string | undefined },
): SnapshotPage {
  const [after] = page.cursor === undefined ? [0] : decodeCursor("snapshot", page.cursor, 1);
  const { connection: db } = context;
  const snapshot = snapshotCode(context, scope, name);
  const rows = db.all<[number, string, Uint8Array | null]>(
    "select id, memory, vector from snapshot_item where snapshot = ? and id > ? order by id limit ?",
    snapshot,
    after!,
    page.limit + 1,
  );
  const shown = rows.slice(0, page.limit);
  return {
    items: shown.map(([, memory, vector]) => toItem(memory, vector)),
    ...(rows.length > page.limit ? { cursor: encodeCursor("snapshot", [shown.at(-1)![0]]) } : {}),
  };
}

function toItem(text: string, data: Uint8Array | null): SnapshotItem {
  const memory = JSON.parse(text) as Memory;
  const hasVector = data !== null && memory.model !== undefined;
  return {
    memory,
    vector: hasVector ? { model: memory.model, values: Float32Array.from(vectorOf(data)) } : null,
  };
}

export async function deleteSnapshot(
  context: StoreContext,
  scope: Scope,
  name: string,
  options?: WaitOptions,
): Promise<void> {
  const { connection: db } = context;
  await db.write(
    () => db.run("update snapshot set state = ? where id = ?", leaving, snapshotCode(context, scope, name)),
    options,
  );
  await sweepSnapshots(context, options);
}

/** @throws NOT_FOUND */
function snapshotCode(context: StoreContext, scope: Scope, name: string): number {
  const { connection: db } = context;
  const found = db.get<[number]>(
    `select s.id from namespace n cross join snapshot s on s.namespace = n.id
     where n.name = ? and s.name = ? and s.state = 1`,
    scope.namespace,
    name,
  );
  if (!found) throw noSuchSnapshot(name);
  return found[0];
}

/** Removes, in slices, what is on its way out and what a dead process left half saved. */
async function sweepSnapshots(context: StoreContext, options?: WaitOptions): Promise<void> {
  const { connection: db } = context;
  const due = "state = 2 or (state = 0 and created_at < ?)";
  for (let more = db.get(`select 1 from snapshot where ${due}`, context.now() - savingLeaseMs); more; ) {
    await db.write(() => {
      const row = db.get<[number]>(
        `select id from snapshot where ${due} limit 1`,
        context.now() - savingLeaseMs,
      );
      more = row;
      if (!row) return;
      const removed = db.run(
        `delete from snapshot_item where id in (select id from snapshot_item where snapshot = ? limit ${sliceSize})`,
        row[0],
      );
      if (removed < sliceSize) db.run("delete from snapshot where id = ?", row[0]);
    }, options);
  }
}

/** Takes memories out of all snapshots of a namespace: those of these ids, and those that match as they were saved. */
export async function eraseFromSnapshots(
  context: StoreContext,
  name: string,
  namespace: number,
  ids: ReadonlySet<string>,
  filter: MemoryFilter,
  options?: WaitOptions,
): Promise<void> {
  const { connection: db } = context;
  const snapshots = db.all<[number]>("select id from snapshot where namespace = ?", namespace);
  for (const [snapshot] of snapshots) {
    let after = 0;
    for (let more = true; more; ) {
      await db.write(() => {
        const rows = db.all<[number, string, string, number]>(
          `select id, memory_id, memory, length(vector) from snapshot_item
           where snapshot = ? and id > ? order by id limit ${sliceSize}`,
          snapshot,
          after,
        );
        for (const [id, memoryId, text, vectorBytes] of rows) {
          after = id;
          if (!ids.has(memoryId) && !matchesFilter(JSON.parse(text), filter)) continue;
          noteWipe(new WriteStep(context, name));
          db.run("delete from snapshot_item where id = ?", id);
          db.run(
            "update snapshot set memories = memories - 1, bytes = bytes - ? where id = ?",
            Buffer.byteLength(text) + (vectorBytes ?? 0),
            snapshot,
          );
        }
        more = rows.length === sliceSize;
      }, options);
    }
  }
}

/** Removes all of a namespace's snapshots. */
export async function clearSnapshots(
  context: StoreContext,
  namespace: number,
  options?: WaitOptions,
): Promise<void> {
  const { connection: db } = context;
  await db.write(
    () => db.run("update snapshot set state = ? where namespace = ?", leaving, namespace),
    options,
  );
  await sweepSnapshots(context, options);
}
