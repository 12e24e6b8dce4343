import type { MemoryFilter } from "../contract/scope.ts";
import { tiers } from "../contract/tier.ts";
import type { Columns } from "./columns.ts";
import type { NameTable } from "./name-table.ts";
import { findSlot, type Postings } from "./postings.ts";
import type { PostingList } from "./sealed-postings.ts";

/** Which slots may be found. */
export interface Selection {
  /** Slots that pass the call's filter, ascending, some that the mask leaves out among them; absent: whatever the mask says. */
  readonly slots: Uint32Array | undefined;
  /** 1 for each slot that may be found. */
  readonly mask: Uint8Array;
}

/** What of an index filters look at. */
export interface FilteredSlots {
  readonly columns: Columns;
  /** Tags, as {@link tagLabel} makes terms of them. */
  readonly labels: Postings;
  /** 1 where the slot holds a memory. */
  readonly live: Uint8Array;
  /** Slots that hold no memory any more, in the order in which they died. */
  readonly deadSlots: readonly number[];
  readonly threads: NameTable;
  readonly speakers: NameTable;
}

/** The part of filters that an index answers by itself. */
export type SlotFilter = Pick<
  MemoryFilter,
  "tiers" | "tags" | "after" | "before" | "minImportance" | "thread" | "speaker" | "pinned"
>;

const filterNames: readonly (keyof SlotFilter)[] = [
  "tiers",
  "tags",
  "after",
  "before",
  "minImportance",
  "thread",
  "speaker",
  "pinned",
];

/** Filters whose slots are remembered. */
const maxKept = 16;
/** Slots up to which they are always listed, and the share of all up to which they are when there are more. */
const listedSlots = 16_384;
const listedShare = 1 / 4;
/** Share of listed slots that may have left before the list is made anew. */
const staleShare = 1 / 8;

/**
 * Slots that pass filters, of one index: found once for a filter, then followed up by what was added and what left since.
 * To be thrown away when slots change their meaning.
 */
export class Selections {
  readonly #index: FilteredSlots;
  /** Least recently used first. */
  readonly #kept = new Map<string, KeptSelection>();
  readonly #byRows: WeakMap<
    Float64Array,
    { readonly size: number; readonly dead: number; readonly selection: Selection }
  > = new WeakMap();

  constructor(index: FilteredSlots) {
    this.#index = index;
  }

  get bytes(): number {
    return this.#kept.values().reduce((sum, kept) => sum + kept.bytes, 0);
  }

  /**
   * The slots of rows that were found elsewhere; found again only where the index changed since.
   * @param slotsOf Slots of rows, ascending.
   */
  ofRows(rows: Float64Array, slotsOf: (rows: Float64Array) => Uint32Array): Selection {
    const { columns, deadSlots } = this.#index;
    const known = this.#byRows.get(rows);
    if (known && known.size === columns.size && known.dead === deadSlots.length) return known.selection;
    const slots = slotsOf(rows);
    const mask = new Uint8Array(columns.size);
    for (const slot of slots) mask[slot] = 1;
    const selection = { slots: isListed(slots.length, columns.size) ? slots : undefined, mask };
    this.#byRows.set(rows, { size: columns.size, dead: deadSlots.length, selection });
    return selection;
  }

