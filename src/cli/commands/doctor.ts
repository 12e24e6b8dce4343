import type { Command } from "commander";
import { errorTable, StrataError } from "../../contract/errors.ts";
import type { Contents, DatabaseState, Diagnosis } from "../../engine/doctor.ts";
import type { LostMemory, RepairReport } from "../../storage/sqlite/repair-report.ts";
import { addExamples } from "../flag-values.ts";
import type { Style } from "../output.ts";
import { packageVersion } from "../package-version.ts";
import type { Session } from "../session.ts";
import { formatBytes, formatCount, formatDuration, plural } from "../units.ts";

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Check the installation and the memory's file: which file is in use and why, whether it is whole, whether the model loads. Makes no file. Exits with the code of the first problem.",
    )
    .option("--repair", "salvage what can be read of a damaged memory into a new file beside it")
    .option("--replace", "with --repair: put that in the memory's place, and keep the damaged one beside it")
    .action(({ repair, replace }: { readonly repair?: boolean; readonly replace?: boolean }) => {
      if (repair === true) return repairInto(replace === true, session);
      if (replace !== true) return doctor(session);
      throw new StrataError("INVALID_ARGUMENT", "--replace goes with --repair.");
    });
  addExamples(command, [
    ["strata doctor", ""],
    ["strata doctor --db backup.db --json", ""],
    ["strata doctor --repair", "the damaged file stays as it is"],
    ["strata doctor --repair --replace", ""],
  ]);
}

async function doctor({ overrides, output, surroundings }: Session): Promise<void> {
  const { diagnose } = await import("../../engine/doctor.ts");
  const diagnosis = await diagnose(overrides);
  output.result({ strata: packageVersion(), ...diagnosis }, () => formatDiagnosis(diagnosis, output.style));
  for (const warning of diagnosis.warnings) output.warn(warning);
  const [first] = diagnosis.problems;
  if (first) surroundings.setExitCode(errorTable[first.code].exitCode);
}

async function repairInto(replace: boolean, { overrides, output, signal }: Session): Promise<void> {
  const { repairMemory } = await import("../../engine/repair-memory.ts");
  const report = await repairMemory({ ...overrides, replace, signal });
  output.result(report, () => formatRepair(report));
  if (isIncomplete(report)) output.warn("Not everything could be read: see the list.");
  output.note(
    report.kept === undefined
      ? "To put it in place: strata doctor --repair --replace. To look at it first: strata stats --all --db FILE."
      : `The damaged memory is kept: ${report.kept}`,
  );
}

/** Whether something that was stored is gone; what is only made again counts for nothing. */
function isIncomplete(report: RepairReport): boolean {
  const { lost, lostDocuments, torn, rebuilt, lostVectors, journal, tornSnapshots, renamed } = report;
  const lists = [lost, lostDocuments, torn, rebuilt, lostVectors, tornSnapshots, renamed];
  const counts = [journal.lost, report.keptWithoutVector, report.lostTuning];
  return lists.some(({ length }) => length > 0) || counts.some((count) => count > 0);
}

