import { join } from "node:path";
import { parseArgs } from "node:util";
import { dataFolder } from "../scripts/measurement.ts";
import { openBuiltinModel } from "../src/embedding/models/builtin-model.ts";
import type { Strata } from "../src/index.ts";
import { type CheckedChunk, chunkViolations, type Violations } from "./chunk-violations.ts";
import { readRows } from "./json-lines.ts";
import { storedChunks } from "./stored-chunks.ts";
import { rankingHash, withMemory } from "./temporary-memory.ts";

interface LongDocument {
  readonly id: string;
  readonly lang: string;
  readonly kind: string;
  readonly text: string;
}

interface FileResult {
  readonly id: string;
  readonly kind: string;
  readonly lang: string;
  /** UTF-16 units. */
  readonly characters: number;
  readonly chunks: number;
  /** Of all chunks, so that what overlaps counts twice. */
  readonly tokens: number;
  readonly largest: number;
  readonly violations: number;
  readonly charactersPerSecond: number;
}

const files = ["books.jsonl", "markdown.jsonl", "source.jsonl"];
const chunkSize = 512;

/**
 * Ingests every long document and checks its stored chunks against its text: exact offsets, no chunk over the limit,
 * nothing but white space lost, no code point cut. The speed is that of the whole ingest: chunked, embedded, stored.
 */
export async function run(args: string[]): Promise<unknown> {
  const { values } = parseArgs({ args, options: { data: { type: "string" } } });
  const folder = join(dataFolder(values.data), "longdocs");
  const documents = files.flatMap((file) => readRows<LongDocument>(join(folder, file)));
  // Counts by itself, so that a splitter that miscounts is found out.
  const model = await openBuiltinModel();
  const tokens = { limit: chunkSize, count: (text: string) => model.countTokens(text) };
  return withMemory(async (memory) => {
    const results: FileResult[] = [];
    const kinds: Violations[] = [];
    for (const document of documents) {
      const { chunks, seconds } = await ingestOne(memory, document);
      const violations = chunkViolations(document.text, chunks, tokens);
      kinds.push(violations);
      results.push(fileResult(document, chunks, violations, tokens.count, seconds));
    }
    return {
      documents: results,
      byKind: [...Map.groupBy(results, ({ kind }) => kind)].map(([kind, own]) => ({ kind, ...totals(own) })),
      total: totals(results),
      violationsByKind: sumOf(kinds),
      chunkSize,
      ranking: await rankingHash(memory),
    };
  });
}

async function ingestOne(
  memory: Strata,
  { id, text }: LongDocument,
): Promise<{ readonly chunks: readonly CheckedChunk[]; readonly seconds: number }> {
  const start = performance.now();
  const report = await memory.ingest({ name: id, text }, { chunkSize });
  const seconds = (performance.now() - start) / 1_000;
  const failure = report.documents.find(({ error }) => error)?.error;
  if (failure) throw new Error(`Ingesting ${id} failed with ${failure.code}: ${failure.message}`);
  return { chunks: await storedChunks(memory, id), seconds };
}

function fileResult(
  { id, kind, lang, text }: LongDocument,
  chunks: readonly CheckedChunk[],
  violations: Violations,
  count: (text: string) => number,
  seconds: number,
): FileResult {
  const counts = chunks.map(({ content }) => count(content));
  return {
    id,
    kind,
    lang,
    characters: text.length,
    chunks: chunks.length,
    tokens: counts.reduce((sum, tokens) => sum + tokens, 0),
    largest: Math.max(0, ...counts),
    violations: Object.values(violations).reduce((sum, found) => sum + found, 0),
    charactersPerSecond: text.length / seconds,
  };
}

function totals(results: readonly FileResult[]): Record<string, number> {
  const sum = (figure: (result: FileResult) => number) =>
    results.reduce((total, result) => total + figure(result), 0);
  const characters = sum((result) => result.characters);
  return {
    files: results.length,
    characters,
    chunks: sum((result) => result.chunks),
    tokens: sum((result) => result.tokens),
    violations: sum((result) => result.violations),
    charactersPerSecond: characters / sum((result) => result.characters / result.charactersPerSecond),
  };
}

function sumOf(all: readonly Violations[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, count] of all.flatMap((one) => Object.entries(one)))
    sums[name] = (sums[name] ?? 0) + count;
  return sums;
}
