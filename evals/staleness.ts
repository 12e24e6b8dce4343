import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { seededRandom } from "../benchmarks/generated-text.ts";
import { UsageError } from "../scripts/measurement.ts";
import type { QueryStats } from "../src/index.ts";
import { keys, openPlayed, type Play, play, type Seen } from "./staleness-player.ts";
import { inTemporaryFolder } from "./temporary-folder.ts";

/** What random steps in two processes came to. */
export interface StalenessReport {
  readonly steps: number;
  readonly seed: number;
  readonly reads: number;
  readonly aborted: number;
  readonly writes: number;
  /** Of both processes. */
  readonly hits: number;
  readonly joins: number;
  readonly misses: number;
  /** Reads that missed a write resolved before they began. */
  readonly stale: number;
  /** Reads that saw what nobody had begun to write. */
  readonly invented: number;
  readonly seconds: number;
}

type Player = (one: Play) => Promise<Seen>;

/** Steps under way at once, spread over both processes. */
const lanes = 6;
const namespaces = ["one", "two"];

/**
 * Random reads, writes, invalidations and aborts in two processes on one file, several at once, against a model of
 * what each read must at least see and can at most see.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({
    args,
    options: { steps: { type: "string", default: "100000" }, seed: { type: "string", default: "1" } },
  });
  const [steps, seed] = [Number(values.steps), Number(values.seed)];
  if (!(Number.isInteger(steps) && steps >= 1 && Number.isInteger(seed)))
    throw new UsageError("Expected whole numbers after --steps and --seed, at least one step.");
  return playSteps(steps, seed);
}

/** Plays the steps. The same seed draws the same steps; how they interleave is the machine's. */
export function playSteps(steps: number, seed: number): Promise<StalenessReport> {
  return inTemporaryFolder(async (folder) => {
    const path = join(folder, "memory.db");
    const started = performance.now();
    await using memory = await openPlayed(path);
    const other = await OtherProcess.start(path);
    try {
      const referee = new Referee([(one) => play(memory, one), (one) => other.play(one)], seededRandom(seed));
      let left = steps;
      const lane = async (): Promise<void> => {
        while (left-- > 0) await referee.step();
      };
      const ended = await Promise.allSettled(Array.from({ length: lanes }, lane));
      for (const lane of ended) if (lane.status === "rejected") throw lane.reason;
      const stats = [memory.queries.getStats(), await other.stats()];
      const sum = (figure: "hits" | "joins" | "misses") => stats.reduce((all, one) => all + one[figure], 0);
      return {
        steps,
        seed,
        ...referee.counts,
        hits: sum("hits"),
        joins: sum("joins"),
        misses: sum("misses"),
        seconds: (performance.now() - started) / 1_000,
      };
    } finally {
      await other.end();
    }
  });
}

/** The states one memory went through: its versions in order, 0 where it was forgotten. */
class History {
  readonly states: number[] = [0];
  /** Place of the newest state whose write has resolved; what begins now must see it or a later one. */
  resolved = 0;
  busy = false;

  /** Whether a read may have seen this version, when the newest state was `least` as it began. */
  judge(version: number, least: number): "right" | "stale" | "invented" {
    if (this.states.includes(version, least)) return "right";
    return this.states.includes(version) ? "stale" : "invented";
  }
}

/** Draws steps, and knows what each read must see. */
class Referee {
  readonly counts = { reads: 0, aborted: 0, writes: 0, stale: 0, invented: 0 };
  readonly #players: readonly Player[];
  readonly #random: () => number;
  readonly #histories = new Map(
    namespaces.map((namespace) => [namespace, Array.from({ length: keys }, () => new History())]),
  );

  constructor(players: readonly Player[], random: () => number) {
    this.#players = players;
    this.#random = random;
  }

  async step(): Promise<void> {
    const player = this.#one(this.#players);
    const namespace = this.#one(namespaces);
    const key = Math.floor(this.#random() * keys);
    const chance = this.#random();
    const history = this.#histories.get(namespace)![key]!;
    const base = { namespace, key, version: 0 };
    if (chance < 0.76) await this.#read(player, { ...base, kind: "read" });
    else if (chance < 0.84) await this.#read(player, { ...base, kind: "readAll" });
    else if (chance < 0.88)
      await this.#read(player, { ...base, kind: "read", abortAfter: Math.floor(this.#random() * 3) });
    else if (chance < 0.95) await this.#write(player, history, { ...base, kind: "write" });
    else if (chance < 0.97) await this.#write(player, history, { ...base, kind: "forget" });
    else await player({ ...base, kind: chance < 0.985 ? "invalidate" : "flush" });
  }

  async #read(player: Player, one: Play): Promise<void> {
    const histories = this.#histories.get(one.namespace)!;
    const least = histories.map(({ resolved }) => resolved);
    const seen = await player(one);
    this.counts.reads += 1;
    if (!seen) this.counts.aborted += 1;
    for (const [key, version] of seen ?? []) {
      const verdict = histories[key]!.judge(version, least[key]!);
      if (verdict !== "right") this.counts[verdict] += 1;
    }
  }

  /** One write to a memory at a time: which of two won would be for the store to say. */
  async #write(player: Player, history: History, one: Play): Promise<void> {
    if (history.busy) return;
    history.busy = true;
    this.counts.writes += 1;
    const place = history.states.push(one.kind === "forget" ? 0 : this.counts.writes) - 1;
    await player({ ...one, version: history.states[place]! });
    history.resolved = place;
    history.busy = false;
  }

  #one<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!;
  }
}

class OtherProcess {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #number = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on("message", (message: { number: number; result?: unknown; error?: string }) => {
      const waiting = this.#waiting.get(message.number);
      this.#waiting.delete(message.number);
      if (message.error === undefined) waiting?.resolve(message.result);
      else waiting?.reject(new Error(message.error));
    });
    child.on("exit", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("The other process ended."));
    });
  }

  static async start(path: string): Promise<OtherProcess> {
    const child = fork(join(import.meta.dirname, "staleness-process.ts"), [path]);
    await once(child, "message");
    return new OtherProcess(child);
  }

  play(one: Play): Promise<Seen> {
    return this.#ask(one) as Promise<Seen>;
  }

  stats(): Promise<QueryStats> {
    return this.#ask("stats") as Promise<QueryStats>;
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.disconnect();
    await exited;
  }

  #ask(one: Play | "stats"): Promise<unknown> {
    const number = this.#number++;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(number, answer);
    this.#child.send({ number, one }, (error) => {
      if (error) answer.reject(error);
    });
    return answer.promise;
  }
}
