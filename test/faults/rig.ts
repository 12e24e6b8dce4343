import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/contract/clock.ts";
import { openMemory } from "../../src/engine/open-memory.ts";
import { checkFile, type Findings, isSound } from "./rig-checker.ts";
import { Ledger, type ProcessLedger } from "./rig-ledger.ts";
import type { Answer, Command, Line, OwnedMemory, Question } from "./rig-lines.ts";
import { contentOf, namespaces, openOptions, seededRandom } from "./rig-texts.ts";

export interface RigOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Processes at once. Default 8. */
  readonly processes?: number;
  /** After so many rounds a new file is begun. Default 10. */
  readonly roundsPerFile?: number;
  /** Milliseconds of a round, about. Default 700. */
  readonly roundMs?: number;
  /** Program of a process; another one shows that the rig finds what is wrong. Default `rig-process.ts`. */
  readonly program?: string;
  readonly onRound?: (told: string) => void;
}

export interface RigResult {
  rounds: number;
  files: number;
  kills: number;
  acknowledged: number;
  reads: number;
  /** Under way at a kill, and found whole or not at all. */
  uncertain: number;
  kept: number;
  dropped: number;
  lost: number;
  duplicated: number;
  halfMoves: number;
  halfDocuments: number;
  broken: number;
  integrity: string;
  /** What dead processes left, and the next ones put right. */
  repairs: { logs: number; wipes: number; chunks: number };
  refusals: Record<string, number>;
  /** The first failure: its round, and the file kept for a look at it. */
  failure?: { readonly round: number; readonly file: string; readonly findings: readonly string[] };
}

const program = fileURLToPath(new URL("rig-process.ts", import.meta.url));

/** Runs the rounds; ends at the first one after which something is wrong. */
export async function runRig(options: RigOptions): Promise<RigResult> {
  const { rounds, seed, roundsPerFile = 10, onRound } = options;
  const folder = mkdtempSync(join(tmpdir(), "strata-faults-"));
  const result: RigResult = {
    rounds: 0,
    files: 0,
    kills: 0,
    acknowledged: 0,
    reads: 0,
    uncertain: 0,
    kept: 0,
    dropped: 0,
    lost: 0,
    duplicated: 0,
    halfMoves: 0,
    halfDocuments: 0,
    broken: 0,
    integrity: "ok",
    repairs: { logs: 0, wipes: 0, chunks: 0 },
    refusals: {},
  };
  while (result.rounds < rounds && !result.failure) {
    const path = join(folder, `file${result.files}`, "memory.db");
    const file = new RigFile(
      path,
      { ...options, seed: seed + result.files },
      result,
      join(folder, "compiled"),
    );
    result.files++;
    await using _ = file;
    const last = Math.min(rounds, result.rounds + roundsPerFile);
    while (result.rounds < last && !result.failure) {
      result.rounds++;
      const findings = await file.round();
      onRound?.(`round ${result.rounds}: ${result.kills} kills, ${result.acknowledged} acknowledged`);
      if (findings.length > 0) result.failure = { round: result.rounds, file: path, findings };
    }
    if (!result.failure) await file.tidy();
  }
  if (!result.failure) rmSync(folder, { recursive: true, force: true });
  return result;
}

interface Slot {
  readonly child: ChildProcess;
  readonly ledger: ProcessLedger;
  readonly owner: string;
  /** Resolves with the next line of that kind; undefined when the process dies first. */
  next<K extends Line["line"]>(kind: K): Promise<Extract<Line, { line: K }> | undefined>;
  readonly dead: Promise<void>;
  alive: boolean;
}

/** One file, the processes on it, and what they were told. */
class RigFile implements AsyncDisposable {
  readonly #path: string;
  readonly #options: RigOptions;
  readonly #result: RigResult;
  readonly #compiled: string;
  readonly #random: () => number;
  readonly #ledger = new Ledger();
  readonly #slots: Slot[] = [];
  #started = 0;
  #told = { acknowledged: 0, reads: 0, uncertain: 0 };

  constructor(path: string, options: RigOptions, result: RigResult, compiled: string) {
    this.#path = path;
    this.#options = options;
    this.#result = result;
    this.#compiled = compiled;
    this.#random = seededRandom(options.seed);
  }

