import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { openSqliteStore } from "../../src/storage/sqlite/sqlite-store.ts";
import { sampleEntry } from "../../src/testing/store-samples.ts";

const program = fileURLToPath(new URL("filling-process.ts", import.meta.url));
const scope = { namespace: "full" };

test("a full disk is reported, keeps what was acknowledged and takes nothing by halves", {
  skip: process.platform === "win32" && "needs a limit on the size of files",
}, async () => {
  const path = join(mkdtempSync(join(tmpdir(), "strata-full-")), "memory.db");
  // A limit on the size of a file stands in for a small disk: the system refuses the write in the same place.
  const child = spawnSync(
    "bash",
    ["-c", 'ulimit -f 2000 && exec "$0" "$@"', process.execPath, program, path],
    {
      encoding: "utf8",
    },
  );
  assert.equal(child.status, 0, child.stderr);
  const { acknowledged, code, retryable } = JSON.parse(child.stdout);
  assert.deepEqual([code, retryable], ["DISK_FULL", true]);
  assert.ok(acknowledged > 0);
  const database = new DatabaseSync(path);
  assert.equal(database.prepare("pragma integrity_check").get()?.["integrity_check"], "ok");
  database.close();
  const store = await openSqliteStore(path);
  assert.equal((await store.stats(scope)).memories, acknowledged);
  assert.equal((await store.matchingRows(scope, { tags: ["t"] })).length, acknowledged);
  await store.add(scope, [sampleEntry("after")]);
  await store.close();
});
