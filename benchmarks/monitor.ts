import { parseArgs } from "node:util";
import { withMemory } from "../evals/temporary-memory.ts";
import { PerformanceMonitor, type Strata } from "../src/index.ts";
import { TextGenerator } from "./generated-text.ts";
import { median, percentile } from "./latencies.ts";

const entries = 2_000;
/** How many samples an operation has when calls are timed. */
const levels = [0, 1_000, 100_000];
const tracked = 2_000_000;
const resamples = 2_000;
/** Milliseconds of calls before a block is timed: who subscribes makes Node compile the way of an event anew. */
const warmMs = 400;

/**
 * What watching costs: nanoseconds of `trackOperation`, and recalls and stores with everything on against nothing
 * counted, in the same process, on the same memory, with the same texts, in blocks by turns. Beside them stand the same calls
 * unwatched, but with the clock read before and after each: the least that any timing costs.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { rounds: { type: "string", default: "60" } } });
  const rounds = Number(values.rounds);
  const track = levels.map(trackLevel);
  // Watching the process costs what it costs whether anything happens or not: it is on in both.
  const config = { "monitoring.track_memory": true, "memory.semantic_capacity": 0 };
  const paired = await withMemory((memory) => measureWays(memory, rounds), { config, configFile: false });
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

async function measureWays(memory: Strata, rounds: number): Promise<object[]> {
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
      block: 300,
      call: () => memory.store(text.sentence(), { tier: "semantic" }),
    },
  ];
  memory.observation.stop();
  const rows: object[] = [];
  for (const way of ways) rows.push(await measureWay(memory, way, rounds));
  return rows;
}

async function measureWay(
  memory: Strata,
  { name, together, block, call }: Way,
  rounds: number,
): Promise<object> {
  let calls = 0;
  memory.monitor.resetStats();
  while (calls < 500) await call(calls++);
  let timedMs = 0;
  const callPlainly = async (): Promise<void> => {
    for (let at = 0; at < together; at++) await call(calls++);
  };
  const readClock = async (): Promise<void> => {
    for (let at = 0; at < together; at++) {
      const start = performance.now();
      await call(calls++);
      timedMs += performance.now() - start;
    }
  };
  const timeBlock = async (run: () => Promise<void>): Promise<Block> => {
    for (const until = performance.now() + warmMs; performance.now() < until; ) await run();
    const times: number[] = [];
    const cpu = process.cpuUsage();
    while (times.length < block) {
      const start = performance.now();
      await run();
      times.push((performance.now() - start) / together);
    }
    const { user, system } = process.cpuUsage(cpu);
    return { ms: median(times), cpuMs: (user + system) / 1_000 / block / together };
  };
  /** Every block begins with as many changes of who subscribes, whichever way it is then. */
  const timeWatched = async (): Promise<Block> => {
    memory.observation.start();
    const timed = await timeBlock(callPlainly);
    memory.observation.stop();
    return timed;
  };
  const timeUnwatched = (run: () => Promise<void>): Promise<Block> => {
    memory.observation.start();
    memory.observation.stop();
    return timeBlock(run);
  };
  const on: Block[] = [];
  const off: Block[] = [];
  const clock: Block[] = [];
  const arms = [
    async () => on.push(await timeWatched()),
    async () => off.push(await timeUnwatched(callPlainly)),
    async () => clock.push(await timeUnwatched(readClock)),
  ];
  // Each goes first as often as the others.
  for (let round = 0; round < rounds; round++)
    for (let turn = 0; turn < arms.length; turn++) await arms[(round + turn) % arms.length]!();
  return {
    call: name,
    rounds,
    block: block * together,
    offUs: median(off.map(({ ms }) => ms)) * 1_000,
    watched: compare(on, off),
    clockAlone: { ...compare(clock, off), timed: timedMs > 0 },
    operations: Object.keys(memory.monitor.getReport().operations).length,
  };
}

/** Milliseconds of a call: the median on the clock, and the mean of the process's work on all processors. */
interface Block {
  readonly ms: number;
  readonly cpuMs: number;
}

/** What one way adds to another, round by round: nanoseconds, and the ratios with their 95 % intervals. */
function compare(way: readonly Block[], other: readonly Block[]) {
  const ratios = way.map(({ ms }, round) => ms / other[round]!.ms);
  const cpuRatios = way.map(({ cpuMs }, round) => cpuMs / other[round]!.cpuMs);
  const [low, high] = interval(ratios);
  const [cpuLow, cpuHigh] = interval(cpuRatios);
  return {
    addedNs: median(way.map(({ ms }, round) => ms - other[round]!.ms)) * 1e6,
    ratio: median(ratios),
    low,
    high,
    cpuRatio: median(cpuRatios),
    cpuLow,
    cpuHigh,
  };
}

/** 95 % interval of the median, by resampling rounds (Efron, "Bootstrap Methods", 1979). */
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
