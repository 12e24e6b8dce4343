import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { ConsolidationAction } from "../../src/contract/consolidation.ts";
import type { Memory } from "../../src/contract/memory.ts";
import type { MemoryStore } from "../../src/contract/memory-store.ts";
import { checkConsistency } from "../../src/storage/sqlite/check-consistency.ts";
import { openSqliteStore } from "../../src/storage/sqlite/sqlite-store.ts";
import { sampleEntry } from "../../src/testing/store-samples.ts";

const scope = { namespace: "n" };
const folder = mkdtempSync(join(tmpdir(), "strata-moves-"));
const applying = fileURLToPath(new URL("applying-process.ts", import.meta.url));
const undoing = fileURLToPath(new URL("undoing-process.ts", import.meta.url));

/** A store with that many memories, each turn of one of ten threads. */
async function makeStore(path: string, count: number): Promise<MemoryStore> {
  const store = await openSqliteStore(path);
  const entries = Array.from({ length: count }, (_, index) =>
    sampleEntry(`m${index}`, {
      thread: `thread ${index % 10}`,
      tags: ["t"],
      at: index,
      accessCount: index % 11,
    }),
  );
  for (let start = 0; start < count; start += 250) await store.add(scope, entries.slice(start, start + 250));
  return store;
}

async function listed(store: MemoryStore): Promise<readonly Memory[]> {
  return (await store.list(scope, {}, { limit: 100_000 })).memories;
}

function assertConsistent(path: string): void {
  using database = new DatabaseSync(path, { readOnly: true });
  assert.deepEqual(checkConsistency(database), []);
}

/** Lines that a process writes, as they come. */
async function line(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let output = "";
    child.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
      if (output.endsWith("\n")) {
        child.stdout!.removeAllListeners("data");
        resolve(output);
      }
    });
  });
}

test("of two processes with the same plan each action is done by one, and what they leave one would have left", async () => {
  const [path, alone] = [join(folder, "two.db"), join(folder, "one.db")];
  const store = await makeStore(path, 400);
  const actions = Array.from({ length: 400 }, (_, index): ConsolidationAction => {
    if (index % 10 === 0) {
      const [keep, absorb] = [`m${index}`, `m${index + 1}`].map((id) => ({ id, version: 1 }));
      return { kind: "merge", keep: keep!, absorb: absorb!, reason: "alike" };
    }
    const version = 1;
    const place = { document: false, from: "long_term", to: "semantic", version } as const;
    return { kind: "promote", id: `m${index}`, ...place, reason: "used" };
  });
  const plan = join(folder, "plan.json");
  writeFileSync(plan, JSON.stringify(actions));
  const children = ["one", "two"].map((run) =>
    spawn(process.execPath, [applying, path, plan, run], {
      stdio: ["pipe", "pipe", "inherit"],
    }),
  );
  await Promise.all(children.map(line));
  const results = children.map(line);
  for (const child of children) child.stdin!.write("go\n");
  const [one, two] = (await Promise.all(results)).map((text): string[] => JSON.parse(text));
  const single = await makeStore(alone, 400);
  const expected = [];
  for (let start = 0; start < actions.length; start += 16) {
    expected.push(...(await single.apply(scope, "alone", actions.slice(start, start + 16))).outcomes);
  }
  for (const [index, outcome] of expected.entries()) {
    const outcomes = [one![index], two![index]].sort();
    assert.deepEqual(outcomes, outcome === "done" ? ["changed", "done"] : ["changed", "changed"], `${index}`);
  }
  const summary = async (of: MemoryStore) =>
    (await listed(of))
      .map(({ id, tier, tags, accessCount, version }) => [id, tier, tags, accessCount, version])
      .sort();
  assert.deepEqual(await summary(store), await summary(single));
  assertConsistent(path);
  await store.close();
  await single.close();
});

test("an undo killed on the way goes on where it stood, under the same run", async () => {
  const path = join(folder, "killed.db");
  const store = await makeStore(path, 1_500);
  const before = await listed(store);
  let partial = 0;
  for (let round = 0; round < 3; round++) {
    const { run, forgotten } = await store.forget(scope, { tags: ["t"] });
    assert.equal(forgotten, 1_500);
    const child = spawn(process.execPath, [undoing, path, run!], {
      stdio: "inherit",
    });
    const closed = new Promise((resolve) => child.once("close", resolve));
    while ((await store.stats(scope)).memories <= round * 300 && child.exitCode === null) {
      await new Promise(setImmediate);
    }
    child.kill("SIGKILL");
    await closed;
    const { memories } = await store.stats(scope);
    assert.ok(memories > round * 300);
    if (memories < 1_500) partial++;
    assertConsistent(path);
    const { entries } = await store.journal(scope, { limit: 1 });
    const result = await store.undo(scope, run!);
    assert.deepEqual([result.undone, result.skipped, result.evicted], [1_500 - memories, [], []]);
    assert.equal(result.run, entries[0]!.run);
    assert.deepEqual(await listed(store), before);
    assertConsistent(path);
  }
  assert.ok(partial > 0, "no kill fell on the way");
  await store.close();
});
