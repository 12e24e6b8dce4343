import { StrataError } from "../contract/errors.ts";
import type { Memory } from "../contract/memory.ts";
import type { ChangePage, IndexRow, MemoryStore, MovedRow } from "../contract/memory-store.ts";
import type { Scope } from "../contract/scope.ts";
import type { Tier } from "../contract/tier.ts";

/** What a test says of a memory; the rest is filled in. */
export type FakeMemory = Partial<Memory> & { readonly content: string; readonly vector?: number[] | null };

interface Stored {
  readonly row: number;
  readonly memory: Memory;
  readonly vector: Float16Array | null;
}

/** The reading half of a store, over plain maps, with a feed whose pages a test can make as small as it likes. */
export class FakeStore {
  pageSize = 1_000;
  reads = 0;
  truncatedBefore = 0;
  tellsMoves = true;
  readonly hidden: Set<number> = new Set();
  readonly #rows = new Map<string, Map<number, Stored>>();
  readonly #leases = new Map<string, string>();
  readonly #log = new Map<string, number[]>();
  readonly #moves = new Map<string, readonly MovedRow[]>();
  #nextRow = 1;

  get port(): MemoryStore {
    return this as unknown as MemoryStore;
  }

  put(namespace: string, fake: FakeMemory, row: number = this.#nextRow++): number {
    const { vector = null, ...given } = fake;
    const memory: Memory = {
      id: `m${row}`,
      namespace,
      tier: "long_term",
      contentHash: "",
      importance: 0.5,
      accessCount: 0,
      createdAt: 0,
      updatedAt: 0,
      lastUsedAt: 0,
      tags: [],
      metadata: {},
      pinned: false,
      version: 1,
      ...(vector && { model: "fake" }),
      ...given,
    };
    this.#of(namespace).set(row, { row, memory, vector: vector && unit(vector) });
    this.#changed(namespace, row);
    return row;
  }

  remove(namespace: string, row: number): void {
    this.#of(namespace).delete(row);
    this.#changed(namespace, row);
  }

  /** Puts a memory into another tier: news, but no row of the feed. */
  move(namespace: string, row: number, tier: Tier): void {
    const stored = this.#of(namespace).get(row);
    if (!stored) return;
    this.#of(namespace).set(row, { ...stored, memory: { ...stored.memory, tier } });
    this.#moves.set(namespace, [...this.#movesOf(namespace), { row, tier }]);
  }

  #movesOf(namespace: string): readonly MovedRow[] {
    return this.#moves.get(namespace) ?? [];
  }

  /** Rows of a namespace, ascending. */
  rows(namespace: string): Stored[] {
    return [...this.#of(namespace).values()].sort((a, b) => a.row - b.row);
  }

  async generation({ namespace }: Scope): Promise<string> {
    return `${this.#log.get(namespace)?.length ?? 0}.${this.#movesOf(namespace).length}`;
  }

  async changes({ namespace }: Scope, cursor: string | undefined): Promise<ChangePage> {
    const log = this.#log.get(namespace) ?? [];
    const moves = this.#movesOf(namespace);
    const [from, moved] =
      cursor === undefined ? [0, moves.length] : (cursor.split(".").map(Number) as [number, number]);
    if (cursor !== undefined && from < this.truncatedBefore) {
      throw new StrataError("FEED_TRUNCATED", "The feed begins after the cursor.");
    }
    const to = Math.min(log.length, from + this.pageSize);
    const stored = this.#of(namespace);
    const rows: IndexRow[] = [];
    const removed: number[] = [];
    // Each memory once, at its last change.
    for (let at = from; at < to; at++) {
      const row = log[at]!;
      if (log.indexOf(row, at + 1) >= 0) continue;
      const found = stored.get(row);
      if (found) rows.push({ ...found.memory, row, vector: found.vector });
      else removed.push(row);
    }
    const told = this.tellsMoves && { moved: moves.slice(moved) };
    return { rows, removed, ...told, cursor: `${to}.${moves.length}`, more: to < log.length };
  }

  async read({ namespace }: Scope, rows: readonly number[]): Promise<(Memory | undefined)[]> {
    this.reads += rows.length;
    return rows.map((row) => (this.hidden.has(row) ? undefined : this.#of(namespace).get(row)?.memory));
  }

  async matchingRows(
    { namespace }: Scope,
    filter: { tags?: readonly string[]; tiers?: readonly Tier[] },
  ): Promise<Float64Array> {
    const matches = this.rows(namespace).filter(({ row, memory }) => {
      if (filter.tiers && !filter.tiers.includes(memory.tier)) return false;
      return !this.hidden.has(row) && (filter.tags ?? []).every((tag) => memory.tags.includes(tag));
    });
    return Float64Array.from(matches, ({ row }) => row);
  }

  async acquireLease(name: string, holder: string): Promise<boolean> {
    const held = this.#leases.get(name) ?? holder;
    this.#leases.set(name, held);
    return held === holder;
  }

  async releaseLease(name: string, holder: string): Promise<void> {
    if (this.#leases.get(name) === holder) this.#leases.delete(name);
  }

  #of(namespace: string): Map<number, Stored> {
    let rows = this.#rows.get(namespace);
    if (!rows) {
      rows = new Map();
      this.#rows.set(namespace, rows);
    }
    return rows;
  }

  #changed(namespace: string, row: number): void {
    const log = this.#log.get(namespace) ?? [];
    log.push(row);
    this.#log.set(namespace, log);
  }
}

function unit(values: readonly number[]): Float16Array {
  const length = Math.hypot(...values);
  return Float16Array.from(values, (value) => value / length);
}
