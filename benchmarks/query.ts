import { parseArgs } from "node:util";
import { rankingHash, withMemory } from "../evals/temporary-memory.ts";
import { QueryOptimizer, type Strata } from "../src/index.ts";
import { TextGenerator } from "./generated-text.ts";
import { collectGarbage } from "./held-memory.ts";
import { latencies, median, timed } from "./latencies.ts";

const memories = 10_000;
const distinctKeys = 10_000;
/** A call takes less than the clock can tell, so that this many are timed together. */
const block = 1_000;
const blocks = 300;
const questions = 300;

/**
 * What the query cache costs and saves: a hit and a miss through `executeQuery`, first and repeated recalls, equal
 * recalls at once, and the memory that many results take. Floors: a bare Map, the bare work, the same in a Map.
 */
export async function run(args: string[]): Promise<unknown> {
  parseArgs({ args, options: {} });
  const hit = await hitRow();
  const misses = [await missRow("a number", () => 1), await missRow("5 hits", () => fiveHits("x"))];
  const bound = await boundRows();
  return withMemory(async (memory) => {
    const text = new TextGenerator(11);
    await memory.storeMany(Array.from({ length: memories }, () => ({ content: text.sentence() })));
    return {
      hit,
      misses,
      recall: await recallRow(memory, text),
      together: await togetherRow(memory, text.sentence()),
      bound,
      ranking: await rankingHash(memory),
    };
  });
}

/** Median over blocks of the mean microseconds of one call; two ways in turn, a block of each. */
async function inBlocks(
  ours: (call: number) => Promise<unknown>,
  floor: (call: number) => Promise<unknown>,
): Promise<{ readonly ours: number; readonly floor: number }> {
  const perCall = { ours: [] as number[], floor: [] as number[] };
  for (let turn = 0; turn < blocks; turn++) {
    const first = turn * block;
    for (const [way, call] of [
      ["ours", ours],
      ["floor", floor],
    ] as const) {
      const ms = await timed(async () => {
        for (let at = first; at < first + block; at++) await call(at);
      });
      perCall[way].push((ms * 1_000) / block);
    }
  }
  // The first third warms up.
  const warm = Math.floor(blocks / 3);
  return { ours: median(perCall.ours.slice(warm)), floor: median(perCall.floor.slice(warm)) };
}

async function hitRow(): Promise<object> {
  await using queries = new QueryOptimizer();
  const keys = Array.from({ length: 100 }, (_, at) => `what is the capital of country ${at}?`);
  const map = new Map(keys.map((key) => [key, key]));
  for (const key of keys) await queries.executeQuery(key, () => key);
  const { ours, floor } = await inBlocks(
    (call) => queries.executeQuery(keys[call % 100]!, () => "never"),
    (call) => Promise.resolve(map.get(keys[call % 100]!)),
  );
  return { p50Us: ours, bareMapP50Us: floor, ratio: ours / floor };
}

/** Every call asks what was never asked; the cache is full, so that each evicts. */
async function missRow(result: string, work: () => unknown): Promise<object> {
  await using queries = new QueryOptimizer();
  for (let key = 0; key < 1_000; key++) await queries.executeQuery(`filled ${key}`, () => key);
  const { ours, floor } = await inBlocks(
    (call) => queries.executeQuery(`question ${call}`, work),
    async () => work(),
  );
  return { result, p50Us: ours, bareWorkP50Us: floor, overheadUs: ours - floor };
}

async function recallRow(memory: Strata, text: TextGenerator): Promise<object> {
  const asked = Array.from({ length: questions }, () => text.sentence());
  for (let warmUp = 0; warmUp < 100; warmUp++) await memory.recall(text.sentence());
  const first: number[] = [];
  const again: number[] = [];
  for (const question of asked) first.push(await timed(() => memory.recall(question)));
  for (let round = 0; round < 20; round++)
    for (const question of asked) again.push(await timed(() => memory.recall(question)));
  const off = [];
  for (const question of asked) off.push(await timed(() => memory.recall(question, { cache: false })));
  const us = (ms: number): number => ms * 1_000;
  const repeated = latencies(again.slice(again.length / 4));
  return {
    memories,
    firstP50Us: us(median(first)),
    uncachedP50Us: us(median(off)),
    repeatedP50Us: us(repeated.p50Ms),
    repeatedP99Us: us(repeated.p99Ms),
    timesFaster: median(first) / repeated.p50Ms,
  };
}

async function togetherRow(memory: Strata, question: string): Promise<object> {
  const before = memory.queries.getStats();
  await Promise.all(Array.from({ length: 100 }, () => memory.recall(question)));
  const after = memory.queries.getStats();
  return {
    equalRecallsAtOnce: 100,
    worked: after.misses - before.misses,
    joined: after.joins - before.joins,
  };
}

/** A result as a recall gives it, of about 10 kB. */
function fiveHits(key: string): object[] {
  return Array.from({ length: 5 }, (_, at) => ({
    score: 1 / (at + 1),
    memory: {
      id: `${key}-${at}`,
      content: `${key} ${at} ${sentences}`,
      tags: [`tag ${at}`],
      metadata: { at },
    },
  }));
}

/** The same as a store gives it: texts of its own, shared with nothing. */
function readHits(key: string): object[] {
  return JSON.parse(JSON.stringify(fiveHits(key)));
}

const sentences = "a sentence somebody wants remembered ".repeat(50);

/** What the process grew by while many results were kept, with the bound and without any. */
async function boundRows(): Promise<object[]> {
  const maxBytes = 16 * 2 ** 20;
  await using queries = new QueryOptimizer({ maxEntries: distinctKeys, maxBytes });
  const bounded = await grownBy(async () => {
    for (let key = 0; key < distinctKeys; key++)
      await queries.executeQuery(`question ${key}`, () => readHits(`${key}`));
    return queries;
  });
  const { cacheSize, cacheBytes, evictions } = queries.getStats();
  const unbounded = await grownBy(async () => {
    const map = new Map<string, object[]>();
    for (let key = 0; key < distinctKeys; key++) map.set(`question ${key}`, readHits(`${key}`));
    return map;
  });
  return [
    {
      kept: "QueryOptimizer",
      distinctKeys,
      maxBytes,
      cacheSize,
      cacheBytes,
      evictions,
      heapGrewBytes: bounded,
    },
    { kept: "bare Map", distinctKeys, cacheSize: distinctKeys, heapGrewBytes: unbounded },
  ];
}

async function grownBy(work: () => Promise<object>): Promise<number> {
  collectGarbage();
  const before = process.memoryUsage().heapUsed;
  const kept = await work();
  collectGarbage();
  const after = process.memoryUsage().heapUsed;
  // Named after the measurement, so that what was kept is alive during it.
  if (!kept) throw new Error("Expected something to be kept.");
  return after - before;
}
