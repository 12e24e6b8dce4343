/**
 * Reads a folder into a memory and asks it three questions: `npm run demo`, or `npm run demo -- FOLDER`.
 * Without a folder it reads this repository's own documents. The memory stays in `.strata/` of the repository.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import picocolors from "picocolors";
import { shownDocument } from "../src/cli/document-names.ts";
import { formatHits } from "../src/cli/format-hits.ts";
import { formatIngest, ingestWarnings } from "../src/cli/format-ingest.ts";
import { ProgressLine } from "../src/cli/progress-line.ts";
import { oneLine } from "../src/cli/terminal-text.ts";
import { formatBytes, formatCount, formatDuration, plural } from "../src/cli/units.ts";
import { StrataError } from "../src/contract/errors.ts";
import type { Memory } from "../src/contract/memory.ts";
import { openMemory } from "../src/engine/open-memory.ts";
import type { Strata } from "../src/engine/strata.ts";
import { root } from "./repository.ts";

const ownDocuments = ["README.md", "CONTRIBUTING.md", "docs", "src"];
const ownQuestions = [
  "What survives when the process is killed in the middle of a write?",
  "What happens when a tier is full?",
  "Which room may import which?",
];
const hitsShown = 3;
/** Failures named one by one; the rest of a foreign folder is not the demo's subject. */
const failuresShown = 5;

/** Reads the sources, telling how far it is. */
async function ingestSources(memory: Strata, sources: readonly string[]): Promise<void> {
  console.log(`Reading ${sources.join(", ")}`);
  const line = new ProgressLine(process.stderr.isTTY ? process.stderr : undefined);
  const started = performance.now();
  const report = await memory
    .ingest(sources, {
      prune: true,
      onProgress: ({ documents, chunks, bytes, uri }) =>
        line.show(
          () =>
            `${plural(documents, "document")} · ${plural(chunks, "chunk")} · ${formatBytes(bytes)} · ${shownDocument(uri, process.cwd())}`,
        ),
    })
    .finally(() => line.clear());
  const elapsedMs = performance.now() - started;
  for (const warning of ingestWarnings(report, process.cwd()).slice(0, failuresShown)) console.error(warning);
  const rate = report.chunks > 0 ? `, ${formatCount(report.chunks / (elapsedMs / 1_000))} chunks/s` : "";
  console.log(`${formatIngest(report)}, in ${formatDuration(elapsedMs)}${rate}`);
}

/** Three questions a stranger's folder should answer: about headings, as far from each other as they come. */
async function questionsFor(memory: Strata, folder: string): Promise<string[]> {
  const topics = new Map<string, string>();
  let cursor: string | undefined;
  do {
    const page = await memory.list({ limit: 1_000, cursor });
    for (const each of page.memories) {
      const topic = each.source && underFolder(each, folder) ? topicOf(each) : undefined;
      if (topic !== undefined) topics.set(topic.toLowerCase(), topic);
    }
    cursor = page.cursor;
  } while (cursor !== undefined && topics.size < 1_000);
  const found = [...topics.values()];
  const picked = [0.2, 0.5, 0.8].map((share) => found[Math.floor(share * found.length)]);
  return [...new Set(picked)].filter((topic) => topic !== undefined).map((topic) => `What about ${topic}?`);
}

function underFolder(memory: Memory, folder: string): boolean {
  const uri = memory.source!.uri;
  return (
    uri.startsWith(folder) || uri.startsWith(pathToFileURL(folder).href) || resolve(uri).startsWith(folder)
  );
}

/** A chunk's own heading, else its document's title, else the words it begins with. */
function topicOf({ source, content }: Memory): string | undefined {
  const words = content.match(/[\p{L}\p{N}]+/gu) ?? [];
  const topic = source!.headings.at(-1) ?? source!.title ?? words.slice(0, 8).join(" ");
  return topic.trim() === "" ? undefined : oneLine(topic).slice(0, 120);
}

/** As a shell takes it word by word. */
function quoted(text: string): string {
  return /["$`\\!]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`;
}

async function ask(memory: Strata, question: string): Promise<void> {
  const style = picocolors.createColors(process.stdout.isTTY && !process.env["NO_COLOR"]);
  const width = Math.min(process.stdout.columns ?? 100, 110);
  const started = performance.now();
  const answer = await memory.recall(question, { limit: hitsShown, explain: true });
  const elapsedMs = performance.now() - started;
  console.log(`\n${style.bold(question)} ${style.dim(`answered in ${formatDuration(elapsedMs)}`)}\n`);
  console.log(formatHits(answer, { width, full: false, style, cwd: process.cwd() }));
}

async function demo(folder: string | undefined): Promise<void> {
  const home = join(root, ".strata");
  mkdirSync(home, { recursive: true, mode: 0o700 });
  process.chdir(folder === undefined ? root : process.cwd());
  const sources = folder === undefined ? ownDocuments.filter((path) => existsSync(path)) : [resolve(folder)];
  await using memory = await openMemory({ path: join(home, "memory.db") });
  await ingestSources(memory, sources);
  const questions = folder === undefined ? ownQuestions : await questionsFor(memory, resolve(folder));
  for (const question of questions) await ask(memory, question);
  const { memories, documents, bytesOnDisk } = await memory.stats();
  const held = `${plural(memories, "memory", "memories")} of ${plural(documents, "document")}`;
  const example = questions.at(-1) ?? "anything";
  console.log(`
${memory.path} holds ${held}, ${formatBytes(bytesOnDisk)}. In this repository, try:

  npx strata recall ${quoted(example)}
  npx strata recall ${quoted(questions[0] ?? example)} --explain --limit 3
  npx strata search '"write-ahead log"'
  npx strata store "Ada prefers tea" --tags ada
  npx strata stats
`);
}

try {
  await demo(process.argv[2]);
} catch (error) {
  if (!StrataError.isInstance(error)) throw error;
  console.error(`${error.message} [${error.code}]`);
  process.exitCode = error.exitCode;
}
