import { LRUCache } from "lru-cache";
import { StrataError } from "../contract/errors.ts";
import type { FiledPart } from "./filed-part.ts";
import type { PostingList, SealedTerms } from "./sealed-postings.ts";

/** Terms looked for at once: their reads wait for each other in few threads. */
const termsAtOnce = 16;
/** Share of the cache that one list may take: the few longest would leave no room for the others. */
const longestShare = 1 / 16;

interface ReadTerm {
  /** Where its postings stand, part by part. */
  readonly ranges: readonly (readonly [from: number, to: number] | undefined)[];
  readonly size: number;
  readonly lists: readonly PostingList[] | undefined;
}

/**
 * Postings in files, read for one question at a time. The question is tried first: what it asks for and memory does not
 * hold is noted and read, until a try lacks nothing; from then on until the next `begin` all it asked for stands ready.
 */
export class FiledPostings {
  #parts: readonly FiledPart[] = [];
  readonly #cacheBytes: number;
  readonly #known: LRUCache<string, SealedTerms | PostingList>;
  #terms = new Map<string, ReadTerm>();
  #beginnings = new Map<string, readonly string[]>();
  readonly #lackingSizes = new Set<string>();
  readonly #lackingLists = new Set<string>();
  readonly #lackingBeginnings = new Map<string, readonly [prefix: string, limit: number]>();
  /** Terms whose lists the try under way asked for. */
  readonly #used = new Set<string>();
  #trying = false;

  /** @param cacheBytes Kept of what was read, for the next question. */
  constructor(cacheBytes: number) {
    this.#cacheBytes = Math.max(1, Math.floor(cacheBytes));
    this.#known = new LRUCache({
      maxSize: this.#cacheBytes,
      maxEntrySize: Math.max(1, Math.floor(this.#cacheBytes * longestShare)),
    });
  }

  get parts(): readonly FiledPart[] {
    return this.#parts;
  }

  get bytes(): number {
    const parts = this.#parts.reduce((sum, part) => sum + part.bytes, 0);
    return parts + this.#known.calculatedSize + this.#readBytes();
  }

  /** True when the try asked for something that is not at hand. */
  get lacking(): boolean {
    return this.#lackingSizes.size + this.#lackingLists.size + this.#lackingBeginnings.size > 0;
  }

  /** Puts parts in the place of those there are; those that leave are closed. */
  replace(parts: readonly FiledPart[]): void {
    const former = this.#parts;
    this.#parts = parts;
    this.#forget();
    for (const part of former) if (!parts.includes(part)) void part.close().catch(() => {});
  }

  /** Begins a try. */
  begin(): void {
    this.#trying = true;
    this.#used.clear();
  }

  /** The try lacked nothing: whoever asks for more from now on asks too much. */
  settle(): void {
    this.#trying = false;
  }

  /** Lets go of what was read for the question. */
  giveBack(): void {
    this.#trying = false;
    this.#forget();
  }

  /** Postings of a term. */
  sizeOf(term: string): number {
    const read = this.#terms.get(term);
    if (!read) this.#note(() => this.#lackingSizes.add(term));
    return read?.size ?? 0;
  }

  /** True when a term's postings are at hand. */
  holds(term: string): boolean {
    return this.#terms.get(term)?.lists !== undefined;
  }

  /** A term's postings, part by part. */
  of(term: string): readonly PostingList[] {
    const lists = this.#terms.get(term)?.lists;
    if (this.#trying) this.#used.add(term);
    if (!lists) this.#note(() => this.#lackingLists.add(term));
    return lists ?? [];
  }

  /** At most `limit` terms of each part that begin so. */
  startingWith(prefix: string, limit: number): readonly string[] {
    const key = `${limit} ${prefix}`;
    const found = this.#beginnings.get(key);
    if (!found) this.#note(() => this.#lackingBeginnings.set(key, [prefix, limit]));
    return found ?? [];
  }

  /**
   * Reads of what the last try lacked: where it stands first, then lists, as many at once as are kept. Parts may be
   * replaced meanwhile; then nothing was read.
   * @throws What the files throw.
   */
  async fetch(): Promise<void> {
    const parts = this.#parts;
    const terms = new Map<string, ReadTerm>();
    const beginnings = new Map<string, readonly string[]>();
    const unplaced = [...this.#lackingSizes, ...this.#lackingLists].filter((term) => !this.#terms.has(term));
    const unlisted = [...this.#lackingLists].filter((term) => this.#terms.has(term));
    const wanted = [...this.#lackingBeginnings];
    this.#clearLacking();
    try {
      for (const [key, [prefix, limit]] of wanted) {
        const found = parts.map((part) => part.startingWith(prefix, limit, this.#known));
        beginnings.set(key, (await Promise.all(found)).flat());
      }
      await inGroups(unplaced, async (term) => {
        const ranges = await Promise.all(parts.map((part) => part.rangeOf(term, this.#known)));
        const size = ranges.reduce((sum, range) => sum + (range ? range[1] - range[0] : 0), 0);
        terms.set(term, { ranges, size, lists: size === 0 ? [] : undefined });
      });
      if (wanted.length + unplaced.length === 0) await this.#fetchLists(parts, unlisted, terms);
    } catch (error) {
      // A part that was merged away is closed.
      if (parts === this.#parts) throw error;
    }
    if (parts !== this.#parts) return;
    for (const [term, read] of terms) this.#terms.set(term, read);
    for (const [key, found] of beginnings) this.#beginnings.set(key, found);
  }

  async #fetchLists(
    parts: readonly FiledPart[],
    unlisted: readonly string[],
    terms: Map<string, ReadTerm>,
  ): Promise<void> {
    // What only a former try wanted makes room.
    for (const [term, read] of this.#terms) {
      if (read.size > 0 && !this.#used.has(term)) this.#terms.set(term, { ...read, lists: undefined });
    }
    let bytes = this.#readBytes();
    await inGroups(
      unlisted,
      async (term) => {
        const read = this.#terms.get(term)!;
        const lists = await Promise.all(
          read.ranges.flatMap((range, at) => (range ? parts[at]!.list(...range, this.#known) : [])),
        );
        terms.set(term, { ...read, lists });
        bytes += listBytes(lists);
      },
      () => bytes > this.#cacheBytes,
    );
  }

  /** Closes the files. */
  close(): void {
    this.replace([]);
    this.#known.clear();
  }

  #readBytes(): number {
    let bytes = 0;
    for (const { lists } of this.#terms.values()) if (lists) bytes += listBytes(lists);
    return bytes;
  }

  #note(note: () => void): void {
    if (!this.#trying) {
      throw new StrataError("INTERNAL", "Postings were asked for that were not read; please report it.");
    }
    note();
  }

  #forget(): void {
    this.#terms = new Map();
    this.#beginnings = new Map();
    this.#clearLacking();
  }

  #clearLacking(): void {
    this.#lackingSizes.clear();
    this.#lackingLists.clear();
    this.#lackingBeginnings.clear();
  }
}

function listBytes(lists: readonly PostingList[]): number {
  return lists.reduce((sum, { from, to }) => sum + (to - from) * 6, 0);
}

/** Calls `use` for some at a time, at least once, until all are done or `enough` says so. */
async function inGroups(
  terms: readonly string[],
  use: (term: string) => Promise<void>,
  enough: () => boolean = () => false,
): Promise<void> {
  for (let at = 0; at < terms.length; at += termsAtOnce) {
    await Promise.all(terms.slice(at, at + termsAtOnce).map(use));
    if (enough()) return;
  }
}
