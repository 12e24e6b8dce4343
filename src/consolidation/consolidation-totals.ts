import type { MoveAction } from "../contract/consolidation.ts";
import { type Tier, tiers } from "../contract/tier.ts";
import type { ConsolidationReport, ConsolidationStats, PassStage } from "./consolidation-report.ts";

/** Adds up what passes did. */
export class ConsolidationTotals {
  #passes = 0;
  #failed = 0;
  #totalMs = 0;
  #lastAt: number | undefined;
  readonly #moves = { promote: 0, demote: 0, merge: 0, evict: 0, expire: 0 };
  readonly #promotions = Object.fromEntries(tiers.map((tier) => [tier, 0])) as Record<Tier, number>;
  readonly #stagesMs: Partial<Record<PassStage, number>> = {};

  /** @param now Milliseconds since 1970. */
  add({ counts, movedTo, durationMs, stagesMs }: ConsolidationReport, now: number): void {
    this.#passes += 1;
    this.#totalMs += durationMs;
    this.#lastAt = now;
    for (const kind of Object.keys(counts) as (keyof typeof counts)[]) this.#moves[kind] += counts[kind];
    for (const tier of tiers) this.#promotions[tier] += movedTo.promote[tier];
    for (const [stage, ms] of Object.entries(stagesMs) as [PassStage, number][]) {
      this.#stagesMs[stage] = (this.#stagesMs[stage] ?? 0) + ms;
    }
  }

  /** A move that was made on request, and what it pushed out. */
  addMove({ kind, to }: MoveAction, evicted: number): void {
    this.#moves[kind] += 1;
    this.#moves.evict += evicted;
    if (kind === "promote") this.#promotions[to] += 1;
  }

  fail(): void {
    this.#failed += 1;
  }

  get stats(): ConsolidationStats {
    return {
      totalConsolidations: this.#passes,
      totalPromotions: this.#moves.promote,
      promotionsByTier: { ...this.#promotions },
      moves: { ...this.#moves },
      averageTimeMs: this.#passes === 0 ? 0 : this.#totalMs / this.#passes,
      timeByStageMs: { ...this.#stagesMs },
      ...(this.#lastAt !== undefined && { lastConsolidationAt: this.#lastAt }),
      failedPasses: this.#failed,
    };
  }
}
