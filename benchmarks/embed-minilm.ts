import { existsSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { readRows } from "../evals/json-lines.ts";
import type { Turn } from "../evals/locomo.ts";
import { dataFolder, UsageError } from "../scripts/measurement.ts";
import { root } from "../scripts/repository.ts";
import { BatchEmbedder } from "../src/embedding/batch-embedder.ts";
import { type OnnxModel, openOnnxModel, probeOnnxDevices } from "../src/embedding/models/onnx-model.ts";
import { seededRandom } from "./generated-text.ts";
import { median, timed } from "./latencies.ts";
import { MiniLmByHand } from "./minilm-by-hand.ts";

const graphs = { fp32: "onnx/model.onnx", int8: "onnx/model_quantized.onnx" };
const handBatches = [1, 8, 32];

/**
 * all-MiniLM-L6-v2 through `embedBatch`, beside onnxruntime called by hand one by one and in sorted batches, in turns in
 * one process; concurrent single calls beside one call of the same texts; ten texts together beside one by one; and the
 * delay of the event loop meanwhile. Needs `--data DIR`, and the weights that scripts/test-weights/make.ts makes.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({
    args,
    options: {
      data: { type: "string" },
      weights: { type: "string", default: join(root, ".cache/minilm/model") },
      turns: { type: "string", default: "128" },
      passages: { type: "string", default: "24" },
      concurrent: { type: "string", default: "100,320,1000" },
      rounds: { type: "string", default: "3" },
    },
  });
  const folder = dataFolder(values.data);
  if (!existsSync(join(values.weights, graphs.fp32)))
    throw new UsageError("Expected the model's weights; make them with: node scripts/test-weights/make.ts");
  const counts = values.concurrent.split(",").map(Number);
  const [turns, passages, rounds] = [values.turns, values.passages, values.rounds].map(Number);
  if (![turns, passages, rounds, ...counts].every((count) => Number.isInteger(count) && count! >= 1))
    throw new UsageError("Expected whole numbers from 1 after --turns, --passages, --concurrent, --rounds.");
  const samples = readSamples(folder, Math.max(turns!, ...counts), passages!);
  const throughput: object[] = [];
  const concurrent: object[] = [];
  const together: object[] = [];
  for (const [weights, graph] of Object.entries(graphs)) {
    await using model = await openOnnxModel(values.weights, { graph });
    const hand = await MiniLmByHand.open(values.weights, graph);
    for (const [texts, sample] of Object.entries({
      turns: samples.turns.slice(0, turns),
      passages: samples.passages,
    }))
      throughput.push({ weights, texts, ...(await compare(model, hand, sample, rounds!)) });
    await hand.release();
    together.push({ weights, ...(await tenTogether(model, samples.turns)) });
    if (weights !== "int8") continue;
    for (const count of counts) concurrent.push(await queueCase(model, samples.turns.slice(0, count)));
  }
  const devices = (await probeOnnxDevices()).map(({ device, available, reason }) => ({
    device,
    ran: available ? "yes" : "not available",
    why: reason ?? "",
  }));
  return { throughput, concurrent, together, devices };
}

interface Samples {
  readonly turns: readonly string[];
  readonly passages: readonly string[];
}

function readSamples(folder: string, turns: number, passages: number): Samples {
  const spoken = readRows<Turn>(join(folder, "locomo/turns.jsonl"))
    .filter((turn) => !turn.dup_of)
    .map(({ speaker, text }) => `${speaker}: ${text}`);
  const abstracts = readRows<{ readonly title: string; readonly text: string }>(
    join(folder, "scifact/corpus.jsonl"),
  ).map(({ title, text }) => `${title}\n${text}`);
  return { turns: someOf(new Set(spoken), turns), passages: someOf(new Set(abstracts), passages) };
}

/** The same texts on every run. */
function someOf(texts: ReadonlySet<string>, count: number): string[] {
  const random = seededRandom(7);
  const keyed = [...texts].map((text) => ({ text, key: random() }));
  return keyed
    .toSorted((a, b) => a.key - b.key)
    .slice(0, count)
    .map(({ text }) => text);
}

async function compare(model: OnnxModel, hand: MiniLmByHand, texts: readonly string[], rounds: number) {
  const ways: Record<string, () => Promise<unknown>> = { embedBatch: () => embedBatch(model, texts) };
  for (const size of handBatches)
    ways[size === 1 ? "oneByOne" : `batchesOf${size}`] = () => hand.embed(texts, size);
  const times = new Map(Object.keys(ways).map((way) => [way, [] as number[]]));
  await embedBatch(model, texts.slice(0, 8));
  await hand.embed(texts.slice(0, 8), 1);
  for (let round = 0; round < rounds; round++) {
    for (const [way, work] of Object.entries(ways)) {
      times.get(way)!.push(await timed(work));
    }
  }
  // In a pass of its own: a timer every millisecond takes part of a core.
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  await embedBatch(model, texts);
  loop.disable();
  const perSecond = new Map([...times].map(([way, ms]) => [way, (texts.length / median(ms)) * 1_000]));
  const best = Math.max(...[...perSecond].flatMap(([way, rate]) => (way === "embedBatch" ? [] : [rate])));
  return {
    ...Object.fromEntries([...perSecond].map(([way, rate]) => [`${way}PerSecond`, rate])),
    ratioToBest: perSecond.get("embedBatch")! / best,
    eventLoopP99Ms: loop.percentile(99) / 1e6,
  };
}

/** Through a batcher that has seen none of the texts. */
async function embedBatch(model: OnnxModel, texts: readonly string[]): Promise<void> {
  await withEmbedder(model, (embedder) => embedder.embedBatch(texts));
}

async function withEmbedder<T>(model: OnnxModel, work: (embedder: BatchEmbedder) => Promise<T>): Promise<T> {
  // The model outlives the batcher.
  const { id, dimensions, maxBatchSize, maxConcurrency, symmetric } = model;
  const shared = { id, dimensions, maxBatchSize, maxConcurrency, symmetric };
  const embedder = new BatchEmbedder({ ...shared, doEmbed: (texts, call) => model.doEmbed(texts, call) });
  try {
    return await work(embedder);
  } finally {
    await embedder.close();
  }
}

/** The reference's queue reached .42 of its own batch call here. */
async function queueCase(model: OnnxModel, texts: readonly string[]) {
  const one: number[] = [];
  const many: number[] = [];
  let calls = 0;
  for (let round = 0; round < 2; round++) {
    one.push(await timed(() => embedBatch(model, texts)));
    many.push(
      await timed(() =>
        withEmbedder(model, async (embedder) => {
          await Promise.all(texts.map((text) => embedder.embedText(text)));
          calls = embedder.getStats().calls.calls;
        }),
      ),
    );
  }
  const rate = (ms: readonly number[]): number => (texts.length / Math.min(...ms)) * 1_000;
  return {
    callers: texts.length,
    singleCallsPerSecond: rate(many),
    oneBatchPerSecond: rate(one),
    ratio: rate(many) / rate(one),
    modelCalls: calls,
  };
}

async function tenTogether(model: OnnxModel, texts: readonly string[]) {
  const together: number[] = [];
  const apart: number[] = [];
  for (let round = 0; round < 8; round++) {
    const ten = texts.slice(round * 10, round * 10 + 10);
    together.push(await timed(() => model.doEmbed(ten, { task: "document" })));
    apart.push(
      await timed(async () => {
        for (const text of ten) await model.doEmbed([text], { task: "document" });
      }),
    );
  }
  return {
    togetherP50Ms: median(together),
    oneByOneP50Ms: median(apart),
    timesFaster: median(apart) / median(together),
    reason: "on a CPU the time is that of the arithmetic, and one text already keeps every core at work",
  };
}
