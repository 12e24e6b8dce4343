import { type GhostDepths, ghostParts } from "../contract/ghost-stack.ts";
import { pairedT } from "./paired-test.ts";

/** What one cache did in a window. */
export interface CacheWindow {
  /** By the size that would have answered, in parts of the bytes of both caches. */
  readonly depths: GhostDepths;
  readonly misses: number;
  /** Milliseconds that computing what it missed took; of answers without the vectors of their questions. */
  readonly missMs: number;
}

/** Both caches between two readings of their figures. */
export interface CachesWindow {
  readonly queries: CacheWindow;
  readonly embeddings: CacheWindow;
}

export interface CacheTunerOptions {
  /** Bytes of both together; it never changes. */
  readonly totalBytes: number;
  /** Bytes of the query cache as configured. */
  readonly queryBytes: number;
}

/** What was decided. */
export interface CacheMove {
  /** Bytes of the query cache; the embeddings' cache has the rest of the total. */
  readonly before: number;
  readonly after: number;
  readonly verdict: "tried" | "kept" | "taken back";
  readonly reason: string;
}

export interface CacheTunerState {
  readonly queryBytes: number;
  readonly embeddingBytes: number;
  readonly phase: "watching" | "judging";
  /** Seen so far. */
  readonly windows: number;
}

/** Each has at least an eighth of the parts. */
const leastParts = ghostParts / 8;
/** Parts between two divisions that are weighed. */
const grid = ghostParts / 16;
/** Windows by which a move is judged, windows by which it is tried, and windows that are remembered. */
const judged = 8;
const recent = 16;
const remembered = 64;
/** Weight of all windows before in what a miss costs. */
const remembering = 0.8;
/** Student's t from which a saving is no chance: p < .005 for a move to try (7 or more degrees of freedom), p < .05 to keep it. */
const clearlyBetter = 3.5;
const better = 1.9;
/** Least share of what misses cost that a move saves. */
const worthwhile = 0.01;
/** More than the configured division would cost, by which what was tuned is taken back. */
const bearable = 1.02;
/** The same of a move on trial, which then is taken back before its time, and of so many windows in a row. */
const hopeless = 1.05;
const inARow = 3;
/** Share of what all misses would have cost as configured that trying may cost beside it. */
const affordable = 0.01;
/** Windows for which nothing is tried after a move was taken back, doubled each time in a row. */
const firstRest = 16;
const longestRest = 256;

/** A window with prices, ready to be asked what a division would have cost. */
interface Priced {
  cost(queryParts: number): number;
}

/**
 * Divides a fixed number of bytes between the query cache and the embeddings' cache. Ghost entries tell what every
 * division would have cost in every window, so that two of them are compared on the same questions whatever the workload
 * does: a move is tried when it would have saved clearly, kept when it goes on to do so in the windows after it, else
 * taken back; and whenever the division as configured does better it returns. It performs nothing and reads no clock.
 */
export class CacheTuner {
  readonly #total: number;
  readonly #configured: number;
  #parts: number;
  #windows = 0;
  #history: Priced[] = [];
  /** The division before the move on trial. */
  #before: number | undefined;
  #judging: Priced[] = [];
  readonly #queryPrice = new MissPrice();
  readonly #embeddingPrice = new MissPrice();
  /** What all misses would have cost as configured, and how much more they did cost. */
  #cost = 0;
  #loss = 0;
  #restUntil = 0;
  #rest = firstRest;

  constructor({ totalBytes, queryBytes }: CacheTunerOptions) {
    this.#total = totalBytes;
    this.#configured = (queryBytes / totalBytes) * ghostParts;
    this.#parts = this.#configured;
  }

  get state(): CacheTunerState {
    const queryBytes = this.#bytes(this.#parts);
    return {
      queryBytes,
      embeddingBytes: this.#total - queryBytes,
      phase: this.#before === undefined ? "watching" : "judging",
      windows: this.#windows,
    };
  }

