import { statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { inTemporaryFolder } from "../evals/temporary-folder.ts";
import { rankingHash } from "../evals/temporary-memory.ts";
import { UsageError } from "../scripts/measurement.ts";
import { openMemory, type Strata, type Tier } from "../src/index.ts";
import { BareSqlite } from "./bare-sqlite.ts";
import { TextGenerator } from "./generated-text.ts";
import { latencies, median, timed, timedInTurn } from "./latencies.ts";

/** Entries present when single stores are measured. */
const defaultLevels = "0,10000,100000";
const capacity = 10_000;
const singles = 2_000;
/** Rows a bulk transaction of the floor holds: as many as one of `storeMany`. */
const slice = 128;

/** A memory and its floor, given the same texts. */
interface Pair {
  readonly memory: Strata;
  readonly floor: BareSqlite;
  readonly text: TextGenerator;
}

/**
 * Acknowledged stores, one after the other and in bulk, embedding and every index included, beside bare SQLite
 * inserts of the same texts.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { present: { type: "string", default: defaultLevels } } });
  const levels = values.present.split(",").map(Number);
  if (!levels.every((level) => Number.isInteger(level) && level >= 0))
    throw new UsageError(`Expected numbers from 0 after --present, with commas; got "${values.present}".`);
  // First, so that the code is warm when the empty memory is measured.
  const full = await withPair(atCapacity);
  const growing = await withPair((pair) => whileGrowing(pair, levels));
  const bytes = await withPair(bytesOnDisk);
  return { singles: [...growing.singles, full], bulk: growing.bulk, ...bytes, ranking: growing.ranking };
}

function withPair<T>(work: (pair: Pair, folder: string) => Promise<T>): Promise<T> {
  return inTemporaryFolder(async (folder) => {
    await using memory = await openMemory({ path: join(folder, "memory.db"), namespace: "benchmark" });
    using floor = new BareSqlite(join(folder, "floor.db"));
    return await work({ memory, floor, text: new TextGenerator(7) }, folder);
  });
}

async function atCapacity(pair: Pair): Promise<object> {
  await fill(pair, capacity, "long_term");
  const row = await storeSingles(pair, "long_term", capacity);
  const { tiers } = await pair.memory.stats();
  if (tiers.long_term.entries !== capacity)
    throw new Error(`Expected ${capacity} entries at capacity; got ${tiers.long_term.entries}.`);
  return { ...row, full: true };
}

async function whileGrowing(
  pair: Pair,
  levels: readonly number[],
): Promise<{ readonly singles: object[]; readonly bulk: object[]; readonly ranking: string }> {
  const rows: object[] = [];
  const bulk: object[] = [];
  let present = 0;
  for (const level of levels) {
    if (level > present) bulk.push({ from: present, ...(await fill(pair, level - present, "semantic")) });
    rows.push(await storeSingles(pair, "semantic", level));
    present = level + singles;
  }
  return { singles: rows, bulk, ranking: await rankingHash(pair.memory) };
}

/** Bulk entries per second, ours and the floor's, in blocks by turns. */
async function fill({ memory, floor, text }: Pair, count: number, tier: Tier): Promise<object> {
  const blocks = Math.ceil(count / 5_000);
  const contents = Array.from({ length: blocks }, (_, block) =>
    text.sentences(Math.min(5_000, count - block * 5_000)),
  );
  const times = await timedInTurn(
    blocks,
    1,
    (block) => memory.storeMany(contents[block]!.map((content) => ({ content, tier }))),
    (block) => floor.insertMany(contents[block]!, slice),
  );
  const [perSecond, floorPerSecond] = [times.ours, times.floor].map(
    (ms) => (count / ms.reduce((sum, one) => sum + one, 0)) * 1_000,
  );
  return { entries: count, perSecond, floorPerSecond, ratio: floorPerSecond! / perSecond! };
}

/**
 * Single stores with the search indexes loaded, and after each of some of them a recall, which brings the indexes up
 * to date and must find the new entry.
 */
async function storeSingles({ memory, floor, text }: Pair, tier: Tier, present: number): Promise<object> {
  await memory.recall(text.sentence());
  const contents = text.sentences(singles);
  const times = await timedInTurn(
    singles,
    100,
    (call) => memory.store(contents[call]!, { tier }),
    (call) => floor.insert(contents[call]!),
  );
  const recalls: number[] = [];
  for (let pair = 0; pair < 20; pair += 1) recalls.push(await storeThenRecall(memory, text.sentence(), tier));
  const { perSecond, p50Ms, p95Ms, p99Ms } = latencies(times.ours);
  const bare = latencies(times.floor);
  return {
    present,
    tier,
    full: false,
    perSecond,
    p50Ms,
    p95Ms,
    p99Ms,
    floorPerSecond: bare.perSecond,
    floorP50Ms: bare.p50Ms,
    floorP95Ms: bare.p95Ms,
    ratio: p50Ms / bare.p50Ms,
    recallAfterStoreP50Ms: median(recalls),
  };
}

async function storeThenRecall(memory: Strata, content: string, tier: Tier): Promise<number> {
  const { id } = await memory.store(content, { tier });
  let found = false;
  const ms = await timed(async () => {
    const { hits } = await memory.recall(content);
    found = hits.some((hit) => hit.memory.id === id);
  });
  if (!found) throw new Error("A recall did not find what was stored just before it.");
  return ms;
}

/** What a memory of 10,000 entries takes on disk once its log is written back, beside the floor's file. */
async function bytesOnDisk(pair: Pair, folder: string): Promise<object> {
  const contents = pair.text.sentences(capacity);
  await pair.memory.storeMany(contents.map((content) => ({ content, tier: "semantic" })));
  pair.floor.insertMany(contents, slice);
  await pair.memory.close();
  pair.floor[Symbol.dispose]();
  const [bytes, floorBytes] = ["memory.db", "floor.db"].map(
    (file) => statSync(join(folder, file)).size / capacity,
  );
  return {
    bytesPerMemory: bytes,
    floorBytesPerMemory: floorBytes,
    bytesRatio: bytes! / floorBytes!,
    textBytesPerMemory: contents.reduce((sum, content) => sum + content.length, 0) / capacity,
  };
}
