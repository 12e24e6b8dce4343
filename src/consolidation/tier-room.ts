import type { ActionOutcome, Candidate } from "../contract/consolidation.ts";
import type { Evicted } from "../contract/memory-store.ts";
import { relevance } from "../contract/relevance.ts";
import type { Tier } from "../contract/tier.ts";

/** An entry as capacity sees it. */
interface Occupant {
  readonly id: string;
  readonly document: boolean;
  readonly relevance: number;
  readonly createdAt: number;
}

/** A tier as it is before a pass. */
export interface TierFill {
  readonly tier: Tier;
  /** Entries that count against the capacity. */
  readonly entries: number;
  /** 0: unlimited. */
  readonly capacity: number;
}

/** What becomes of an entry that comes. */
export interface Entered {
  readonly outcome: ActionOutcome;
  /** What made room. */
  readonly evicted: readonly Evicted[];
}

/**
 * The room of one tier while a plan is made: tells what a store would do with each entry that comes, without doing it.
 * Those in the tier are asked for least relevant first, and only as far as something has to make room.
 */
export class TierRoom {
  readonly #tier: Tier;
  readonly #capacity: number;
  readonly #offset: number;
  readonly #present: AsyncIterator<Candidate>;
  readonly #changed = new Map<string, Occupant | undefined>();
  readonly #arrived: Occupant[] = [];
  #head: Occupant | undefined;
  #entries: number;
  #exhausted = false;

  /** @param present The tier's entries as they were, least relevant first. @param offset What today takes from keys. */
  constructor(fill: TierFill, present: AsyncIterable<Candidate>, offset: number) {
    this.#tier = fill.tier;
    this.#entries = fill.entries;
    this.#capacity = fill.capacity;
    this.#offset = offset;
    this.#present = present[Symbol.asyncIterator]();
  }

  /** The entry leaves. */
  leave(id: string): void {
    this.#entries -= 1;
    this.#gone(id);
  }

  /** The entry stays and becomes more relevant. */
  change(entry: Candidate): void {
    this.#gone(entry.id);
    this.#insert(this.#occupant(entry));
  }

  /** The entry comes: there is room, or it takes the place of the least relevant one, or the tier is full. */
  async enter(entry: Candidate): Promise<Entered> {
    const arriving = this.#occupant(entry);
    const evicted: Evicted[] = [];
    // More than one leaves when the capacity was made smaller.
    while (this.#capacity > 0 && this.#entries >= this.#capacity) {
      const least = await this.#least();
      if (least === undefined || least.relevance >= arriving.relevance) return { outcome: "full", evicted };
      const { id, document } = least;
      evicted.push({ id, document, tier: this.#tier, relevance: least.relevance });
      this.leave(id);
    }
    this.#entries += 1;
    this.#insert(arriving);
    return { outcome: "done", evicted };
  }

  #occupant({ id, document, keys, createdAt }: Candidate): Occupant {
    return { id, document, relevance: relevance(keys, this.#offset), createdAt };
  }

  #gone(id: string): void {
    if (this.#capacity === 0) return;
    const arrived = this.#changed.get(id);
    if (arrived) this.#arrived.splice(this.#arrived.indexOf(arrived), 1);
    this.#changed.set(id, undefined);
    if (this.#head?.id === id) this.#head = undefined;
  }

  #insert(occupant: Occupant): void {
    if (this.#capacity === 0) return;
    this.#changed.set(occupant.id, occupant);
    let [from, to] = [0, this.#arrived.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (compare(this.#arrived[middle]!, occupant) <= 0) from = middle + 1;
      else to = middle;
    }
    this.#arrived.splice(from, 0, occupant);
  }

  async #least(): Promise<Occupant | undefined> {
    while (!this.#head && !this.#exhausted) {
      const next = await this.#present.next();
      if (next.done === true) this.#exhausted = true;
      else if (!this.#changed.has(next.value.id)) this.#head = this.#occupant(next.value);
    }
    const [first] = this.#arrived;
    if (!this.#head || !first) return this.#head ?? first;
    return compare(first, this.#head) < 0 ? first : this.#head;
  }
}

function compare(a: Occupant, b: Occupant): number {
  return a.relevance - b.relevance || a.createdAt - b.createdAt;
}