  /** @returns What was decided; undefined: nothing. */
  observe(window: CachesWindow): CacheMove | undefined {
    this.#windows++;
    const priced = pricedBy(
      window,
      this.#queryPrice.of(window.queries),
      this.#embeddingPrice.of(window.embeddings),
    );
    this.#history.push(priced);
    if (this.#history.length > remembered) this.#history.shift();
    const asConfigured = priced.cost(this.#configured);
    this.#cost += asConfigured;
    this.#loss += priced.cost(this.#parts) - asConfigured;
    if (this.#before === undefined) return this.#return() ?? this.#try();
    this.#judging.push(priced);
    const loses = costOf(this.#judging, this.#parts) > hopeless * costOf(this.#judging, this.#before);
    const fails = loses && this.#loss > affordable * this.#cost;
    return this.#judging.length < judged && !fails ? undefined : this.#judge(this.#before);
  }

  /** To the division as configured, when that has done better lately. */
  #return(): CacheMove | undefined {
    if (this.#parts === this.#configured) return undefined;
    const { cost, saving, t } = compare(this.#history.slice(-judged), this.#parts, this.#configured);
    const loses = this.#history
      .slice(-inARow)
      .every((each) => each.cost(this.#parts) > hopeless * each.cost(this.#configured));
    const surely = t > better && cost > bearable * (cost - saving);
    if (!surely && !loses) return undefined;
    this.#wait();
    const before = this.#parts;
    this.#parts = this.#configured;
    return this.#move(before, "taken back", tell(this.#history.slice(-judged), before, this.#parts));
  }

  #try(): CacheMove | undefined {
    if (this.#history.length < recent || this.#windows < this.#restUntil) return undefined;
    // What was lost by trying must be won back, or become small beside all that was asked, before more is risked.
    if (this.#loss > (affordable / 2) * this.#cost) return undefined;
    const target = this.#best();
    if (target === this.#parts) return undefined;
    const { cost, saving } = compare(this.#history, this.#parts, target);
    // Surely is told of the latest: one window far behind in which everything was new would hide all others.
    const { t } = compare(this.#history.slice(-recent), this.#parts, target);
    if (!(t > clearlyBetter && saving > worthwhile * cost)) return undefined;
    const before = this.#parts;
    this.#before = before;
    this.#judging = [];
    this.#parts = target;
    return this.#move(before, "tried", tell(this.#history.slice(-recent), before, target));
  }

  #judge(before: number): CacheMove {
    const tried = this.#parts;
    const { t, saving } = compare(this.#judging, before, tried);
    const reason = tell(this.#judging, before, tried);
    this.#before = undefined;
    if (t > better && saving > 0 && this.#judging.length >= judged) {
      this.#rest = firstRest;
      return this.#move(before, "kept", reason);
    }
    this.#wait();
    this.#parts = before;
    return this.#move(tried, "taken back", reason);
  }

  #wait(): void {
    this.#restUntil = this.#windows + this.#rest;
    this.#rest = Math.min(longestRest, 2 * this.#rest);
  }

  #best(): number {
    let best = this.#parts;
    let least = costOf(this.#history, best);
    for (let parts = leastParts; parts <= ghostParts - leastParts; parts += grid) {
      const cost = costOf(this.#history, parts);
      if (cost < least) [best, least] = [parts, cost];
    }
    return best;
  }

  #move(before: number, verdict: CacheMove["verdict"], reason: string): CacheMove {
    return { before: this.#bytes(before), after: this.#bytes(this.#parts), verdict, reason };
  }

  #bytes(parts: number): number {
    return Math.round((parts / ghostParts) * this.#total);
  }
}

/** Milliseconds of a miss, as it has been lately: a cache that answers everything tells nothing of what a miss costs. */
class MissPrice {
  #misses = 0;
  #ms = 0;

  of({ misses, missMs }: CacheWindow): number {
    this.#misses = remembering * this.#misses + misses;
    this.#ms = remembering * this.#ms + missMs;
    return this.#misses === 0 ? 0 : this.#ms / this.#misses;
  }
}

function pricedBy({ queries, embeddings }: CachesWindow, queryMs: number, embeddingMs: number): Priced {
  const ofQueries = costsOf(queries.depths, queryMs);
  const ofEmbeddings = costsOf(embeddings.depths, embeddingMs);
  return { cost: (parts) => ofQueries(parts) + ofEmbeddings(ghostParts - parts) };
}

/** What misses of a cache of so many parts would have cost. */
function costsOf({ lookups, hits }: GhostDepths, missMs: number): (parts: number) => number {
  let answered = 0;
  const byParts = [lookups * missMs];
  for (const more of hits) {
    answered += more;
    byParts.push(Math.max(0, lookups - answered) * missMs);
  }
  return (parts) => byParts[Math.floor(parts)]!;
}

function costOf(windows: readonly Priced[], parts: number): number {
  return windows.reduce((sum, window) => sum + window.cost(parts), 0);
}

/** What a division cost, what another would have saved of it, and how sure that is. */
function compare(windows: readonly Priced[], parts: number, other: number) {
  const savings = windows.map((window) => window.cost(parts) - window.cost(other));
  return {
    cost: costOf(windows, parts),
    saving: savings.reduce((sum, each) => sum + each, 0),
    t: pairedT(savings),
  };
}

function tell(windows: readonly Priced[], from: number, to: number): string {
  const { cost, saving, t } = compare(windows, from, to);
  const share = cost === 0 ? 0 : (saving / cost) * 100;
  return `misses of ${windows.length} windows: ${cost.toFixed(0)} ms as before, ${(cost - saving).toFixed(0)} ms after (${share.toFixed(1)} % saved; paired t = ${t.toFixed(1)})`;
}
