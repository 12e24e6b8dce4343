import { setTimeout } from "node:timers/promises";
import type { Command } from "commander";
import type { StoreStats } from "../../contract/memory-store.ts";
import { tiers } from "../../contract/tier.ts";
import { type ProcessFigures, readLiveFigures } from "../../engine/live-figures.ts";
import type { Strata } from "../../engine/strata.ts";
import { addExamples } from "../flag-values.ts";
import { formatProcesses } from "../format-report.ts";
import type { Style } from "../output.ts";
import type { Session } from "../session.ts";
import { formatTable } from "../table.ts";
import { formatBytes, formatCount, formatLifetime, plural } from "../units.ts";

const columns = [
  { head: "tier" },
  { head: "entries", right: true },
  { head: "capacity", right: true },
  { head: "memories", right: true },
  { head: "documents", right: true },
  { head: "pinned", right: true },
  { head: "text", right: true },
  { head: "lives", right: true },
];

interface StatsFlags {
  readonly all?: boolean;
  readonly report?: boolean;
  readonly watch?: boolean;
  readonly prometheus?: boolean;
}

export function declare(command: Command, session: Session): void {
  command
    .description("Show figures by tier. An entry is a memory of its own or a document with its chunks.")
    .option("--all", "of all namespaces together")
    .option("--report", "and what the processes do that have the memory open: operations, times, caches")
    .option("--watch", "the report, again every second, until interrupted")
    .option("--prometheus", "of all namespaces, as text for Prometheus")
    .action((flags: StatsFlags) => stats(flags, session));
  addExamples(command, [
    ["strata stats", ""],
    ["strata stats --watch", "while your program works"],
    ["strata stats --prometheus > /var/lib/node_exporter/strata.prom", ""],
    ["strata stats --all --json", ""],
  ]);
}

async function stats(flags: StatsFlags, session: Session): Promise<void> {
  const { output } = session;
  await using memory = await session.openExisting();
  if (flags.prometheus === true) {
    await output.write(await memory.metrics());
    return;
  }
  if (flags.watch === true) {
    await watch(memory, flags, session);
    return;
  }
  const look = await lookAt(memory, flags, session);
  output.result(look.json, () => look.text([]));
  if (look.memories === 0) output.note("It is empty. Fill it with: strata ingest FOLDER");
}

/** Figures of one moment. */
interface Look {
  readonly json: object;
  readonly memories: number;
  readonly processes: readonly ProcessFigures[];
  /** @param before Processes of the look before, for what happened since. */
  text(before: readonly ProcessFigures[]): string;
}

async function lookAt(memory: Strata, flags: StatsFlags, { output, signal }: Session): Promise<Look> {
  const all = flags.all === true;
  const figures = await memory.stats({ all, signal });
  const report = flags.report === true || flags.watch === true;
  const processes = report ? await othersOf(memory) : [];
  const head = all ? plural(figures.namespaces, "namespace") : `namespace ${memory.namespace}`;
  return {
    json: {
      ...(!all && { namespace: memory.namespace }),
      path: memory.path,
      ...figures,
      ...(report && { processes }),
    },
    memories: figures.memories,
    processes,
    text: (before) =>
      [
        head,
        "",
        formatStats(figures, output.style),
        ...(report ? ["", formatProcesses(processes, before, output.style)] : []),
      ].join("\n"),
  };
}

/** Looking is no work to be looked at. */
async function othersOf(memory: Strata): Promise<ProcessFigures[]> {
  const processes = await readLiveFigures(memory.path);
  return processes.filter(({ pid }) => pid !== process.pid);
}

const clearScreen = "\u001b[H\u001b[J";

async function watch(memory: Strata, flags: StatsFlags, session: Session): Promise<void> {
  const { output, io, signal } = session;
  const screen = io.stdout.isTTY === true && !output.json;
  let before: readonly ProcessFigures[] = [];
  while (!signal.aborted) {
    const look = await lookAt(memory, flags, session);
    const text = output.json ? `${JSON.stringify(look.json)}\n` : `${look.text(before)}\n`;
    await output.write(screen ? `${clearScreen}${text}` : text);
    before = look.processes;
    await setTimeout(1_000, undefined, { signal }).catch(() => {});
  }
  signal.throwIfAborted();
}

/** The table of tiers and the sentences under it. */
export function formatStats(figures: StoreStats, style: Style): string {
  const rows = tiers.map((tier) => {
    const { entries, capacity, memories, documents, pinned, bytes, ttlSeconds } = figures.tiers[tier];
    return [
      tier,
      formatCount(entries),
      capacity === 0 ? "any" : formatCount(capacity),
      ...[memories, documents, pinned].map(formatCount),
      formatBytes(bytes),
      formatLifetime(ttlSeconds),
    ];
  });
  const { memories, documents, withoutVector, models, expired, evicted, repeated, bytesOnDisk } = figures;
  const lines = [
    `${plural(memories, "memory", "memories")}, ${plural(documents, "document")}, ${formatBytes(bytesOnDisk)} on disk`,
    ...Object.entries(models).map(([model, count]) => `${formatCount(count)} embedded by ${model}`),
    ...(Object.keys(models).length > 1
      ? ["vectors of several models; make them one with: strata reembed"]
      : []),
    ...(withoutVector > 0 ? [`${formatCount(withoutVector)} without a vector, found by words only`] : []),
    ...(expired > 0 ? [`${formatCount(expired)} expired; remove with: strata cleanup`] : []),
    ...(repeated > 0 ? [`${formatCount(repeated)} stored again and found there already`] : []),
    ...(evicted > 0 ? [`${formatCount(evicted)} evicted so far; see: strata journal`] : []),
  ];
  return [formatTable(columns, rows, style.dim), "", ...lines].join("\n");
}
