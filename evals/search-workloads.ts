import { join } from "node:path";
import type { SearchBreadth } from "../src/contract/tuning.ts";
import type { OpenOptions, Strata } from "../src/index.ts";
import { type SearchMove, SearchTuner } from "../src/tuning/search-tuner.ts";
import { seededRandom } from "../src/tuning/seeded-random.ts";
import { readRows } from "./json-lines.ts";
import { withMemory } from "./temporary-memory.ts";

const widest: SearchBreadth = { candidates: 100, vectorBreadth: 1 };
const minOverlap = 0.98;
const recalls = 60_000;
const narrower = [1, 0.75, 0.5];
const settings = narrower.flatMap((share) =>
  narrower.map((vectorBreadth) => ({ candidates: 100 * share, vectorBreadth })),
);

/** How recalls of a memory behave: what they cost and what they find, at a point 0..1 of the workload. */
interface SearchWorkload {
  readonly name: string;
  ms(breadth: SearchBreadth, at: number): number;
  /** Mean share of the best hits that a narrower search finds. */
  overlap(breadth: SearchBreadth, at: number): number;
  /** Standard deviation of the logarithm of a recall's time. */
  readonly noise: number;
}

const workloads: readonly SearchWorkload[] = [
  {
    name: "candidates cost most",
    ms: ({ candidates }) => 0.3 + candidates * 0.006,
    overlap: ({ candidates }) => (candidates >= 75 ? 0.998 : 0.993),
    noise: 0.4,
  },
  {
    name: "vectors cost most",
    ms: ({ candidates, vectorBreadth }) => 0.3 + candidates * 0.0005 + vectorBreadth * 4,
    overlap: ({ vectorBreadth }) => 1 - 0.01 * (1 - vectorBreadth),
    noise: 0.4,
  },
  {
    name: "narrower finds less",
    ms: ({ candidates }) => 0.3 + candidates * 0.006,
    overlap: ({ candidates, vectorBreadth }) => 1 - (100 - candidates) / 500 - (1 - vectorBreadth) / 10,
    noise: 0.4,
  },
  { name: "nothing to gain", ms: () => 1, overlap: () => 0.995, noise: 0.6 },
  {
    name: "finds less from half-time on",
    ms: ({ candidates }) => 0.3 + candidates * 0.006,
    overlap: ({ candidates }, at) => (candidates === 100 ? 1 : at < 0.5 ? 0.995 : 0.9),
    noise: 0.4,
  },
  {
    name: "slower and slower",
    ms: ({ candidates, vectorBreadth }, at) =>
      (0.2 + candidates * 0.004) * (1 + 4 * at) + vectorBreadth * at * 5,
    overlap: () => 0.996,
    noise: 0.5,
  },
];

export interface SearchOutcome {
  readonly workload: string;
  readonly kind: "simulated" | "real";
  readonly recalls: number;
  readonly defaultMs: number;
  readonly tunedMs: number;
  /** Of the fixed settings that find enough throughout. */
  readonly bestMs: number;
  readonly tunedRatio: number;
  readonly bestRatio: number;
  readonly end: SearchBreadth;
  /** Mean over all recalls. */
  readonly overlap: number;
  readonly minOverlap: number;
  readonly decisions: number;
}

