import type { Memory } from "../contract/memory.ts";
import type { RankingOptions } from "../contract/ranking.ts";
import type { HitExplanation } from "../contract/recall.ts";
import { utcDay } from "../contract/relevance.ts";
import { bestSlots } from "./best-slots.ts";
import type { TimeRange } from "./time-range.ts";

type Bonuses = HitExplanation["bonuses"];

/** Days after which a use adds nothing any more. */
const recentDays = 10;
/** Uses from which on more add nothing. */
const manyUses = 10;

/** What a memory's own facts add to its fused score. */
export function bonusesOf(
  facts: Pick<Memory, "importance" | "accessCount" | "lastUsedAt" | "createdAt" | "at">,
  speaker: number,
  ranking: RankingOptions,
  now: number,
  time: TimeRange | undefined,
): Bonuses {
  const happened = facts.at ?? facts.createdAt;
  const age = Math.max(0, utcDay(now) - utcDay(facts.lastUsedAt));
  return {
    importance: ranking.importanceBonus * facts.importance,
    recency: ranking.recencyBonus * Math.max(0, 1 - age / recentDays),
    access: ranking.accessBonus * Math.min(1, facts.accessCount / manyUses),
    speaker,
    time: time && happened >= time.from && happened < time.to ? ranking.timeBonus : 0,
  };
}

/** The most that what only the store knows of a memory can add. */
function mostBonus(ranking: RankingOptions, time: TimeRange | undefined): number {
  const always = ranking.recencyBonus + ranking.accessBonus;
  // Sums may be rounded otherwise than scores are.
  return (time ? always + ranking.timeBonus : always) + 1e-9;
}

function sumOf({ importance, recency, access, speaker, time }: Bonuses): number {
  return importance + recency + access + speaker + time;
}

/** Candidates before they are read, by place in the fusion. */
export interface Candidates {
  readonly rows: Float64Array;
  /** Fused scores. */
  readonly scores: Float64Array;
  readonly speakerBonuses: Float64Array;
  readonly importances: Float64Array;
  /** So many of them were fused; the others follow these, in the order given. */
  readonly fused: number;
  /** 1 for those that take part. */
  readonly taking: Uint8Array;
}

/** A candidate that is visible, in its place. */
export interface Ranked {
  readonly row: number;
  /** Place in the fusion. */
  readonly place: number;
  readonly fused: number;
  readonly score: number;
  readonly bonuses: Bonuses;
}

/** Memories read at first beyond the limit, at most, and at once afterwards. */
const readAtOnce = 16;

/**
 * Ranks candidates while reading as few memories as can be: in order of what is known of them, until no other could
 * still come among the best `limit`.
 * @param read Memories in the order of their rows; undefined where none is visible.
 * @returns The best, and the rows that turned out to be invisible.
 */
export async function rankMemories(
  candidates: Candidates,
  limit: number,
  ranking: RankingOptions,
  now: number,
  time: TimeRange | undefined,
  read: (rows: readonly number[]) => Promise<readonly (Memory | undefined)[]>,
): Promise<{ ranked: Ranked[]; invisible: number[] }> {
  const { rows, scores, speakerBonuses, importances, taking } = candidates;
  /** What is known before they are read. */
  const known = new Float64Array(candidates.fused);
  for (let place = 0; place < known.length; place++) {
    known[place] =
      taking[place] === 1
        ? scores[place]! + speakerBonuses[place]! + ranking.importanceBonus * importances[place]!
        : Number.NEGATIVE_INFINITY;
  }
  const inOrder = (count: number): Uint32Array =>
    bestSlots({ scores: known, above: Number.NEGATIVE_INFINITY }, count, rows).slots;
  const most = mostBonus(ranking, time);
  // Places in this order, as many as are usually enough; where they are not, all.
  const first = limit + readAtOnce + 1;
  let order = inOrder(first);
  // Read at first: those that come among the best unless others of the best are invisible.
  let size = limit;
  while (size < order.length - 1 && known[order[size]!]! + most >= known[order[limit - 1]!]!) size++;
  const ranked: Ranked[] = [];
  const invisible: number[] = [];

  const visible = async (places: Uint32Array): Promise<Ranked[]> => {
    const asked = Array.from(places, (place) => rows[place]!);
    const memories = await read(asked);
    const found: Ranked[] = [];
    for (let at = 0; at < asked.length; at++) {
      const row = asked[at]!;
      const memory = memories[at];
      if (!memory) {
        invisible.push(row);
        continue;
      }
      const place = places[at]!;
      const fused = scores[place]!;
      const bonuses = bonusesOf(memory, speakerBonuses[place]!, ranking, now, time);
      found.push({ row, place, fused, bonuses, score: fused + sumOf(bonuses) });
    }
    return found;
  };

  for (let at = 0; at < order.length; ) {
    const least = ranked[limit - 1];
    if (least && known[order[at]!]! + most < least.score) break;
    if (at + size > order.length && order.length === first) order = inOrder(known.length);
    ranked.push(...(await visible(order.subarray(at, at + size))));
    ranked.sort((a, b) => b.score - a.score || b.row - a.row);
    at += size;
    size = readAtOnce;
  }
  ranked.length = Math.min(ranked.length, limit);
  const fillers = Uint32Array.from(rows.keys())
    .subarray(known.length)
    .filter((place) => taking[place] === 1);
  for (let at = 0; at < fillers.length && ranked.length < limit; at += limit) {
    const found = await visible(fillers.subarray(at, at + limit));
    for (const filler of found.slice(0, limit - ranked.length)) {
      // Whatever its own score would be, it stands behind those that were fused.
      const score = Math.min(filler.score, ranked.at(-1)?.score ?? filler.score);
      ranked.push({ ...filler, score });
    }
  }
  return { ranked, invisible };
}
