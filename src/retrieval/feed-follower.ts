import { contextText } from "../contract/index-text.ts";
import type { Memory } from "../contract/memory.ts";
import type { ChangePage, IndexRow, MemoryStore } from "../contract/memory-store.ts";
import type { Scope } from "../contract/scope.ts";
import { kinds } from "./columns.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import type { TurnPlace } from "./thread-orders.ts";

/** Rows of one page of the feed: reading them takes a millisecond or two. */
const pageSize = 256;
/** Milliseconds of indexing before others run. */
const sliceMs = 8;
/** UTF-16 units of a page's texts that may be kept for the first answer. */
const maxFreshUnits = 262_144;
const noTurns: readonly IndexedMemory[] = [];
const noRows: readonly number[] = [];

/** A memory with what its index texts are made from. */
type IndexedMemory = Pick<
  IndexRow,
  "content" | "at" | "thread" | "speaker" | "source" | "tier" | "createdAt" | "importance" | "pinned" | "tags"
>;

/**
 * Brings an index to where the feed ends. One at a time for an index; when it throws, the index is to be thrown away.
 * @param makeRoom Called between two pages where the index takes more than it may.
 * @throws FEED_TRUNCATED, INVALID_CURSOR
 */
export async function followFeed(
  index: NamespaceIndex,
  store: MemoryStore,
  scope: Scope,
  makeRoom: () => Promise<void>,
): Promise<void> {
  // Read before the feed: what is written between the two is looked for again by the next call.
  const generation = await store.generation(scope, index.model);
  if (index.generation === generation) return;
  const isNew = index.cursor === undefined;
  index.fresh = undefined;
  for (;;) {
    const page = await store.changes(scope, index.cursor, pageSize, index.model);
    const incoming = new Map<number, IndexRow>();
    for (const row of page.rows) incoming.set(row.row, row);
    await applyPage(index, store, scope, page, incoming);
    index.vectors.sketchBulk();
    if (page.moved) for (const { row, tier } of page.moved) index.move(row, tier);
    else index.knowsTiers = false;
    index.cursor = page.cursor;
    // What answers the first question compares these texts next.
    if (isNew && !page.more && isSmall(page, index)) index.fresh = incoming;
    if (!page.more) break;
    if (index.wantsFiling) await makeRoom();
    await new Promise((resolve) => setImmediate(resolve));
  }
  index.generation = generation;
}

function isSmall({ rows }: ChangePage, index: NamespaceIndex): boolean {
  if (rows.length !== index.size) return false;
  let units = 0;
  for (const { content } of rows) units += content.length;
  return units <= maxFreshUnits;
}

async function applyPage(
  index: NamespaceIndex,
  store: MemoryStore,
  scope: Scope,
  page: ChangePage,
  incoming: ReadonlyMap<number, IndexRow>,
): Promise<void> {
  const gone = new Set(page.removed.filter((row) => !incoming.has(row)));
  /** Turns indexed before whose context changes. */
  const stale = new Set<number>();
  for (const row of gone) takeOut(index, row, stale);
  for (const row of page.rows) {
    takeOut(index, row.row, stale);
    const place = placeOf(row);
    if (row.thread !== undefined && place) {
      for (const later of index.orders.insert(row.thread, place)) stale.add(later);
    }
  }

  const texts = await readTexts(index, store, scope, incoming, stale, gone);
  for (const row of gone) index.remove(row);
  index.expect(page.rows.length);
  let began = performance.now();
  for (const row of page.rows) {
    const { vector, model } = row;
    putEntry(index, row.row, row, vector, model, texts);
    if (performance.now() - began < sliceMs) continue;
    await new Promise((resolve) => setImmediate(resolve));
    began = performance.now();
  }
  for (const row of stale) {
    const memory = texts.get(row);
    if (memory && !incoming.has(row) && !gone.has(row)) {
      putEntry(index, row, memory, "kept", undefined, texts);
    }
  }
}

