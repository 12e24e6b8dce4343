import type { IndexRow } from "../contract/memory-store.ts";
import { type Tier, tiers } from "../contract/tier.ts";
import type { Analyzer } from "./analyzer.ts";
import { Columns, kindCount, vectorStates } from "./columns.ts";
import { NameTable } from "./name-table.ts";
import type { PostingFiles } from "./part-file.ts";
import { findSlot, Postings } from "./postings.ts";
import type { Work } from "./sealed-postings.ts";
import { Selections, tagLabel } from "./selections.ts";
import { ThreadOrders } from "./thread-orders.ts";
import type { VectorMemory } from "./vector-memory.ts";
import { VectorRows } from "./vector-rows.ts";

/** A memory as it is indexed. */
export interface IndexEntry {
  readonly row: number;
  readonly content: string;
  /** Words around the content that help to find it. */
  readonly context: string;
  readonly at: number | undefined;
  readonly tier: Tier;
  readonly createdAt: number;
  readonly importance: number;
  readonly pinned: boolean;
  readonly tags: readonly string[];
  readonly thread: string | undefined;
  readonly speaker: string | undefined;
  /** One of `kinds`. */
  readonly kind: number;
  /** Unit vector; "kept" takes the one that is indexed for this row. */
  readonly vector: Float16Array | null | "kept";
  readonly model: string | undefined;
}

/** Numbers of one kind of memory, exact whatever way they were reached. */
export interface KindTotals {
  memories: number;
  contentTerms: number;
  contextTerms: number;
}

/** What an index is made of, for a snapshot to carry. */
export interface IndexParts {
  readonly cursor: string;
  readonly knowsTiers: boolean;
  readonly columns: Columns;
  /** 1 where the slot holds a memory. */
  readonly live: Uint8Array;
  readonly postings: Postings;
  /** Tags, as terms of their own. */
  readonly labels: Postings;
  readonly vectors: VectorRows;
  readonly threads: NameTable;
  readonly speakers: NameTable;
  readonly totals: KindTotals[];
}

/** What all indexes share. */
export interface IndexSurroundings {
  readonly analyzer: Analyzer;
  readonly memory: VectorMemory;
  readonly model: { readonly id: string; readonly dimensions: number };
  /** Vectors up to which all are compared. Default: as measured. */
  readonly exactRows?: number | undefined;
  /** Bytes that one index may take before its postings go to a file. Default: as many as it wants. */
  readonly maxBytes?: number | undefined;
  /** Where they go; absent: they stay. */
  readonly files?: PostingFiles | undefined;
}

/** Shares of the bytes an index may take: of postings that always may stay, and of those beside what is in a file. */
export const leastPostings: number = 1 / 8;
const unfiledPostings = 1 / 32;

/** Memories in the tail of the postings; more are sealed, which takes some milliseconds. */
const tailSize = 1_024;
/** Share of the slots that may be dead before they are cleared away. */
const deadShare = 0.25;
const leastCleared = 1_024;
/** What an index takes beside its arrays: a hundred objects, and as many that describe arrays. */
const objectBytes = 8_192;
/** Slots copied at once: a millisecond or two. */
const copiedAtOnce = 2_048;
/** Terms whose dead are remembered. */
const maxDeadCounts = 50_000;

/**
 * All that recall needs of one namespace: words, vectors and a few fixed facts by slot. A replaced or removed memory
 * leaves its slot dead; slots change only when the dead are cleared away, and with them `columns`.
 */
