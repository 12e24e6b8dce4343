import { spawn } from "node:child_process";
import { cp, mkdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { inTemporaryFolder } from "../evals/temporary-folder.ts";
import { rankingHash } from "../evals/temporary-memory.ts";
import { root, runCommand } from "../scripts/repository.ts";
import { openMemory } from "../src/index.ts";
import { TextGenerator } from "./generated-text.ts";
import { latencies, timedInTurn } from "./latencies.ts";

const entries = 10_000;
const rounds = 21;
const warmUps = 3;

/**
 * The command's way from process start to its answer over a memory that another process wrote, beside bare Node, which
 * starts and ends. What runs is the built package as npm would install it, not the checkout.
 */
export function run(args: string[]): Promise<unknown> {
  parseArgs({ args, options: {} });
  return inTemporaryFolder(async (folder) => {
    const command = await installedCommand(join(folder, "package"));
    const path = join(folder, "memory.db");
    const { ranking, questions } = await prepare(path);
    const environment = { ...process.env, NODE_COMPILE_CACHE: join(folder, "compiled") };
    const recall = async (round: number) => {
      const words = [command, "recall", questions[round]!, "--db", path, "--json"];
      const { hits } = JSON.parse(await output(words, environment));
      if (!(hits.length > 0)) throw new Error("Expected hits from the command; got none.");
    };
    const bare = () => output(["-e", "0"], environment);
    const first = await timedInTurn(warmUps, 1, recall, bare);
    const times = await timedInTurn(rounds, 1, (round) => recall(warmUps + round), bare);
    const [ours, floor] = [latencies(times.ours), latencies(times.floor)];
    return {
      entries,
      runs: rounds,
      firstMs: first.ours[0],
      p50Ms: ours.p50Ms,
      p95Ms: ours.p95Ms,
      floorP50Ms: floor.p50Ms,
      floorP95Ms: floor.p95Ms,
      ratio: ours.p50Ms / floor.p50Ms,
      ranking,
    };
  });
}

/** Builds the package and lays it out as an installation; returns the path of its command. */
async function installedCommand(folder: string): Promise<string> {
  runCommand(process.execPath, ["scripts/build.ts"]);
  await mkdir(folder);
  for (const part of ["bin", "dist", "models", "package.json"])
    await cp(join(root, part), join(folder, part), { recursive: true });
  await symlink(join(root, "node_modules"), join(folder, "node_modules"), "junction");
  return join(folder, "bin/strata.js");
}

async function prepare(path: string): Promise<{ readonly ranking: string; readonly questions: string[] }> {
  const text = new TextGenerator(5);
  await using memory = await openMemory({ path });
  const contents = text.sentences(entries);
  await memory.storeMany(contents.map((content) => ({ content, tier: "semantic" })));
  return { ranking: await rankingHash(memory), questions: text.sentences(warmUps + rounds) };
}

/** What a Node process writes before it ends. @throws When it fails, with its error output. */
function output(words: readonly string[], environment: NodeJS.ProcessEnv): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const child = spawn(process.execPath, words, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  let [out, error] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (part: string) => {
    out += part;
  });
  child.stderr.setEncoding("utf8").on("data", (part: string) => {
    error += part;
  });
  child.on("error", reject);
  child.on("close", (code) => {
    if (code === 0) resolve(out);
    else reject(new Error(`A process ended with ${code}: ${error}`));
  });
  return promise;
}