/**
 * Texts of all turns that the page makes index anew, and of the turns before them. Turns that turn out to be
 * invisible by now leave the index: a new index would not hold them either.
 */
async function readTexts(
  index: NamespaceIndex,
  store: MemoryStore,
  scope: Scope,
  incoming: ReadonlyMap<number, IndexRow>,
  stale: Set<number>,
  gone: Set<number>,
): Promise<ReadonlyMap<number, IndexedMemory>> {
  let read: Map<number, IndexedMemory> | undefined;
  for (;;) {
    const missing = new Set<number>();
    const want = (row: number): void => {
      if (!(read ?? incoming).has(row) && !gone.has(row)) missing.add(row);
    };
    for (const row of stale) {
      if (gone.has(row)) continue;
      want(row);
      for (const earlier of before(index, row, incoming.get(row))) want(earlier);
    }
    for (const row of incoming.values()) {
      if (row.thread !== undefined) for (const earlier of before(index, row.row, row)) want(earlier);
    }
    if (missing.size === 0) return read ?? incoming;
    read ??= new Map<number, IndexedMemory>(incoming);
    const texts = read;
    const rows = [...missing];
    const memories: readonly (Memory | undefined)[] = await store.read(scope, rows);
    rows.forEach((row, i) => {
      const memory = memories[i];
      if (memory) texts.set(row, memory);
      else {
        gone.add(row);
        takeOut(index, row, stale);
      }
    });
  }
}

function putEntry(
  index: NamespaceIndex,
  row: number,
  memory: IndexedMemory,
  vector: Float16Array | null | "kept",
  model: string | undefined,
  texts: ReadonlyMap<number, IndexedMemory>,
): void {
  const kept = vector === "kept" ? index.columns.at(index.slotOf(row)) : undefined;
  // A turn that moved since the page was read is indexed where the feed so far has put it; its move comes later.
  const thread = kept ? index.threads.name(kept.threads) : memory.thread;
  const at = kept ? (Number.isNaN(kept.ats) ? undefined : kept.ats) : memory.at;
  const previous =
    thread === undefined
      ? noTurns
      : index.orders
          .before(thread, { at: at ?? Number.NaN, row })
          .flatMap((earlier) => texts.get(earlier) ?? []);
  index.put({
    row,
    content: memory.content,
    context: contextText(memory, previous),
    at,
    tier: memory.tier,
    createdAt: memory.createdAt,
    importance: memory.importance,
    pinned: memory.pinned,
    tags: memory.tags,
    thread,
    speaker: memory.speaker,
    kind: memory.source ? kinds.chunk : thread === undefined ? kinds.note : kinds.turn,
    vector,
    model,
  });
}

/** Rows before a turn in its thread, where the page or else the index says it stands. */
function before(index: NamespaceIndex, row: number, incoming: IndexRow | undefined): readonly number[] {
  if (incoming) {
    const place = placeOf(incoming);
    return place && incoming.thread !== undefined ? index.orders.before(incoming.thread, place) : noRows;
  }
  const known = indexedPlace(index, row);
  return known ? index.orders.before(known.thread, known.place) : noRows;
}

function takeOut(index: NamespaceIndex, row: number, stale: Set<number>): void {
  const known = indexedPlace(index, row);
  if (known) for (const later of index.orders.remove(known.thread, known.place)) stale.add(later);
}

function indexedPlace(
  index: NamespaceIndex,
  row: number,
): { readonly thread: string; readonly place: TurnPlace } | undefined {
  const slot = index.slotOf(row);
  if (slot < 0) return undefined;
  const { threads, ats } = index.columns.arrays;
  const thread = index.threads.name(threads[slot]!);
  return thread === undefined ? undefined : { thread, place: { at: ats[slot]!, row } };
}

function placeOf(row: IndexRow): TurnPlace | undefined {
  return row.thread === undefined ? undefined : { at: row.at ?? Number.NaN, row: row.row };
}
