import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { inTemporaryFolder } from "../evals/temporary-folder.ts";
import { rankingHash } from "../evals/temporary-memory.ts";
import { dataFolder, UsageError } from "../scripts/measurement.ts";
import { vectorText } from "../src/contract/index-text.ts";
import { openBuiltinModel } from "../src/embedding/models/builtin-model.ts";
import {
  type Explanation,
  openMemory,
  type RecallOptions,
  type StoreItem,
  type Strata,
} from "../src/index.ts";
import { heldBytes } from "./held-memory.ts";
import { answerMs, installedCommand } from "./installed-command.ts";
import { latencies, median, percentile, timed, timedInTurn } from "./latencies.ts";
import { measureLanceDb } from "./peers/lancedb.ts";
import { PlainCosine } from "./plain-cosine.ts";
import { realTexts } from "./real-texts.ts";

const distinctQuestions = 1_000;
const warmUpQuestions = 200;
const limit = 10;
/** Searches of the floor; it is slow where the memory is large, and hardly varies. */
const floorSearches = 200;
const comparedQuestions = 100;
const filteredQuestions = 300;
const peerQuestions = 50;
const coldStarts = 5;
const batchSize = 64;
/** Nothing but the cosine ranks. */
const withoutBonuses = {
  importanceBonus: 0,
  recencyBonus: 0,
  accessBonus: 0,
  speakerBonus: 0,
  timeBonus: 0,
};
/** Tags that so many of a thousand items carry. */
const shares = { "10 %": 100, "1 %": 10, "0.1 %": 1 } as const;

/**
 * Recalls at the defaults, each of a question that was never asked before, over memories of several sizes, beside a
 * plain cosine loop over the same vectors. The time of each stage, recall against exact, writes between questions and
 * a new process's first answer are taken in passes of their own.
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
  for (const size of sizes) {
    results.push(await inTemporaryFolder((place) => measureSize(join(place, "memory.db"), folder, size)));
  }
  return {
    entries: results.map(({ speed }) => speed),
    recallAt10: results.map(({ found }) => found),
    cosines: results.map(({ cosines }) => cosines),
    space: results.map(({ space }) => space),
    meanwhile: results.map(({ meanwhile }) => meanwhile),
    filtered: results.map(({ filtered }) => filtered),
    lanceDb: results.flatMap(
      ({ lanceDb }) => lanceDb ?? "not installed: npm install --prefix benchmarks/peers",
    ),
    stages: results.flatMap(({ stages }) => stages),
    limit,
    ranking: results[0]!.ranking,
  };
}

async function measureSize(path: string, folder: string, size: number) {
  const { items, questions, real, duplicateRate } = realTexts(folder, size);
  const tagged = items.map((item, at) => ({ ...item, tags: tagsOf(at) }));
  const asked = questions.slice(0, distinctQuestions);
  const floor = await floorOver(tagged);
  const results = await measureOpen(path, tagged, floor, asked, questions);
  say(`${size}: comparing with exact`);
  const compared = await comparedWith(floor, asked.slice(0, comparedQuestions));
  const cosines = cosinesOf(compared, floor);
  const found = await shareFound(path, floor, tagged, compared);
  say(`${size}: starting processes`);
  const coldMs = await coldStart(path, asked);
  say(`${size}: LanceDB`);
  const lanceDb = await measureLanceDb(dirname(path), floor, await vectorsOf(asked.slice(0, peerQuestions)));
  return {
    speed: { entries: size, ...results.speed, coldMs, real, duplicateRate },
    found: { entries: size, ...found, ownVectors: results.ownVectors },
    cosines: { entries: size, ...cosines },
    space: {
      entries: size,
      ...results.space,
      fileMegabytes: statSync(path).size / 1e6,
      snapshotMegabytes: bytesUnder(`${path}-index`) / 1e6,
    },
    meanwhile: { entries: size, ...results.meanwhile },
    filtered: { entries: size, ...results.filtered },
    lanceDb: lanceDb && { entries: size, ...lanceDb },
    stages: results.stages.map((stage) => ({ entries: size, ...stage })),
    ranking: results.ranking,
  };
}

async function measureOpen(
  path: string,
  items: readonly StoreItem[],
  floor: PlainCosine,
  asked: readonly string[],
  questions: readonly string[],
) {
  await using memory = await openMemory({ path });
  say(`${items.length}: storing`);
  const seconds = (await timed(() => memory.storeMany(items))) / 1_000;
  say(`${items.length}: indexing`);
  const heldBefore = heldBytes();
  const before = process.memoryUsage().rss;
  const buildMs = await timed(() => memory.recall(questions.at(-1)!, { cache: false }));
  // When it has answered, the index is at rest: postings merged, vectors sketched, its snapshot written.
  const measured = await memory.measureRecall();
  const residentGrowth = process.memoryUsage().rss - before;
  const held = heldBytes() - heldBefore;
  for (const question of questions.slice(distinctQuestions, distinctQuestions + warmUpQuestions)) {
    await memory.recall(question, { limit, cache: false });
    if (items.length <= 20_000) floor.search(floor.at(0), limit);
  }
  say(`${items.length}: asking`);
  const { ours, floorMs } = await askInTurn(memory, floor, asked);
  const explanations = await explained(memory, asked.slice(0, 500));
  const filtered = await askFiltered(memory, asked.slice(0, filteredQuestions));
  say(`${items.length}: asking while writing`);
  const meanwhile = await writeAndAsk(memory, items, asked);
  const { p50Ms, p95Ms, p99Ms } = latencies(ours);
  const floorP50Ms = median(floorMs);
  return {
    speed: {
      questions: ours.length,
      p50Ms,
      p95Ms,
      p99Ms,
      floorP50Ms,
      ratio: p50Ms / floorP50Ms,
      vectors: explanations[0]!.path.vector,
    },
    ownVectors: measured.recallAt10,
    meanwhile,
    filtered,
    space: {
      storedPerSecond: items.length / seconds,
      indexedMs: buildMs,
      heldMegabytes: held / 1e6,
      residentGrowthMegabytes: residentGrowth / 1e6,
    },
    stages: stageRows(explanations),
    ranking: await rankingHash(memory),
  };
}

function say(progress: string): void {
  console.error(progress);
}

/** Each tag is carried by items spread evenly over all. */
function tagsOf(at: number): string[] {
  return Object.entries(shares)
    .filter(([, share]) => at % (1_000 / share) === 3 % (1_000 / share))
    .map(([name]) => tagOf(name));
}

