import { createHash } from "node:crypto";
import { StrataError } from "../contract/errors.ts";

/** What orders the answers. The same for every namespace, whatever it holds. */
export interface RankingOptions {
  /** Share of the vector signal in the fused score, before it falls with what the model does not know. */
  readonly vectorWeight: number;
  readonly keywordWeight: number;
  /** Best memories of each signal that are weighed against each other; does not depend on a call's limit. */
  readonly candidates: number;
  /** BM25's saturation of repeated words (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009). */
  readonly k1: number;
  /** BM25's weight of a text's length, 0..1. */
  readonly b: number;
  /** Terms of a question that are looked up; of more, the rarest. */
  readonly maxTerms: number;
  /** Most that is added to a fused score for an importance of 1. */
  readonly importanceBonus: number;
  /** Most that is added for a use today; it falls to 0 over ten days. */
  readonly recencyBonus: number;
  /** Most that is added for ten uses or more. */
  readonly accessBonus: number;
  /** Added to what the one speaker said whom a question names. */
  readonly speakerBonus: number;
}

/** Chosen on development data: docs/decisions/0002-fusion-weights.md. */
export const defaultRanking: RankingOptions = {
  vectorWeight: 0.4,
  keywordWeight: 0.6,
  candidates: 100,
  k1: 1.2,
  b: 0.75,
  maxTerms: 64,
  importanceBonus: 0.05,
  recencyBonus: 0.03,
  accessBonus: 0.02,
  speakerBonus: 0.1,
};

const ranges: Readonly<Record<keyof RankingOptions, readonly [number, number]>> = {
  vectorWeight: [0, 1],
  keywordWeight: [0, 1],
  candidates: [1, 10_000],
  k1: [0, 10],
  b: [0, 1],
  maxTerms: [1, 1_000],
  importanceBonus: [0, 1],
  recencyBonus: [0, 1],
  accessBonus: [0, 1],
  speakerBonus: [0, 1],
};

/** The given options over the defaults. @throws INVALID_ARGUMENT, UNKNOWN_OPTION */
export function checkRanking(given: Partial<RankingOptions> = {}): RankingOptions {
  for (const [name, value] of Object.entries(given)) {
    if (!(name in ranges)) {
      const known = Object.keys(ranges).join(", ");
      throw new StrataError("UNKNOWN_OPTION", `No ranking option is called "${name}"; there are ${known}.`);
    }
    const [least, most] = ranges[name as keyof RankingOptions];
    const whole = name !== "candidates" && name !== "maxTerms" ? true : Number.isInteger(value);
    if (!(value >= least && value <= most && whole)) {
      throw new StrataError(
        "INVALID_ARGUMENT",
        `Ranking option ${name}: expected ${least} to ${most}, got ${value}.`,
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
