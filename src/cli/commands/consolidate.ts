import type { Command } from "commander";
import type { ConsolidationReport } from "../../consolidation/consolidation-report.ts";
import type { ConsolidationAction } from "../../contract/consolidation.ts";
import type { Strata } from "../../engine/strata.ts";
import { addExamples } from "../flag-values.ts";
import { countsLine } from "../format-runs.ts";
import { consolidationJson } from "../json-shapes.ts";
import type { Style } from "../output.ts";
import type { Session } from "../session.ts";
import { oneLine } from "../terminal-text.ts";
import { formatDuration, plural } from "../units.ts";

interface Flags {
  readonly dryRun?: boolean;
  readonly all?: boolean;
}

/** Lines of each group that are shown; `--json` and the journal have all. */
const shownAtMost = 20;

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Tend the tiers once: remove what has expired, merge what is there twice, move down what nobody uses and up what is used. An open memory does so by itself every few minutes.",
    )
    .option("--dry-run", "tell what would be done and why, and do nothing")
    .option("--all", "in all namespaces")
    .action((flags: Flags) => consolidate(flags, session));
  addExamples(command, [
    ["strata consolidate --dry-run", "the plan, with reasons"],
    ["strata consolidate", "then: strata undo takes it back"],
  ]);
}

async function consolidate(flags: Flags, session: Session): Promise<void> {
  const { output, signal } = session;
  const dryRun = flags.dryRun === true;
  await using memory = await session.openExisting();
  const reports = await run(memory, dryRun, flags.all === true, signal);
  const json = reports.map(consolidationJson);
  output.result(flags.all === true ? { dryRun, namespaces: json } : json[0], () => {
    const shown = flags.all === true ? reports.filter(hasNews) : reports;
    if (shown.length === 0) return `${plural(reports.length, "namespace")}: nothing to do`;
    return shown.map((report) => formatReport(report, flags.all === true, output.style)).join("\n\n");
  });
  if (reports.some(({ busy }) => busy)) output.note("Another process consolidates there just now.");
  if (reports.some(({ more }) => more)) output.note("There is more to do: run it again.");
  const undoable = reports.find(({ actions, evicted }) => actions.length + evicted.length > 0);
  if (!dryRun && undoable) output.note(`To take it back: strata undo ${undoable.run}`);
  for (const { stage, code } of reports.flatMap(({ failures }) => failures))
    output.warn(`${stage} was left out: ${code}`);
}

async function run(
  memory: Strata,
  dryRun: boolean,
  all: boolean,
  signal: AbortSignal,
): Promise<readonly ConsolidationReport[]> {
  return all ? memory.consolidate({ dryRun, all, signal }) : [await memory.consolidate({ dryRun, signal })];
}

function hasNews({ counts, proposals, busy }: ConsolidationReport): boolean {
  return busy || proposals.length > 0 || Object.values(counts).some((count) => count > 0);
}

function formatReport(report: ConsolidationReport, named: boolean, style: Style): string {
  const { counts, dryRun, durationMs, namespace, full, proposals, evicted } = report;
  const did = `${dryRun ? "Would be" : "Done"}: ${countsLine(counts)}`;
  const head = `${named ? `${oneLine(namespace)}: ` : ""}${did} ${style.dim(`(${formatDuration(durationMs)})`)}`;
  const evictions = evicted.map(
    ({ id, tier, relevance }) =>
      `${oneLine(id)}  left ${tier}: relevance ${relevance.toFixed(2)}, least of a full tier`,
  );
  const alike = proposals.map(
    ({ keep, absorb, reason }) => `${oneLine(absorb)}  into ${oneLine(keep)}: ${reason}`,
  );
  return [
    head,
    ...byRoute(report.actions).flatMap(([title, lines]) => group(title, lines, style)),
    ...group("evicted to make room", evictions, style),
    ...group("look alike, and are left to you", alike, style),
    ...(full.length === 0 ? [] : [`full, with nothing less relevant: ${full.join(", ")}`]),
  ].join("\n");
}

function group(title: string, lines: readonly string[], style: Style): string[] {
  if (lines.length === 0) return [];
  const rest = lines.length - shownAtMost;
  return [
    "",
    style.bold(`${title} (${lines.length})`),
    ...lines.slice(0, shownAtMost).map((line) => `  ${line}`),
    ...(rest > 0 ? [style.dim(`  and ${rest} more`)] : []),
  ];
}

/** Actions under what they do: "promote from episodic to long_term". */
function byRoute(actions: readonly ConsolidationAction[]): [string, string[]][] {
  const groups = new Map<string, string[]>();
  for (const action of actions) {
    const title = action.kind === "merge" ? "merge" : `${action.kind} from ${action.from} to ${action.to}`;
    const line =
      action.kind === "merge"
        ? `${oneLine(action.absorb.id)}  into ${oneLine(action.keep.id)}: ${oneLine(action.reason)}`
        : `${oneLine(action.id)}  ${action.document ? "document, " : ""}${oneLine(action.reason)}`;
    groups.set(title, [...(groups.get(title) ?? []), line]);
  }
  return [...groups];
}
