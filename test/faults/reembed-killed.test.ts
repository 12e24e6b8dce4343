import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openMemory } from "../../src/engine/open-memory.ts";
import type { ReembedReport } from "../../src/engine/reembed-options.ts";
import { hashingModel, hashingVector } from "./hashing-model.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-reembed-killed-"));
after(() => rmSync(folder, { recursive: true }));
const changing = fileURLToPath(new URL("reembedding-process.ts", import.meta.url));
const writing = fileURLToPath(new URL("old-model-process.ts", import.meta.url));

const notes = 4_000;
/** Killed in the embedding several times, in the dropping twice. */
const kills = [
  { step: "embedding", after: 3 },
  { step: "embedding", after: 1 },
  { step: "embedding", after: 9 },
  { step: "embedding", after: 6 },
  { step: "dropping", after: 1 },
  { step: "dropping", after: 2 },
];

/** Runs a change until it has made so many steps, and kills it some microseconds later; without a kill, to its end. */
async function change(
  path: string,
  aheadMs: number,
  kill?: { readonly step: string; readonly after: number },
): Promise<{ readonly report: ReembedReport | undefined; readonly steps: string[] }> {
  const child = spawn(process.execPath, [changing, path, String(aheadMs)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
    if (!kill || child.killed) return;
    if (output.split("\n").filter((line) => line.startsWith(kill.step)).length < kill.after) return;
    const until = performance.now() + Math.random() * 3;
    while (performance.now() < until);
    child.kill("SIGKILL");
  });
  await new Promise((resolve) => child.once("close", resolve));
  if (kill) assert.equal(child.signalCode, "SIGKILL", output.slice(-200));
  const done = output.split("\n").find((line) => line.startsWith("done "));
  return {
    report: done === undefined ? undefined : JSON.parse(done.slice(5)),
    steps: output.split("\n").map((line) => line.split(" ")[0]!),
  };
}

function holds(bytes: Uint8Array): boolean {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .some((entry) => readFileSync(join(entry.parentPath, entry.name)).includes(Buffer.from(bytes)));
}

const bytesOf = (id: string, text: string): Uint8Array =>
  new Uint8Array(new Float16Array(hashingVector(id, text)!).buffer);

test("a change of models that is killed again and again goes on where it stood, recalls served all the while", async () => {
  const path = join(folder, "memory.db");
  const textOf = (number: number) => `Note ${number} of the harbour`;
  const reading = () =>
    openMemory({
      path,
      configFile: false,
      model: hashingModel("next"),
      formerModel: hashingModel("former"),
    });
  {
    await using memory = await openMemory({ path, configFile: false, model: hashingModel("former") });
    await memory.storeMany([
      ...Array.from({ length: notes }, (_, number) => ({ id: `n${number}`, content: textOf(number) })),
      { id: "nothing", content: "A text unknown to all" },
    ]);
    await memory.ingest({ name: "d.md", text: `# Title\n\n${"A sentence of a document. ".repeat(3_000)}\n` });
  }
  const questions = [0, 700, 1_499].map(textOf);
  const options = { mode: "vector", limit: 10, touch: false, cache: false, explain: true } as const;
  await using before = await reading();
  const expected = new Map<string, unknown>();
  const summary = (answer: Awaited<ReturnType<typeof before.recall>>) =>
    answer.hits.map(({ memory, score }) => [memory.id, score]);
  for (const question of questions) {
    const answer = await before.recall(question, options);
    assert.equal(answer.explanation!.request.model, "former");
    expected.set(question, summary(answer));
  }

  /** Every process, one that has followed from the start and one that begins now, answers wholly by one of the models. */
  const askAll = async (): Promise<void> => {
    await using fresh = await reading();
    for (const memory of [before, fresh]) {
      for (const question of questions) {
        const answer = await memory.recall(question, options);
        assert.equal(answer.skipped, undefined);
        assert.equal(answer.hits.length, 10);
        assert.equal(answer.hits[0]!.memory.content, question);
        if (answer.explanation!.request.model === "former")
          assert.deepEqual(summary(answer), expected.get(question));
      }
    }
  };

  let asking = true;
  const asker = (async () => {
    let asked = 0;
    for (; asking; asked++) {
      await askAll();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return asked;
  })();
  asker.catch(() => {});
  let reached = 0;
  try {
    for (const [round, kill] of kills.entries()) {
      // The second one waits until the first one's lease has run out; the others' clocks are past it.
      const { steps } = await change(path, Math.max(0, round - 1) * 20_000, kill);
      if (round === 1) assert.ok(steps.includes("waiting"));
      using database = new DatabaseSync(path, { readOnly: true });
      assert.equal(database.prepare("pragma integrity_check").get()!["integrity_check"], "ok");
      const { models } = await before.stats();
      assert.ok((models["next"] ?? 0) >= reached, "what was embedded stays");
      reached = models["next"] ?? 0;
    }
  } finally {
    asking = false;
  }
  assert.ok((await asker) > 5);

  const { report } = await change(path, kills.length * 20_000);
  assert.equal(report!.complete, true);
  assert.equal(report!.embedded, 0, "all was embedded before the first dropping");
  const { models, unknown, memories } = await before.stats();
  assert.deepEqual([models, unknown], [{ next: memories - 1 }, { next: 1 }]);
  await askAll();
  await before.close();
  for (const number of [0, 3, 700, 1_499]) {
    assert.ok(!holds(bytesOf("former", textOf(number))), `old vector of ${number}`);
    assert.ok(holds(bytesOf("next", textOf(number))), `new vector of ${number}`);
  }
});

test("a process that goes on writing with the old model is caught up with, and told about after", async () => {
  const path = join(folder, "written.db");
  {
    await using memory = await openMemory({ path, configFile: false, model: hashingModel("former") });
    await memory.storeMany(Array.from({ length: 800 }, (_, number) => ({ content: `Note ${number}` })));
  }
  const writer = spawn(process.execPath, [writing, path], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let written = "";
  const started = new Promise<void>((resolve) => {
    writer.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      written += chunk;
      resolve();
    });
  });
  const closed = new Promise((resolve) => writer.once("close", resolve));
  await started;
  const { report } = await change(path, 0);
  const during = written.split("\n").length - 1;
  assert.ok(report!.complete && report!.embedded >= 800 && during > 10);
  writer.stdin.end();
  await closed;
  const after = written.split("\n").length - 1;
  await using memory = await openMemory({ path, configFile: false, model: hashingModel("next") });
  const { models } = await memory.stats();
  assert.equal((models["next"] ?? 0) + (models["former"] ?? 0), 800 + after);
  const answer = await memory.recall("Note 5", { mode: "vector" });
  assert.equal(answer.skipped, models["former"]);
  await memory.reembed();
  assert.deepEqual((await memory.stats()).models, { next: 800 + after });
  assert.equal((await memory.recall("Note 5", { mode: "vector" })).skipped, undefined);
});
