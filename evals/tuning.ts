import { parseArgs } from "node:util";
import { dataFolder } from "../scripts/measurement.ts";
import { simulatedEmbeddings, simulatedQueries } from "../src/cli/simulated-caches.ts";
import { simulateCaches } from "../src/tuning/simulate-caches.ts";
import { type CacheWorkload, realWorkloads, simulatedWorkloads } from "./cache-workloads.ts";
import { simulatedSearches, tuneRealSearch } from "./search-workloads.ts";

/** Shares of the bytes that the query cache has in fixed settings. */
const shares = [1 / 8, 2 / 8, 3 / 8, 4 / 8, 5 / 8, 6 / 8, 7 / 8];
const dimensions = 384;
/** Worse than the defaults by no more than this, in any workload. */
const bearable = 1.05;

/**
 * What self-tuning is worth: the defaults, the tuned memory and the best fixed setting, on workloads that stay, change and
 * come back, simulated with a fixed seed, and on real ones. Costs are milliseconds of work; ratios are to the defaults.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({
    args,
    options: { data: { type: "string" }, seed: { type: "string", default: "7" } },
  });
  const folder = dataFolder(values.data);
  const seed = Number(values.seed);
  const caches = [...simulatedWorkloads(seed), ...realWorkloads(folder)].map(tuneCaches);
  const searches = [...simulatedSearches(seed), await tuneRealSearch(folder)];
  const ratios = [...caches, ...searches].map(({ tunedRatio }) => tunedRatio);
  return {
    seed,
    caches,
    searches,
    checks: {
      worstRatio: Math.max(...ratios),
      neverWorseByFivePercent: ratios.every((ratio) => ratio <= bearable),
      overlapKept: searches.every(({ overlap, minOverlap }) => overlap >= minOverlap - 0.005),
    },
  };
}

function tuneCaches(workload: CacheWorkload) {
  const play = (share: number, tuned: boolean) =>
    simulateCaches({
      ...workload,
      queries: simulatedQueries(),
      embeddings: simulatedEmbeddings(dimensions),
      queryBytes: Math.floor(workload.totalBytes * share),
      dimensions,
      tuned,
    });
  const defaults = play(0.5, false);
  const tuned = play(0.5, true);
  const fixed = shares.map((share) => ({ share, ms: play(share, false).ms }));
  const best = fixed.reduce((least, each) => (each.ms < least.ms ? each : least));
  const count = (verdict: string): number => tuned.moves.filter((move) => move.verdict === verdict).length;
  return {
    workload: workload.name,
    kind: workload.kind,
    steps: workload.steps.length,
    defaultMs: defaults.ms,
    tunedMs: tuned.ms,
    bestMs: best.ms,
    tunedRatio: tuned.ms / defaults.ms,
    bestRatio: best.ms / defaults.ms,
    bestShare: best.share,
    endShare: tuned.queryBytes / workload.totalBytes,
    tried: count("tried"),
    kept: count("kept"),
    takenBack: count("taken back"),
  };
}
