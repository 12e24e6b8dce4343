import { filePostings } from "./file-postings.ts";
import { FiledPart } from "./filed-part.ts";
import { FiledPostings } from "./filed-postings.ts";
import type { PostingFiles } from "./part-file.ts";
import type { PostingRun } from "./posting-source.ts";
import { PostingTail } from "./posting-tail.ts";
import {
  compareUnits,
  lowerBound,
  type PostingList,
  placeOfTerm,
  type SealedPostings,
  type TermShare,
  termAt,
  type Work,
} from "./sealed-postings.ts";
import { sortedTerms } from "./sorted-terms.ts";
import type { TermReading } from "./term-table.ts";

/** Sealed postings of a run of slots, with what was found out about them. */
export class SealedPart {
  readonly postings: SealedPostings;
  /** By where a term's postings begin; only of terms that were asked for. */
  readonly shares: Map<number, TermShare> = new Map<number, TermShare>();

  constructor(postings: SealedPostings) {
    this.postings = postings;
  }

  get bytes(): number {
    const { units, starts, offsets, slots, counts } = this.postings;
    const arrays =
      units.byteLength + starts.byteLength + offsets.byteLength + slots.byteLength + counts.byteLength;
    return arrays + this.shares.size * 150;
  }
}

/** Postings that are merged at once when they are merged at all: a millisecond or two. */
const mergedAtOnce = 65_536;

/**
 * An inverted index of one namespace: sealed parts, each of later slots than the one before, and a tail of what came
 * since. Slots only ever join it, in ascending order. Parts of like size are merged, so that there are few. The first
 * parts may be in files; then what a question asks for is read before it is answered.
 */
export class Postings {
  readonly #files: PostingFiles | undefined;
  #onDisk: FiledPostings | undefined;
  /** What follows on what is in files. */
  #parts: readonly SealedPart[];
  #tail = new PostingTail();
  #filed = 0;
  #cannotFile = false;

  /**
   * @param runs Those in files first.
   * @param files Where parts go that memory has no room for; absent: they stay.
   */
  constructor(runs: readonly PostingRun[] = [], files?: PostingFiles) {
    this.#files = files;
    const filed = runs.filter((run) => run instanceof FiledPart);
    this.#parts = runs.flatMap((run) => (run instanceof FiledPart ? [] : new SealedPart(run)));
    if (files && filed.length > 0) this.#placeFiled(filed, files);
  }

