import { v7 as uuidv7 } from "uuid";
import type { UndoResult } from "../../contract/consolidation.ts";
import type { Evicted } from "../../contract/memory-store.ts";
import { tiers } from "../../contract/tier.ts";
import { type KeptChange, takenBack } from "../kept-state.ts";
import { noSuchRun, type UndoReason, undoneReason, undoReasons } from "../undo-reasons.ts";
import { evict, expireSome, type Head } from "./capacity.ts";
import type { WaitOptions } from "./connection.ts";
import { findMovable, type MovableEntry, type MoveBefore, moveBefore, moveEntry } from "./entry-moves.ts";
import { expiryOf } from "./entry-rows.ts";
import { keptState, writeKeptState } from "./kept-memory.ts";
import { type MemoryRow, readByIds } from "./memory-rows.ts";
import { RelevanceWalk } from "./relevance-ranges.ts";
import { type LeftMemory, removeDocument, removeMemory } from "./removal.ts";
import { type CameBack, type Restored, restoreChunk, restoreDocument, restoreMemory } from "./restoration.ts";
import { journalKinds, type StoreContext, trimJournal, WriteStep } from "./write-step.ts";

/** Journal rows taken back, and entries evicted afterwards, in one transaction. */
const sliceSize = 64;

type JournalCells = readonly [
  id: number,
  kind: number,
  memoryId: string,
  document: number,
  from: number,
  to: number | null,
  into: string | null,
  revision: number | null,
  bytes: number,
  undone: string | null,
  before: string | null,
  vector: Uint8Array | null,
];

/** Takes back a run, latest row first. @throws NOT_FOUND */
export async function undoRun(
  context: StoreContext,
  name: string,
  namespace: number | undefined,
  run: string,
  wait?: WaitOptions,
): Promise<UndoResult> {
  const db = context.connection;
  const begun = namespace === undefined ? undefined : beginning(context, namespace, run);
  if (namespace === undefined || !begun) throw noSuchRun(run);
  const undo = begun.undo ?? uuidv7();
  const skipped: UndoResult["skipped"][number][] = [];
  const back = begun.undo === undefined ? new Set<number>() : entriesOf(context, name, begun.undo);
  let undone = 0;
  let before = Number.MAX_SAFE_INTEGER;
  for (let more = true; more; ) {
    const slice = await db.write(() => {
      const step = new WriteStep(context, name);
      // Its own rows must not push out those it has yet to take back.
      step.keepJournal = true;
      const result = takeBackSlice(step, run, undo, before);
      step.finish();
      return result;
    }, wait);
    before = slice.before;
    undone += slice.undone;
    skipped.push(...slice.skipped);
    for (const entry of slice.back) back.add(entry);
    more = slice.more;
  }
  const evicted = await makeRoomAgain(context, name, undo, back, wait);
  for (let more = true; more; ) {
    more = (await db.write(() => trimJournal(context, context.now(), sliceSize), wait)) === sliceSize;
  }
  return { run: undo, undone, skipped, evicted };
}

/** Whether the journal has rows of a run, and the run that has taken back some of them, if that still stands. */
function beginning(
  context: StoreContext,
  namespace: number,
  run: string,
): { readonly undo: string | undefined } | undefined {
  const db = context.connection;
  const ofRun = "from journal indexed by journal_run where namespace = ? and run = ?";
  if (!db.get(`select 1 ${ofRun} limit 1`, namespace, run)) return undefined;
  const undo = db.get<[string]>(
    `select undone ${ofRun} and undone is not null order by id limit 1`,
    namespace,
    run,
  )?.[0];
  const isTakenBack =
    undo !== undefined && db.get(`select 1 ${ofRun} and undone is not null limit 1`, namespace, undo);
  return { undo: isTakenBack ? undefined : undo };
}

/** Entries that an undo that did not come to its end put back. */
function entriesOf(context: StoreContext, name: string, undo: string): Set<number> {
  const rows = context.connection.all<[number | null]>(
    `select case j.document when 1 then (select d.entry from document d where d.namespace = j.namespace and d.id = j.memory_id)
       else (select m.entry from memory m where m.namespace = j.namespace and m.id = j.memory_id) end
     from journal j indexed by journal_run cross join namespace n on n.id = j.namespace
     where n.name = ? and j.run = ? and j.to_tier is not null`,
    name,
    undo,
  );
  return new Set(rows.flatMap(([entry]) => (entry === null ? [] : [entry])));
}

