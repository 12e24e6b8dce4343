import { resolve } from "node:path";
import type { Command } from "commander";
import { StrataError } from "../../contract/errors.ts";
import type { Metadata } from "../../contract/memory.ts";
import type { Tier } from "../../contract/tier.ts";
import type { IngestOptions, IngestReport, IngestSource } from "../../engine/ingest-options.ts";
import type { Strata } from "../../engine/strata.ts";
import { shownDocument } from "../document-names.ts";
import { addExamples, listFlag, metadataFlag, numberFlag } from "../flag-values.ts";
import { formatIngest, ingestWarnings } from "../format-ingest.ts";
import { evictionWarning } from "../format-memory.ts";
import { ProgressLine } from "../progress-line.ts";
import { noteTerminal } from "../read-input.ts";
import type { Session } from "../session.ts";
import { formatBytes, formatCount, formatDuration, plural } from "../units.ts";
import { watchPaths } from "../watch-paths.ts";

interface Flags {
  readonly name?: string;
  readonly tier?: string;
  readonly importance?: number;
  readonly tags?: readonly string[];
  readonly metadata?: Metadata;
  readonly pinned?: boolean;
  readonly chunkSize?: number;
  readonly overlap?: number;
  readonly maxFileBytes?: number;
  readonly prune?: boolean;
  readonly onSecret?: "flag" | "refuse" | "off";
  readonly watch?: boolean;
}

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Read files and folders into memory. A file whose bytes are known is left alone, a changed one is replaced whole. Hidden files, node_modules and what .gitignore names are passed over.",
    )
    .argument("<paths...>", 'files and folders; "-" alone reads one document from standard input')
    .option("--name <name>", 'name of the document from standard input, such as "notes.md"')
    .option("--tier <tier>", "working, short_term, episodic, long_term or semantic (default)")
    .option("--importance <share>", "0 to 1 (default: 0.5)", numberFlag)
    .option("--tags <tags>", "names between commas", listFlag)
    .option("--metadata <key=value>", "your own data; repeatable", metadataFlag)
    .option("--pinned", "never evict them")
    .option("--chunk-size <tokens>", "most tokens of a chunk (default: 512)", numberFlag)
    .option("--overlap <tokens>", "tokens neighbouring chunks share (default: 50)", numberFlag)
    .option(
      "--max-file-bytes <bytes>",
      "leave out larger files (default: 50 MiB; plain text: any)",
      numberFlag,
    )
    .option(
      "--on-secret <what>",
      "a document with what looks like a credential: flag (default), refuse or off",
    )
    .option("--prune", "forget documents under the folders whose file is gone")
    .option("--watch", "go on: read again what changes, until interrupted; implies --prune")
    .action((paths: string[], flags: Flags) => ingest(paths, flags, session));
  addExamples(command, [
    ["strata ingest docs/ README.md", ""],
    ["strata ingest notes/ --watch", "follow a folder"],
    ["curl -s https://example.com/ | strata ingest - --name example.html", ""],
    ["strata ingest docs/ --prune --tags handbook --json", ""],
  ]);
}

async function ingest(paths: readonly string[], flags: Flags, session: Session): Promise<void> {
  const { name: _, tier, watch, prune, ...rest } = flags;
  const places = paths.map((path) => (path === "-" ? path : resolve(session.io.cwd, path)));
  const source = sourceOf(places, flags, session);
  const options: IngestOptions = {
    ...rest,
    tier: tier as Tier | undefined,
    prune: prune === true || watch === true,
    signal: session.signal,
  };
  await using memory = await session.openOrCreate();
  await ingestOnce(memory, source, options, session);
  if (watch !== true) return;
  session.output.note("Watching for changes; Ctrl-C ends it.");
  await watchPaths(places, session.signal, () => ingestAgain(memory, source, options, session));
}

function sourceOf(paths: readonly string[], { name, watch }: Flags, session: Session): IngestSource {
  const fromInput = paths.length === 1 && paths[0] === "-";
  if (!fromInput && name !== undefined)
    throw new StrataError(
      "INVALID_ARGUMENT",
      'Expected --name only with "-": files are named by their paths.',
    );
  if (!fromInput) return paths;
  if (name === undefined)
    throw new StrataError(
      "INVALID_ARGUMENT",
      "Expected a name for the document from standard input: strata ingest - --name notes.md",
    );
  if (watch === true)
    throw new StrataError("INVALID_ARGUMENT", "Expected paths to watch, got standard input.");
  noteTerminal(session);
  return { name, stream: session.io.stdin };
}

async function ingestOnce(
  memory: Strata,
  source: IngestSource,
  options: IngestOptions,
  session: Session,
): Promise<void> {
  const { output } = session;
  const { report, elapsedMs } = await timedIngest(memory, source, options, session);
  output.result(ingestJson(report, elapsedMs), () => formatIngest(report));
  tell(report, session);
  if (report.chunks > 0) {
    const rate = formatCount(report.chunks / (elapsedMs / 1_000));
    output.note(`Took ${formatDuration(elapsedMs)}, ${rate} chunks/s. Ask it: strata recall "…"`);
  }
}

/** A pass after a change: silent when nothing changed after all, and an error does not end the watch. */
async function ingestAgain(
  memory: Strata,
  source: IngestSource,
  options: IngestOptions,
  session: Session,
): Promise<void> {
  const { output, signal } = session;
  try {
    const { report, elapsedMs } = await timedIngest(memory, source, options, session);
    const changed = report.added + report.replaced + report.failed + report.pruned.length > 0;
    if (changed) output.result(ingestJson(report, elapsedMs), () => formatIngest(report));
    if (changed) tell(report, session);
  } catch (error) {
    if (signal.aborted) throw error;
    output.error(error);
  }
}

async function timedIngest(
  memory: Strata,
  source: IngestSource,
  options: IngestOptions,
  { io, output }: Session,
): Promise<{ readonly report: IngestReport; readonly elapsedMs: number }> {
  const line = new ProgressLine(output.progress);
  const started = performance.now();
  const seconds = (): number => (performance.now() - started) / 1_000;
  try {
    const report = await memory.ingest(source, {
      ...options,
      onProgress: ({ documents, chunks, bytes, uri }) =>
        line.show(() => {
          const rate = formatCount(chunks / Math.max(seconds(), 0.001));
          return `${plural(documents, "document")} · ${plural(chunks, "chunk")} · ${formatBytes(bytes)} · ${rate} chunks/s · ${shownDocument(uri, io.cwd)}`;
        }),
    });
    return { report, elapsedMs: seconds() * 1_000 };
  } finally {
    line.clear();
  }
}

function ingestJson(report: IngestReport, elapsedMs: number): object {
  return { ...report, elapsedMs: Math.round(elapsedMs) };
}

function tell(report: IngestReport, { io, output }: Session): void {
  for (const warning of ingestWarnings(report, io.cwd)) output.warn(warning);
  const evicted = evictionWarning(report.evicted);
  if (evicted !== undefined) output.warn(evicted);
  const skipped = Object.entries(report.skipped).filter(([, count]) => count > 0);
  if (skipped.length > 0)
    output.note(
      `Passed over: ${skipped.map(([reason, count]) => `${formatCount(count)} ${reason}`).join(", ")}.`,
    );
}