/** What came back, then a line for each thing that did not. */
export function formatRepair(report: RepairReport): string {
  const { memories, documents, namespaces, withoutVector, journal, snapshots, logPages } = report;
  const named = ({ namespace, id }: LostMemory) =>
    `${namespace === "" ? "?" : namespace}  ${id ?? "id unknown"}`;
  const kept = `${plural(snapshots, "snapshot")}, ${plural(journal.rows, "row")} of the journal`;
  const counted = (count: number, name: string, sentence: string) =>
    count > 0 ? [`${name.padEnd(11)}${formatCount(count)} ${sentence}`] : [];
  return [
    report.path,
    `salvaged   ${plural(memories, "memory", "memories")}, ${plural(documents, "document")}, ${plural(namespaces, "namespace")}, ${kept}`,
    ...(logPages > 0 ? [`log        ${plural(logPages, "page")} behind its damage read`] : []),
    ...report.lostVectors.map(
      ({ model, vectors }) =>
        `vectors    ${formatCount(vectors)} of ${model ?? "a model whose name is lost"} missing: "strata reembed" makes them`,
    ),
    ...counted(withoutVector, "vectors", "memories are left without any: found by words until then"),
    ...report.renamed.map((namespace) => `renamed    ${namespace}: its name is lost`),
    ...report.lost.map((memory) => `lost       ${named(memory)}`),
    ...report.lostDocuments.map(({ namespace, uri }) => `lost       ${namespace}  ${uri}, all of it`),
    ...report.torn.map(
      ({ namespace, uri, chunks }) => `torn       ${namespace}  ${uri}, chunks ${chunks.join(", ")}`,
    ),
    ...report.rebuilt.map(
      ({ namespace, uri }) => `rebuilt    ${namespace}  ${uri}: title, tags and times may be lost`,
    ),
    ...report.relived.map((memory) => `reset      ${named(memory)}: in semantic, importance .5`),
    ...report.doubtful.map((memory) => `doubtful   ${named(memory)}: the index knows another id`),
    ...report.tornSnapshots.map(
      ({ namespace, name, memories: there, lost }) =>
        `snapshot   ${namespace}  ${name}: ${formatCount(there)} came back, ${lost === undefined ? "how many did not is unknown" : `${formatCount(lost)} did not`}`,
    ),
    ...counted(journal.lost, "journal", "rows lost"),
    ...counted(journal.withoutUndo, "journal", "rows that undo can no longer take back"),
    ...counted(report.keptWithoutVector, "vectors", "damaged in the journal or a snapshot"),
    ...counted(report.lostTuning, "tuning", "decisions lost"),
    "tending    consolidation begins anew in every namespace",
  ].join("\n");
}

/** A line a finding, problems last. */
export function formatDiagnosis(diagnosis: Diagnosis, style: Style): string {
  const { node, database, contents, model, problems } = diagnosis;
  const rows: (readonly [string, string])[] = [
    ["strata", packageVersion()],
    ["node", node],
    ...(database ? databaseRows(database) : []),
    ...(contents ? contentRows(contents) : []),
    [
      "model",
      model
        ? `${model.id}, ${model.dimensions} dimensions, loaded in ${formatDuration(model.loadMs)}`
        : "not loaded",
    ],
  ];
  const lines = rows.map(([name, value]) => `${style.dim(name.padEnd(11))}${value}`);
  const verdict =
    problems.length === 0
      ? [style.green("All is well.")]
      : problems.map(
          ({ code, message }) => `${style.red("problem")}    ${message} ${style.dim(`[${code}]`)}`,
        );
  return [...lines, "", ...verdict].join("\n");
}

function databaseRows({
  path,
  origin,
  file,
  logBytes,
  snapshots,
  inspection,
}: DatabaseState): [string, string][] {
  if (!file)
    return [
      ["database", path],
      ["named by", origin],
      ["file", "none yet; the first store or ingest makes it"],
    ];
  const log = logBytes > 0 ? `, log ${formatBytes(logBytes)}` : "";
  const index =
    snapshots.files > 0 ? `${plural(snapshots.files, "file")}, ${formatBytes(snapshots.bytes)}` : "none";
  return [
    ["database", path],
    ["named by", origin],
    ["file", `${formatBytes(file.bytes)}${log}, mode 0${file.mode.toString(8)}`],
    ["snapshots", index],
    ...(inspection
      ? ([
          ["schema", `version ${inspection.schemaVersion} of ${inspection.supportedVersion}`],
          [
            "integrity",
            inspection.damages.length === 0 ? "whole" : plural(inspection.damages.length, "damage"),
          ],
        ] satisfies [string, string][])
      : []),
  ];
}

function contentRows(contents: Contents): [string, string][] {
  const { memories, documents, namespaces, withoutVector, namespace, search } = contents;
  const wordless = withoutVector > 0 ? `, ${formatCount(withoutVector)} found by words only` : "";
  return [
    ["holds", `${plural(memories, "memory", "memories")}, ${plural(documents, "document")}${wordless}`],
    ["namespaces", `${formatCount(namespaces)}; in use: ${namespace}`],
    [
      "vectors",
      search.path === "exact"
        ? "all compared: exact"
        : `by sketches; of the ten nearest ${(search.recallAt10 * 100).toFixed(1)} % found (${plural(search.questions, "question")})`,
    ],
    [
      "words",
      search.words === "memory"
        ? "in memory"
        : "read from disk: their index is larger than memory has room for",
    ],
  ];
}
