import { statSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { inTemporaryFolder } from "../evals/temporary-folder.ts";
import { rankingHash } from "../evals/temporary-memory.ts";
import { UsageError } from "../scripts/measurement.ts";
import { openMemory } from "../src/index.ts";
import { seededRandom, TextGenerator } from "./generated-text.ts";
import { latencies, timed } from "./latencies.ts";

const memoriesEach = 100;
const coldRecalls = 2_000;
const warmUps = 200;
const storesAtOnce = 64;

/**
 * Many small namespaces in one file: the first recall in a namespace that this process has not read, then the same
 * question's neighbour in one it has. A second process opens what the first wrote.
 */
export function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { namespaces: { type: "string", default: "10000" } } });
  const count = Number(values.namespaces);
  if (!(Number.isInteger(count) && count >= coldRecalls + warmUps))
    throw new UsageError(
      `Expected a whole number of at least ${coldRecalls + warmUps} after --namespaces; got "${values.namespaces}".`,
    );
  return inTemporaryFolder(async (folder) => {
    const path = join(folder, "memory.db");
    const storeSeconds = (await timed(() => fill(path, count))) / 1_000;
    await using memory = await openMemory({ path });
    const text = new TextGenerator(23);
    const random = seededRandom(29);
    const before = process.memoryUsage().rss;
    const cold: number[] = [];
    const warm: number[] = [];
    const chosen = new Set<number>();
    while (chosen.size < coldRecalls + warmUps) chosen.add(Math.floor(random() * count));
    for (const number of chosen) {
      const namespace = nameOf(number);
      cold.push(await timed(() => memory.recall(text.sentence(), { namespace, touch: false })));
      warm.push(await timed(() => memory.recall(text.sentence(), { namespace, touch: false })));
    }
    const [first, again] = [latencies(cold.slice(warmUps)), latencies(warm.slice(warmUps))];
    const files = await readdir(dirname(path), { recursive: true });
    return {
      namespaces: count,
      memories: count * memoriesEach,
      coldRecalls,
      coldP50Ms: first.p50Ms,
      coldP95Ms: first.p95Ms,
      coldP99Ms: first.p99Ms,
      warmP50Ms: again.p50Ms,
      storeSeconds,
      fileMegabytes: statSync(path).size / 1e6,
      files: files.length,
      residentGrowthMegabytes: (process.memoryUsage().rss - before) / 1e6,
      ranking: await rankingHash(memory),
    };
  });
}

async function fill(path: string, count: number): Promise<void> {
  const text = new TextGenerator(17);
  await using memory = await openMemory({ path });
  for (let from = 0; from < count; from += storesAtOnce) {
    const numbers = Array.from({ length: Math.min(storesAtOnce, count - from) }, (_, i) => from + i);
    await Promise.all(
      numbers.map((number) =>
        memory.storeMany(
          text.sentences(memoriesEach).map((content) => ({ content, tier: "semantic" })),
          { namespace: nameOf(number) },
        ),
      ),
    );
    if (from % (storesAtOnce * 100) === 0) console.error(`${from} of ${count} namespaces stored`);
  }
}

function nameOf(number: number): string {
  return `user-${number}`;
}
