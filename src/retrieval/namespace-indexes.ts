import { randomUUID } from "node:crypto";
import { StrataError } from "../contract/errors.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import type { Scope } from "../contract/scope.ts";
import { followFeed } from "./feed-follower.ts";
import {
  decodeSnapshot,
  encodeSnapshot,
  type SnapshotIdentity,
  type SnapshotProof,
} from "./index-snapshot.ts";
import { type MeasuredRecall, measureRecall } from "./measure-recall.ts";
import { type IndexSurroundings, NamespaceIndex } from "./namespace-index.ts";
import { ReadingTurns } from "./reading-turns.ts";
import type { Work } from "./sealed-postings.ts";
import { SlicedWork } from "./sliced-work.ts";
import type { SnapshotFolder } from "./snapshot-folder.ts";
import { VectorRows } from "./vector-rows.ts";

/** Memories from which on a namespace has a snapshot: fewer are indexed as fast as they are read. */
const snapshotSize = 2_000;
/** Share of a namespace's memories that may have changed since its snapshot before it is written again. */
const staleShare = 0.25;
/** The same when the process is about to close, where nobody waits. */
const staleShareAtClose = 0.02;

/** Memories by which a snapshot is told to be of this store. */
const proofSize = 16;

/** How long another process leaves the writing of a snapshot to this one without hearing from it. */
const leaseMs = 60_000;
/** Vectors that are asked for to measure recall by itself, and on demand. */
const probes = 16;
/** Recall below which an index compares more. */
const leastRecall = 0.99;
const thoroughProbes = 64;
/** Share by which an index grows before it is measured again. */
const measuredShare = 0.5;
/** Share of the bound up to which postings that were read from a file are kept. */
const cacheShare = 1 / 16;

interface Entry {
  index: NamespaceIndex | undefined;
  /** Ends when the last step asked for so far has; steps of one namespace never overlap. */
  turn: Promise<void>;
  /** Steps under way or waiting; an index is dropped only when there are none. */
  steps: number;
  /** Of the index, when it was last followed. */
  bytes: number;
  /** What keeps the index fast, or writes its snapshot; one at a time, beside the steps. */
  tending: Promise<void> | undefined;
  /** The part of it under way. */
  work: SlicedWork | undefined;
  readonly reading: ReadingTurns;
  /** True once a file could not be read back. */
  avoidsFiles: boolean;
  /** Of the index as it was measured last. */
  measured: MeasuredRecall | undefined;
}

export interface NamespaceIndexesOptions {
  readonly store: MemoryStore;
  readonly surroundings: IndexSurroundings;
  /** Indexes over this many bytes together are dropped, the least recently used first. */
  readonly maxBytes: number;
  readonly snapshots: SnapshotFolder | undefined;
}

/** The indexes in memory: each made when it is first asked for, followed up before each use, dropped when there are too many. */
export class NamespaceIndexes {
  readonly #options: NamespaceIndexesOptions;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #holder: string | undefined;
  #bytes = 0;
  #dropped = 0;
  #closing = false;

  constructor(options: NamespaceIndexesOptions) {
    const { surroundings, maxBytes, snapshots } = options;
    const files = snapshots && {
      open: () => snapshots.openScratch(),
      cacheBytes: maxBytes * cacheShare,
    };
    this.#options = { ...options, surroundings: { ...surroundings, maxBytes, files } };
  }

  /** Of all indexes together. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Indexes dropped so far to keep within the bound. */
  get dropped(): number {
    return this.#dropped;
  }

  get namespaces(): number {
    return this.#entries.size;
  }

