import { parseArgs } from "node:util";
import { rankingHash, withMemory } from "../evals/temporary-memory.ts";
import { storedVectors } from "../evals/text-vectors.ts";
import { dataFolder, UsageError } from "../scripts/measurement.ts";
import type { Explanation, Strata } from "../src/index.ts";
import { latencies, median, percentile, timed, timedInTurn } from "./latencies.ts";
import { PlainCosine } from "./plain-cosine.ts";
import { realTexts } from "./real-texts.ts";

const distinctQuestions = 1_000;
const warmUpQuestions = 200;
const limit = 10;
/** Searches of the floor; it is slow where the memory is large, and hardly varies. */
const floorSearches = 200;

/**
 * Recalls at the defaults, each of a question that was never asked before, over memories of several sizes, beside a
 * plain cosine loop over the same vectors. The time of each stage is taken in a pass of its own.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({
    args,
    options: { data: { type: "string" }, entries: { type: "string", default: "1000,10000" } },
  });
  const folder = dataFolder(values.data);
  const sizes = values.entries.split(",").map(Number);
  if (!sizes.every((size) => Number.isInteger(size) && size >= 1))
    throw new UsageError(`Expected numbers from 1 after --entries, with commas; got "${values.entries}".`);
  const results: Awaited<ReturnType<typeof measureSize>>[] = [];
  for (const size of sizes) results.push(await withMemory((memory) => measureSize(memory, folder, size)));
  return {
    entries: results.map(({ row }) => row),
    stages: results.flatMap(({ stages }) => stages),
    limit,
    ranking: results[0]!.ranking,
  };
}

async function measureSize(memory: Strata, folder: string, size: number) {
  const { items, questions, real, duplicateRate } = realTexts(folder, size);
  await memory.storeMany(items);
  const floor = await floorOver(memory, size);
  const firstMs = await timed(() => memory.recall(questions.at(-1)!));
  const warmUp = questions.slice(distinctQuestions, distinctQuestions + warmUpQuestions);
  for (const question of warmUp) {
    await memory.recall(question, { limit });
    if (size <= 20_000) floor.search(floor.at(0), limit);
  }
  const asked = questions.slice(0, distinctQuestions);
  const { ours, floorMs } = await askInTurn(memory, floor, asked);
  const explanations = await explained(memory, asked.slice(0, 500));
  const { p50Ms, p95Ms, p99Ms } = latencies(ours);
  const floorP50Ms = median(floorMs);
  const row = {
    entries: size,
    questions: ours.length,
    p50Ms,
    p95Ms,
    p99Ms,
    floorP50Ms,
    ratio: p50Ms / floorP50Ms,
    firstMs,
    vectors: explanations[0]!.path.vector,
    real,
    duplicateRate,
  };
  return { row, stages: stageRows(size, explanations), ranking: await rankingHash(memory) };
}

async function floorOver(memory: Strata, size: number): Promise<PlainCosine> {
  let floor: PlainCosine | undefined;
  for await (const { vector } of storedVectors(memory)) {
    if (!vector) continue;
    floor ??= new PlainCosine(size, vector.length);
    floor.add(vector);
  }
  if (!floor) throw new Error("Expected vectors in the memory's export; got none.");
  return floor;
}

/** Blocks by turns: all questions of the memory, and the floor's searches spread among them. */
async function askInTurn(
  memory: Strata,
  floor: PlainCosine,
  questions: readonly string[],
): Promise<{ readonly ours: readonly number[]; readonly floorMs: readonly number[] }> {
  const every = Math.ceil(questions.length / floorSearches);
  const floorMs: number[] = [];
  const { ours } = await timedInTurn(
    questions.length,
    100,
    (call) => memory.recall(questions[call]!, { limit }),
    async (call) => {
      if (call % every > 0) return;
      floorMs.push(await timed(() => floor.search(floor.at((call * 97) % floor.count), limit)));
    },
  );
  return { ours, floorMs };
}

async function explained(memory: Strata, questions: readonly string[]): Promise<Explanation[]> {
  const explanations: Explanation[] = [];
  for (const question of questions) {
    const { explanation } = await memory.recall(question, { limit, explain: true, touch: false });
    if (explanation) explanations.push(explanation);
  }
  return explanations;
}

function stageRows(size: number, explanations: readonly Explanation[]): object[] {
  const stages = Map.groupBy(
    explanations.flatMap(({ stages }) => stages),
    ({ name }) => name,
  );
  return [...stages].map(([stage, times]) => {
    const ms = times.map((time) => time.ms);
    return {
      entries: size,
      stage,
      p50Ms: median(ms),
      p95Ms: percentile(ms, 0.95),
      p99Ms: percentile(ms, 0.99),
    };
  });
}