export class NamespaceIndex {
  /** Where in the feed it stands; absent: at the beginning. */
  cursor: string | undefined;
  /** The store's generation when it had followed the feed to its end. */
  generation: string | undefined;
  /** Memories added, replaced or removed since a snapshot was written or read. */
  unsaved = 0;
  /** Memories removed since it was made. */
  removals = 0;
  released = false;
  /** False when memories may have moved to other tiers without its being told. */
  knowsTiers = true;
  /** By row, what the first look at a small namespace has just read; gone once it is tended. */
  fresh: ReadonlyMap<number, Pick<IndexRow, "content" | "speaker">> | undefined;
  columns: Columns;
  postings: Postings;
  /** Tags, as {@link tagLabel} makes terms of them. */
  labels: Postings;
  readonly threads: NameTable;
  readonly speakers: NameTable;
  readonly totals: KindTotals[];
  /** 1 where the slot holds a memory. */
  live: Uint8Array;
  readonly #surroundings: IndexSurroundings;
  #vectors: VectorRows;
  #selections: Selections = new Selections(this);
  /** Slots in the order of their rows, of those that came in that order; the others stand in `#late`. */
  #ascending: Uint32Array = new Uint32Array(0);
  #ascendingSize = 0;
  readonly #late = new Map<number, number>();
  #deadSlots: number[] = [];
  /** By term, how many of the first `seen` dead slots hold it. */
  readonly #deadCounts = new Map<string, { count: number; seen: number }>();
  #tailMemories = 0;
  #compacting = false;
  #sealsSoon = false;
  /** How many memories have each of `vectorStates`. */
  readonly #states: Uint32Array = new Uint32Array(Object.keys(vectorStates).length);
  #orders: ThreadOrders | undefined;
  /** By name, see {@link speakerTerms}. */
  #speakerTerms: Map<string, string> | undefined;

  constructor(surroundings: IndexSurroundings, parts?: IndexParts) {
    this.#surroundings = surroundings;
    this.columns = parts?.columns ?? new Columns();
    this.postings = parts?.postings ?? new Postings([], surroundings.files);
    this.labels = parts?.labels ?? new Postings();
    this.threads = parts?.threads ?? new NameTable();
    this.speakers = parts?.speakers ?? new NameTable();
    this.totals =
      parts?.totals ??
      Array.from({ length: kindCount }, () => ({ memories: 0, contentTerms: 0, contextTerms: 0 }));
    this.cursor = parts?.cursor;
    this.knowsTiers = parts?.knowsTiers ?? true;
    this.#vectors = parts?.vectors ?? this.#newVectors();
    this.live = parts?.live ?? new Uint8Array(0);
    if (parts) this.#placeRows();
  }

  /** Memories it holds. */
  get size(): number {
    return this.columns.size - this.#deadSlots.length;
  }

  /** Id of the model whose vectors it holds. */
  get model(): string {
    return this.#surroundings.model.id;
  }

  /** Memories that have vectors of other models alone. */
  get otherModel(): number {
    return this.#states[vectorStates.otherModel]!;
  }

  /** Memories without a vector. */
  get withoutVector(): number {
    return this.#states[vectorStates.none]!;
  }

  /** Slots that hold no memory any more. */
  get dead(): number {
    return this.#deadSlots.length;
  }

