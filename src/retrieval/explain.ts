import type { Explanation, HitExplanation, SignalScore } from "../contract/recall.ts";
import type { FusedSignal, Fusion } from "./fuse-signals.ts";
import type { TermMatches } from "./match-terms.ts";
import type { QueryPlan } from "./plan-query.ts";
import type { Ranked } from "./rank-memories.ts";
import type { Question, Weighed } from "./weigh-candidates.ts";

const silent: SignalScore = { raw: 0, normalized: 0 };

/** Why a memory stands where it stands. */
export function explainHit(
  ranked: Ranked,
  fusion: Fusion,
  plan: QueryPlan,
  match: TermMatches,
): HitExplanation {
  const words = (numbers: readonly number[]): string[] => numbers.map((number) => plan.terms[number]!.word);
  return {
    vector: signalScore(fusion, "vector", ranked.place),
    keyword: signalScore(fusion, "keyword", ranked.place),
    late: signalScore(fusion, "late", ranked.place),
    matchedTerms: words(match.content),
    contextTerms: words(match.context),
    fused: ranked.fused,
    bonuses: ranked.bonuses,
  };
}

function signalScore(fusion: Fusion, name: FusedSignal["name"], place: number): SignalScore {
  const signal = fusion.signals.find((each) => each.name === name);
  if (!signal) return silent;
  const raw = signal.raw[place]!;
  const normalized = signal.normalized[place]!;
  if (!(raw > 0)) return { raw, normalized };
  let rank = 1;
  for (let i = 0; i < fusion.fused; i++) if (signal.raw[i]! > raw) rank++;
  return { raw, normalized, rank };
}

/** What the signals have to say of the whole answer. */
export function explainRecall(
  question: Question,
  { plan, fusion, underMinScore, otherModel, withoutVector, keywordPath }: Weighed,
  hidden: number,
): Omit<Explanation, "stages" | "ranking" | "request"> {
  const signal = (name: FusedSignal["name"]): FusedSignal | undefined =>
    fusion.signals.find((each) => each.name === name);
  const [vector, keyword, late] = [signal("vector"), signal("keyword"), signal("late")];
  const dropped = [
    { reason: "under minScore", count: underMinScore },
    { reason: "not visible any more", count: hidden },
    { reason: "vector of another model", count: otherModel },
    { reason: "no vector", count: withoutVector },
    { reason: "terms beyond the most that are looked up", count: plan.surplusTerms },
  ];
  return {
    mode: question.mode,
    terms: { used: plan.terms.map(({ word }) => word), unknown: plan.unknownWords },
    weights: { vector: vector?.weight ?? 0, keyword: keyword?.weight ?? 0, late: late?.weight ?? 0 },
    unknownShare: question.unknownShare,
    candidates: {
      vector: vector?.found ?? 0,
      keyword: keyword?.found ?? 0,
      late: late?.found ?? 0,
      fused: fusion.fused,
    },
    path: { vector: vector?.path ?? "none", keyword: keyword ? keywordPath : "none" },
    dropped: dropped.filter(({ count }) => count > 0),
  };
}

/** Times the steps of one answer. */
export class StageTimer {
  readonly stages: { name: string; ms: number }[] = [];
  readonly #monotonic: () => number;
  readonly #onEnd: (name: string, ms: number) => void;
  #last: number;

  constructor(monotonic: () => number, onEnd: (name: string, ms: number) => void) {
    this.#monotonic = monotonic;
    this.#onEnd = onEnd;
    this.#last = monotonic();
  }

  /** Ends the stage of that name; a stage that comes again adds to its time. */
  end(name: string): void {
    const now = this.#monotonic();
    const ms = now - this.#last;
    this.#last = now;
    const known = this.stages.find((stage) => stage.name === name);
    if (known) known.ms += ms;
    else this.stages.push({ name, ms });
    this.#onEnd(name, ms);
  }
}