  /** Indexes whose postings are read from a file. */
  get filed(): number {
    let filed = 0;
    for (const { index } of this.#entries.values()) if (index?.postings.onDisk) filed++;
    return filed;
  }

  /** True when the namespace's index is in memory. */
  holds(namespace: string): boolean {
    return this.#entries.get(namespace)?.index !== undefined;
  }

  /** What was measured last of each index that is searched approximately. */
  get measured(): readonly MeasuredRecall[] {
    return [...this.#entries.values()].flatMap(({ measured }) =>
      measured?.path === "approximate" ? measured : [],
    );
  }

  /** Measures a namespace's index now, its vectors all sketched. */
  async measure(scope: Scope, signal: AbortSignal | undefined): Promise<MeasuredRecall> {
    for (;;) {
      const index = await this.current(scope, signal);
      const entry = this.#entry(scope.namespace);
      await entry.tending;
      const measured = await measureRecall(index, thoroughProbes);
      if (measured) {
        entry.measured = measured;
        return measured;
      }
      if (!index.released && index.vectors.path === "exact") {
        const words = index.postings.onDisk ? "disk" : "memory";
        return { path: "exact", memories: index.size, questions: 0, recallAt10: 1, words };
      }
    }
  }

  /**
   * The namespace's index, with every write in it that resolved before the call. Use it before the next await.
   * @param ask Asks the index for all postings that will be asked for, and has no other effect: where they are in files,
   *   they are read first. Absent: none will be.
   */
  async current(
    scope: Scope,
    signal: AbortSignal | undefined,
    ask?: (index: NamespaceIndex) => void,
  ): Promise<NamespaceIndex> {
    for (;;) {
      signal?.throwIfAborted();
      const entry = this.#entry(scope.namespace);
      await this.#step(entry, () => this.#follow(entry, scope));
      const { index } = entry;
      if (!index || index.released) continue;
      this.#dropSurplus(entry);
      this.#tend(entry, index, scope);
      // Callers that follow each other without a pause would leave it no turn.
      entry.work?.hasten();
      if (!ask || !index.postings.onDisk) return index;
      try {
        if (await entry.reading.read(index, signal, ask, () => this.#weigh(entry))) return index;
      } catch (error) {
        if (!isSystemError(error)) throw error;
        // What cannot be read back is made again, to stay in memory.
        entry.avoidsFiles = true;
        if (index === entry.index) this.#drop(entry);
      }
    }
  }

  /** Drops the namespace's index. */
  async release(namespace: string): Promise<void> {
    const entry = this.#entries.get(namespace);
    if (entry) await this.#step(entry, async () => this.#drop(entry));
  }

  /** Removes the namespace's snapshot, so that none tells of what is about to be erased. */
  async forgetSnapshot(namespace: string): Promise<void> {
    const entry = this.#entries.get(namespace);
    const remove = async (): Promise<void> => this.#options.snapshots?.remove(namespace);
    if (!entry) return remove();
    await this.#step(entry, async () => {
      // The index itself is made anew, so that nothing erased lives on in what is written next.
      this.#drop(entry);
      await entry.tending;
      await remove();
    });
  }

  /** Writes the snapshots that are worth it and lets everything go. A snapshot that cannot be written is none. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const [namespace, entry] of this.#entries) {
      await this.#step(entry, async () => {
        const { index } = entry;
        if (!index || index.unsaved < Math.max(1, index.size * staleShareAtClose)) return;
        await entry.tending;
        await this.#follow(entry, { namespace });
        if (entry.index) await this.#save(entry, entry.index, { namespace });
      }).catch(() => {});
      // Tending that nobody will profit from ends with its index.
      this.#drop(entry);
      await entry.tending;
    }
    this.#entries.clear();
  }

  /**
   * Begins what keeps the index fast, unless it is under way or there is none to do. Nobody waits for it.
   * @param saves Whether a snapshot may be written.
   */
  #tend(entry: Entry, index: NamespaceIndex, scope: Scope, saves = true): void {
    if (entry.tending || this.#closing) return;
    const wantsSnapshot = saves && index.unsaved >= Math.max(snapshotSize, index.size * staleShare);
    const work = index.tend();
    if (!wantsSnapshot && work.next().done) return;
    const tending = async (): Promise<void> => {
      await this.#inSlices(entry, index, work);
      if (wantsSnapshot && !index.released) await this.#save(entry, index, scope);
      const { measured } = entry;
      if (index.released || index.vectors.path === "exact") entry.measured = undefined;
      else if (saves && (!measured || index.size > measured.memories * (1 + measuredShare))) {
        entry.measured = await measureRecall(index, probes);
        // Vectors that lie in another way than texts' do are told apart less well by their sketches.
        while (entry.measured && entry.measured.recallAt10 < leastRecall && index.vectors.tryHarder()) {
          entry.measured = await measureRecall(index, probes);
        }
      }
    };
    entry.tending = tending()
      // What is derived may fail: it is made again.
      .catch(() => {})
      .finally(() => {
        entry.tending = undefined;
        this.#weigh(entry);
      });
  }

  /** Waits until an index that is being made is within its bound again, where it can be. */
  async #makeRoom(entry: Entry, index: NamespaceIndex, scope: Scope): Promise<void> {
    // Once for what is under way, once for what it left.
    for (let tries = 0; tries < 2 && index.wantsFiling && !index.released; tries++) {
      this.#tend(entry, index, scope, false);
      await entry.tending;
    }
  }