function tagOf(share: string): string {
  return share.replace(" %", "-percent");
}

async function vectorsOf(questions: readonly string[]): Promise<Float32Array[]> {
  const model = await openBuiltinModel();
  return model.doEmbed(questions).vectors.filter((vector) => vector !== null);
}

/** The items' vectors, by their numbers; zeros where the model knows nothing. */
async function floorOver(items: readonly StoreItem[]): Promise<PlainCosine> {
  const model = await openBuiltinModel();
  const floor = new PlainCosine(items.length, model.dimensions);
  const nothing = new Float32Array(model.dimensions);
  for (let from = 0; from < items.length; from += batchSize) {
    const texts = items
      .slice(from, from + batchSize)
      .map(({ at, ...item }) =>
        vectorText({ ...item, at: at === undefined ? undefined : new Date(at).getTime() }),
      );
    for (const vector of model.doEmbed(texts).vectors) floor.add(vector ?? nothing);
  }
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
    (call) => memory.recall(questions[call]!, { limit, cache: false }),
    async (call) => {
      if (call % every > 0) return;
      floorMs.push(await timed(() => floor.search(floor.at((call * 97) % floor.count), limit)));
    },
  );
  return { ours, floorMs };
}

/** Median times of questions asked through filters that leave so much; each filter was used before. */
async function askFiltered(memory: Strata, questions: readonly string[]): Promise<Record<string, number>> {
  const medians: Record<string, number> = {};
  for (const name of Object.keys(shares)) {
    const options: RecallOptions = { limit, tags: [tagOf(name)], cache: false };
    await memory.recall(questions[0]!, options);
    const times: number[] = [];
    for (const question of questions) times.push(await timed(() => memory.recall(question, options)));
    medians[name] = median(times);
  }
  return medians;
}

async function explained(memory: Strata, questions: readonly string[]): Promise<Explanation[]> {
  const explanations: Explanation[] = [];
  for (const question of questions) {
    const { explanation } = await memory.recall(question, {
      limit,
      explain: true,
      touch: false,
      cache: false,
    });
    if (explanation) explanations.push(explanation);
  }
  return explanations;
}

/** A question with its vector and the numbers of the hundred items nearest to it, by comparing all. */
interface Compared {
  readonly question: string;
  readonly vector: Float32Array;
  readonly nearest: readonly number[];
}

/** Questions of which the model knows something. */
async function comparedWith(floor: PlainCosine, questions: readonly string[]): Promise<Compared[]> {
  const model = await openBuiltinModel();
  const { vectors } = model.doEmbed(questions);
  return questions.flatMap((question, at) => {
    const vector = vectors[at];
    return vector ? { question, vector, nearest: floor.search(vector, 100) } : [];
  });
}

