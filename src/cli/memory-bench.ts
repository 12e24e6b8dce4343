import { readFileSync } from "node:fs";
import { join } from "node:path";
import { shippedModelFolder } from "../embedding/models/model-files.ts";
import { openMemory } from "../engine/open-memory.ts";
import type { Strata } from "../engine/strata.ts";
import type { Style } from "./output.ts";
import { formatTable } from "./table.ts";
import { formatBytes, formatCount, formatDuration } from "./units.ts";

/** Times of one kind of call; absent percentiles: it was called once. */
export interface BenchRow {
  readonly name: string;
  readonly calls: number;
  readonly p50Ms: number;
  readonly p95Ms?: number;
  readonly perSecond?: number;
}

export interface BenchResult {
  readonly entries: number;
  /** Of these, texts of the memory in use. */
  readonly ownTexts: number;
  readonly model: string;
  readonly rows: readonly BenchRow[];
  readonly bytesPerMemory: number;
}

export interface BenchOptions {
  /** Empty, for the memory that is measured. */
  readonly folder: string;
  readonly entries: number;
  /** Texts to store; where they end, made ones follow. */
  readonly own: readonly string[];
  readonly configFile: string | false | undefined;
  readonly signal: AbortSignal;
  onStep(step: () => string): void;
}

const calls = 300;
/** A few milliseconds of work. */
const sliceSize = 128;

/** Stores, recalls, opens anew; a second or two for each thousand memories. */
export async function benchMemory(options: BenchOptions): Promise<BenchResult> {
  const { folder, entries, own, signal, onStep } = options;
  const texts = new MadeTexts();
  const contents = [...own.slice(0, entries)];
  while (contents.length < entries) contents.push(texts.sentence());
  const questions = Array.from({ length: calls + 1 }, (_, at) => questionOf(contents[(at * 37) % entries]!));
  const open = (): Promise<Strata> =>
    openMemory({ path: join(folder, "memory.db"), namespace: "bench", configFile: options.configFile });
  const rows: BenchRow[] = [];
  const measure = async (
    name: string,
    count: number,
    call: (at: number) => Promise<unknown>,
  ): Promise<void> => {
    onStep(() => name);
    rows.push(await timeCalls(name, count, call, signal));
  };
  let result: Pick<BenchResult, "model" | "bytesPerMemory">;
  {
    await using memory = await open();
    const started = performance.now();
    for (let start = 0; start < entries; start += sliceSize) {
      onStep(() => `store in bulk, ${formatCount(start)} of ${formatCount(entries)}`);
      const slice = contents.slice(start, start + sliceSize);
      await memory.storeMany(
        slice.map((content) => ({ content, tier: "semantic" })),
        { signal },
      );
    }
    const bulkMs = performance.now() - started;
    const stats = await memory.stats();
    result = { model: Object.keys(stats.models)[0] ?? "none", bytesPerMemory: stats.bytesOnDisk / entries };
    await memory.recall(questions[calls]!);
    rows.push({
      name: "store in bulk",
      calls: entries,
      p50Ms: bulkMs / entries,
      perSecond: (entries / bulkMs) * 1_000,
    });
    await measure("store", calls, () => memory.store(texts.sentence(), { tier: "semantic" }));
    await measure("recall, a new question", calls, (at) => memory.recall(questions[at]!));
    await measure("recall, asked before", calls, (at) => memory.recall(questions[at]!));
    await measure("search by words", calls, (at) => memory.search(questions[at]!, { cache: false }));
  }
  await measure("open and recall", 1, async () => {
    await using memory = await open();
    await memory.recall(questions[0]!);
  });
  return { entries, ownTexts: Math.min(own.length, entries), ...result, rows };
}

async function timeCalls(
  name: string,
  count: number,
  call: (at: number) => Promise<unknown>,
  signal: AbortSignal,
): Promise<BenchRow> {
  const times: number[] = [];
  for (let at = 0; at < count; at++) {
    signal.throwIfAborted();
    const started = performance.now();
    await call(at);
    times.push(performance.now() - started);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const p50Ms = sorted[sorted.length >> 1]!;
  if (count === 1) return { name, calls: count, p50Ms };
  const total = times.reduce((sum, ms) => sum + ms, 0);
  return {
    name,
    calls: count,
    p50Ms,
    p95Ms: sorted[Math.floor(sorted.length * 0.95)]!,
    perSecond: (count / total) * 1_000,
  };
}

/** Every second word of the beginning of a text. */
function questionOf(text: string): string {
  const words = text.split(/\s+/).filter((word) => word !== "");
  return words.length < 4
    ? text.slice(0, 200)
    : words
        .filter((_, at) => at % 2 === 0)
        .slice(0, 12)
        .join(" ");
}

/** Sentences of English words drawn by Zipf's law, the same on every run. */
class MadeTexts {
  readonly #words: readonly string[];
  #state = 1;

  constructor() {
    const vocabulary = readFileSync(join(shippedModelFolder(), "vocab.txt"), "utf8").split("\n");
    this.#words = vocabulary.filter((word) => /^[a-z]{2,}$/.test(word));
  }

  sentence(): string {
    const count = 8 + Math.floor(this.#random() * 21);
    return `${Array.from({ length: count }, () => this.#words[Math.floor(this.#words.length ** this.#random()) - 1]).join(" ")}.`;
  }

  /** A linear congruential generator (Numerical Recipes). */
  #random(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }
}

const columns = [
  { head: "what" },
  { head: "calls", right: true },
  { head: "P50", right: true },
  { head: "P95", right: true },
  { head: "per second", right: true },
];

export function formatBench(
  { rows, entries, ownTexts, model, bytesPerMemory }: BenchResult,
  style: Style,
): string {
  const cells = rows.map(({ name, calls: count, p50Ms, p95Ms, perSecond }) => [
    name,
    formatCount(count),
    formatDuration(p50Ms),
    p95Ms === undefined ? "" : formatDuration(p95Ms),
    perSecond === undefined ? "" : formatCount(perSecond),
  ]);
  const texts = ownTexts === 0 ? "made texts" : `${formatCount(ownTexts)} of them texts of your memory`;
  return [
    formatTable(columns, cells, style.dim),
    "",
    `${formatCount(entries)} memories, ${texts}; ${formatBytes(bytesPerMemory)} on disk each; embedded by ${model}`,
    `Node.js ${process.versions.node} on ${process.platform} ${process.arch}`,
  ].join("\n");
}