  /** Steps through work on an index, others running in between; gives it up when the index is. */
  async #inSlices(entry: Entry, index: NamespaceIndex, work: Work): Promise<void> {
    const sliced = new SlicedWork(work, () => entry.reading.lent);
    entry.work = sliced;
    try {
      await sliced.run(() => index.released);
    } finally {
      entry.work = undefined;
    }
  }

  #entry(namespace: string): Entry {
    const known = this.#entries.get(namespace);
    const entry: Entry = known ?? {
      index: undefined,
      turn: Promise.resolve(),
      steps: 0,
      bytes: 0,
      tending: undefined,
      work: undefined,
      reading: new ReadingTurns(),
      avoidsFiles: false,
      measured: undefined,
    };
    if (known) this.#entries.delete(namespace);
    this.#entries.set(namespace, entry);
    return entry;
  }

  #step(entry: Entry, step: () => Promise<void>): Promise<void> {
    entry.steps++;
    const running = entry.turn.then(step).finally(() => {
      entry.steps--;
      this.#weigh(entry);
    });
    entry.turn = running.catch(() => {});
    return running;
  }

  #weigh(entry: Entry): void {
    const bytes = entry.index?.bytes ?? 0;
    this.#bytes += bytes - entry.bytes;
    entry.bytes = bytes;
  }

  async #follow(entry: Entry, scope: Scope): Promise<void> {
    const { store } = this.#options;
    const surroundings = this.#surroundingsOf(entry);
    try {
      if (!entry.index) {
        entry.index = (await this.#load(scope, surroundings)) ?? new NamespaceIndex(surroundings);
      }
      const isNew = entry.index.cursor === undefined;
      const { index } = entry;
      await followFeed(index, store, scope, () => this.#makeRoom(entry, index, scope));
      // A tail takes ten times the memory of what is sealed, and most small indexes never change again: but the answer
      // need not wait for it.
      if (isNew) entry.index.sealSoon();
    } catch (error) {
      // Where it stopped is not known any more: the next call starts anew.
      const restart = entry.index?.cursor !== undefined && isLostCursor(error);
      this.#drop(entry);
      if (!restart) throw error;
      entry.index = new NamespaceIndex(surroundings);
      return this.#follow(entry, scope);
    }
  }

  #surroundingsOf(entry: Entry): IndexSurroundings {
    const { surroundings } = this.#options;
    return entry.avoidsFiles ? { ...surroundings, files: undefined } : surroundings;
  }

  #identity(scope: Scope): SnapshotIdentity {
    const { analyzer, model } = this.#options.surroundings;
    return {
      namespace: scope.namespace,
      analyzer: analyzer.version,
      model: model.id,
      dimensions: model.dimensions,
    };
  }

  async #load(scope: Scope, surroundings: IndexSurroundings): Promise<NamespaceIndex | undefined> {
    const { snapshots, store } = this.#options;
    const { memory, model, exactRows, files } = surroundings;
    const parts = await snapshots?.read(scope.namespace, (source) => {
      const vectors = new VectorRows(memory, model.dimensions, exactRows);
      const room = { maxBytes: this.#options.maxBytes, files };
      return decodeSnapshot(source, this.#identity(scope), vectors, room);
    });
    if (!parts) return undefined;
    const index = new NamespaceIndex(surroundings, parts);
    const rows = parts.proof.map(([row]) => row);
    const memories = await store.read(scope, rows);
    let same = 0;
    let different = 0;
    memories.forEach((memory, at) => {
      const [, id, createdAt] = parts.proof[at]!;
      if (memory?.id === id && memory.createdAt === createdAt) same++;
      else if (memory) different++;
    });
    if (same > 0 && different === 0) return index;
    // Another database stands where the one stood that this was made from.
    index.release();
    return undefined;
  }

  async #proof(scope: Scope, index: NamespaceIndex): Promise<SnapshotProof> {
    const { rows } = index.columns.arrays;
    const slots = index.columns.size;
    const step = Math.max(1, Math.floor(slots / proofSize));
    const chosen: number[] = [];
    for (let slot = slots - 1; slot >= 0 && chosen.length < proofSize; slot -= step) chosen.push(rows[slot]!);
    const memories = await this.#options.store.read(scope, chosen);
    return memories.flatMap((memory, at) =>
      memory ? [[chosen[at]!, memory.id, memory.createdAt] as const] : [],
    );
  }

  /** Writes the snapshot of an index that nobody else tends, unless another process writes it. */
  async #save(entry: Entry, index: NamespaceIndex, scope: Scope): Promise<void> {
    const { snapshots, store } = this.#options;
    const lease = `index-snapshot/${scope.namespace}`;
    this.#holder ??= randomUUID();
    const holder = this.#holder;
    const hold = (): Promise<boolean> => store.acquireLease(lease, holder, leaseMs);
    if (!snapshots || index.size < snapshotSize || !(await hold())) return;
    try {
      // What is dead leaves no trace in it.
      await this.#inSlices(entry, index, index.tend(true));
      const proof = await this.#proof(scope, index);
      if (index.released) return;
      const { cursor, unsaved } = index;
      index.seal();
      const pieces = encodeSnapshot(index, this.#identity(scope), proof);
      await snapshots.write(scope.namespace, whileHeld(index, pieces, hold));
      index.unsaved -= unsaved;
      // What was erased while it was written must not stay in it.
      if (await hasRemovals(store, scope, cursor)) await snapshots.remove(scope.namespace);
    } finally {
      await store.releaseLease(lease, holder);
    }
  }

  #drop(entry: Entry): void {
    entry.index?.release();
    entry.index = undefined;
    this.#weigh(entry);
  }

  /** Drops what was used longest ago until the rest fits; what is in use stays. */
  #dropSurplus(inUse: Entry): void {
    for (const [namespace, entry] of this.#entries) {
      if (this.#bytes <= this.#options.maxBytes) return;
      if (entry === inUse || entry.steps > 0) continue;
      this.#drop(entry);
      this.#entries.delete(namespace);
      this.#dropped++;
    }
  }
}

/** The pieces, as long as the index is in use; the lease is renewed on the way. */
async function* whileHeld(
  index: NamespaceIndex,
  pieces: AsyncIterable<Uint8Array>,
  hold: () => Promise<boolean>,
): AsyncGenerator<Uint8Array> {
  let renewed = performance.now();
  for await (const piece of pieces) {
    yield piece;
    if (performance.now() - renewed > leaseMs / 4) {
      await hold();
      renewed = performance.now();
    }
    if (index.released)
      throw new StrataError("CLOSED", "The index was dropped while its snapshot was written.");
  }
}

/** True when memories have left since the cursor, or so much has changed that nobody should look. */
async function hasRemovals(store: MemoryStore, scope: Scope, cursor: string | undefined): Promise<boolean> {
  let from = cursor;
  for (let page = 0; page < 16; page++) {
    const changes = await store.changes(scope, from, 256);
    if (changes.removed.length > 0) return true;
    if (!changes.more) return false;
    from = changes.cursor;
  }
  return true;
}

function isLostCursor(error: unknown): boolean {
  return (
    StrataError.isInstance(error) && (error.code === "FEED_TRUNCATED" || error.code === "INVALID_CURSOR")
  );
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && "code" in error && !StrataError.isInstance(error);
}
