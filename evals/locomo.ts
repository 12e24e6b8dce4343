import { join } from "node:path";
import { parseArgs } from "node:util";
import { dataFolder } from "../scripts/measurement.ts";
import type { RecallMode, Strata } from "../src/index.ts";
import { type Evaluated, evaluatedModel, evaluatedModes, evaluatedOptions } from "./evaluated-model.ts";
import { readRows } from "./json-lines.ts";
import { mean, recallAt } from "./metrics.ts";
import { PlainBm25 } from "./plain-bm25.ts";
import { rankingHash, withMemory } from "./temporary-memory.ts";

/** A turn of a conversation; its id is unique only inside `conv`. */
export interface Turn {
  readonly conv: string;
  readonly id: string;
  readonly session: number;
  readonly iso: string;
  readonly speaker: string;
  readonly text: string;
  readonly dup_of?: unknown;
}

/** A question with the ids of the turns that answer it. */
export interface TurnQuestion {
  readonly conv: string;
  readonly question: string;
  readonly category: number;
  readonly evidence: readonly string[];
  readonly dup_of?: unknown;
}

const k = 10;

/** Recall of one question's evidence. */
interface Outcome {
  readonly category: number;
  readonly recall: number;
}

/**
 * LoCoMo (Maharana et al., ACL 2024): do the first ten hits hold the turns that answer a question? The memory is used
 * as a program would: every turn stored as it comes, every question recalled at the defaults.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: evaluatedOptions });
  const mode = evaluatedModes(values.mode)[0]!;
  const model = await evaluatedModel(values.model);
  return {
    model: values.model,
    mode,
    ...(await evaluateLocomo(dataFolder(values.data), { model, modes: [mode] })),
  };
}

/** Figures of the conversations, for questions of each category and for all. */
export interface LocomoResult {
  readonly turns: number;
  readonly questions: Readonly<Record<string, number>>;
  readonly recallAt10: Readonly<Record<string, number>>;
  readonly plainBm25: Readonly<Record<string, number>>;
  readonly ranking: string;
  readonly seconds: number;
}

/** The first of the modes, in a memory of its own: uses of one mode must not help the next. */
export async function evaluateLocomo(
  data: string,
  { model, modes: [mode = "hybrid"] }: Evaluated,
): Promise<LocomoResult> {
  const folder = join(data, "locomo");
  const turns = readRows<Turn>(join(folder, "turns.jsonl")).filter((turn) => !turn.dup_of);
  const questions = readRows<TurnQuestion>(join(folder, "questions.jsonl")).filter(
    (question) => !question.dup_of && question.evidence.length > 0,
  );
  const start = performance.now();
  const { ranking, outcomes } = await withMemory(
    async (memory) => {
      await storeTurns(memory, turns);
      return { outcomes: await askAll(memory, questions, mode), ranking: await rankingHash(memory) };
    },
    { model },
  );
  return {
    turns: turns.length,
    questions: byCategory(outcomes, (some) => some.length),
    recallAt10: byCategory(outcomes, meanRecall),
    plainBm25: byCategory(baselineOutcomes(turns, questions), meanRecall),
    ranking,
    seconds: (performance.now() - start) / 1_000,
  };
}

async function storeTurns(memory: Strata, turns: readonly Turn[]): Promise<void> {
  for (const { conv, id, session, speaker, iso, text } of turns)
    await memory.store(text, { namespace: conv, id, thread: String(session), speaker, at: iso });
}

async function askAll(
  memory: Strata,
  questions: readonly TurnQuestion[],
  mode: RecallMode,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { conv, question, category, evidence } of questions) {
    const { hits } = await memory.recall(question, { limit: k, namespace: conv, mode });
    const ids = hits.map((hit) => hit.memory.id);
    if (new Set(ids).size < ids.length) throw new Error("One turn stood twice among the hits of a recall.");
    outcomes.push({ category, recall: recallAt(ids, new Set(evidence), k) });
  }
  return outcomes;
}

function baselineOutcomes(turns: readonly Turn[], questions: readonly TurnQuestion[]): Outcome[] {
  const indexes = new Map(
    [...Map.groupBy(turns, (turn) => turn.conv)].map(([conv, own]) => [
      conv,
      new PlainBm25(own.map(({ id, text }) => [id, text])),
    ]),
  );
  return questions.map(({ conv, question, category, evidence }) => ({
    category,
    recall: recallAt(indexes.get(conv)?.search(question, k) ?? [], new Set(evidence), k),
  }));
}

function meanRecall(outcomes: readonly Outcome[]): number {
  return mean(outcomes.map((outcome) => outcome.recall));
}

/** A figure for each category there is, and for all questions together. */
function byCategory(
  outcomes: readonly Outcome[],
  figure: (outcomes: readonly Outcome[]) => number,
): Record<string, number> {
  const categories = [...Map.groupBy(outcomes, (outcome) => outcome.category)].toSorted(([x], [y]) => x - y);
  const rows = categories.map(([category, own]) => [String(category), figure(own)] as const);
  return { ...Object.fromEntries(rows), all: figure(outcomes) };
}
