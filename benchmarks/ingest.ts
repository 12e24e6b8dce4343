import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chunkViolations } from "../evals/chunk-violations.ts";
import { type StoredChunk, storedChunks } from "../evals/stored-chunks.ts";
import { inTemporaryFolder } from "../evals/temporary-folder.ts";
import { rankingHash } from "../evals/temporary-memory.ts";
import { cosine, textVectors } from "../evals/text-vectors.ts";
import { openBuiltinModel } from "../src/embedding/models/builtin-model.ts";
import { openMemory, type Strata } from "../src/index.ts";
import { BareSqlite } from "./bare-sqlite.ts";
import { TextGenerator } from "./generated-text.ts";
import { median, timed, timedInTurn } from "./latencies.ts";

const documentCharacters = 300_000;
const rounds = 9;
const chunkSize = 512;
/** Files of the folder and characters of each. */
const folderFiles = 100;
const fileCharacters = 30_000;
const folderRounds = 3;

/**
 * A document of 300 kB into chunks of 512 tokens, and a folder of files, beside a floor that reads, hashes, cuts at
 * blank lines and inserts into bare SQLite.
 */
export function run(args: string[]): Promise<unknown> {
  parseArgs({ args, options: {} });
  return inTemporaryFolder(async (folder) => {
    await using memory = await openMemory({ path: join(folder, "memory.db"), namespace: "documents" });
    using floor = new BareSqlite(join(folder, "floor.db"));
    const text = new TextGenerator(3);
    return {
      document: await ingestDocuments(memory, floor, text),
      folder: await ingestFolders(folder, floor, text),
      ranking: await rankingHash(memory),
    };
  });
}

async function ingestDocuments(memory: Strata, floor: BareSqlite, text: TextGenerator): Promise<object> {
  const texts = Array.from({ length: rounds + 1 }, () => text.document(documentCharacters));
  const ingest = (round: number) =>
    memory.ingest({ name: `${round}.txt`, text: texts[round]! }, { chunkSize });
  const firstMs = await timed(() => ingest(rounds));
  const { ours, floor: bare } = await timedInTurn(rounds, 1, ingest, (round) =>
    bareIngest(floor, texts[round]!),
  );
  const chunks = await storedChunks(memory, "0.txt");
  await checkChunks(texts[0]!, chunks);
  const bytes = Buffer.byteLength(texts[0]!);
  return {
    bytes,
    chunks: chunks.length,
    chunkSize,
    firstMs,
    p50Ms: median(ours),
    largestMs: Math.max(...ours),
    megabytesPerSecond: bytes / median(ours) / 1_000,
    floorP50Ms: median(bare),
    ratio: median(ours) / median(bare),
    ...(await textInVectors(chunks)),
  };
}

function bareIngest(floor: BareSqlite, text: string): void {
  createHash("sha256").update(text).digest();
  floor.insertMany(text.split("\n\n"), 1_000);
}

/** @throws When text is in no chunk, or a chunk is wrong in any other way. */
async function checkChunks(text: string, chunks: readonly StoredChunk[]): Promise<void> {
  const model = await openBuiltinModel();
  const violations = chunkViolations(text, chunks, {
    limit: chunkSize,
    count: (chunk) => model.countTokens(chunk),
  });
  if (Object.values(violations).some((count) => count > 0))
    throw new Error(`Expected chunks without fault; got ${JSON.stringify(violations)}.`);
}

/**
 * Whether each chunk's end is in its vector too: taking the last ten words away must turn the vector. A model that
 * reads only the beginning gives the same one.
 */
async function textInVectors(chunks: readonly StoredChunk[]): Promise<object> {
  const pairs = chunks.map(({ content }) => [content, content.split(" ").slice(0, -10).join(" ")] as const);
  const read = await inTemporaryFolder(async (folder) => {
    await using memory = await openMemory({ path: join(folder, "memory.db") });
    const vectors = await textVectors(memory, pairs.flat());
    return pairs.filter(([whole, cut]) => cosine(vectors.get(whole), vectors.get(cut)) < 1 - 1e-5).length;
  });
  return {
    chunksWithVector: chunks.filter(({ model }) => model !== undefined).length,
    chunksReadToTheirEnd: read,
  };
}

async function ingestFolders(folder: string, floor: BareSqlite, text: TextGenerator): Promise<object> {
  const source = join(folder, "source");
  const bytes = await writeFolder(source, text);
  let chunks = 0;
  const { ours, floor: bare } = await timedInTurn(
    folderRounds,
    1,
    async (round) => {
      await using memory = await openMemory({ path: join(folder, `folder-${round}.db`) });
      ({ chunks } = await memory.ingest(source, { chunkSize }));
    },
    () => bareFolder(floor, source),
  );
  return {
    files: folderFiles,
    bytes,
    chunks,
    p50Ms: median(ours),
    filesPerSecond: (folderFiles / median(ours)) * 1_000,
    megabytesPerSecond: bytes / median(ours) / 1_000,
    floorP50Ms: median(bare),
    ratio: median(ours) / median(bare),
  };
}

/** @returns Bytes written. */
async function writeFolder(path: string, text: TextGenerator): Promise<number> {
  await mkdir(path);
  let bytes = 0;
  for (let file = 0; file < folderFiles; file += 1) {
    const content = `# ${text.sentence()}\n\n${text.document(fileCharacters)}`;
    bytes += Buffer.byteLength(content);
    await writeFile(join(path, `${file}.${file % 2 ? "md" : "txt"}`), content);
  }
  return bytes;
}

async function bareFolder(floor: BareSqlite, path: string): Promise<void> {
  for (const file of await readdir(path)) bareIngest(floor, await readFile(join(path, file), "utf8"));
}
