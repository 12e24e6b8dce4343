import type { RankingOptions } from "../contract/ranking.ts";
import { bestUnordered } from "./best-slots.ts";
import type { FusedSignal } from "./fuse-signals.ts";
import type { LateInteraction } from "./late-interaction.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import type { Weighed } from "./weigh-candidates.ts";

/** A comparison whose texts are not all known yet. */
export interface Comparison {
  /** Places in the fusion of the candidates to compare. */
  readonly places: Uint32Array;
  readonly rows: readonly number[];
  /** Of the same candidates, and what gives them their meaning. */
  readonly slots: Uint32Array;
  readonly family: object;
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
  { plan, fusion, candidates }: Weighed,
  ranking: RankingOptions,
): Comparison | undefined {
  const question = late.questionPieces(plan.words);
  const weight = ranking.lateWeight * question.knownShare;
  if (!(weight > 0) || fusion.fused === 0) return undefined;
  const scores = fusion.scores.subarray(0, fusion.fused);
  const { slots: places } = bestUnordered(
    { scores, above: Number.NEGATIVE_INFINITY },
    ranking.lateDepth,
    candidates.rows,
  );
  return {
    places,
    rows: Array.from(places, (place) => candidates.rows[place]!),
    slots: places.map((place) => fusion.slots[place]!),
    family: index.columns,
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
  { places, rows, slots, family, weight, score }: Comparison,
  candidates: number,
  readTexts: (rows: readonly number[]) => Promise<readonly (string | undefined)[]>,
): Promise<FusedSignal> {
  const pieces = late.kept(family, slots);
  const missing: number[] = [];
  for (let at = 0; at < pieces.length; at++) if (pieces[at] === undefined) missing.push(at);
  if (missing.length > 0) {
    const texts = await readTexts(missing.map((at) => rows[at]!));
    missing.forEach((at, i) => {
      const text = texts[i];
      if (text !== undefined) pieces[at] = late.keep(family, slots[at]!, text);
    });
  }
  const scores = score(pieces);
  let greatest = 0;
  for (let at = 0; at < scores.length; at++) greatest = Math.max(greatest, scores[at]!);
  const raw = new Float64Array(candidates);
  const normalized = new Float64Array(candidates);
  let found = 0;
  for (let at = 0; at < scores.length; at++) {
    const place = places[at]!;
    raw[place] = scores[at]!;
    normalized[place] = greatest > 0 ? scores[at]! / greatest : 0;
    if (scores[at]! > 0) found++;
  }
  return { name: "late", weight, found, raw, normalized };
}