  /** Lets the processes work and kills some of them, then all rest and the file is checked. Returns what is wrong. */
  async round(): Promise<string[]> {
    const { processes = 8, roundMs = 700 } = this.#options;
    if (this.#started === 0) await this.#begin();
    while (this.#slots.length < processes) await this.#spawn(this.#slots.length);
    for (const slot of this.#slots) send(slot, { command: "resume" });
    const length = roundMs * (0.6 + 0.8 * this.#random());
    const kills = 1 + Math.floor(this.#random() * processes * 0.75);
    const times = Array.from({ length: kills }, () => this.#random() * length).sort((a, b) => a - b);
    const began = performance.now();
    for (const time of times) {
      await sleep(Math.max(0, began + time - performance.now()));
      const at = Math.floor(this.#random() * processes);
      await this.#meet(at);
      await this.#kill(at);
      await this.#spawn(at);
    }
    await sleep(Math.max(0, began + length - performance.now()));
    // Every third round nobody is left: whoever opens the file next has its log to recover.
    const nobody = this.#random() < 1 / 3;
    if (nobody) for (let at = 0; at < processes; at++) await this.#kill(at);
    else await this.#pause();
    const found = await this.#check(nobody);
    if (nobody) this.#slots.length = 0;
    return found;
  }

  /** Ends what the dead left: what nobody published is swept once its time is over. */
  async tidy(): Promise<void> {
    await this[Symbol.asyncDispose]();
    const later = { ...systemClock, now: () => Date.now() + 3_600_000 };
    await using memory = await openMemory({ ...openOptions(this.#path), clock: later });
    const { stagedChunks } = await memory.cleanup({ all: true });
    this.#result.repairs.chunks += stagedChunks;
    rmSync(join(this.#path, ".."), { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (let at = 0; at < this.#slots.length; at++) if (this.#slots[at]!.alive) await this.#kill(at, false);
    this.#slots.length = 0;
  }

  async #begin(): Promise<void> {
    mkdirSync(join(this.#path, ".."), { recursive: true });
    const { processes = 8 } = this.#options;
    // All at once on a file that is not there yet.
    await Promise.all(Array.from({ length: processes }, (_, at) => this.#spawn(at)));
    await using memory = await openMemory(openOptions(this.#path));
    for (let at = 0; at < 6; at++) {
      const id = `shared${at}`;
      await memory.store(contentOf(id, 0), { id, namespace: "first", pinned: true, tags: ["shared"] });
    }
  }

  async #spawn(at: number): Promise<void> {
    const owner = `w${at}p${this.#started++}`;
    const former = this.#slots[at];
    const owned = former?.alive === false ? former.ledger.left : [];
    const { program: own = program, seed } = this.#options;
    const child = spawn(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", own, this.#path, owner, String(seed)],
      {
        stdio: ["pipe", "pipe", "inherit"],
        env: { ...process.env, NODE_COMPILE_CACHE: this.#compiled },
      },
    );
    // A command to a process that was just killed finds nobody.
    child.stdin!.on("error", () => {});
    const ledger = this.#ledger.follow();
    const waiting: { kind: string; resolve: (line: Line | undefined) => void }[] = [];
    const lines = createInterface(child.stdout!);
    lines.on("line", (text) => {
      // A line cut short by the kill was never said.
      const line = parse(text);
      if (!line) return;
      ledger.take(line);
      const at = waiting.findIndex(({ kind }) => kind === line.line);
      if (at >= 0) waiting.splice(at, 1)[0]!.resolve(line);
    });
    const slot: Slot = {
      child,
      ledger,
      owner,
      alive: true,
      next: (kind) => new Promise((resolve) => waiting.push({ kind, resolve: resolve as never })),
      dead: Promise.all([
        new Promise((resolve) => child.once("exit", resolve)),
        new Promise((resolve) => lines.once("close", resolve)),
      ]).then(() => {
        for (const { resolve } of waiting.splice(0)) resolve(undefined);
        if (slot.alive)
          this.#ledger.broken.push(`${owner} ended by itself (${child.exitCode ?? child.signalCode})`);
        slot.alive = false;
        ledger.died();
      }),
    };
    const ready = slot.next("ready");
    this.#slots[at] = slot;
    this.#start(slot, ready, owned);
    if (this.#started <= (this.#options.processes ?? 8)) await ready;
  }

  #start(slot: Slot, ready: Promise<unknown>, owned: readonly OwnedMemory[]): void {
    slot.ledger.adopt(owned);
    void ready.then(() => send(slot, { command: "start", owned }));
  }

  /** Waits for the moment of a kill: any, just after a write began, or just after one was acknowledged. */
  async #meet(at: number): Promise<void> {
    const slot = this.#slots[at]!;
    const moment = this.#random();
    const delayMs = this.#random() * (moment < 2 / 3 ? 4 : 0.5);
    if (moment < 1 / 3) return;
    const line = moment < 2 / 3 ? slot.next("begin") : slot.next("done");
    await Promise.race([line, sleep(500)]);
    for (const until = performance.now() + delayMs; performance.now() < until; );
  }

  async #kill(at: number, counts = true): Promise<void> {
    const slot = this.#slots[at]!;
    if (!slot.alive) return;
    slot.alive = false;
    slot.child.kill("SIGKILL");
    if (counts) this.#result.kills++;
    await slot.dead;
  }

  /** Has every process end what it began. */
  async #pause(): Promise<void> {
    await Promise.all(
      this.#slots.map(async (slot) => {
        const paused = slot.next("paused");
        send(slot, { command: "pause" });
        await paused;
      }),
    );
    for (const slot of this.#slots) {
      const flushed = slot.next("paused");
      send(slot, { command: "flush" });
      await flushed;
    }
  }

  async #check(nobody: boolean): Promise<string[]> {
    const result = this.#result;
    const log = statSync(`${this.#path}-wal`, { throwIfNoEntry: false })?.size ?? 0;
    if (nobody && log > 0) result.repairs.logs++;
    if (nobody && isWipeDue(this.#path)) result.repairs.wipes++;
    const findings = checkFile(this.#path, this.#ledger);
    findings.broken.push(...this.#ledger.broken.splice(0), ...(await this.#checkAnswers()));
    this.#count(findings);
    if (isSound(findings)) return [];
    const { lost, duplicated, halfMoves, halfDocuments, broken, integrity } = findings;
    return Object.entries({ lost, duplicated, halfMoves, halfDocuments, broken, integrity }).flatMap(
      ([kind, list]) => list.slice(0, 10).map((sentence) => `${kind}: ${sentence}`),
    );
  }

  #count(findings: Findings): void {
    const result = this.#result;
    const ledger = this.#ledger;
    result.lost += findings.lost.length;
    result.duplicated += findings.duplicated.length;
    result.halfMoves += findings.halfMoves.length;
    result.halfDocuments += findings.halfDocuments.length;
    result.broken += findings.broken.length;
    if (findings.integrity.length > 0) result.integrity = findings.integrity.join("; ");
    result.kept += findings.kept;
    result.dropped += findings.dropped;
    result.acknowledged += ledger.acknowledged - this.#told.acknowledged;
    result.reads += ledger.reads - this.#told.reads;
    result.uncertain += ledger.uncertain - this.#told.uncertain;
    this.#told = { acknowledged: ledger.acknowledged, reads: ledger.reads, uncertain: ledger.uncertain };
    for (const [code, count] of ledger.refusals) result.refusals[code] = (result.refusals[code] ?? 0) + count;
    ledger.refusals.clear();
  }

  /** An index that followed the feed, one that began with a snapshot and a new one give the same answers. */
  async #checkAnswers(): Promise<string[]> {
    const questions = this.#questions();
    const copy = join(this.#path, "..", "copy", "memory.db");
    mkdirSync(join(copy, ".."), { recursive: true });
    for (const suffix of ["", "-wal"]) {
      if (existsSync(this.#path + suffix)) copyFileSync(this.#path + suffix, copy + suffix);
    }
    try {
      const fresh = await askAt(copy, questions);
      const broken = differences("an index with a snapshot", await askAt(this.#path, questions), fresh);
      for (const slot of this.#slots.filter(({ alive }) => alive).slice(0, 2)) {
        const answers = slot.next("answers");
        send(slot, { command: "ask", questions });
        const answered = (await answers)?.answers;
        if (answered) broken.push(...differences(`the index of ${slot.owner}`, answered, fresh));
      }
      return broken;
    } finally {
      rmSync(join(copy, ".."), { recursive: true, force: true });
    }
  }

  #questions(): Question[] {
    const known = [...this.#ledger.own.values()].filter(({ revision }) => revision !== undefined);
    return Array.from({ length: 8 }, (_, at) => {
      const one = known[Math.floor(this.#random() * known.length)];
      const text = one
        ? contentOf(one.id, one.revision!)
            .split(" ")
            .slice(at % 3, 9)
            .join(" ")
        : "amber";
      return { namespace: one?.namespace ?? namespaces[0], verb: at % 2 === 0 ? "recall" : "search", text };
    });
  }
}

function send(slot: Slot, command: Command): void {
  if (slot.alive) slot.child.stdin!.write(`${JSON.stringify(command)}\n`);
}

function parse(text: string): Line | undefined {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return undefined;
  }
}

async function askAt(path: string, questions: readonly Question[]): Promise<Answer[]> {
  await using memory = await openMemory(openOptions(path));
  const answers: Answer[] = [];
  for (const { namespace, verb, text } of questions) {
    const { hits } = await memory[verb](text, { namespace, limit: 10, cache: false, touch: false });
    answers.push(hits.map((hit) => [hit.memory.id, hit.score] as const));
  }
  return answers;
}

function differences(who: string, given: readonly Answer[], expected: readonly Answer[]): string[] {
  return expected.flatMap((answer, at) => {
    const other = given[at] ?? [];
    const same =
      answer.length === other.length &&
      answer.every(([id, score], rank) => other[rank]![0] === id && Math.abs(other[rank]![1] - score) < 1e-9);
    return same ? [] : [`${who} answers question ${at} otherwise than a new one`];
  });
}

function isWipeDue(path: string): boolean {
  using database = new DatabaseSync(path, { timeout: 5_000 });
  return database.prepare("select 1 from setting where name = 'wipe'").get() !== undefined;
}
