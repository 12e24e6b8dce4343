import type { RankingOptions } from "../contract/ranking.ts";
import type { RecallMode } from "../contract/recall.ts";
import type { Analyzer } from "./analyzer.ts";
import { vectorStates } from "./columns.ts";
import { type Allowed, keywordSignal, type Signal, selectSlots, vectorSignal } from "./find-candidates.ts";
import { type FusedSignal, type Fusion, fuseSignals } from "./fuse-signals.ts";
import { matchedShare, matchTerms, type TermMatches } from "./match-terms.ts";
import type { NamespaceIndex } from "./namespace-index.ts";
import { planQuery, type QueryPlan } from "./plan-query.ts";
import type { Candidates } from "./rank-memories.ts";
import type { Selection } from "./selections.ts";

/** A question as it is asked of an index. */
export interface Question {
  readonly text: string;
  readonly mode: RecallMode;
  /** Null when the model knows nothing in it, or is not asked. */
  readonly vector: Float32Array | null;
  /** Share 0..1 of the question's pieces the model does not know. */
  readonly unknownShare: number;
}

/** How candidates are weighed. */
export interface Weighing {
  readonly analyzer: Analyzer;
  readonly ranking: RankingOptions;
  readonly selection: {
    readonly allowed: Allowed;
    /** Rows found to be invisible. */
    readonly hidden: ReadonlySet<number>;
  };
  readonly limit: number;
  readonly minScore: number;
  readonly explain: boolean;
}

/** All that the index has to say to a question; the index is not needed any more. */
export interface Weighed {
  readonly plan: QueryPlan;
  readonly fusion: Fusion;
  readonly candidates: Candidates;
  /** By place in the fusion; empty unless the call explains or has a `minScore`. */
  readonly matches: readonly TermMatches[];
  readonly underMinScore: number;
  /** Memories that may be found, and whose vectors of other models could not be compared with the question's. */
  readonly otherModel: number;
  readonly withoutVector: number;
  readonly keywordPath: "memory" | "disk";
}

/** Plans, finds and fuses, in one step that nothing interrupts: the index may change as soon as others run. */
export function weighCandidates(index: NamespaceIndex, question: Question, weighing: Weighing): Weighed {
  const { analyzer, ranking, limit, minScore, explain } = weighing;
  const plan = planQuery(question.text, analyzer, index, ranking.maxTerms);
  const selection = selectSlots(index, weighing.selection.allowed, weighing.selection.hidden);
  const signals: Signal[] = [];
  const alone = question.mode !== "hybrid";
  if (question.vector && question.mode !== "keyword") {
    const weight = alone ? 1 : ranking.vectorWeight * (1 - question.unknownShare);
    signals.push(vectorSignal(index, question.vector, selection, weight, ranking.vectorBreadth));
  }
  if (question.mode !== "vector") {
    signals.push(keywordSignal(index, plan, ranking, selection, alone ? 1 : ranking.keywordWeight));
  }
  const fusion = fuseSignals(signals, ranking.candidates, limit);
  const matches = explain || minScore > 0 ? matchTerms(index, plan, fusion.slots) : [];

  const { rows, speakers, importances } = index.columns.arrays;
  const cosines = fusion.signals.find(({ name }) => name === "vector")?.raw;
  const { slots } = fusion;
  const speakerBonuses = new Float64Array(slots.length);
  const candidateRows = new Float64Array(slots.length);
  const candidateImportances = new Float64Array(slots.length);
  const taking = new Uint8Array(slots.length).fill(1);
  let underMinScore = 0;
  for (let place = 0; place < slots.length; place++) {
    const slot = slots[place]!;
    candidateRows[place] = rows[slot]!;
    candidateImportances[place] = importances[slot]!;
    if (plan.speaker > 0 && speakers[slot] === plan.speaker) speakerBonuses[place] = ranking.speakerBonus;
    if (!(minScore > 0)) continue;
    const likeness = Math.max(cosines?.[place] ?? 0, matchedShare(plan, matches[place]!));
    if (likeness >= minScore) continue;
    taking[place] = 0;
    underMinScore++;
  }
  const { fused, scores } = fusion;
  return {
    plan,
    fusion,
    candidates: {
      rows: candidateRows,
      scores,
      speakerBonuses,
      importances: candidateImportances,
      fused,
      taking,
    },
    matches,
    underMinScore,
    otherModel:
      question.vector && question.mode !== "keyword"
        ? countStates(index, selection, vectorStates.otherModel, index.otherModel)
        : 0,
    withoutVector: explain ? countStates(index, selection, vectorStates.none, index.withoutVector) : 0,
    keywordPath: index.postings.onDisk ? "disk" : "memory",
  };
}

/** The same with one signal more: candidates rise by what it says of them. */
export function addSignal(weighed: Weighed, signal: FusedSignal): Weighed {
  const { fusion, candidates } = weighed;
  const scores = new Float64Array(fusion.scores.length);
  for (let place = 0; place < scores.length; place++) {
    scores[place] = fusion.scores[place]! + signal.weight * signal.normalized[place]!;
  }
  return {
    ...weighed,
    fusion: { ...fusion, scores, signals: [...fusion.signals, signal] },
    candidates: { ...candidates, scores },
  };
}

/** Memories of the selection that have this for a vector. Costs nothing where there are none, as there hardly ever are. */
function countStates(index: NamespaceIndex, { slots, mask }: Selection, state: number, all: number): number {
  if (all === 0 || mask === index.live) return all;
  const { vectors } = index.columns.arrays;
  let count = 0;
  const look = (slot: number): void => {
    if (mask[slot] === 1 && vectors[slot] === state) count++;
  };
  if (slots) for (let at = 0; at < slots.length; at++) look(slots[at]!);
  else for (let slot = 0; slot < index.columns.size; slot++) look(slot);
  return count;
}