  /** In memory. */
  get bytes(): number {
    return this.unfiledBytes + (this.#onDisk?.bytes ?? 0);
  }

  /** Of what is in no file. */
  get unfiledBytes(): number {
    const sealed = this.#parts.reduce((sum, part) => sum + part.bytes, 0);
    return sealed + this.#tail.bytes;
  }

  /** What is read from files; absent while all is in memory. */
  get onDisk(): FiledPostings | undefined {
    return this.#onDisk;
  }

  /** False where there is no place for files, or none could be written. */
  get canFile(): boolean {
    return this.#files !== undefined && !this.#cannotFile;
  }

  /** All parts. */
  get sealed(): readonly PostingRun[] {
    return [...(this.#onDisk?.parts ?? []), ...this.#parts.map(({ postings }) => postings)];
  }

  /** Counts a term of a slot, in the content or around it. */
  add(slot: number, term: string, inContext: boolean): void {
    this.#tail.add(slot, term, inContext);
  }

  /** Makes room for as many memories more. */
  expect(memories: number): void {
    this.#tail.expect(memories);
  }

  /** Counts the terms of a text of a slot; stop words only in the content. @returns How many are no stop words. */
  addAll(slot: number, reading: TermReading, inContext: boolean): number {
    return this.#tail.addAll(slot, reading, inContext);
  }

  /** Postings of a term. */
  sizeOf(term: string): number {
    let size = this.#onDisk?.sizeOf(term) ?? 0;
    for (const { from, to } of this.#unfiledOf(term)) size += to - from;
    return size;
  }

  /** A term's postings, part by part; slots ascend through all of them, each once. */
  of(term: string): PostingList[] {
    const unfiled = this.#unfiledOf(term);
    return this.#onDisk ? [...this.#onDisk.of(term), ...unfiled] : unfiled;
  }

  #unfiledOf(term: string): PostingList[] {
    const lists: PostingList[] = [];
    for (const { postings, shares } of this.#parts) {
      const { offsets, slots, counts } = postings;
      const at = placeOfTerm(postings, term);
      if (at >= 0) lists.push({ slots, counts, from: offsets[at]!, to: offsets[at + 1]!, shares });
    }
    const tail = this.#tail.of(term);
    if (tail) lists.push({ slots: tail.slots, counts: tail.counts, from: 0, to: tail.slots.length });
    return lists;
  }

  /** At most `limit` terms that begin so, ascending. */
  startingWith(prefix: string, limit: number): string[] {
    const found = new Set<string>(this.#onDisk?.startingWith(prefix, limit));
    for (const { postings } of this.#parts) {
      const terms = postings.offsets.length - 1;
      const first = lowerBound(postings, prefix);
      for (let at = first; at < terms && at - first < limit; at++) {
        const term = termAt(postings, at);
        if (!term.startsWith(prefix)) break;
        found.add(term);
      }
    }
    for (const term of this.#tail.terms) if (term.startsWith(prefix)) found.add(term);
    return [...found].sort().slice(0, limit);
  }

  /** Seals the tail. */
  seal(): void {
    if (this.#tail.size === 0) return;
    this.#parts = [...this.#parts, new SealedPart(sealedTail(this.#tail))];
    this.#tail = new PostingTail();
  }

  /**
   * Merges parts until none is less than twice the one after it. Between two steps the index may be used and changed.
   * The smallest neighbours come first: each posting is copied as often as the number of parts can be halved.
   */
  *merge(): Work {
    for (;;) {
      const at = this.#smallestUneven();
      if (at < 0) return;
      const [left, right] = [this.#parts[at]!, this.#parts[at + 1]!];
      const merged = new SealedPart(yield* mergeSealed(left.postings, right.postings));
      // What was sealed meanwhile stands behind them.
      const place = this.#parts.indexOf(left);
      if (place < 0 || this.#parts[place + 1] !== right) return;
      this.#parts = this.#parts.toSpliced(place, 2, merged);
    }
  }

  /** Puts what is sealed and in memory into a file, with such parts there as are of like size. One at a time. */
  *file(): Work {
    const files = this.#files;
    const taken = this.#parts;
    if (!files || taken.length === 0) return;
    const filed = this.#onDisk?.parts ?? [];
    let size = taken.reduce((sum, part) => sum + sizeOf(part), 0);
    let kept = filed.length;
    while (kept > 0 && filed[kept - 1]!.size < 2 * size) size += filed[--kept]!.size;
    const runs = [...filed.slice(kept), ...taken.map(({ postings }) => postings)];
    try {
      const part = yield* filePostings(runs, files.open, `${++this.#filed}`);
      // What was sealed meanwhile stands behind them.
      this.#parts = this.#parts.slice(taken.length);
      this.#placeFiled([...filed.slice(0, kept), part], files);
    } catch (error) {
      // All stays in memory, and nobody waits for room.
      this.#cannotFile = true;
      throw error;
    }
  }

  /**
   * All sealed parts as one, with other slots, in a file where some are. The tail is left out.
   * @param slotNow The slot that each slot becomes, ascending as they do, or -1 for one that leaves.
   */
  *renumbered(slotNow: Int32Array): Work<PostingRun> {
    if (this.#onDisk && this.#files) {
      return yield* filePostings(this.sealed, this.#files.open, "0", slotNow);
    }
    let whole: SealedPostings | undefined;
    // From the last on: each is merged with all that come after it, so that the largest is copied once.
    for (const { postings } of this.#parts.toReversed()) {
      const part = yield* renumber(postings, slotNow);
      whole = whole ? yield* mergeSealed(part, whole) : part;
    }
    return whole ?? sealedTail(new PostingTail());
  }

  /** Takes over another's tail, with other slots, ascending as they do. */
  takeTail(other: Postings, slotNow: (slot: number) => number): void {
    this.#tail = other.#tail;
    other.#tail = new PostingTail();
    this.#tail.moveSlots(slotNow);
  }

  /** Closes its files. */
  close(): void {
    this.#onDisk?.close();
  }

  #placeFiled(parts: readonly FiledPart[], { cacheBytes }: PostingFiles): void {
    this.#onDisk ??= new FiledPostings(cacheBytes);
    this.#onDisk.replace(parts);
  }

  /** Where the smallest two neighbours stand of which the first is less than twice the second; -1 when there are none. */
  #smallestUneven(): number {
    let [smallest, place] = [Number.POSITIVE_INFINITY, -1];
    for (let at = 0; at + 1 < this.#parts.length; at++) {
      const [left, right] = [sizeOf(this.#parts[at]!), sizeOf(this.#parts[at + 1]!)];
      if (left >= 2 * right || left + right >= smallest) continue;
      [smallest, place] = [left + right, at];
    }
    return place;
  }
}

/** The first place from `from` on, before `to`, whose slot is not less; `to` when there is none. */
export function findSlot(slots: ArrayLike<number>, slot: number, from: number, to: number): number {
  // In steps that double, then by halves: what is looked for next is often near.
  let step = 1;
  let low = from;
  let high = from;
  while (high < to && slots[high]! < slot) {
    low = high + 1;
    high += step;
    step *= 2;
  }
  high = Math.min(high, to);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (slots[middle]! < slot) low = middle + 1;
    else high = middle;
  }
  return low;
}

function sizeOf({ postings }: SealedPart): number {
  return postings.slots.length;
}

function sealedTail(tail: PostingTail): SealedPostings {
  const { terms } = tail;
  const units = new Uint16Array(terms.reduce((sum, term) => sum + term.length, 0));
  const starts = new Uint32Array(terms.length + 1);
  const offsets = new Uint32Array(terms.length + 1);
  const slots = new Uint32Array(tail.size);
  const counts = new Uint16Array(tail.size);
  let [place, unit, entry] = [0, 0, 0];
  for (const at of sortedTerms(terms)) {
    const term = terms[at]!;
    for (let i = 0; i < term.length; i++) units[unit++] = term.charCodeAt(i);
    entry = tail.copyEntries(at, slots, counts, entry);
    starts[++place] = unit;
    offsets[place] = entry;
  }
  return { units, starts, offsets, slots, counts };
}

/** Copies of one part with other slots; a term that nothing holds any more leaves no trace. */
function* renumber(from: SealedPostings, slotNow: Int32Array): Work<SealedPostings> {
  const terms = from.offsets.length - 1;
  const units = new Uint16Array(from.units.length);
  const starts = new Uint32Array(terms + 1);
  const offsets = new Uint32Array(terms + 1);
  const slots = new Uint32Array(from.slots.length);
  const counts = new Uint16Array(from.slots.length);
  let [term, unit, entry, worked] = [0, 0, 0, 0];
  for (let at = 0; at < terms; at++) {
    const before = entry;
    const end = from.offsets[at + 1]!;
    for (let i = from.offsets[at]!; i < end; i++) {
      const slot = slotNow[from.slots[i]!]!;
      if (slot < 0) continue;
      slots[entry] = slot;
      counts[entry++] = from.counts[i]!;
    }
    worked += end - from.offsets[at]! + 8;
    if (entry > before) {
      units.set(from.units.subarray(from.starts[at]!, from.starts[at + 1]!), unit);
      unit += from.starts[at + 1]! - from.starts[at]!;
      starts[++term] = unit;
      offsets[term] = entry;
    }
    if (worked < mergedAtOnce) continue;
    worked = 0;
    yield;
  }
  return trimmed({ units, starts, offsets, slots, counts }, term, unit, entry);
}

/** Two parts as one; all slots of the second come after those of the first. */
function* mergeSealed(left: SealedPostings, right: SealedPostings): Work<SealedPostings> {
  const [leftTerms, rightTerms] = [left.offsets.length - 1, right.offsets.length - 1];
  const units = new Uint16Array(left.units.length + right.units.length);
  const starts = new Uint32Array(leftTerms + rightTerms + 1);
  const offsets = new Uint32Array(leftTerms + rightTerms + 1);
  const slots = new Uint32Array(left.slots.length + right.slots.length);
  const counts = new Uint16Array(slots.length);
  let [l, r, term, unit, entry, worked] = [0, 0, 0, 0, 0, 0];
  const copyEntries = (part: SealedPostings, at: number): void => {
    const [from, to] = [part.offsets[at]!, part.offsets[at + 1]!];
    if (to - from < 16) {
      for (let i = from; i < to; i++) {
        slots[entry] = part.slots[i]!;
        counts[entry++] = part.counts[i]!;
      }
    } else {
      slots.set(part.slots.subarray(from, to), entry);
      counts.set(part.counts.subarray(from, to), entry);
      entry += to - from;
    }
    worked += to - from + 8;
  };
  while (l < leftTerms || r < rightTerms) {
    const order = l === leftTerms ? 1 : r === rightTerms ? -1 : compareTerms(left, l, right, r);
    const [named, at] = order <= 0 ? [left, l] : [right, r];
    for (let i = named.starts[at]!; i < named.starts[at + 1]!; i++) units[unit++] = named.units[i]!;
    if (order <= 0) copyEntries(left, l++);
    if (order >= 0) copyEntries(right, r++);
    starts[++term] = unit;
    offsets[term] = entry;
    if (worked < mergedAtOnce) continue;
    worked = 0;
    yield;
  }
  return trimmed({ units, starts, offsets, slots, counts }, term, unit, entry);
}

/** Arrays no longer than what they hold, where much would be wasted. */
function trimmed(postings: SealedPostings, terms: number, units: number, entries: number): SealedPostings {
  const cut = <T extends Uint16Array | Uint32Array>(array: T, length: number): T =>
    (length > array.length * 0.95 ? array.subarray(0, length) : array.slice(0, length)) as T;
  return {
    units: cut(postings.units, units),
    starts: cut(postings.starts, terms + 1),
    offsets: cut(postings.offsets, terms + 1),
    slots: cut(postings.slots, entries),
    counts: cut(postings.counts, entries),
  };
}

function compareTerms(left: SealedPostings, l: number, right: SealedPostings, r: number): number {
  const [leftStart, rightStart] = [left.starts[l]!, right.starts[r]!];
  const [leftLength, rightLength] = [left.starts[l + 1]! - leftStart, right.starts[r + 1]! - rightStart];
  return compareUnits(left.units, leftStart, leftLength, right.units, rightStart, rightLength);
}
