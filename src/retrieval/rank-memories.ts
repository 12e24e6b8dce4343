import type { RowFacts } from "../contract/memory-store.ts";
import type { RankingOptions } from "../contract/ranking.ts";
import type { HitExplanation } from "../contract/recall.ts";
import { utcDay } from "../contract/relevance.ts";
import type { TimeRange } from "./time-range.ts";

type Bonuses = HitExplanation["bonuses"];

/** Days after which a use adds nothing any more. */
const recentDays = 10;
/** Uses from which on more add nothing. */
const manyUses = 10;

/** What a memory's own facts add to its fused score. */
export function bonusesOf(
  facts: Pick<RowFacts, "importance" | "accessCount" | "lastUsedAt" | "createdAt" | "at">,
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

/** The most that the facts of a memory can add. */
export function mostBonus(ranking: RankingOptions, time: TimeRange | undefined): number {
  const always = ranking.importanceBonus + ranking.recencyBonus + ranking.accessBonus;
  return time ? always + ranking.timeBonus : always;
}

function sumOf({ importance, recency, access, speaker, time }: Bonuses): number {
  return importance + recency + access + speaker + time;
}

/** A candidate before its facts are known. */
export interface Candidate {
  readonly row: number;
  /** Place in the fusion. */
  readonly place: number;
  readonly fused: number;
  readonly speakerBonus: number;
  /** Follows all fused candidates, in the order given. */
  readonly filler: boolean;
}

/** A candidate that is visible, in its place. */
export interface Ranked extends Candidate {
  readonly score: number;
  readonly bonuses: Bonuses;
}

/**
 * Ranks candidates while reading as few facts as can be: in order of what is known of them, until no other could
 * still come among the best `limit`.
 * @param candidates All of them; they are put in order here.
 * @param readFacts Facts of rows that are visible.
 * @returns The best, and the rows that turned out to be invisible.
 */
export async function rankMemories(
  candidates: readonly Candidate[],
  limit: number,
  ranking: RankingOptions,
  now: number,
  time: TimeRange | undefined,
  readFacts: (rows: readonly number[]) => Promise<readonly RowFacts[]>,
): Promise<{ ranked: Ranked[]; invisible: number[] }> {
  const known = (candidate: Candidate): number => candidate.fused + candidate.speakerBonus;
  const fused = candidates
    .filter((candidate) => !candidate.filler)
    .sort((a, b) => known(b) - known(a) || b.row - a.row);
  const fillers = candidates.filter((candidate) => candidate.filler);
  const ranked: Ranked[] = [];
  const invisible: number[] = [];
  const most = mostBonus(ranking, time);

  const visible = async (batch: readonly Candidate[]): Promise<Ranked[]> => {
    const facts = new Map((await readFacts(batch.map(({ row }) => row))).map((fact) => [fact.row, fact]));
    const found: Ranked[] = [];
    for (const candidate of batch) {
      const fact = facts.get(candidate.row);
      if (!fact) {
        invisible.push(candidate.row);
        continue;
      }
      const bonuses = bonusesOf(fact, candidate.speakerBonus, ranking, now, time);
      const score = candidate.fused + sumOf(bonuses);
      found.push({ ...candidate, bonuses, score });
    }
    return found;
  };

  for (let at = 0; at < fused.length; ) {
    const least = ranked[limit - 1];
    if (least && known(fused[at]!) + most < least.score) break;
    const size = least ? 16 : limit + 16;
    ranked.push(...(await visible(fused.slice(at, at + size))));
    ranked.sort((a, b) => b.score - a.score || b.row - a.row);
    at += size;
  }
  ranked.length = Math.min(ranked.length, limit);
  for (let at = 0; at < fillers.length && ranked.length < limit; at += limit) {
    const found = await visible(fillers.slice(at, at + limit));
    for (const filler of found.slice(0, limit - ranked.length)) {
      // Whatever its own score would be, it stands behind those that were fused.
      const score = Math.min(filler.score, ranked.at(-1)?.score ?? filler.score);
      ranked.push({ ...filler, score });
    }
  }
  return { ranked, invisible };
}
