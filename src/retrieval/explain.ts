import type { HitExplanation, SignalScore } from "../contract/recall.ts";
import type { FusedSignal, Fusion } from "./fuse-signals.ts";
import type { TermMatches } from "./match-terms.ts";
import type { QueryPlan } from "./plan-query.ts";
import type { Ranked } from "./rank-memories.ts";

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