interface Slice {
  readonly before: number;
  readonly more: boolean;
  readonly undone: number;
  readonly skipped: UndoResult["skipped"];
  readonly back: readonly number[];
}

function takeBackSlice(step: WriteStep, run: string, undo: string, before: number): Slice {
  const rows = step.db.all<JournalCells>(
    `select id, kind, memory_id, document, from_tier, to_tier, into_id, revision, bytes, undone, before, vector
     from journal indexed by journal_run where namespace = ? and run = ? and id < ? order by id desc limit ?`,
    step.namespace,
    run,
    before,
    sliceSize,
  );
  const skipped: UndoResult["skipped"][number][] = [];
  const back: number[] = [];
  let undone = 0;
  for (const row of rows) {
    if (row[9] !== null) continue;
    const result = row[10] === null ? undoReasons.notKept : takeBack(step, row, row[10], run, undo);
    if (typeof result === "string") {
      skipped.push({ id: row[2], reason: result });
      continue;
    }
    undone++;
    if (result.tier >= 0) back.push(result.entry);
    step.db.run(
      "update journal set undone = ?, before = null, vector = null, revision = null, bytes = 0 where id = ?",
      undo,
      row[0],
    );
    step.db.run("update counter set journal_bytes = journal_bytes - ? where id = 1", row[8]);
  }
  const more = rows.length === sliceSize;
  return { before: rows.at(-1)?.[0] ?? 0, more, undone, skipped, back };
}

/** Does the opposite of one row and journals it as part of the undo. */
function takeBack(
  step: WriteStep,
  row: JournalCells,
  before: string,
  run: string,
  undo: string,
): Restored | UndoReason {
  const [, kind, , , from, to] = row;
  const reason = undoneReason(journalKinds[kind]!, run);
  if (to === null) return bringBack(step, row, before, undo, reason);
  if (to === from) return takeAway(step, row, JSON.parse(before), undo, reason);
  return moveBack(step, row, JSON.parse(before), undo, reason);
}

function moveBack(
  step: WriteStep,
  [, , id, isDocument, from, to]: JournalCells,
  before: MoveBefore,
  undo: string,
  reason: string,
): Restored | UndoReason {
  const moved = findMovable(step, id, isDocument === 1);
  if (!moved) return undoReasons.left;
  if (moved.tier !== to) return undoReasons.moved;
  moveEntry(step, moved, from, expiryOfReturn(step, moved, from, before));
  const [fromNow, toNow] = [to, from];
  step.journal({
    run: undo,
    kind: "undo",
    id,
    document: isDocument === 1,
    from: fromNow,
    to: toNow,
    reason,
    before: moveBefore(moved),
  });
  return { entry: moved.entry, tier: from };
}

/** The expiry from before the move, later by uses since then; anew when it has passed. */
function expiryOfReturn(step: WriteStep, moved: MovableEntry, tier: number, before: MoveBefore): number {
  const counted = (from: number) => expiryOf(step.context, { tier, pinned: moved.pinned }, from);
  if (moved.pinned) return counted(step.now);
  const wasPinned = before.pinned ?? false;
  const isUsed = moved.lastUsedAt > before.lastUsedAt;
  const own = wasPinned ? 0 : before.expiresAt;
  const expiresAt = isUsed ? Math.max(own, counted(moved.lastUsedAt)) : own;
  return expiresAt > step.now ? expiresAt : counted(step.now);
}

/** Restores what left, and takes back what a merge changed of the memory that took it in. */
function bringBack(
  step: WriteStep,
  [, , id, isDocument, , , into, revision, , , , vector]: JournalCells,
  before: string,
  undo: string,
  reason: string,
): Restored | UndoReason {
  if (isDocument === 1) {
    const document = JSON.parse(before);
    const restored = restoreDocument(step, document, revision);
    if (typeof restored === "string") return restored;
    const cameBack: CameBack = { version: document.version ?? 0 };
    const { tier } = restored;
    const kept = JSON.stringify(cameBack);
    step.journal({ run: undo, kind: "undo", id, document: true, from: tier, to: tier, reason, before: kept });
    return restored;
  }
  const left: LeftMemory = JSON.parse(before);
  const keeper = left.kept && into !== null ? changedKeeper(step, into, left.kept) : undefined;
  if (left.kept && !keeper) return undoReasons.keeperChanged;
  const restored = left.source ? restoreChunk(step, left, vector) : restoreMemory(step, left, vector);
  if (typeof restored === "string") return restored;
  const version = left.chunk?.version ?? left.version;
  const cameBack: CameBack = { version, ...(keeper ? { kept: changeBack(step, keeper, left.kept!) } : {}) };
  const { tier } = restored;
  step.journal({
    run: undo,
    kind: "undo",
    id,
    document: false,
    from: tier,
    to: tier,
    into: into ?? undefined,
    reason,
    before: JSON.stringify(cameBack),
  });
  return restored;
}

