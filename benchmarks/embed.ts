import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Embeddings } from "@langchain/core/embeddings";
import { type EmbeddingModel as AiSdkEmbeddingModel, embed as aiSdkEmbed } from "ai";
import DataLoader from "dataloader";
import { bestPossible } from "../evals/cache-policies.ts";
import { readRows } from "../evals/json-lines.ts";
import { dataFolder } from "../scripts/measurement.ts";
import { BatchEmbedder } from "../src/embedding/batch-embedder.ts";
import { openBuiltinModel } from "../src/embedding/models/builtin-model.ts";
import { seededRandom, TextGenerator } from "./generated-text.ts";
import { median, percentile, timed, timedInTurn } from "./latencies.ts";
import { SlowService } from "./slow-service.ts";

/** What a hosted embedding service takes, roughly. */
const callMs = 30;
const textMs = 0.2;

/** Texts of the concurrent cases, and how many of them were asked for before. */
const askedTexts = 1_000;
const duplicateShare = 0.3;

/**
 * The batcher beside what else could stand in front of the same model: the AI SDK's `embed` and LangChain's
 * `embedQuery` as they come, dataloader, or nothing. `--data DIR` adds the hit rate on real query logs.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { data: { type: "string" } } });
  await using service = await SlowService.start(callMs, textMs);
  // The first requests open connections and warm the code.
  await Promise.all(Array.from({ length: 32 }, () => service.embed(["warm"], { task: "document" })));
  return {
    builtinModel: await tenShortTexts(),
    together: await tenTogether(service),
    allAtOnce: await concurrentCases(service, 0),
    overOneSecond: await concurrentCases(service, 1_000),
    hundredCallers: await hundredCallers(service),
    loneText: await loneText(service),
    cacheHit: await cacheHit(),
    hitRate: await hitRates(values.data === undefined ? undefined : dataFolder(values.data)),
  };
}

async function tenShortTexts(): Promise<object> {
  const generator = new TextGenerator(1);
  const texts = Array.from({ length: 10 }, () => generator.sentence());
  const model = await openBuiltinModel();
  await using embedder = new BatchEmbedder(model);
  const { ours, floor } = await timedInTurn(
    3_000,
    100,
    () => embedder.embedBatch(texts),
    () => model.doEmbed(texts),
  );
  return { tenTextsMs: median(ours), bareModelMs: median(floor), targetMs: 0.2 };
}

async function tenTogether(service: SlowService): Promise<object> {
  await using embedder = new BatchEmbedder(service.embed, { cacheBytes: 0 });
  const texts = Array.from({ length: 10 }, (_, i) => `text ${i}`);
  const oneByOne = async (): Promise<void> => {
    for (const text of texts) await service.embed([text], { task: "document" });
  };
  const times = await timedInTurn(5, 1, () => embedder.embedBatch(texts), oneByOne);
  const [togetherMs, oneByOneMs] = [median(times.ours), median(times.floor)];
  return { togetherMs, oneByOneMs, timesFaster: oneByOneMs / togetherMs, target: 8 };
}

type EmbedOne = (text: string) => Promise<unknown>;

/** Single embeds by many callers, all at once or spread evenly over some time, through each way. */
async function concurrentCases(service: SlowService, overMs: number): Promise<object[]> {
  const random = seededRandom(7);
  const distinct = Math.round(askedTexts * (1 - duplicateShare));
  const texts = Array.from({ length: distinct }, (_, i) => `text ${i}`);
  while (texts.length < askedTexts) {
    const place = Math.floor(random() * (texts.length + 1));
    texts.splice(place, 0, texts[Math.floor(random() * texts.length)]!);
  }
  const direct = service.embed;
  const load = (window: number | undefined): EmbedOne => {
    const loader = new DataLoader(
      (keys: readonly string[]) => Promise.resolve(direct(keys, { task: "document" })),
      {
        maxBatchSize: 32,
        ...(window === undefined ? {} : { batchScheduleFn: (callback) => void setTimeout(callback, window) }),
      },
    );
    return (text) => loader.load(text);
  };
  await using embedder = new BatchEmbedder(direct);
  const ways: Record<string, EmbedOne> = {
    BatchEmbedder: (text) => embedder.embedText(text),
    "dataloader, 5 ms window": load(5),
    "dataloader, its default": load(undefined),
    "AI SDK, embed as it comes": aiSdkOver(direct),
    "LangChain, embedQuery as it comes": langChainOver(direct),
    "one call a text": async (text) => direct([text], { task: "document" }),
  };
  const rows: object[] = [];
  for (const [way, embed] of Object.entries(ways)) {
    await service.requests();
    const { latencies, totalMs } = await arrive(texts, embed, overMs);
    rows.push({
      way,
      calls: await service.requests(),
      p50Ms: median(latencies),
      p95Ms: percentile(latencies, 0.95),
      totalMs,
    });
  }
  return rows;
}

