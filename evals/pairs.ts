import { join } from "node:path";
import { parseArgs } from "node:util";
import { dataFolder } from "../scripts/measurement.ts";
import { readRows } from "./json-lines.ts";
import { areaUnderCurve } from "./metrics.ts";
import { comparePairs, type SentencePair } from "./sentence-pairs.ts";

const sets = ["qqp_dev", "mqp"];

/**
 * Pairs of questions that mean the same or not (Quora Question Pairs; Medical Question Pairs, McCreery et al., 2020):
 * does the cosine stand higher for the same?
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { data: { type: "string" } } });
  const folder = join(dataFolder(values.data), "pairs");
  const rows: { set: string; pairs: number; areaUnderCurve: number; tokenJaccard: number }[] = [];
  const rankings = new Set<string>();
  for (const set of sets) {
    const pairs = readRows<SentencePair & { readonly label: number }>(join(folder, `${set}.jsonl`));
    const same = pairs.map(({ label }) => label === 1);
    const { vector, tokenJaccard, ranking } = await comparePairs(pairs);
    rankings.add(ranking);
    rows.push({
      set,
      pairs: pairs.length,
      areaUnderCurve: areaUnderCurve(vector, same),
      tokenJaccard: areaUnderCurve(tokenJaccard, same),
    });
  }
  return { sets: rows, ranking: [...rankings].join(" ") };
}
