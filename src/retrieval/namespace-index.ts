import type { Analyzer } from "./analyzer.ts";
import { Columns, kindCount, vectorStates } from "./columns.ts";
import { NameTable } from "./name-table.ts";
import { Postings } from "./postings.ts";
import { ThreadOrders } from "./thread-orders.ts";
import { type Block, strideOf, type VectorMemory } from "./vector-memory.ts";

/** A memory as it is indexed. */
export interface IndexEntry {
  readonly row: number;
  readonly content: string;
  /** Words around the content that help to find it. */
  readonly context: string;
  readonly at: number | undefined;
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
  readonly columns: Columns;
  readonly postings: Postings;
  readonly vectors: Block;
  readonly threads: NameTable;
  readonly speakers: NameTable;
  readonly totals: KindTotals[];
}

/** What all indexes share. */
export interface IndexSurroundings {
  readonly analyzer: Analyzer;
  readonly memory: VectorMemory;
  readonly model: { readonly id: string; readonly dimensions: number };
}

/** Marks the term of a stop word; no other term holds a space. */
export const stopMark = " ";
const maxCount = 255;
const contextUnit = 256;

/**
 * All that recall needs of one namespace: words, vectors and a few fixed facts by slot. A memory's slot never
 * changes between two seals; a replaced or removed one leaves its slot dead.
 */
export class NamespaceIndex {
  /** Where in the feed it stands; absent: at the beginning. */
  cursor: string | undefined;
  /** The store's generation when it had followed the feed to its end. */
  generation: string | undefined;
  /** Memories added, replaced or removed since a snapshot was written or read. */
  unsaved = 0;
  /** Differs after every change. */
  version = 0;
  released = false;
  columns: Columns;
  postings: Postings;
  threads: NameTable;
  speakers: NameTable;
  totals: KindTotals[];
  /** 1 where the slot holds a memory. */
  live: Uint8Array;
  dead = 0;
  /** What was computed from all memories at some version, for whoever computes it to keep. */
  readonly memo: Map<string, { readonly version: number; readonly values: Float64Array }> = new Map();
  readonly #surroundings: IndexSurroundings;
  readonly #stride: number;
  #vectors: Block;
  /** Slots below are in order of their rows. */
  #sealedSize: number;
  readonly #tailSlots = new Map<number, number>();
  #orders: ThreadOrders | undefined;

  constructor(surroundings: IndexSurroundings, parts?: IndexParts) {
    this.#surroundings = surroundings;
    this.#stride = strideOf(surroundings.model.dimensions);
    this.columns = parts?.columns ?? new Columns();
    this.postings = parts?.postings ?? new Postings();
    this.threads = parts?.threads ?? new NameTable();
    this.speakers = parts?.speakers ?? new NameTable();
    this.totals =
      parts?.totals ??
      Array.from({ length: kindCount }, () => ({ memories: 0, contentTerms: 0, contextTerms: 0 }));
    this.cursor = parts?.cursor;
    this.#vectors = parts?.vectors ?? surroundings.memory.allocate(0);
    this.#sealedSize = this.columns.size;
    this.live = new Uint8Array(this.columns.size).fill(1);
  }

  /** Memories it holds. */
  get size(): number {
    return this.columns.size - this.dead;
  }

  get bytes(): number {
    // Two lists of length norms, a list of scores.
    const computed = this.columns.size * 24;
    return (
      this.columns.bytes + this.postings.bytes + this.#vectors.bytes + this.live.byteLength + computed + 1_024
    );
  }

  /** Vectors by slot. */
  get vectors(): Block {
    return this.#vectors;
  }

