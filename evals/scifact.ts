import { join } from "node:path";
import { parseArgs } from "node:util";
import { dataFolder } from "../scripts/measurement.ts";
import { type Collection, type CollectionResult, evaluateCollection, gainsByQuestion } from "./collection.ts";
import { type Evaluated, evaluatedModel, evaluatedModes, evaluatedOptions } from "./evaluated-model.ts";
import { readRows } from "./json-lines.ts";

interface Judgement {
  readonly query: string;
  readonly doc: string;
  readonly grade: number;
  readonly split: string;
}

/** BEIR's test set is called so here. */
const split = "dev";

/**
 * SciFact (Wadden et al., EMNLP 2020): which abstracts support or contradict a claim? A contradicting one is relevant
 * too.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: evaluatedOptions });
  const modes = evaluatedModes(values.mode);
  const model = await evaluatedModel(values.model);
  return { model: values.model, ...(await evaluateSciFact(dataFolder(values.data), { model, modes })) };
}

export function evaluateSciFact(data: string, evaluated: Evaluated): Promise<CollectionResult> {
  const folder = join(data, "scifact");
  const documents = readRows<Collection["documents"][number]>(join(folder, "corpus.jsonl"));
  const claims = readRows<{ readonly id: string; readonly text: string }>(join(folder, "queries.jsonl"));
  const judgements = readRows<Judgement>(join(folder, "qrels.jsonl"));
  const gains = gainsByQuestion(judgements.filter((judgement) => judgement.split === split));
  const questions = claims.flatMap(({ id, text }) => {
    const own = gains.get(id);
    return own ? [{ text, gains: own, excluded: new Set<string>() }] : [];
  });
  return evaluateCollection({ documents, questions }, evaluated);
}