/**
 * How the vectors lie: the cosines of questions to what is nearest, tenth and hundredth nearest to them, and to what
 * stands anywhere. Medians over the questions.
 */
function cosinesOf(compared: readonly Compared[], floor: PlainCosine): Record<string, number> {
  const to = (place: number) =>
    median(
      compared.map(({ vector, nearest }) =>
        nearest[place] === undefined ? 0 : floor.cosine(vector, nearest[place]),
      ),
    );
  const anywhere = compared.flatMap(({ vector }, at) =>
    Array.from({ length: 100 }, (_, i) => floor.cosine(vector, (at * 7_919 + i * 104_729) % floor.count)),
  );
  return { nearest: to(0), tenth: to(9), hundredth: to(99), anywhere: median(anywhere) };
}

/**
 * Share of the ten nearest memories, by comparing the vectors of all that pass the filter, that a recall by meaning
 * alone finds. Memories of equal cosine count alike.
 */
async function shareFound(
  path: string,
  floor: PlainCosine,
  items: readonly StoreItem[],
  compared: readonly Compared[],
): Promise<Record<string, number>> {
  await using memory = await openMemory({ path, ranking: withoutBonuses });
  const found: Record<string, number> = {};
  for (const name of ["all", ...Object.keys(shares)]) {
    const tags = name === "all" ? undefined : [tagOf(name)];
    const passes = tags && Uint8Array.from(items, (item) => (item.tags?.includes(tags[0]!) ? 1 : 0));
    let sum = 0;
    let asked = 0;
    for (const { question, vector, nearest: nearestOfAll } of compared) {
      const nearest = passes ? floor.search(vector, limit, passes) : nearestOfAll.slice(0, limit);
      if (nearest.length === 0) continue;
      const options: RecallOptions = { limit, mode: "vector", tags, touch: false, cache: false };
      const { hits } = await memory.recall(question, { ...options, explain: true, fold: false });
      // The store keeps halves: so much may a cosine differ.
      const least = floor.cosine(vector, nearest.at(-1)!) - 2e-3;
      sum += hits.filter(({ why }) => why!.vector.raw >= least).length / nearest.length;
      asked += 1;
    }
    found[name] = sum / asked;
  }
  return found;
}

/**
 * Questions one after the other while another caller stores one memory after the other, each durable. Both run in one
 * thread: a question's time holds the writes that had their turn meanwhile, and the other way round.
 */
async function writeAndAsk(memory: Strata, items: readonly StoreItem[], questions: readonly string[]) {
  let asking = true;
  const writeMs: number[] = [];
  const write = async () => {
    while (asking) {
      const content = `${items[writeMs.length % items.length]!.content} (${writeMs.length})`;
      writeMs.push(await timed(() => memory.store(content, { tier: "semantic" })));
      await turn();
    }
  };
  const writing = write();
  const askMs: number[] = [];
  const started = performance.now();
  for (const question of questions) {
    askMs.push(await timed(() => memory.recall(question, { limit, cache: false })));
    await turn();
  }
  const seconds = (performance.now() - started) / 1_000;
  asking = false;
  await writing;
  const [asked, written] = [latencies(askMs), latencies(writeMs)];
  return {
    recallP50Ms: asked.p50Ms,
    recallP95Ms: asked.p95Ms,
    recallP99Ms: asked.p99Ms,
    writesPerSecond: writeMs.length / seconds,
    writeP50Ms: written.p50Ms,
    writeP95Ms: written.p95Ms,
    writeP99Ms: written.p99Ms,
  };
}

/** From the start of a process to its answer: the built package's command, median of some. */
async function coldStart(path: string, questions: readonly string[]): Promise<number> {
  const command = await installedCommand(join(dirname(path), "package"));
  const environment = { ...process.env, NODE_COMPILE_CACHE: join(dirname(path), "compiled") };
  const times: number[] = [];
  for (let round = 0; round <= coldStarts; round += 1) {
    const words = [command, "recall", questions[round]!, "--db", path, "--json"];
    times.push(await answerMs(words, environment));
  }
  // The first fills the cache of compiled code.
  return median(times.slice(1));
}

/** Lets the other caller have its turn: neither waits for anything outside the process. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function bytesUnder(folder: string): number {
  if (!existsSync(folder)) return 0;
  return readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0);
}

function stageRows(explanations: readonly Explanation[]): object[] {
  const stages = Map.groupBy(
    explanations.flatMap(({ stages }) => stages),
    ({ name }) => name,
  );
  return [...stages].map(([stage, times]) => {
    const ms = times.map((time) => time.ms);
    return { stage, p50Ms: median(ms), p95Ms: percentile(ms, 0.95), p99Ms: percentile(ms, 0.99) };
  });
}