/** Recalls with times and finds drawn by chance from a seed. */
export function simulatedSearches(seed: number): SearchOutcome[] {
  return workloads.map((workload) => {
    const random = seededRandom(seed);
    const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const moves: SearchMove[] = [];
    const tuner = new SearchTuner({ widest, minOverlap, random, onMove: (move) => moves.push(move) });
    let tunedMs = 0;
    let found = 0;
    for (let recall = 0; recall < recalls; recall++) {
      const at = recall / recalls;
      const breadth = tuner.next();
      const ms = workload.ms(breadth, at);
      tunedMs += ms;
      found += workload.overlap(breadth, at);
      tuner.answered(breadth, ms * Math.exp(workload.noise * normal()));
      if (!tuner.wantsProbe(breadth)) continue;
      // The question once more, as widely as configured.
      tunedMs += workload.ms(widest, at);
      let same = 0;
      for (let hit = 0; hit < 10; hit++) if (random() < workload.overlap(breadth, at)) same++;
      tuner.probed(breadth, same / 10);
    }
    const costOf = (breadth: SearchBreadth): number => {
      let sum = 0;
      for (let recall = 0; recall < recalls; recall++) sum += workload.ms(breadth, recall / recalls);
      return sum;
    };
    const enough = settings.filter((each) =>
      [0, 0.25, 0.5, 0.75, 1].every((at) => workload.overlap(each, at) >= minOverlap),
    );
    const defaultMs = costOf(widest);
    const bestMs = Math.min(...enough.map(costOf));
    return {
      workload: workload.name,
      kind: "simulated",
      recalls,
      defaultMs,
      tunedMs,
      bestMs,
      tunedRatio: tunedMs / defaultMs,
      bestRatio: bestMs / defaultMs,
      end: tuner.breadth,
      overlap: found / recalls,
      minOverlap,
      decisions: moves.length,
    };
  });
}

const rounds = 7_000;

/** Claims asked of abstracts: a memory that tunes its search, beside three with fixed settings, in turns. */
export async function tuneRealSearch(folder: string): Promise<SearchOutcome> {
  const texts = readRows<{ readonly title: string; readonly text: string }>(
    join(folder, "scifact", "corpus.jsonl"),
  ).map(({ title, text }) => `${title}. ${text}`);
  const questions = readRows<{ readonly text: string }>(join(folder, "scifact", "queries.jsonl")).map(
    ({ text }) => text,
  );
  const options = (tuned: boolean, candidates: number): OpenOptions => ({
    configFile: false,
    config: { "memory.long_term_capacity": 0, "tuning.search": tuned },
    ranking: { candidates },
  });
  return withMemory(
    (normal) => {
      return withMemory(
        (tuned) => {
          return withMemory(
            (some) => {
              return withMemory(
                async (half) => {
                  const memories = [normal, tuned, some, half];
                  for (const memory of memories) await fill(memory, texts);
                  return askInTurns(memories, tuned, questions);
                },
                options(false, 50),
              );
            },
            options(false, 75),
          );
        },
        options(true, 100),
      );
    },
    options(false, 100),
  );
}

async function fill(memory: Strata, texts: readonly string[]): Promise<void> {
  for (let at = 0; at < texts.length; at += 500)
    await memory.storeMany(
      texts.slice(at, at + 500).map((content, offset) => ({ id: `${at + offset}`, content })),
    );
}

async function askInTurns(
  memories: readonly Strata[],
  tuned: Strata,
  questions: readonly string[],
): Promise<SearchOutcome> {
  const sums = memories.map(() => 0);
  const same = memories.map(() => 0);
  for (let round = 0; round < rounds; round++) {
    const question = questions[round % questions.length]!;
    let expected: ReadonlySet<string> = new Set();
    for (const [at, memory] of memories.entries()) {
      const start = performance.now();
      const { hits } = await memory.recall(question, { touch: false, cache: false });
      sums[at]! += performance.now() - start;
      const ids = hits.map(({ memory: { id } }) => id);
      if (at === 0) expected = new Set(ids);
      same[at]! += ids.filter((id) => expected.has(id)).length / Math.max(1, expected.size);
    }
  }
  const [defaultMs, tunedMs] = sums as [number, number, number, number];
  const enough = [0, 2, 3].filter((at) => same[at]! / rounds >= minOverlap);
  const bestMs = Math.min(...enough.map((at) => sums[at]!));
  const { candidates, vectorBreadth } = tuned.tuning().search!;
  await tuned.flush();
  return {
    workload: "scifact claims",
    kind: "real",
    recalls: rounds,
    defaultMs,
    tunedMs,
    bestMs,
    tunedRatio: tunedMs / defaultMs,
    bestRatio: bestMs / defaultMs,
    end: { candidates, vectorBreadth },
    overlap: same[1]! / rounds,
    minOverlap,
    decisions: tuned.tuning().decisions,
  };
}