/** The AI SDK's own `embed` over the service. */
function aiSdkOver(direct: SlowService["embed"]): EmbedOne {
  const model: Exclude<AiSdkEmbeddingModel, string> = {
    specificationVersion: "v4",
    provider: "loopback",
    modelId: "slow",
    maxEmbeddingsPerCall: 32,
    supportsParallelCalls: true,
    doEmbed: async ({ values }) => {
      const embeddings = await direct(values, { task: "document" });
      return { embeddings: embeddings.map((vector) => Array.from(vector ?? [])), warnings: [] };
    },
  };
  return (value) => aiSdkEmbed({ model, value });
}

/** LangChain's own `Embeddings` over the service. */
function langChainOver(direct: SlowService["embed"]): EmbedOne {
  class SlowEmbeddings extends Embeddings {
    async embedDocuments(documents: string[]): Promise<number[][]> {
      const vectors = await direct(documents, { task: "document" });
      return vectors.map((vector) => Array.from(vector ?? []));
    }
    async embedQuery(document: string): Promise<number[]> {
      return (await this.embedDocuments([document]))[0]!;
    }
  }
  const embeddings = new SlowEmbeddings({});
  // Through LangChain's own caller, which bounds and retries calls.
  return (text) => embeddings.caller.call(() => embeddings.embedQuery(text));
}

async function arrive(
  texts: readonly string[],
  embed: EmbedOne,
  overMs: number,
): Promise<{ latencies: number[]; totalMs: number }> {
  const startedAt = performance.now();
  const latencies: number[] = [];
  const calls: Promise<unknown>[] = [];
  for (const [i, text] of texts.entries()) {
    const dueAt = startedAt + (i * overMs) / texts.length;
    while (performance.now() < dueAt) await sleep(1);
    calls.push(timed(() => embed(text)).then((ms) => latencies.push(ms)));
  }
  await Promise.all(calls);
  return { latencies, totalMs: performance.now() - startedAt };
}

/** Callers who each embed one text after another, beside one caller who embeds them all one by one. */
async function hundredCallers(service: SlowService): Promise<object> {
  const [callers, each] = [100, 5];
  await using embedder = new BatchEmbedder(service.embed, { cacheBytes: 0 });
  const latencies: number[] = [];
  const totalMs = await timed(() =>
    Promise.all(
      Array.from({ length: callers }, async (_, caller) => {
        for (let i = 0; i < each; i++)
          latencies.push(await timed(() => embedder.embedText(`text ${caller} ${i}`)));
      }),
    ),
  );
  const single = await timed(async () => {
    for (let i = 0; i < 10; i++) await service.embed([`text ${i}`], { task: "document" });
  });
  const perSecond = (1_000 * callers * each) / totalMs;
  const sequentialPerSecond = 10_000 / single;
  return {
    callers,
    perSecond,
    sequentialPerSecond,
    timesSequential: perSecond / sequentialPerSecond,
    p95Ms: percentile(latencies, 0.95),
    targets: { timesSequential: 5, p95Ms: 100 },
  };
}

