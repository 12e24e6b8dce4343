import { resolve } from "node:path";
import type { Command } from "commander";
import { addExamples } from "../flag-values.ts";
import { ProgressLine } from "../progress-line.ts";
import type { Session } from "../session.ts";
import { formatBytes, formatCount, plural } from "../units.ts";

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Write the whole memory, all namespaces, to one file while it is in use, and verify it. What is erased later stays in it.",
    )
    .argument("<file>", "where to write it; it takes the name when it is whole")
    .option("--force", "take the place of a former backup")
    .action((file: string, { force }: { readonly force?: boolean }) => backUp(file, force === true, session));
  addExamples(command, [
    ["strata backup memory-monday.db", ""],
    ["strata backup latest.db --force --json", "for a timer"],
  ]);
}

async function backUp(file: string, overwrite: boolean, session: Session): Promise<void> {
  const { io, output, signal } = session;
  await using memory = await session.openExisting();
  const progress = new ProgressLine(output.progress);
  const report = await memory
    .backup(resolve(io.cwd, file), {
      signal,
      overwrite,
      onProgress: ({ done, total }) =>
        progress.show(() => `${formatCount(done)} of ${formatCount(total)} pages`),
    })
    .finally(() => progress.clear());
  const { damages: _none, ...told } = report;
  output.result(told, () => `${report.path}\nsha256 ${report.sha256}`);
  output.note(
    `${plural(report.memories, "memory", "memories")}, ${plural(report.documents, "document")}, ${plural(report.namespaces, "namespace")}, ${formatBytes(report.bytes)}: written, read again and found whole.`,
  );
}
