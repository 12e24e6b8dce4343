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
import { type IndexSurroundings, NamespaceIndex } from "./namespace-index.ts";
import type { SnapshotFolder } from "./snapshot-folder.ts";

/** Memories from which on a namespace has a snapshot: fewer are indexed as fast as they are read. */
const snapshotSize = 2_000;
/** Share of a namespace's memories that may have changed since its snapshot before it is written again. */
const staleShare = 0.25;
/** The same when the process is about to close, where nobody waits. */
const staleShareAtClose = 0.02;

/** Memories by which a snapshot is told to be of this store. */
const proofSize = 16;

interface Entry {
  index: NamespaceIndex | undefined;
  /** Ends when the last step asked for so far has; steps of one namespace never overlap. */
  turn: Promise<void>;
  /** Steps under way or waiting; an index is dropped only when there are none. */
  steps: number;
  /** Of the index, when it was last followed. */
  bytes: number;
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
  #bytes = 0;
  #dropped = 0;

  constructor(options: NamespaceIndexesOptions) {
    this.#options = options;
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

  /** The namespace's index, with every write in it that resolved before the call. Use it before the next await. */
  async current(scope: Scope, signal: AbortSignal | undefined): Promise<NamespaceIndex> {
    for (;;) {
      signal?.throwIfAborted();
      const entry = this.#entry(scope.namespace);
      await this.#step(entry, () => this.#follow(entry, scope));
      const { index } = entry;
      if (!index || index.released) continue;
      this.#dropSurplus(entry);
      const bound = Math.max(snapshotSize, index.size * staleShare);
      if (index.unsaved >= bound && this.#options.snapshots) {
        this.#step(entry, () => this.#save(entry, scope)).catch(() => {});
      }
      return index;
    }
  }

  /** Removes the namespace's snapshot, so that none tells of what is about to be erased. */
  async forgetSnapshot(namespace: string): Promise<void> {
    const entry = this.#entries.get(namespace);
    const remove = async (): Promise<void> => this.#options.snapshots?.remove(namespace);
    if (!entry) return remove();
    await this.#step(entry, async () => {
      await remove();
      // The index itself is made anew, so that nothing erased lives on in what is written next.
      this.#drop(entry);
    });
  }

  /** Writes the snapshots that are worth it and lets everything go. A snapshot that cannot be written is none. */
  async close(): Promise<void> {
    for (const [namespace, entry] of this.#entries) {
      const scope = { namespace };
      await this.#step(entry, async () => {
        const { index } = entry;
        const bound = Math.max(1, (index?.size ?? 0) * staleShareAtClose);
        if (index && index.unsaved >= bound) await this.#save(entry, scope);
      }).catch(() => {});
      this.#drop(entry);
    }
    this.#entries.clear();
  }

  #entry(namespace: string): Entry {
    const known = this.#entries.get(namespace);
    const entry = known ?? { index: undefined, turn: Promise.resolve(), steps: 0, bytes: 0 };
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
    const { store, surroundings } = this.#options;
    try {
      if (!entry.index) {
        entry.index = (await this.#load(scope)) ?? new NamespaceIndex(surroundings);
      }
      const fresh = entry.index.generation === undefined;
      await followFeed(entry.index, store, scope);
      if (fresh && !entry.index.isSealed && entry.index.cursor !== undefined) entry.index.seal();
    } catch (error) {
      // Where it stopped is not known any more: the next call starts anew.
      const restart = entry.index?.cursor !== undefined && isLostCursor(error);
      this.#drop(entry);
      if (!restart) throw error;
      entry.index = new NamespaceIndex(surroundings);
      return this.#follow(entry, scope);
    }
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

  async #load(scope: Scope): Promise<NamespaceIndex | undefined> {
    const { snapshots, store, surroundings } = this.#options;
    const parts = snapshots?.read(scope.namespace, (source) =>
      decodeSnapshot(source, this.#identity(scope), surroundings.memory),
    );
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
    const step = Math.max(1, Math.floor(index.size / proofSize));
    const chosen: number[] = [];
    for (let slot = index.size - 1; slot >= 0 && chosen.length < proofSize; slot -= step)
      chosen.push(rows[slot]!);
    const memories = await this.#options.store.read(scope, chosen);
    return memories.flatMap((memory, at) =>
      memory ? [[chosen[at]!, memory.id, memory.createdAt] as const] : [],
    );
  }

  async #save(entry: Entry, scope: Scope): Promise<void> {
    const { snapshots, store, surroundings } = this.#options;
    if (!snapshots || !entry.index || entry.index.size < snapshotSize) return;
    await this.#follow(entry, scope);
    const { index } = entry;
    if (!index || index.size < snapshotSize) return;
    if (!index.isSealed) index.seal();
    const proof = await this.#proof(scope, index);
    const pieces = encodeSnapshot(index, this.#identity(scope), proof, surroundings.memory);
    await snapshots.write(scope.namespace, pieces);
    index.unsaved = 0;
    // What was erased while it was written must not stay in it.
    if ((await store.generation(scope)) !== index.generation) await snapshots.remove(scope.namespace);
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

function isLostCursor(error: unknown): boolean {
  return (
    StrataError.isInstance(error) && (error.code === "FEED_TRUNCATED" || error.code === "INVALID_CURSOR")
  );
}