  get bytes(): number {
    const places = this.#ascending.byteLength + this.#late.size * 40 + this.#deadCounts.size * 100;
    const named = (this.#speakerTerms?.size ?? 0) * 150;
    const computed = this.#deadSlots.length * 8;
    return (
      this.columns.bytes +
      this.postings.bytes +
      this.labels.bytes +
      this.#selections.bytes +
      this.#vectors.bytes +
      this.live.byteLength +
      places +
      named +
      computed +
      objectBytes
    );
  }

  /** Slots that hold no memory any more, in the order in which they died. */
  get deadSlots(): readonly number[] {
    return this.#deadSlots;
  }

  /** Slots by what filters ask for. */
  get selections(): Selections {
    return this.#selections;
  }

  /** Vectors by slot. */
  get vectors(): VectorRows {
    return this.#vectors;
  }

  /** Slot of a row, or -1. */
  slotOf(row: number): number {
    const late = this.#late.get(row);
    if (late !== undefined) return late;
    const { rows } = this.columns.arrays;
    let low = 0;
    let high = this.#ascendingSize;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[this.#ascending[middle]!]! < row) low = middle + 1;
      else high = middle;
    }
    if (low === this.#ascendingSize) return -1;
    const slot = this.#ascending[low]!;
    return rows[slot] === row && this.live[slot] === 1 ? slot : -1;
  }

  /** Slots of the rows that it holds, ascending. */
  slotsOf(rows: Float64Array): Uint32Array {
    const slots = new Uint32Array(rows.length);
    let size = 0;
    for (const row of rows) {
      const slot = this.slotOf(row);
      if (slot >= 0) slots[size++] = slot;
    }
    return slots.subarray(0, size).sort();
  }

  /** Memories that hold a term, in the content or around it. */
  frequencyOf(term: string): number {
    const dead = this.#deadSlots;
    const { onDisk } = this.postings;
    if (onDisk) {
      // Their number is read with less than they are.
      const { count, seen } = this.#deadCounts.get(term) ?? { count: 0, seen: 0 };
      if (seen === dead.length) return this.postings.sizeOf(term) - count;
    }
    const lists = this.postings.of(term);
    if (onDisk && !onDisk.holds(term)) return 0;
    let frequency = 0;
    for (const { from, to } of lists) frequency += to - from;
    if (dead.length === 0 || frequency === 0) return frequency;
    const known = this.#deadCounts.get(term);
    let { count, seen } = known ?? { count: 0, seen: 0 };
    for (; seen < dead.length; seen++) {
      const slot = dead[seen]!;
      for (const { slots, from, to } of lists) {
        if (slots[from]! > slot || slots[to - 1]! < slot) continue;
        if (slots[findSlot(slots, slot, from, to)] === slot) count++;
      }
    }
    if (!known && this.#deadCounts.size >= maxDeadCounts) this.#deadCounts.clear();
    this.#deadCounts.set(term, { count, seen });
    return frequency - count;
  }

  /** Order of the turns in their threads; whoever adds or removes turns keeps it. */
  get orders(): ThreadOrders {
    if (!this.#orders) {
      this.#orders = new ThreadOrders();
      const { rows, ats, threads } = this.columns.arrays;
      for (let slot = 0; slot < this.columns.size; slot++) {
        if (threads[slot] === 0 || this.live[slot] !== 1) continue;
        const thread = this.threads.name(threads[slot]!)!;
        this.#orders.insert(thread, { at: ats[slot]!, row: rows[slot]! });
      }
    }
    return this.#orders;
  }

  /** A speaker's name as it stands in a question: its terms with a space around each; "" when it has none. */
  speakerTerms(name: string): string {
    const known = this.#speakerTerms?.get(name);
    if (known !== undefined) return known;
    const parts: string[] = [];
    this.#surroundings.analyzer.visit(name, (term) => parts.push(term));
    const terms = parts.length === 0 ? "" : ` ${parts.join(" ")} `;
    this.#speakerTerms ??= new Map();
    this.#speakerTerms.set(name, terms);
    return terms;
  }

  /** Makes room for as many memories more. */
  expect(memories: number): void {
    const size = this.columns.size + memories;
    this.#vectors.reserve(size);
    this.columns.reserve(size);
    this.postings.expect(memories);
    if (this.live.length < size) this.#growLive();
    if (this.#ascending.length < this.#ascendingSize + memories) this.#growAscending(memories);
  }

  /** Adds a memory or puts it in the place of what its row was. */
  put(entry: IndexEntry): void {
    const former = this.slotOf(entry.row);
    const { model } = this.#surroundings;
    const given = entry.vector;
    const kept = given === "kept";
    const usable = given !== null && !kept && given.length === model.dimensions && entry.model === model.id;
    const state = kept
      ? (this.columns.arrays.vectors[former] ?? vectorStates.none)
      : given === null
        ? vectorStates.none
        : usable
          ? vectorStates.ours
          : vectorStates.otherModel;
    const { contentTerms, contextTerms } = this.#addTerms(this.columns.size, entry.content, entry.context);
    const slot = this.columns.push({
      rows: entry.row,
      ats: entry.at ?? Number.NaN,
      threads: this.threads.take(entry.thread),
      speakers: this.speakers.take(entry.speaker),
      contentLengths: contentTerms,
      contextLengths: contextTerms,
      kinds: entry.kind,
      vectors: state,
      happeneds: entry.at ?? entry.createdAt,
      importances: entry.importance,
      pins: entry.pinned ? 1 : 0,
      tiers: tiers.indexOf(entry.tier),
    });
    for (const tag of entry.tags) this.labels.add(slot, tagLabel(tag), false);
    if (kept && former >= 0) this.#vectors.pushCopy(former);
    else this.#vectors.push(usable ? given : null);
    this.#tailMemories++;
    this.#states[state]!++;
    const totals = this.totals[entry.kind]!;
    totals.memories++;
    totals.contentTerms += contentTerms;
    totals.contextTerms += contextTerms;
    if (former >= 0) this.#kill(former);
    if (this.live.length < this.columns.size) this.#growLive();
    this.live[slot] = 1;
    this.#place(entry.row, slot);
    this.unsaved++;
    if (this.#tailMemories >= tailSize && !this.#compacting) this.seal();
  }

  /** Puts a memory into another tier. */
  move(row: number, tier: Tier): void {
    const slot = this.slotOf(row);
    if (slot < 0) return;
    this.columns.arrays.tiers[slot] = tiers.indexOf(tier);
    this.#selections.forgetTiers();
    this.unsaved++;
  }

  remove(row: number): void {
    const slot = this.slotOf(row);
    if (slot < 0) return;
    this.#kill(slot);
    this.#late.delete(row);
    this.removals++;
    this.unsaved++;
  }

  /** Seals what came last; slots stay as they are. Not while it compacts. */
  seal(): void {
    this.postings.seal();
    this.labels.seal();
    this.#tailMemories = 0;
    this.#sealsSoon = false;
    this.fresh = undefined;
  }

  /** Has what came last sealed when it is tended next. */
  sealSoon(): void {
    this.#sealsSoon = true;
  }

  /** True when it takes more than it may and its postings are to go to a file. */
  get wantsFiling(): boolean {
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#surroundings;
    const { postings } = this;
    if (!postings.canFile) return false;
    if (postings.onDisk) return postings.unfiledBytes > maxBytes * unfiledPostings;
    return postings.bytes > maxBytes * leastPostings && this.bytes > maxBytes;
  }

  /** True when enough is dead that clearing it away pays. */
  get wantsCompaction(): boolean {
    return this.dead > Math.max(leastCleared, this.columns.size * deadShare);
  }

  /**
   * What keeps it fast: merges postings, sketches vectors, clears the dead away when they are many; and within its
   * bound: files postings. Between two steps it may be used and changed; one such work at a time. The first step waits
   * for nothing.
   * @param clear Clear away all dead, however few.
   */
  *tend(clear = false): Work {
    if (this.#sealsSoon) {
      yield;
      this.seal();
    }
    if (clear ? this.dead > 0 : this.wantsCompaction) yield* this.#compact();
    while (this.#vectors.sketchSome()) yield;
    yield* this.postings.merge();
    yield* this.labels.merge();
    if (!this.wantsFiling) return;
    yield;
    this.seal();
    yield* this.postings.file();
  }

  /** Gives its vectors' memory back and closes its files; it is not to be used any more. */
  release(): void {
    if (this.released) return;
    this.released = true;
    this.#vectors.release();
    this.postings.close();
  }

  *#compact(): Work {
    this.seal();
    this.#compacting = true;
    const { columns, postings, labels } = this;
    const vectors = this.#vectors;
    const end = columns.size;
    const slotNow = new Int32Array(end).fill(-1);
    const pickedColumns = new Columns();
    const pickedVectors = this.#newVectors();
    const pick = (slot: number): number => {
      pickedVectors.pushFrom(vectors, slot);
      return pickedColumns.push(columns.at(slot));
    };
    let done = false;
    try {
      for (let slot = 0; slot < end; slot++) {
        if (this.live[slot] === 1) slotNow[slot] = pick(slot);
        if (slot % copiedAtOnce === copiedAtOnce - 1) yield;
      }
      const sealedLabels = yield* labels.renumbered(slotNow);
      const sealed = yield* postings.renumbered(slotNow);
      const base = pickedColumns.size;
      // What came meanwhile follows, dead or alive; nothing runs between here and the end.
      for (let slot = end; slot < columns.size; slot++) pick(slot);
      // Memories may have moved since they were picked.
      const { tiers: tiersNow } = columns.arrays;
      for (let slot = 0; slot < end; slot++) {
        if (slotNow[slot]! >= 0) pickedColumns.arrays.tiers[slotNow[slot]!] = tiersNow[slot]!;
      }
      const live = new Uint8Array(pickedColumns.size);
      for (let slot = 0; slot < end; slot++) if (slotNow[slot]! >= 0) live[slotNow[slot]!] = this.live[slot]!;
      live.set(this.live.subarray(end, columns.size), base);
      for (let slot = 0; slot < live.length; slot++) if (live[slot] === 0) pickedVectors.hide(slot);
      this.postings = new Postings([sealed], this.#surroundings.files);
      this.postings.takeTail(postings, (slot) => slot - end + base);
      postings.close();
      this.labels = new Postings([sealedLabels]);
      this.labels.takeTail(labels, (slot) => slot - end + base);
      this.columns = pickedColumns;
      this.#vectors = pickedVectors;
      this.live = live;
      this.#placeRows();
      this.#selections = new Selections(this);
      done = true;
    } finally {
      this.#compacting = false;
      // Given up half-way, by whoever steps through it.
      (done ? vectors : pickedVectors).release();
    }
  }

  #newVectors(): VectorRows {
    const { memory, model, exactRows } = this.#surroundings;
    return new VectorRows(memory, model.dimensions, exactRows);
  }

  /** Finds out anew where each row stands, and what is dead. */
  #placeRows(): void {
    const { size } = this.columns;
    const { rows, vectors } = this.columns.arrays;
    const { live } = this;
    const ascending = new Uint32Array(size);
    let placed = 0;
    let last = Number.NEGATIVE_INFINITY;
    this.#late.clear();
    this.#deadSlots = [];
    this.#deadCounts.clear();
    this.#states.fill(0);
    for (let slot = 0; slot < size; slot++) {
      const row = rows[slot]!;
      if (live[slot] !== 1) {
        this.#deadSlots.push(slot);
        continue;
      }
      this.#states[vectors[slot]!]!++;
      if (row > last) {
        ascending[placed++] = slot;
        last = row;
      } else this.#late.set(row, slot);
    }
    this.#ascending = ascending;
    this.#ascendingSize = placed;
  }

  #place(row: number, slot: number): void {
    const last = this.#ascendingSize - 1;
    if (last >= 0 && !(row > this.columns.arrays.rows[this.#ascending[last]!]!)) {
      this.#late.set(row, slot);
      return;
    }
    if (this.#ascendingSize === this.#ascending.length) this.#growAscending(1);
    this.#ascending[this.#ascendingSize++] = slot;
  }

  #growAscending(rows: number): void {
    const grown = new Uint32Array(Math.max(this.#ascendingSize + rows, Math.ceil(this.#ascendingSize * 1.5)));
    grown.set(this.#ascending);
    this.#ascending = grown;
  }

  /** Adds a slot's terms to the postings. @returns How many of them are no stop words. */
  #addTerms(slot: number, content: string, context: string): { contentTerms: number; contextTerms: number } {
    const { analyzer } = this.#surroundings;
    return {
      contentTerms: this.postings.addAll(slot, analyzer.read(content), false),
      contextTerms: context === "" ? 0 : this.postings.addAll(slot, analyzer.read(context), true),
    };
  }

  #kill(slot: number): void {
    const { kinds, contentLengths, contextLengths, threads, speakers, vectors } = this.columns.arrays;
    this.#states[vectors[slot]!]!--;
    const totals = this.totals[kinds[slot]!]!;
    totals.memories--;
    totals.contentTerms -= contentLengths[slot]!;
    totals.contextTerms -= contextLengths[slot]!;
    this.threads.drop(threads[slot]!);
    this.speakers.drop(speakers[slot]!);
    this.live[slot] = 0;
    this.#deadSlots.push(slot);
    this.#vectors.hide(slot);
  }

  #growLive(): void {
    const grown = new Uint8Array(this.columns.arrays.rows.length);
    grown.set(this.live);
    this.live = grown;
  }
}
