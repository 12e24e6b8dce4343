import { join } from "node:path";
import { parseArgs } from "node:util";
import { dataFolder } from "../scripts/measurement.ts";
import { type Collection, evaluateCollection, gainsByQuestion } from "./collection.ts";
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
export function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { data: { type: "string" } } });
  const folder = join(dataFolder(values.data), "scifact");
  const documents = readRows<Collection["documents"][number]>(join(folder, "corpus.jsonl"));
  const claims = readRows<{ readonly id: string; readonly text: string }>(join(folder, "queries.jsonl"));
  const judgements = readRows<Judgement>(join(folder, "qrels.jsonl"));
  const gains = gainsByQuestion(judgements.filter((judgement) => judgement.split === split));
  const questions = claims.flatMap(({ id, text }) => {
    const own = gains.get(id);
    return own ? [{ text, gains: own, excluded: new Set<string>() }] : [];
  });
  return evaluateCollection({ documents, questions });
}
