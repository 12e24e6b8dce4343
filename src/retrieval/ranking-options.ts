import { createHash } from "node:crypto";
import { StrataError } from "../contract/errors.ts";
import type { RankingOptions } from "../contract/ranking.ts";

/** Chosen on development data: docs/decisions/0002-fusion-weights.md and 0006-late-interaction.md. */
export const defaultRanking: RankingOptions = {
  vectorWeight: 0.4,
  keywordWeight: 0.5,
  lateWeight: 0.2,
  candidates: 100,
  vectorBreadth: 1,
  lateDepth: 50,
  lateDimensions: 64,
  k1: 1.2,
  b: 0.75,
  maxTerms: 64,
  importanceBonus: 0.05,
  recencyBonus: 0.03,
  accessBonus: 0.02,
  speakerBonus: 0.1,
  timeBonus: 0.15,
  rerankDepth: 30,
};

const ranges: Readonly<Record<keyof RankingOptions, readonly [number, number]>> = {
  vectorWeight: [0, 1],
  keywordWeight: [0, 1],
  lateWeight: [0, 1],
  candidates: [1, 10_000],
  vectorBreadth: [0.25, 16],
  lateDepth: [1, 1_000],
  lateDimensions: [8, 4_096],
  k1: [0, 10],
  b: [0, 1],
  maxTerms: [1, 1_000],
  importanceBonus: [0, 1],
  recencyBonus: [0, 1],
  accessBonus: [0, 1],
  speakerBonus: [0, 1],
  timeBonus: [0, 1],
  rerankDepth: [1, 1_000],
};
const whole: ReadonlySet<string> = new Set([
  "candidates",
  "lateDepth",
  "lateDimensions",
  "maxTerms",
  "rerankDepth",
]);

/** The given options over the defaults. @throws INVALID_ARGUMENT, UNKNOWN_OPTION */
export function checkRanking(given: Partial<RankingOptions> = {}): RankingOptions {
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(ranges, name)) {
      const known = Object.keys(ranges).join(", ");
      throw new StrataError("UNKNOWN_OPTION", `No ranking option is called "${name}"; there are ${known}.`);
    }
    const [least, most] = ranges[name as keyof RankingOptions];
    const fits = typeof value === "number" && value >= least && value <= most;
    if (!fits || (whole.has(name) && !Number.isInteger(value))) {
      const got = typeof value === "number" ? String(value) : `a ${typeof value}`;
      throw new StrataError(
        "INVALID_ARGUMENT",
        `Ranking option ${name}: expected ${whole.has(name) ? "a whole number " : ""}${least} to ${most}, got ${got}.`,
      );
    }
  }
  return { ...defaultRanking, ...given };
}

/** Short hash of all ranking options: equal exactly when they are. */
export function hashRanking(ranking: RankingOptions): string {
  const sorted = Object.entries(ranking).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex").slice(0, 12);
}
