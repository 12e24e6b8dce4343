import type { Candidate } from "../contract/consolidation.ts";
import type { Memory } from "../contract/memory.ts";
import type { MemoryStore, StoreStats } from "../contract/memory-store.ts";
import { relevanceKeys } from "../contract/relevance.ts";
import type { Scope } from "../contract/scope.ts";
import type { Tier } from "../contract/tier.ts";
import { type Entered, TierRoom } from "./tier-room.ts";

const pageSize = 128;
/** No relevance is above it: what is not below it never makes room. */
const greatest = 1;

/** A namespace's tiers while a dry run plans: tells where a store would find room, and changes nothing. */
export class PlannedTiers {
  readonly #store: MemoryStore;
  readonly #scope: Scope;
  readonly #decayRate: number;
  readonly #offset: number;
  readonly #day: number;
  readonly #rooms = new Map<Tier, TierRoom>();
  #stats: StoreStats | undefined;

  /** @param offset What the day takes from the keys. */
  constructor(store: MemoryStore, scope: Scope, decayRate: number, offset: number, day: number) {
    this.#store = store;
    this.#scope = scope;
    this.#decayRate = decayRate;
    this.#offset = offset;
    this.#day = day;
  }

  async move(entry: Candidate, to: Tier): Promise<Entered> {
    const entered = await (await this.#room(to)).enter(entry);
    if (entered.outcome === "done") (await this.#room(entry.tier)).leave(entry.id);
    return entered;
  }

  async merge(keep: Memory, absorb: Memory): Promise<void> {
    (await this.#room(absorb.tier)).leave(absorb.id);
    const { id, tier, importance, accessCount, createdAt, lastUsedAt, version } = keep;
    const merged = {
      importance: Math.max(importance, absorb.importance),
      accessCount: accessCount + absorb.accessCount,
      lastUsedAt: Math.max(lastUsedAt, absorb.lastUsedAt),
    };
    const keys = relevanceKeys(merged, this.#decayRate);
    (await this.#room(tier)).change({ id, document: false, tier, createdAt, version, ...merged, keys });
  }

  async #room(tier: Tier): Promise<TierRoom> {
    const known = this.#rooms.get(tier);
    if (known) return known;
    this.#stats ??= await this.#store.stats(this.#scope);
    const { entries, pinned, capacity } = this.#stats.tiers[tier];
    const fill = { tier, entries: entries - pinned, capacity };
    const room = new TierRoom(fill, this.#present(tier), this.#offset);
    this.#rooms.set(tier, room);
    return room;
  }

  async *#present(tier: Tier): AsyncGenerator<Candidate> {
    let cursor: string | undefined;
    do {
      const page = await this.#store.candidates(this.#scope, {
        tier,
        side: "below",
        threshold: greatest,
        day: this.#day,
        limit: pageSize,
        cursor,
      });
      yield* page.candidates;
      cursor = page.cursor;
    } while (cursor !== undefined);
  }
}