  /** Slot of a row, or -1. */
  slotOf(row: number): number {
    const tail = this.#tailSlots.get(row);
    if (tail !== undefined) return tail;
    const { rows } = this.columns.arrays;
    let low = 0;
    let high = this.#sealedSize;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rows[middle]! < row) low = middle + 1;
      else high = middle;
    }
    return low < this.#sealedSize && rows[low] === row && this.live[low] === 1 ? low : -1;
  }

  /** Order of the turns in their threads; whoever adds or removes turns keeps it. */
  get orders(): ThreadOrders {
    if (!this.#orders) {
      this.#orders = new ThreadOrders();
      const { rows, ats, threads } = this.columns.arrays;
      for (let slot = 0; slot < this.columns.size; slot++) {
        const thread = this.threads.name(threads[slot]!);
        if (thread === undefined || this.live[slot] !== 1) continue;
        this.#orders.insert(thread, { at: ats[slot]!, row: rows[slot]! });
      }
    }
    return this.#orders;
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
    const { counts, contentTerms, contextTerms } = this.#count(entry.content, entry.context);
    const slot = this.columns.push({
      rows: entry.row,
      ats: entry.at ?? Number.NaN,
      threads: this.threads.take(entry.thread),
      speakers: this.speakers.take(entry.speaker),
      contentLengths: contentTerms,
      contextLengths: contextTerms,
      kinds: entry.kind,
      vectors: state,
    });
    this.#writeVector(slot, former, state === vectorStates.ours ? given : null);
    this.postings.add(slot, counts);
    const totals = this.totals[entry.kind]!;
    totals.memories++;
    totals.contentTerms += contentTerms;
    totals.contextTerms += contextTerms;
    if (former >= 0) this.#kill(former);
    this.#tailSlots.set(entry.row, slot);
    if (this.live.length < this.columns.size) this.#growLive();
    this.live[slot] = 1;
    this.version++;
    this.unsaved++;
  }

  remove(row: number): void {
    const slot = this.slotOf(row);
    if (slot < 0) return;
    this.#kill(slot);
    this.#tailSlots.delete(row);
    this.version++;
    this.unsaved++;
  }

  /** Makes everything one sealed part in order of rows; what is dead leaves no trace. */
  seal(): void {
    const { rows } = this.columns.arrays;
    const order = new Uint32Array(this.size);
    let size = 0;
    for (let slot = 0; slot < this.columns.size; slot++) if (this.live[slot] === 1) order[size++] = slot;
    order.sort((a, b) => rows[a]! - rows[b]!);
    const slotNow = new Int32Array(this.columns.size).fill(-1);
    order.forEach((slot, now) => {
      slotNow[slot] = now;
    });
    this.postings = new Postings(this.postings.merged(slotNow));
    this.#reorderVectors(order);
    this.columns = this.columns.picked(order);
    this.threads = renumbered(this.threads, this.columns.arrays.threads);
    this.speakers = renumbered(this.speakers, this.columns.arrays.speakers);
    this.live = new Uint8Array(size).fill(1);
    this.dead = 0;
    this.#sealedSize = size;
    this.#tailSlots.clear();
    this.version++;
  }

  /** True when the tail or the dead have grown so large that sealing pays. */
  get wantsSeal(): boolean {
    const tail = this.columns.size - this.#sealedSize;
    return tail + this.dead > Math.max(2_048, this.#sealedSize);
  }

  get isSealed(): boolean {
    return this.dead === 0 && this.columns.size === this.#sealedSize;
  }

  /** Gives its vectors' memory back; it is not to be used any more. */
  release(): void {
    if (this.released) return;
    this.released = true;
    this.#surroundings.memory.release(this.#vectors);
  }

  #count(
    content: string,
    context: string,
  ): { counts: Map<string, number>; contentTerms: number; contextTerms: number } {
    const { analyzer } = this.#surroundings;
    const counts = new Map<string, number>();
    let contentTerms = 0;
    let contextTerms = 0;
    analyzer.visit(content, (term, stop) => {
      const key = stop ? stopMark + term : term;
      const count = counts.get(key) ?? 0;
      if (count < maxCount) counts.set(key, count + 1);
      if (!stop) contentTerms++;
    });
    analyzer.visit(context, (term, stop) => {
      if (stop) return;
      const count = counts.get(term) ?? 0;
      if (count >> 8 < maxCount) counts.set(term, count + contextUnit);
      contextTerms++;
    });
    return { counts, contentTerms, contextTerms };
  }

  #kill(slot: number): void {
    const { kinds, contentLengths, contextLengths, threads, speakers } = this.columns.arrays;
    const totals = this.totals[kinds[slot]!]!;
    totals.memories--;
    totals.contentTerms -= contentLengths[slot]!;
    totals.contextTerms -= contextLengths[slot]!;
    this.threads.drop(threads[slot]!);
    this.speakers.drop(speakers[slot]!);
    this.live[slot] = 0;
    this.dead++;
  }

  #growLive(): void {
    const grown = new Uint8Array(this.columns.arrays.rows.length);
    grown.set(this.live);
    this.live = grown;
  }

  /** Fills a new slot with a vector, with that of another slot, or with zeros. */
  #writeVector(slot: number, former: number, given: Float16Array | null | "kept"): void {
    const { memory } = this.#surroundings;
    const rowBytes = this.#stride * 2;
    const needed = (slot + 1) * rowBytes;
    if (needed > this.#vectors.bytes) {
      const grown = memory.allocate(Math.ceil(needed * 1.5));
      memory.view(grown).set(memory.view(this.#vectors).subarray(0, slot * rowBytes));
      memory.release(this.#vectors);
      this.#vectors = grown;
    }
    const bytes = memory.view(this.#vectors);
    const at = slot * rowBytes;
    if (given === "kept" && former >= 0) {
      bytes.copyWithin(at, former * rowBytes, (former + 1) * rowBytes);
    } else {
      bytes.fill(0, at, at + rowBytes);
      if (given !== null && given !== "kept") {
        bytes.set(new Uint8Array(given.buffer, given.byteOffset, given.byteLength), at);
      }
    }
  }

  #reorderVectors(order: Uint32Array): void {
    const { memory } = this.#surroundings;
    const rowBytes = this.#stride * 2;
    const block = memory.allocate(order.length * rowBytes);
    const from = memory.view(this.#vectors);
    const to = memory.view(block);
    order.forEach((slot, now) => {
      to.set(from.subarray(slot * rowBytes, (slot + 1) * rowBytes), now * rowBytes);
    });
    memory.release(this.#vectors);
    this.#vectors = block;
  }
}

/** The names that are still carried, numbered anew in the order of their first slot. */
function renumbered(table: NameTable, column: Uint32Array): NameTable {
  const now = new NameTable();
  for (let slot = 0; slot < column.length; slot++) column[slot] = now.take(table.name(column[slot]!));
  return now;
}
