import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { Command } from "commander";
import { StrataError } from "../../contract/errors.ts";
import { addExamples, numberFlag } from "../flag-values.ts";
import type { Session } from "../session.ts";
import { formatTable } from "../table.ts";
import { oneLine } from "../terminal-text.ts";
import { formatBytes, formatCount, formatTime } from "../units.ts";

interface Flags {
  readonly dryRun?: string;
  readonly limit?: number;
  readonly embedMs?: number;
  readonly dimensions?: number;
}

const columns = [
  { head: "when" },
  { head: "parameter" },
  { head: "before", right: true },
  { head: "after", right: true },
  { head: "why" },
];

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Show what the memory tuned of itself, the latest first; or what it would with a recorded workload. A program records one when `tuning.record` names a file.",
    )
    .option("--dry-run <file>", "play a recorded workload, change nothing")
    .option("--limit <count>", "most decisions: 1 to 1,000 (default: 100)", numberFlag)
    .option(
      "--embed-ms <ms>",
      "with --dry-run: milliseconds of one text with the model (default: 4)",
      numberFlag,
    )
    .option("--dimensions <count>", "with --dry-run: numbers of a vector (default: 384)", numberFlag)
    .action((flags: Flags) =>
      flags.dryRun === undefined ? show(flags, session) : dryRun(flags.dryRun, flags, session),
    );
  addExamples(command, [
    ["strata tune --limit 20", "what was tuned, and why"],
    ["strata tune --dry-run workload.jsonl", "what would be"],
  ]);
}

async function show({ limit }: Flags, session: Session): Promise<void> {
  const { output } = session;
  await using memory = await session.openExisting();
  const decisions = await memory.tuningDecisions({ limit });
  output.result(
    { decisions: decisions.map((each) => ({ ...each, at: new Date(each.at).toISOString() })) },
    () => {
      if (decisions.length === 0) return "";
      const rows = decisions.map(({ at, parameter, before, after, reason }) => [
        formatTime(at),
        parameter,
        formatValue(parameter, before),
        formatValue(parameter, after),
        oneLine(reason),
      ]);
      return formatTable(columns, rows, output.style.dim);
    },
  );
  if (decisions.length === 0) output.note("Nothing was tuned yet.");
}

async function dryRun(file: string, flags: Flags, session: Session): Promise<void> {
  const { output, io } = session;
  const { resolve } = await import("node:path");
  const { loadConfig } = await import("../../config/config.ts");
  const { parseWorkload } = await import("../../tuning/parse-workload.ts");
  const { simulateCaches } = await import("../../tuning/simulate-caches.ts");
  const { simulatedEmbeddings, simulatedQueries } = await import("../simulated-caches.ts");
  const config = await loadConfig(session.overrides, { cwd: io.cwd, environment: io.environment });
  const steps = await parseWorkload(linesOf(resolve(io.cwd, file)));
  const dimensions = flags.dimensions ?? 384;
  const queryBytes = config.queryCache.maxBytes;
  const totalBytes = queryBytes + config.embedding.cacheBytes;
  const play = (tuned: boolean) =>
    simulateCaches({
      steps,
      queries: simulatedQueries(),
      embeddings: simulatedEmbeddings(dimensions),
      totalBytes,
      queryBytes,
      embedMs: flags.embedMs ?? 4,
      searchMs: 1,
      dimensions,
      tuned,
    });
  const [configured, tuned] = [play(false), play(true)];
  const ratio = configured.ms === 0 ? 1 : tuned.ms / configured.ms;
  const { moves, ...figures } = tuned;
  const { moves: _, ...before } = configured;
  const json = { steps: steps.length, totalBytes, configured: before, tuned: figures, ratio, moves };
  output.result(json, () => {
    const rows = moves.map(({ before: from, after, verdict, reason }) => [
      verdict,
      formatBytes(from),
      formatBytes(after),
      reason,
    ]);
    const heads = [
      { head: "query cache" },
      { head: "before", right: true },
      { head: "after", right: true },
      { head: "why" },
    ];
    return [
      `${formatCount(steps.length)} steps; ${formatBytes(totalBytes)} in both caches, ${formatBytes(queryBytes)} of them for answers`,
      `misses cost ${formatCount(Math.round(configured.ms))} ms as configured, ${formatCount(Math.round(tuned.ms))} ms tuned (${((ratio - 1) * 100).toFixed(1)} %)`,
      ...(rows.length > 0
        ? ["", formatTable(heads, rows, output.style.dim)]
        : ["", "Nothing would be tuned."]),
    ].join("\n");
  });
}

async function* linesOf(path: string): AsyncGenerator<string> {
  try {
    yield* createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new StrataError("FILE_NOT_FOUND", "There is no such record of a workload.", {
      cause,
      details: { path },
    });
  }
}

function formatValue(parameter: string, value: number): string {
  return parameter.endsWith("-bytes") ? formatBytes(value) : String(value);
}
