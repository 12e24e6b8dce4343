import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { addExamples } from "../flag-values.ts";
import { ProgressLine } from "../progress-line.ts";
import type { Session } from "../session.ts";
import { formatCount, plural } from "../units.ts";

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Write a namespace as JSON Lines, ending in a checksum: memories, documents and their chunks.",
    )
    .argument("[file]", "default: standard output")
    .option("--vectors", "vectors too, so that an import by the same model need not embed again")
    .action((file: string | undefined, { vectors }: { readonly vectors?: boolean }) =>
      exportTo(file, vectors === true, session),
    );
  addExamples(command, [
    ["strata export backup.jsonl --vectors", ""],
    ["strata export -n trip | gzip > trip.jsonl.gz", ""],
  ]);
}

async function exportTo(file: string | undefined, vectors: boolean, session: Session): Promise<void> {
  const { io, output, signal } = session;
  await using memory = await session.openExisting();
  const lines = memory.export({ vectors, signal });
  if (file === undefined) {
    for await (const line of lines) await output.write(line);
    return;
  }
  const path = resolve(io.cwd, file);
  const counted = countLines(lines, new ProgressLine(output.progress));
  await writeWhole(path, counted.lines, signal);
  // The head and the end are lines too.
  const exported = counted.count() - 2;
  output.result({ file: path, exported }, () => path);
  output.note(`Wrote ${plural(exported, "memory or document", "memories and documents")}.`);
}

/** Writes beside the file and renames, so that an interrupted export leaves a former one as it was. */
async function writeWhole(path: string, lines: AsyncIterable<string>, signal: AbortSignal): Promise<void> {
  const partial = `${path}.partial`;
  try {
    await pipeline(Readable.from(lines), createWriteStream(partial, { mode: 0o600 }), { signal });
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

function countLines(
  lines: AsyncIterable<string>,
  progress: ProgressLine,
): { readonly lines: AsyncIterable<string>; count(): number } {
  let count = 0;
  return {
    count: () => count,
    lines: (async function* () {
      for await (const line of lines) {
        count += 1;
        progress.show(() => `${formatCount(count)} lines`);
        yield line;
      }
      progress.clear();
    })(),
  };
}
