import type { Command } from "commander";
import type { AuditCheck, AuditFinding, AuditReport } from "../../engine/hygiene/audit.ts";
import { addExamples, listFlag, numberFlag } from "../flag-values.ts";
import { ProgressLine } from "../progress-line.ts";
import type { Session } from "../session.ts";
import { formatCount, plural } from "../units.ts";

interface Flags {
  readonly only?: readonly AuditCheck[];
  readonly fix?: boolean;
  readonly dryRun?: boolean;
  readonly limit?: number;
}

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Find duplicates, junk, secrets and what nothing owns. Texts are not printed. Exit code 0, whatever was found; 4 with --strict when something was.",
    )
    .option(
      "--only <checks>",
      "duplicates, junk, secrets, echoes, orphans, between commas (default: all but echoes)",
      listFlag,
    )
    .option(
      "--fix",
      "merge exact duplicates and forget junk, which can be undone, and remove what nothing owns",
    )
    .option("--dry-run", "with --fix: tell what would be done, and do nothing")
    .option("--limit <count>", "findings printed (default: 100)", numberFlag)
    .option("--strict", "exit with 4 when something was found and not fixed")
    .action((flags: Flags & { readonly strict?: boolean }) => audit(flags, session));
  addExamples(command, [
    ["strata audit", ""],
    ["strata audit --fix --dry-run", "what a repair would do"],
    ["strata audit --only secrets --strict", "for a hook that must find none"],
  ]);
}

async function audit(flags: Flags & { readonly strict?: boolean }, session: Session): Promise<void> {
  const { output, signal } = session;
  const { only: checks, fix = false, dryRun = false, limit = 100 } = flags;
  await using memory = await session.openExisting();
  const line = new ProgressLine(output.progress);
  let [looked, found] = [0, 0];
  const show = () => line.show(() => `${plural(looked, "memory", "memories")} · ${plural(found, "finding")}`);
  let report: AuditReport;
  try {
    report = await memory.audit({
      checks,
      fix,
      dryRun,
      limit,
      signal,
      onProgress: ({ done }) => {
        looked = done;
        show();
      },
      onFinding: () => {
        found += 1;
        show();
      },
    });
  } finally {
    line.clear();
  }
  output.result({ ...report, dryRun }, () => formatAudit(report, dryRun));
  const left = total(report) - (dryRun ? 0 : report.fixed);
  if (flags.strict === true && left > 0) session.surroundings.setExitCode(4);
}

function orphansOf({ orphans }: AuditReport): number {
  return orphans ? Object.values(orphans).reduce((sum, count) => sum + count, 0) : 0;
}

function total(report: AuditReport): number {
  return Object.values(report.found).reduce((sum, count) => sum + count, 0) + orphansOf(report);
}

function formatAudit(report: AuditReport, dryRun: boolean): string {
  const { found, findings, fixed, runs, memories } = report;
  const counts = [
    [found.duplicate, "exact duplicate"],
    [found["near-duplicate"], "near-duplicate"],
    [found.junk, "junk text"],
    [found.secret, "possible secret"],
    [found.echo, "echo"],
    [orphansOf(report), "orphan"],
  ] as const;
  const told = counts
    .filter(([count]) => count > 0)
    .map(([count, what]) => plural(count, what, what === "echo" ? "echoes" : undefined));
  const shown = findings.map(formatFinding);
  const more = Object.values(found).reduce((sum, count) => sum + count, 0) - findings.length;
  return [
    ...shown,
    ...(more > 0 ? [`and ${formatCount(more)} more`] : []),
    `${plural(memories, "memory", "memories")}: ${told.length > 0 ? told.join(", ") : "nothing found"}`,
    ...(fixed > 0 ? [`${formatCount(fixed)} ${dryRun ? "would be " : ""}put right`] : []),
    ...runs.map((run) => `run ${run}`),
  ].join("\n");
}

function formatFinding(finding: AuditFinding): string {
  if (finding.kind === "junk") return `${finding.id}  junk: ${finding.reason}`;
  if (finding.kind === "secret") return `${finding.id}  secret: ${finding.rule} at ${finding.start}`;
  if (finding.kind === "echo") return `${finding.id}  echo of ${finding.of.join(", ")}`;
  return `${finding.id}  ${finding.kind} of ${finding.of}`;
}
