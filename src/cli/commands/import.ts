import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { addExamples } from "../flag-values.ts";
import { ProgressLine } from "../progress-line.ts";
import { linesOf, noteTerminal } from "../read-input.ts";
import type { Session } from "../session.ts";
import { formatCount, plural } from "../units.ts";

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Store what export wrote. The checksum is compared first; what is there already stays as it is.",
    )
    .argument("<file>", '"-" reads standard input')
    .action((file: string) => importFrom(file, session));
  addExamples(command, [
    ["strata import backup.jsonl", ""],
    ["gunzip -c trip.jsonl.gz | strata import - -n trip", "into another namespace"],
  ]);
}

async function importFrom(file: string, session: Session): Promise<void> {
  if (file !== "-") {
    await importFile(resolve(session.io.cwd, file), session);
    return;
  }
  noteTerminal(session);
  // The checksum stands at the end: nothing is stored before it was read, so the input is kept meanwhile.
  const folder = await mkdtemp(join(tmpdir(), "strata-import-"));
  try {
    const kept = join(folder, "input.jsonl");
    const input = Readable.from(session.io.stdin);
    await pipeline(input, createWriteStream(kept, { mode: 0o600 }), { signal: session.signal });
    await importFile(kept, session);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function importFile(path: string, session: Session): Promise<void> {
  const { output, signal } = session;
  const { verifyExport } = await import("../../engine/export-format.ts");
  await verifyExport(linesOf(createReadStream(path, { signal })));
  await using memory = await session.openOrCreate();
  const progress = new ProgressLine(output.progress);
  const lines = linesOf(createReadStream(path, { signal }));
  const report = await memory
    .import(lines, {
      signal,
      onProgress: ({ done }) => progress.show(() => `${formatCount(done)} memories`),
    })
    .finally(() => progress.clear());
  output.result(report, () =>
    [
      `${plural(report.stored, "memory", "memories")} stored`,
      `${formatCount(report.existing)} there already`,
      plural(report.documents, "document"),
    ].join(", "),
  );
  if (report.evicted > 0) output.warn(`${plural(report.evicted, "entry", "entries")} left full tiers.`);
}
