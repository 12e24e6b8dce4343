import { join } from "node:path";
import { parseArgs } from "node:util";
import { dataFolder } from "../scripts/measurement.ts";
import { type Collection, type CollectionResult, evaluateCollection, gainsByQuestion } from "./collection.ts";
import { type Evaluated, evaluatedModel, evaluatedModes, evaluatedOptions } from "./evaluated-model.ts";
import { readRows } from "./json-lines.ts";

interface Judgement {
  readonly query: string;
  readonly doc: string;
  /** The gain; `code` is the collection's own, which runs the other way. */
  readonly grade: number;
  readonly code: number;
}

/** Marks the paper a question was made from. */
const sourceCode = -1;

/** Cranfield (Cleverdon, 1967): graded relevance of abstracts on aerodynamics, the question's own paper left out. */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: evaluatedOptions });
  const modes = evaluatedModes(values.mode);
  const model = await evaluatedModel(values.model);
  return { model: values.model, ...(await evaluateCranfield(dataFolder(values.data), { model, modes })) };
}

export function evaluateCranfield(data: string, evaluated: Evaluated): Promise<CollectionResult> {
  const folder = join(data, "cranfield");
  const documents = readRows<Collection["documents"][number]>(join(folder, "corpus.jsonl"));
  const queries = readRows<{ readonly id: string; readonly text: string }>(join(folder, "queries.jsonl"));
  const judgements = readRows<Judgement>(join(folder, "qrels.jsonl"));
  const sources = Map.groupBy(
    judgements.filter(({ code }) => code === sourceCode),
    ({ query }) => query,
  );
  const gains = gainsByQuestion(judgements.filter(({ code }) => code !== sourceCode));
  const questions = queries.flatMap(({ id, text }) => {
    const own = gains.get(id);
    return own ? [{ text, gains: own, excluded: new Set(sources.get(id)?.map(({ doc }) => doc)) }] : [];
  });
  return evaluateCollection({ documents, questions }, evaluated);
}
