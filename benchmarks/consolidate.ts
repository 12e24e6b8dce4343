import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { inTemporaryFolder } from "../evals/temporary-folder.ts";
import type { ConsolidationReport } from "../src/index.ts";
import { openMemory, type Strata } from "../src/index.ts";
import { TextGenerator } from "./generated-text.ts";
import { latencies, median } from "./latencies.ts";

/** The reference's cases, with what it took and what is aimed at, in milliseconds. */
const cases = [
  { entries: 1_000, share: 0.1, referenceMs: 441, targetMs: 10 },
  { entries: 1_000, share: 0.2, referenceMs: 651, targetMs: 15 },
  { entries: 1_000, share: 1, referenceMs: 2_845, targetMs: 50 },
  { entries: 10_000, share: 0.1, referenceMs: 5_045, targetMs: 60 },
  { entries: 10_000, share: 0.2, referenceMs: 8_561, targetMs: 110 },
];
const repeats = 5;

/**
 * One pass over entries in long_term, of which a share is promoted to semantic, beside bare SQLite that updates as many
 * rows and inserts as many; a pass with nothing to do in a large namespace; recall and store while a pass runs. As in a pass in the background, near-duplicates are
 * not looked for. `--large 0` and `--beside 0` leave the latter two out.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({
    args,
    options: {
      large: { type: "string", default: "1000000" },
      beside: { type: "string", default: "100000" },
    },
  });
  const promotions: object[] = [];
  for (const each of cases) promotions.push(await inTemporaryFolder((folder) => promote(folder, each)));
  const [large, beside] = [Number(values.large), Number(values.beside)];
  return {
    promotions,
    ...(large > 0 && { nothingToDo: await inTemporaryFolder((folder) => nothingToDo(folder, large)) }),
    ...(beside > 0 && { beside: await inTemporaryFolder((folder) => latencyBeside(folder, beside)) }),
  };
}

function open(folder: string, name = "memory.db"): Promise<Strata> {
  const config = { "memory.long_term_capacity": 0, "memory.enable_background_tasks": false };
  return openMemory({ path: join(folder, name), namespace: "benchmark", configFile: false, config });
}

/** Fills long_term, and takes the pass that looks at what was stored out of what is measured. */
async function fill(memory: Strata, entries: number): Promise<string[]> {
  const text = new TextGenerator(11);
  const ids: string[] = [];
  for (let done = 0; done < entries; done += 5_000) {
    const contents = text.sentences(Math.min(5_000, entries - done));
    const { memories } = await memory.storeMany(contents.map((content) => ({ content })));
    ids.push(...memories.map((each) => each.memory.id));
  }
  const consolidator = await memory.consolidator;
  while ((await consolidator.runConsolidation({ similar: false })).more);
  return ids;
}

/** Uses each of the memories ten times. */
async function use(memory: Strata, ids: readonly string[]): Promise<void> {
  for (let uses = 0; uses < 10; uses++) {
    for (const id of ids) await memory.get(id);
    await memory.flush();
  }
}

async function promote(folder: string, { entries, share, referenceMs, targetMs }: (typeof cases)[number]) {
  await using memory = await open(folder);
  const ids = await fill(memory, entries);
  const chosen = ids.filter((_, at) => at % Math.round(1 / share) === 0);
  await use(memory, chosen);
  using floor = new Floor(join(folder, "floor.db"), entries);
  const consolidator = await memory.consolidator;
  const times: number[] = [];
  const floors: number[] = [];
  for (let repeat = 0; repeat < repeats; repeat++) {
    const started = performance.now();
    const report = await consolidator.runConsolidation({ similar: false });
    times.push(performance.now() - started);
    if (report.counts.promote !== chosen.length)
      throw new Error(`Expected ${chosen.length} promotions; got ${report.counts.promote}.`);
    floors.push(floor.move(chosen.length));
    await memory.undo(report.run);
  }
  const ms = median(times);
  return {
    entries,
    promoted: chosen.length,
    ms,
    slowestMs: Math.max(...times),
    floorMs: median(floors),
    targetMs,
    reached: ms <= targetMs,
    referenceMs,
    timesFaster: referenceMs / ms,
  };
}

/** As many rows updated and as many inserted on bare SQLite, in transactions of 128. */
class Floor implements Disposable {
  readonly #database: DatabaseSync;
  #next = 0;