  /** Lets go of what memories that move to other tiers join or leave. */
  forgetTiers(): void {
    for (const [key, kept] of this.#kept) if (kept.asksForTiers) this.#kept.delete(key);
  }

  /** The slots that pass now; good until the index changes. */
  of(filter: SlotFilter): Selection {
    const key = JSON.stringify(filterNames.map((name) => filter[name] ?? null));
    const kept = this.#kept.get(key) ?? new KeptSelection(this.#index, filter);
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    if (this.#kept.size > maxKept) this.#kept.delete(this.#kept.keys().next().value!);
    kept.follow();
    return kept;
  }
}

/** Term of a tag among the labels of an index. */
export function tagLabel(tag: string): string {
  return `#${tag}`;
}

class KeptSelection implements Selection {
  readonly #index: FilteredSlots;
  readonly #filter: SlotFilter;
  mask: Uint8Array = new Uint8Array(0);
  /** Slots that pass. */
  #count = 0;
  #listed: Uint32Array | undefined = new Uint32Array(16);
  #size = 0;
  /** Slots, and dead ones, that were looked at. */
  #seen = 0;
  #seenDead = 0;

  constructor(index: FilteredSlots, filter: SlotFilter) {
    this.#index = index;
    this.#filter = filter;
  }

  get asksForTiers(): boolean {
    return this.#filter.tiers !== undefined;
  }

  get slots(): Uint32Array | undefined {
    return this.#listed?.subarray(0, this.#size);
  }

  get bytes(): number {
    return this.mask.byteLength + (this.#listed?.byteLength ?? 0) + 500;
  }

  follow(): void {
    const { columns, deadSlots } = this.#index;
    const capacity = columns.arrays.rows.length;
    if (this.mask.length < columns.size) {
      const grown = new Uint8Array(capacity);
      grown.set(this.mask);
      this.mask = grown;
    }
    const { mask } = this;
    for (; this.#seenDead < deadSlots.length; this.#seenDead++) {
      const slot = deadSlots[this.#seenDead]!;
      this.#count -= mask[slot]!;
      mask[slot] = 0;
    }
    if (this.#seen < columns.size) this.#add(this.#seen);
    this.#seen = columns.size;
    this.#list();
  }

  /** Adds the slots that pass from one on. */
  #add(from: number): void {
    const { live, columns } = this.#index;
    const { mask } = this;
    const to = columns.size;
    const { tags } = this.#filter;
    if (tags && tags.length > 0) {
      for (const slot of this.#tagged(tags, from)) mask[slot] = live[slot]!;
    } else mask.set(live.subarray(from, to), from);
    narrow(mask, from, to, this.#index, this.#filter);
    for (let slot = from; slot < to; slot++) if (mask[slot] === 1) this.#push(slot);
  }

  /** Slots from one on that carry all of the tags, ascending. */
  #tagged(tags: readonly string[], from: number): Uint32Array {
    const { labels } = this.#index;
    const lists = tags.map((tag) =>
      labels.of(tagLabel(tag)).map((list) => (from === 0 ? list : listFrom(list, from))),
    );
    const [rarest, ...others] = lists.sort((one, other) => lengthOf(one) - lengthOf(other));
    const slots = new Uint32Array(lengthOf(rarest!));
    let size = 0;
    for (const list of rarest!) for (let i = list.from; i < list.to; i++) slots[size++] = list.slots[i]!;
    return others.reduce(common, slots);
  }

  #push(slot: number): void {
    this.#count++;
    if (!this.#listed) return;
    if (this.#size === this.#listed.length) {
      const grown = new Uint32Array(this.#size * 2);
      grown.set(this.#listed);
      this.#listed = grown;
    }
    this.#listed[this.#size++] = slot;
  }

  /** Lists slots where they are few, without those that left where these are many or the list is short. */
  #list(): void {
    const { size } = this.#index.columns;
    if (!isListed(this.#count, size)) {
      this.#listed = undefined;
      this.#size = 0;
      return;
    }
    const stale = this.#size - this.#count;
    const { mask } = this;
    if (!this.#listed) {
      this.#listed = new Uint32Array(Math.max(16, this.#count));
      for (let slot = 0; slot < size; slot++) if (mask[slot] === 1) this.#listed[this.#size++] = slot;
    } else if (stale > 0 && (this.#count <= listedSlots || stale > this.#size * staleShare)) {
      const listed = this.#listed;
      let kept = 0;
      for (let i = 0; i < this.#size; i++) if (mask[listed[i]!] === 1) listed[kept++] = listed[i]!;
      this.#size = kept;
    }
  }
}

/** Takes out of a mask what does not pass a filter, its tags left aside: a column at a time, as memory is read fastest. */
function narrow(mask: Uint8Array, from: number, to: number, index: FilteredSlots, filter: SlotFilter): void {
  const { happeneds, importances, threads, speakers, pins, tiers: tierOf } = index.columns.arrays;
  const { after, before, minImportance, thread, speaker, pinned } = filter;
  if (filter.tiers) {
    const wanted = Uint8Array.from(tiers, (tier) => (filter.tiers?.includes(tier) ? 1 : 0));
    for (let i = from; i < to; i++) if (wanted[tierOf[i]!] !== 1) mask[i] = 0;
  }
  if (after !== undefined) for (let i = from; i < to; i++) if (!(happeneds[i]! >= after)) mask[i] = 0;
  if (before !== undefined) for (let i = from; i < to; i++) if (!(happeneds[i]! < before)) mask[i] = 0;
  if (minImportance !== undefined) {
    for (let i = from; i < to; i++) if (!(importances[i]! >= minImportance)) mask[i] = 0;
  }
  if (thread !== undefined) keepEqual(mask, from, to, threads, index.threads.numberOf(thread));
  if (speaker !== undefined) keepEqual(mask, from, to, speakers, index.speakers.numberOf(speaker));
  if (pinned !== undefined) keepEqual(mask, from, to, pins, pinned ? 1 : 0);
}

function keepEqual(
  mask: Uint8Array,
  from: number,
  to: number,
  column: Uint32Array | Uint8Array,
  value: number,
): void {
  for (let i = from; i < to; i++) if (column[i] !== value) mask[i] = 0;
}

/** Few enough of so many to be worth listing. */
function isListed(count: number, size: number): boolean {
  return count <= Math.max(listedSlots, size * listedShare);
}

function listFrom(list: PostingList, slot: number): PostingList {
  return { ...list, from: findSlot(list.slots, slot, list.from, list.to) };
}

function lengthOf(lists: readonly PostingList[]): number {
  return lists.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** Those of the slots that stand in the lists too. */
function common(slots: Uint32Array, lists: readonly PostingList[]): Uint32Array {
  let size = 0;
  let at = 0;
  for (const list of lists) {
    let { from } = list;
    while (from < list.to && at < slots.length) {
      const wanted = slots[at]!;
      from = findSlot(list.slots, wanted, from, list.to);
      if (from === list.to) break;
      if (list.slots[from] === wanted) slots[size++] = wanted;
      at++;
    }
  }
  return slots.subarray(0, size);
}
