import type { IngestReport } from "../engine/ingest-options.ts";
import { shownDocument } from "./document-names.ts";
import { formatCount, plural } from "./units.ts";

/** Files named one by one in warnings; the rest are counted. */
const namedFailures = 20;

/** One line: documents by outcome, and chunks stored. */
export function formatIngest(report: IngestReport): string {
  const outcomes = [
    [report.added, "added"],
    [report.replaced, "replaced"],
    [report.unchanged, "unchanged"],
    [report.pruned.length, "pruned"],
    [report.failed, "failed"],
  ] as const;
  const told = outcomes
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${formatCount(count)} ${what}`);
  const documents = told.length > 0 ? told.join(", ") : "no documents";
  const wordless =
    report.withoutVector > 0
      ? ` (${formatCount(report.withoutVector)} without a vector, found by words only)`
      : "";
  return `${documents}; ${plural(report.chunks, "chunk")} stored${wordless}`;
}

/** What could not be read and why, a line each. */
export function ingestWarnings(report: IngestReport, cwd: string): string[] {
  const failed = report.documents.filter(({ error }) => error !== undefined);
  const lines = failed
    .slice(0, namedFailures)
    .map(({ uri, error }) => `${shownDocument(uri, cwd)} was not read: ${error!.message} [${error!.code}]`);
  for (const { uri, secrets } of report.documents
    .filter((each) => each.secrets !== undefined)
    .slice(0, namedFailures))
    lines.push(
      `${shownDocument(uri, cwd)} holds ${plural(secrets!, "text that looks", "texts that look")} like a credential.`,
    );
  const more = failed.length - Math.min(failed.length, namedFailures);
  return more > 0 ? [...lines, `${plural(more, "more file was", "more files were")} not read.`] : lines;
}