  constructor(path: string, rows: number) {
    this.#database = new DatabaseSync(path);
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    this.#database.exec("CREATE TABLE entry (id INTEGER PRIMARY KEY, tier INTEGER, expires INTEGER) STRICT");
    this.#database.exec("CREATE INDEX entry_tier ON entry (tier, expires)");
    this.#database.exec("CREATE TABLE journal (id INTEGER PRIMARY KEY, at INTEGER, text TEXT) STRICT");
    const insert = this.#database.prepare("INSERT INTO entry (tier, expires) VALUES (3, ?)");
    this.#database.exec("BEGIN");
    for (let row = 0; row < rows; row++) insert.run(row);
    this.#database.exec("COMMIT");
  }

  /** Milliseconds. */
  move(rows: number): number {
    const update = this.#database.prepare("UPDATE entry SET tier = ?, expires = expires + 1 WHERE id = ?");
    const insert = this.#database.prepare("INSERT INTO journal (at, text) VALUES (?, ?)");
    const reason = "relevance 0.75, at least 0.75: importance 0.5, 10 uses, last used today";
    const started = performance.now();
    for (let start = 0; start < rows; start += 128) {
      this.#database.exec("BEGIN IMMEDIATE");
      for (let row = start; row < Math.min(rows, start + 128); row++) {
        update.run(this.#next % 5, row + 1);
        insert.run(row, reason);
      }
      this.#database.exec("COMMIT");
    }
    this.#next += 1;
    return performance.now() - started;
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

async function nothingToDo(folder: string, entries: number): Promise<object> {
  await using memory = await open(folder);
  await fill(memory, entries);
  const consolidator = await memory.consolidator;
  const times: number[] = [];
  for (let repeat = 0; repeat < 50; repeat++) {
    const started = performance.now();
    const report = await consolidator.runConsolidation({ similar: false });
    times.push(performance.now() - started);
    if (report.actions.length > 0) throw new Error("Expected nothing to do.");
  }
  const { p50Ms, p95Ms } = latencies(times);
  return { entries, p50Ms, p95Ms, targetMs: 5, reached: p50Ms <= 5 };
}

/** Recalls and stores without a pass, and while one promotes a fifth of the entries, by turns. */
async function latencyBeside(folder: string, entries: number): Promise<object> {
  await using memory = await open(folder);
  const ids = await fill(memory, entries);
  await use(
    memory,
    ids.filter((_, at) => at % 5 === 0),
  );
  const text = new TextGenerator(23);
  const consolidator = await memory.consolidator;
  await memory.recall(text.sentence());
  const quiet = { recalls: [] as number[], stores: [] as number[] };
  const beside = { recalls: [] as number[], stores: [] as number[] };
  let passMs = 0;
  let passes = 0;
  for (let round = 0; round < 4; round++) {
    let report: ConsolidationReport | undefined;
    const started = performance.now();
    const pass = consolidator.runConsolidation({ maxExamined: 0, similar: false }).then((done) => {
      report = done;
      passMs += performance.now() - started;
      passes += 1;
    });
    let calls = 0;
    while (report === undefined) {
      await oneOfEach(memory, text, beside);
      calls += 1;
    }
    await pass;
    for (let call = 0; call < Math.max(50, calls); call++) await oneOfEach(memory, text, quiet);
    await memory.undo(report.run);
  }
  const row = (name: "recalls" | "stores") => {
    const [without, during] = [latencies(quiet[name]), latencies(beside[name])];
    const ratioP99 = during.p99Ms / without.p99Ms;
    return { without, during, ratioP99, reached: ratioP99 <= 2 };
  };
  return {
    entries,
    promoted: entries / 5,
    passMs: passMs / passes,
    recall: row("recalls"),
    store: row("stores"),
  };
}

async function oneOfEach(
  memory: Strata,
  text: TextGenerator,
  into: { readonly recalls: number[]; readonly stores: number[] },
): Promise<void> {
  const question = text.sentence();
  let started = performance.now();
  await memory.recall(question, { cache: false });
  into.recalls.push(performance.now() - started);
  started = performance.now();
  await memory.store(question);
  into.stores.push(performance.now() - started);
  await new Promise((resolve) => setImmediate(resolve));
}