async function loneText(service: SlowService): Promise<object> {
  await using embedder = new BatchEmbedder(service.embed);
  const { ours, floor } = await timedInTurn(
    60,
    1,
    (i) => embedder.embedText(`lone ${i}`),
    (i) => service.embed([`bare ${i}`], { task: "document" }),
  );
  const [embedderMs, bareMs] = [median(ours), median(floor)];
  // The same without a service, whose times scatter by more than what is measured.
  await using empty = new BatchEmbedder((texts) => texts.map(() => [1, 0]));
  const addedMs = median(
    (
      await timedInTurn(
        2_000,
        50,
        (i) => empty.embedText(`${i}`),
        () => undefined,
      )
    ).ours,
  );
  return { embedderMs, bareMs, addedMs, targetMs: 1 };
}

async function cacheHit(): Promise<object> {
  const dimensions = 384;
  const generator = new TextGenerator(3);
  const texts = Array.from({ length: 100 }, () => generator.sentence());
  await using embedder = new BatchEmbedder(async (batch) =>
    batch.map((text) => unitVector(text, dimensions)),
  );
  await embedder.embedBatch(texts);
  const blocks: number[] = [];
  const batches: number[] = [];
  // A single hit is shorter than the clock's step: blocks of a hundred are timed.
  for (let i = 0; i < 2_000; i++) {
    blocks.push(
      await timed(async () => {
        for (const text of texts) await embedder.embedText(text);
      }),
    );
    batches.push(await timed(() => embedder.embedBatch(texts)));
  }
  return {
    dimensions,
    embedTextUs: (1_000 * median(blocks)) / texts.length,
    embedBatchOf100Us: 1_000 * median(batches),
    targets: { embedTextUs: 2, embedBatchOf100Us: 40 },
  };
}

function unitVector(text: string, dimensions: number): number[] {
  return Array.from({ length: dimensions }, (_, i) => (i === text.length % dimensions ? 1 : 0));
}

/** Share of texts answered from 1,000 entries, beside first in, first out and the best any cache could do. */
async function hitRates(data: string | undefined): Promise<object[]> {
  const entries = 1_000;
  const rows = [await hitRate("zipf 1.0 over 10,000 keys", zipfKeys(200_000, 10_000), entries)];
  if (data === undefined) return rows;
  for (const log of ["excite", "weblog_semicomplete"]) {
    const queries = readRows<{ query: string }>(join(data, "querylog", `${log}.jsonl`));
    rows.push(
      await hitRate(
        log,
        queries.map(({ query }) => query),
        entries,
      ),
    );
  }
  return rows;
}

async function hitRate(keys: string, asked: readonly string[], entries: number): Promise<object> {
  await using embedder = new BatchEmbedder((batch: readonly string[]) => batch.map(() => [1]), {
    cacheEntries: entries,
  });
  for (const key of asked) await embedder.embedText(key);
  return {
    keys,
    texts: asked.length,
    entries,
    hitRate: embedder.getStats().hitRate,
    firstInFirstOut: firstInFirstOut(asked, entries) / asked.length,
    bestPossible: bestPossible(asked, entries) / asked.length,
  };
}

function zipfKeys(count: number, distinct: number): string[] {
  const random = seededRandom(11);
  const bounds: number[] = [];
  let sum = 0;
  for (let rank = 1; rank <= distinct; rank++) {
    sum += 1 / rank;
    bounds.push(sum);
  }
  return Array.from({ length: count }, () => {
    const drawn = random() * sum;
    let [low, high] = [0, distinct - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (bounds[middle]! < drawn) low = middle + 1;
      else high = middle;
    }
    return `key ${low}`;
  });
}

function firstInFirstOut(keys: readonly string[], entries: number): number {
  const kept = new Set<string>();
  let hits = 0;
  for (const key of keys) {
    if (kept.has(key)) {
      hits++;
      continue;
    }
    kept.add(key);
    const [oldest] = kept;
    if (kept.size > entries) kept.delete(oldest!);
  }
  return hits;
}
