import type { RankingOptions } from "../contract/ranking.ts";
import type { FusedSignal } from "./fuse-signals.ts";
import type { LateInteraction } from "./late-interaction.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import type { Weighed } from "./weigh-candidates.ts";

/** A comparison whose texts are not all known yet. */
export interface Comparison {
  /** Places in the fusion of the candidates to compare, best first. */
  readonly places: readonly number[];
  readonly rows: readonly number[];
  readonly keys: readonly number[];
  readonly weight: number;
  score(pieces: readonly (Uint32Array | undefined)[]): Float64Array;
}

/**
 * Chooses what late interaction looks at: the best fused candidates, however many are asked for. To be called before
 * the index may change; undefined where there is nothing to compare.
 */
export function prepareComparison(
  late: LateInteraction,
  index: NamespaceIndex,
  { plan, fusion }: Weighed,
  ranking: RankingOptions,
): Comparison | undefined {
  const question = late.questionPieces(plan.words);
  const weight = ranking.lateWeight * question.knownShare;
  if (!(weight > 0) || fusion.fused === 0) return undefined;
  const { rows } = index.columns.arrays;
  const rowAt = (place: number): number => rows[fusion.slots[place]!]!;
  const places = Array.from({ length: fusion.fused }, (_, place) => place)
    .sort((a, b) => fusion.scores[b]! - fusion.scores[a]! || rowAt(b) - rowAt(a))
    .slice(0, ranking.lateDepth);
  return {
    places,
    rows: places.map(rowAt),
    keys: places.map((place) => late.keyOf(index.columns, fusion.slots[place]!)),
    weight,
    score: (pieces) => late.scores(question, pieces),
  };
}

/**
 * Reads what is not known of the texts and compares: the signal over all candidates of the fusion, divided by its
 * greatest value, 0 for those it did not look at.
 * @param readTexts Texts of rows, in their order; undefined where none is visible.
 */
export async function comparePieces(
  late: LateInteraction,
  { places, rows, keys, weight, score }: Comparison,
  candidates: number,
  readTexts: (rows: readonly number[]) => Promise<readonly (string | undefined)[]>,
): Promise<FusedSignal> {
  const pieces = keys.map((key) => late.kept(key));
  const missing = pieces.flatMap((known, at) => (known ? [] : [at]));
  if (missing.length > 0) {
    const texts = await readTexts(missing.map((at) => rows[at]!));
    missing.forEach((at, i) => {
      const text = texts[i];
      if (text !== undefined) pieces[at] = late.keep(keys[at]!, text);
    });
  }
  const scores = score(pieces);
  const greatest = scores.reduce((most, each) => Math.max(most, each), 0);
  const raw = new Float64Array(candidates);
  const normalized = new Float64Array(candidates);
  let found = 0;
  places.forEach((place, at) => {
    raw[place] = scores[at]!;
    normalized[place] = greatest > 0 ? scores[at]! / greatest : 0;
    if (scores[at]! > 0) found++;
  });
  return { name: "late", weight, found, raw, normalized };
}
