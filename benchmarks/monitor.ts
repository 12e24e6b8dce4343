import { parseArgs } from "node:util";
import { withMemory } from "../evals/temporary-memory.ts";
import { onOperations, PerformanceMonitor, type Strata, watchOperations } from "../src/index.ts";
import { TextGenerator } from "./generated-text.ts";
import { median, percentile } from "./latencies.ts";

const entries = 2_000;
/** How many samples an operation has when calls are timed. */
const levels = [0, 1_000, 100_000];
const tracked = 2_000_000;
const resamples = 2_000;

/**
 * What watching costs: nanoseconds of `trackOperation`, and recalls and stores with everything on against everything
 * off, in the same process, on the same memory, with the same texts, in blocks by turns.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { pairs: { type: "string", default: "120" } } });
  const pairs = Number(values.pairs);
  const track = levels.map(trackLevel);
  // The memory itself watches nothing, so that off is off.
  const config = { "monitoring.enabled": false, "memory.semantic_capacity": 0 };
  const paired = await withMemory((memory) => measurePairs(memory, pairs), { config, configFile: false });
  return { track, paired, shareMs: shareMs() };
}

/** Nanoseconds of a call, once there are that many samples; the fastest of five runs. */
function trackLevel(samples: number): object {
  const monitor = new PerformanceMonitor({ enableDetailed: true });
  const durations = Float64Array.from({ length: 1_024 }, (_, at) => ((at * 7_919) % 1_024) / 100);
  for (let call = 0; call < samples; call++) monitor.trackOperation("recall", durations[call & 1_023]!);
  // With no samples, so few calls that the window is not full when they are over, on many monitors.
  const calls = samples === 0 ? 1_000 : tracked;
  const runs: number[] = [];
  for (let run = 0; run < (samples === 0 ? 500 : 5); run++) {
    const used = samples === 0 ? new PerformanceMonitor({ enableDetailed: true }) : monitor;
    const start = performance.now();
    for (let call = 0; call < calls; call++) used.trackOperation("recall", durations[call & 1_023]!);
    runs.push(((performance.now() - start) / calls) * 1e6);
  }
  return { samples, trackNs: samples === 0 ? median(runs) : Math.min(...runs) };
}

/** One kind of call. */
interface Way {
  readonly name: string;
  /** Calls that are timed together, so that reading the clock does not show. */
  readonly together: number;
  /** Timings in a block, of which the median counts: one checkpoint of the log is no part of what watching costs. */
  readonly block: number;
  call(at: number): Promise<unknown>;
}

async function measurePairs(memory: Strata, pairs: number): Promise<object[]> {
  const text = new TextGenerator(11);
  await memory.storeMany(text.sentences(entries).map((content) => ({ content, tier: "semantic" })));
  const questions = text.sentences(50);
  const ways: Way[] = [
    {
      name: "recall",
      together: 1,
      block: 60,
      call: (at) => memory.recall(questions[at % questions.length]!, { cache: false, touch: false }),
    },
    {
      name: "cached recall",
      together: 50,
      block: 60,
      call: (at) => memory.recall(questions[at % questions.length]!, { touch: false }),
    },
    {
      name: "store",
      together: 1,
      block: 60,
      call: () => memory.store(text.sentence(), { tier: "semantic" }),
    },
  ];
  const rows: object[] = [];
  for (const way of ways) rows.push(await measureWay(way, pairs));
  return rows;
}

async function measureWay({ name, together, block, call }: Way, pairs: number): Promise<object> {
  const sources = new Set<object>();
  const learn = onOperations({
    onOperation: ({ source }) => void sources.add(source),
    onStage: ({ source }) => void sources.add(source),
  });
  for (let at = 0; at < 500; at++) await call(at);
  learn();
  const monitor = new PerformanceMonitor({ trackMemory: true, enableDetailed: true });
  const timeBlock = async (): Promise<number> => {
    const times: number[] = [];
    // Who subscribes makes Node compile the way of an event anew: the first third of a block is not counted.
    for (let timing = -block / 2; timing < block; timing++) {
      const start = performance.now();
      for (let at = 0; at < together; at++) await call(timing + block + at);
      if (timing >= 0) times.push((performance.now() - start) / together);
    }
    return median(times);
  };
  const timeWatched = async (): Promise<number> => {
    const stop = watchOperations(monitor, [...sources]);
    const ms = await timeBlock();
    stop();
    return ms;
  };
  const on: number[] = [];
  const off: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    // Each goes first as often as the other.
    if (pair % 2 === 0) on.push(await timeWatched());
    off.push(await timeBlock());
    if (pair % 2 === 1) on.push(await timeWatched());
  }
  monitor.close();
  const ratios = on.map((ms, pair) => ms / off[pair]!);
  const [low, high] = interval(ratios);
  return {
    call: name,
    pairs,
    block: block * together,
    offUs: median(off) * 1_000,
    addedNs: median(on.map((ms, pair) => ms - off[pair]!)) * 1e6,
    ratio: median(ratios),
    low,
    high,
    operations: Object.keys(monitor.getReport().operations).length,
  };
}

/** 95 % interval of the median, by resampling pairs (Efron, "Bootstrap Methods", 1979). */
function interval(ratios: readonly number[]): [low: number, high: number] {
  let seed = 1;
  const next = (): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed / 2 ** 32;
  };
  const medians = Array.from({ length: resamples }, () =>
    median(ratios.map(() => ratios[Math.floor(next() * ratios.length)]!)),
  );
  return [percentile(medians, 0.025), percentile(medians, 0.975)];
}

/** Milliseconds to make what a process tells of itself each second: the report of twelve operations, as JSON. */
function shareMs(): number {
  const monitor = new PerformanceMonitor();
  for (let operation = 0; operation < 12; operation++)
    for (let call = 0; call < 1_000; call++)
      monitor.trackOperation(`operation-${operation}`, (call * 7) % 100);
  const runs = Array.from({ length: 50 }, () => {
    const start = performance.now();
    JSON.stringify(monitor.getReport());
    return performance.now() - start;
  });
  return median(runs);
}