/** Takes away again what an undo restored. */
function takeAway(
  step: WriteStep,
  [, , id, isDocument, , , into]: JournalCells,
  cameBack: CameBack,
  undo: string,
  reason: string,
): Restored | UndoReason {
  const departure = { run: undo, kind: "undo", reason, undoable: true } as const;
  if (isDocument === 1) {
    const moved = findMovable(step, id, true);
    if (!moved) return undoReasons.left;
    if (moved.version !== cameBack.version) return undoReasons.changed;
    removeDocument(step, moved.entry, departure);
    return { entry: moved.entry, tier: -1 };
  }
  const row = readByIds(step.db, step.namespace, [id], step.now)[0];
  if (!row) return undoReasons.left;
  if (row[12] !== cameBack.version) return undoReasons.changed;
  const keeper = cameBack.kept && into !== null ? changedKeeper(step, into, cameBack.kept) : undefined;
  if (cameBack.kept && !keeper) return undoReasons.keeperChanged;
  const kept = keeper && changeBack(step, keeper, cameBack.kept!);
  removeMemory(step, row[0], { ...departure, ...(kept ? { into: into!, kept } : {}) });
  return { entry: row[0], tier: -1 };
}

/** The memory that took another in, if it is as that left it. */
function changedKeeper(step: WriteStep, id: string, change: KeptChange<number>): MemoryRow | undefined {
  const row = readByIds(step.db, step.namespace, [id], step.now)[0];
  return row && row[14] === null && row[12] === change.after.version ? row : undefined;
}

/** Takes a keeper's change back. Returns what was done as the change that it is. */
function changeBack(step: WriteStep, row: MemoryRow, change: KeptChange<number>): KeptChange<number> {
  const now = keptState(row);
  const expiry = (at: number) => expiryOf(step.context, { tier: now.tier, pinned: row[23] === 1 }, at);
  const then = takenBack(now, change, step.now, expiry);
  writeKeptState(step, row, then);
  return { before: now, after: then };
}

/** Brings tiers that the undo made too full within their capacity, in slices; what it put back goes last. */
async function makeRoomAgain(
  context: StoreContext,
  name: string,
  undo: string,
  back: ReadonlySet<number>,
  wait?: WaitOptions,
): Promise<Evicted[]> {
  const evicted: Evicted[] = [];
  for (let more = true; more; ) {
    await context.connection.write(() => {
      more = false;
      const step = new WriteStep(context, name);
      step.keepJournal = true;
      for (const [tier, tierName] of tiers.entries()) {
        const { capacity } = context.tiers[tierName];
        if (capacity === 0 || step.entriesIn(tier) <= capacity) continue;
        const spent = expireSome(step, tier, Math.min(sliceSize, step.entriesIn(tier) - capacity));
        const over = Math.min(sliceSize, step.entriesIn(tier) - capacity);
        const heads = leastRelevantBut(step, tier, back, over);
        for (const head of heads) evicted.push(evict(step, tier, head, capacity, undo));
        if (step.entriesIn(tier) > capacity && spent.entries + heads.length > 0) more = true;
      }
      step.finish();
    }, wait);
  }
  return evicted;
}

/** The least relevant of a tier, those in `last` only when there are too few others. */
function leastRelevantBut(step: WriteStep, tier: number, last: ReadonlySet<number>, count: number): Head[] {
  if (count <= 0) return [];
  const { namespace, flagDay, offset, now } = step;
  const { decayRate } = step.context;
  const range = {
    namespace,
    tier,
    side: "below",
    threshold: Number.POSITIVE_INFINITY,
    day: flagDay,
  } as const;
  const walk = new RelevanceWalk(step.db, {
    ...range,
    flagDay,
    decayRate,
    now,
    memoriesOnly: false,
    limit: count + last.size,
  });
  const found: Head[] = [];
  const spared: Head[] = [];
  while (found.length < count) {
    const row = walk.next();
    if (!row) break;
    const head = { entry: row[0], relevance: Math.max(row[6], row[7] - offset) };
    if (last.has(head.entry)) spared.push(head);
    else found.push(head);
  }
  return [...found, ...spared.slice(0, count - found.length)];
}
