import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openSqliteStore } from "../../src/storage/sqlite/sqlite-store.ts";

const rounds = 50;
const program = fileURLToPath(new URL("storing-process.ts", import.meta.url));

/** Runs a process that stores, kills it after `acknowledged` ids and a moment, and returns all ids it acknowledged. */
async function storeUntilKilled(path: string, prefix: string, acknowledged: number): Promise<string[]> {
  const child = spawn(process.execPath, [program, path, prefix], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    output += chunk;
    if (output.split("\n").length <= acknowledged || child.killed) return;
    // Some microseconds later, so that the kill falls anywhere between two acknowledgements.
    const until = performance.now() + Math.random();
    while (performance.now() < until);
    child.kill("SIGKILL");
  });
  await new Promise((resolve) => child.once("close", resolve));
  assert.equal(child.signalCode, "SIGKILL");
  return output.split("\n").slice(0, -1);
}

test(`every acknowledged memory survives kill -9, ${rounds} times over the same file`, async () => {
  const path = join(mkdtempSync(join(tmpdir(), "strata-kill-")), "memory.db");
  const acknowledged = new Set<string>();
  for (let round = 0; round < rounds; round++) {
    const ids = await storeUntilKilled(path, `round${round}`, 1 + Math.floor(Math.random() * 40));
    for (const id of ids) acknowledged.add(id);
  }
  assert.ok(acknowledged.size >= rounds);
  using database = new DatabaseSync(path, { readOnly: true });
  assert.deepEqual(
    database
      .prepare("pragma integrity_check")
      .all()
      .map((row) => row["integrity_check"]),
    ["ok"],
  );
  const store = await openSqliteStore(path);
  const scope = { namespace: "killed" };
  try {
    const found = await store.get(scope, [...acknowledged]);
    const lost = [...acknowledged].filter((_, index) => found[index] === undefined);
    assert.deepEqual(lost, []);
    // In each round at most the one write under way was kept without having been acknowledged.
    const { memories } = await store.stats(scope);
    assert.ok(memories >= acknowledged.size && memories <= acknowledged.size + rounds);
    const rows = await store.matchingRows(scope, { tags: ["t"] });
    assert.equal(rows.length, memories);
  } finally {
    await store.close();
  }
});
