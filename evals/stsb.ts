import { join } from "node:path";
import { parseArgs } from "node:util";
import { dataFolder } from "../scripts/measurement.ts";
import { readRows } from "./json-lines.ts";
import { spearman } from "./metrics.ts";
import { comparePairs, type SentencePair } from "./sentence-pairs.ts";

/** STS benchmark (Cer et al., SemEval 2017), development split: does the cosine order pairs as people do? */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { data: { type: "string" } } });
  const path = join(dataFolder(values.data), "stsb/dev.jsonl");
  const pairs = readRows<SentencePair & { readonly score: number }>(path);
  const scores = pairs.map(({ score }) => score);
  const { vector, tokenJaccard, ranking } = await comparePairs(pairs);
  return {
    pairs: pairs.length,
    spearman: spearman(vector, scores),
    tokenJaccard: spearman(tokenJaccard, scores),
    ranking,
  };
}
