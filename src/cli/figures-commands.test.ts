import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { openMemory } from "../engine/open-memory.ts";
import { type Recording, recordRun } from "./recorded-run.ts";

suite("figures on the command line", () => {
  let folder: string;
  let database: string;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "strata-figures-"));
    database = join(folder, "memory.db");
    await using memory = await openMemory({ path: database, configFile: false });
    await memory.store("Ada prefers tea");
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const strata = (argv: readonly string[], signal?: AbortSignal): Promise<Recording> =>
    recordRun([...argv, "--db", database], { cwd: folder, ...(signal && { signal }) });

  /** Has another process at work on the memory while `look` runs. */
  async function besideAnother<T>(look: () => Promise<T>): Promise<T> {
    const engine = new URL("../engine/open-memory.ts", import.meta.url).href;
    const program = join(folder, "other.mjs");
    writeFileSync(
      program,
      `import { openMemory } from ${JSON.stringify(engine)};
       const memory = await openMemory({ path: ${JSON.stringify(database)}, configFile: false });
       await memory.recall("what does Ada drink?");
       await memory.recall("what does Ada drink?");
       process.stdin.once("data", () => process.stdin.destroy());
       process.stdin.once("close", () => memory.close());`,
    );
    const other = spawn(process.execPath, [program], { stdio: ["pipe", "ignore", "inherit"] });
    const ended = new Promise((resolve) => other.once("exit", resolve));
    try {
      for (let turn = 0; turn < 1_000 && !existsSync(`${database}-figures`); turn++)
        await new Promise((resolve) => setTimeout(resolve, 10));
      await new Promise((resolve) => setTimeout(resolve, 50));
      return await look();
    } finally {
      other.stdin.end("\n");
      await ended;
    }
  }

  test("a report tells tiers, and what other processes do with the memory", async () => {
    const { text, json } = await besideAnother(async () => ({
      text: (await strata(["stats", "--report"])).stdout,
      json: (await strata(["stats", "--report", "--json"])).stdout,
    }));
    assert.match(text, /^long_term +1 +10,000/m);
    assert.match(text, /^process \d+, up /m);
    assert.match(text, /^recall +2 /m);
    assert.match(text, /^queries +1 +1 +50\.0 %/m);
    assert.match(text, /^indexes of 1 namespace, [\d.]+ kB; kept within [\d.]+ [MG]B$/m);
    const [figures] = JSON.parse(json).processes;
    assert.equal(figures.report.operations.recall.count, 2);
  });

  test("a report on a memory that nobody has open says so", async () => {
    assert.match((await strata(["stats", "--report"])).stdout, /No other process/);
  });

  test("a watch draws again until it is interrupted", async () => {
    const interrupt = new AbortController();
    const watching = strata(["stats", "--watch", "--json"], interrupt.signal);
    setTimeout(() => interrupt.abort(), 1_500);
    const { stdout } = await watching;
    const looks = stdout.trimEnd().split("\n");
    assert.ok(looks.length >= 2);
    for (const look of looks) assert.equal(JSON.parse(look).memories, 1);
  });

  test("text for Prometheus tells the tiers of all namespaces", async () => {
    const { stdout, exitCode } = await strata(["stats", "--prometheus"]);
    assert.match(stdout, /^strata_tier_memories\{tier="long_term"\} 1$/m);
    assert.equal(exitCode, 0);
  });

  test("a bench measures with texts of the memory, leaves nothing behind and the memory as it was", async () => {
    const { stdout } = await strata(["bench", "--entries", "100", "--json"]);
    const { rows, entries, ownTexts } = JSON.parse(stdout);
    assert.equal(entries, 100);
    assert.equal(ownTexts, 1);
    assert.ok(rows.length >= 5 && rows.every(({ p50Ms }: { p50Ms: number }) => p50Ms > 0));
    await using memory = await openMemory({ path: database, configFile: false });
    assert.equal((await memory.stats({ all: true })).memories, 1);
  });

  test("a bench of too many or too few is refused", async () => {
    for (const entries of ["99", "50001", "many"])
      assert.equal((await strata(["bench", "--entries", entries])).exitCode, 2);
  });
});
