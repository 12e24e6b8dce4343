import { spawn } from "node:child_process";
import { cp, mkdir, readdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { inTemporaryFolder } from "../evals/temporary-folder.ts";
import { rankingHash } from "../evals/temporary-memory.ts";
import { root, runCommand } from "../scripts/repository.ts";
import { openMemory } from "../src/index.ts";
import { TextGenerator } from "./generated-text.ts";
import { latencies } from "./latencies.ts";

const entries = 10_000;
const rounds = 21;
const warmUps = 3;

/**
 * The command's way from process start to its answer, whole on standard output, over a memory that another process
 * wrote, beside bare Node, which starts and ends. What runs is the built package as npm would install it, not the
 * checkout. Where the time goes that no code of ours could save is told by a third process: it loads the modules of
 * Node that the answer needs, opens the database and reads the files of the code, the words and the index, and does no
 * more. Beside all of it, a start that only tells the version.
 */
export function run(args: string[]): Promise<unknown> {
  parseArgs({ args, options: {} });
  return inTemporaryFolder(async (folder) => {
    const { command, read } = await installedCommand(join(folder, "package"));
    const path = join(folder, "memory.db");
    const { ranking, questions } = await prepare(path);
    const environment = { ...process.env, NODE_COMPILE_CACHE: join(folder, "compiled") };
    const files = [...read, ...(await readdir(`${path}-index`)).map((name) => join(`${path}-index`, name))];
    const times = {
      ours: [] as Times[],
      bare: [] as Times[],
      reading: [] as Times[],
      version: [] as Times[],
    };
    for (let round = 0; round < warmUps + rounds; round++) {
      const words = [command, "recall", questions[round]!, "--db", path, "--json"];
      const ours = await timed(words, environment);
      if (!(JSON.parse(ours.text).hits.length > 0))
        throw new Error("Expected hits from the command; got none.");
      times.ours.push(ours);
      times.bare.push(await timed(["-e", "0"], environment));
      times.version.push(await timed([command, "--version"], environment));
      times.reading.push(await timed(["-e", onlyReads(path, files)], environment));
    }
    const figures = (which: Times[], of: "answerMs" | "endMs") =>
      latencies(which.slice(warmUps).map((each) => each[of]));
    const answer = figures(times.ours, "answerMs");
    const bare = figures(times.bare, "endMs");
    return {
      entries,
      runs: rounds,
      firstMs: times.ours[0]!.answerMs,
      p50Ms: answer.p50Ms,
      p95Ms: answer.p95Ms,
      endP50Ms: figures(times.ours, "endMs").p50Ms,
      floorP50Ms: bare.p50Ms,
      floorP95Ms: bare.p95Ms,
      ratio: answer.p50Ms / bare.p50Ms,
      versionP50Ms: figures(times.version, "answerMs").p50Ms,
      onlyReadsP50Ms: figures(times.reading, "endMs").p50Ms,
      ranking,
    };
  });
}

/** What the answer needs from Node and the disk, as a program. */
function onlyReads(path: string, files: readonly string[]): string {
  return `
    for (const name of ["vm", "zlib", "sqlite"]) require("node:" + name);
    const database = new (require("node:sqlite").DatabaseSync)(${JSON.stringify(path)});
    database.prepare("select count(*) from memory").get();
    for (const file of ${JSON.stringify(files)}) require("node:fs").readFileSync(file);
    require("node:fs").writeSync(1, "read");`;
}

/** Builds the package and lays it out as an installation; returns the path of its command, and of files it reads. */
async function installedCommand(folder: string): Promise<{ command: string; read: string[] }> {
  runCommand(process.execPath, ["scripts/build.ts"]);
  await mkdir(folder);
  for (const part of ["bin", "dist", "models", "package.json"])
    await cp(join(root, part), join(folder, part), { recursive: true });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  return {
    command: join(folder, "bin/strata.js"),
    read: [join(folder, "dist/cli/start.cjs"), join(folder, "models/builtin/vocab.bin")],
  };
}

async function prepare(path: string): Promise<{ readonly ranking: string; readonly questions: string[] }> {
  const text = new TextGenerator(5);
  await using memory = await openMemory({ path });
  const contents = text.sentences(entries);
  await memory.storeMany(contents.map((content) => ({ content, tier: "semantic" })));
  return { ranking: await rankingHash(memory), questions: text.sentences(warmUps + rounds) };
}

interface Times {
  readonly text: string;
  /** From the start to the last of what it writes, and to its end. */
  readonly answerMs: number;
  readonly endMs: number;
}

/** Runs Node and waits for its end. @throws When it fails, with its error output. */
function timed(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<Times> {
  const { promise, resolve, reject } = Promise.withResolvers<Times>();
  const start = performance.now();
  const child = spawn(process.execPath, words, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  let [text, error, answerMs] = ["", "", 0];
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    text += part;
    answerMs = performance.now() - start;
  });
  child.stderr.setEncoding("utf8").on("data", (part: string) => {
    error += part;
  });
  child.on("error", reject);
  child.on("close", (code) => {
    if (code === 0) resolve({ text, answerMs, endMs: performance.now() - start });
    else reject(new Error(`A process ended with ${code}: ${error}`));
  });
  return promise;
}
