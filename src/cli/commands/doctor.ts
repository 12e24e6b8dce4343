import type { Command } from "commander";
import { errorTable } from "../../contract/errors.ts";
import type { Contents, DatabaseState, Diagnosis } from "../../engine/doctor.ts";
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
    .action(() => doctor(session));
  addExamples(command, [
    ["strata doctor", ""],
    ["strata doctor --db backup.db --json", ""],
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
  ];
}
