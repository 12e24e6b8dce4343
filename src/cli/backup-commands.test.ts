import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openMemory } from "../engine/open-memory.ts";
import { formatRepair } from "./commands/doctor.ts";
import { type Recording, recordRun } from "./recorded-run.ts";

let folder: string;
let db: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "strata-backup-commands-"));
  db = join(folder, "memory.db");
});
afterEach(() => rmSync(folder, { recursive: true }));

const strata = (...argv: string[]): Promise<Recording> => recordRun(["--db", db, ...argv], { cwd: folder });

async function json(...argv: string[]) {
  const { exitCode, stdout, stderr } = await strata(...argv, "--json");
  assert.equal(exitCode, 0, stderr);
  return JSON.parse(stdout);
}

suite("backup, restore and repair on the command line", () => {
  test("what was backed up is restored, and what stood there is kept", async () => {
    await strata("store", "Ada prefers tea");
    const backup = await json("backup", "monday.db");
    assert.equal(backup.path, join(folder, "monday.db"));
    assert.deepEqual([backup.memories, backup.documents, backup.namespaces], [1, 0, 1]);
    assert.match(backup.sha256, /^[0-9a-f]{64}$/);
    assert.equal(statSync(backup.path).mode & 0o777, 0o600);
    const again = await strata("backup", "monday.db");
    assert.equal(again.exitCode, 5);
    assert.match(again.stderr, /DATABASE_EXISTS/);
    assert.equal((await strata("backup", "monday.db", "--force")).exitCode, 0);

    await strata("store", "Ben prefers coffee");
    const refused = await strata("restore", "monday.db");
    assert.match(refused.stderr, /DATABASE_EXISTS/);
    const restored = await json("restore", "monday.db", "--force");
    assert.equal((await json("stats")).memories, 1);
    const kept = await recordRun(["--db", restored.kept, "stats", "--json"], { cwd: folder });
    assert.equal(JSON.parse(kept.stdout).memories, 2);
  });

  test("a damaged memory is salvaged beside it, and put in place when told to", async () => {
    const { memory } = await json("store", "Ada prefers tea");
    const bytes = readFileSync(db);
    // The page that holds the text.
    const page = Math.floor(bytes.indexOf("Ada prefers tea") / 4_096);
    bytes.fill(0, page * 4_096, (page + 1) * 4_096);
    writeFileSync(db, bytes);
    const found = await strata("doctor");
    assert.equal(found.exitCode, 5);
    assert.match(found.stdout, /DATABASE_CORRUPT/);
    const told = await strata("doctor", "--repair");
    assert.equal(told.exitCode, 0);
    assert.match(told.stdout, new RegExp(`lost\\s+default\\s+${memory.id}`));
    assert.match(told.stdout, /0 snapshots, 0 rows of the journal\n/);
    assert.match(told.stdout, /tending\s+consolidation begins anew/);
    assert.match(told.stderr, /Not everything could be read/);
    assert.match(told.stderr, /doctor --repair --replace/);
    assert.deepEqual(readFileSync(db), bytes);
    const { kept, lost } = await json("doctor", "--repair", "--replace");
    assert.deepEqual(lost, [{ namespace: "default", id: memory.id }]);
    assert.deepEqual(readFileSync(kept), bytes);
    assert.equal((await strata("doctor")).exitCode, 0);
    assert.equal((await strata("doctor", "--replace")).exitCode, 2);
  });

  test("a backup that is interrupted leaves no file", {
    skip: process.platform === "win32" && "sends no signals",
  }, async () => {
    {
      await using memory = await openMemory({ path: db, configFile: false });
      const items = Array.from({ length: 2_000 }, (_, at) => ({ content: `${at} ${"lorem ".repeat(800)}` }));
      await memory.storeMany(items);
    }
    const main = fileURLToPath(new URL("main.ts", import.meta.url));
    const child = spawn(process.execPath, [main, "--db", db, "backup", join(folder, "b.db")], {
      stdio: "ignore",
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    while (child.exitCode === null && !readdirSync(folder).some((name) => name.endsWith(".partial")))
      await sleep(1);
    child.kill("SIGINT");
    assert.equal(await ended, 130);
    assert.equal(existsSync(join(folder, "b.db")), false);
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.includes("partial")),
      [],
    );
  });
});

test("what a repair could not bring back is told, a line each", () => {
  const named = { namespace: "n", uri: "d.md" };
  const text = formatRepair({
    path: "memory.db.repaired",
    memories: 1,
    documents: 1,
    namespaces: 1,
    snapshots: 2,
    lost: [{ namespace: "n", id: "a" }, { namespace: "n" }],
    lostDocuments: [named],
    torn: [{ ...named, id: "d", chunks: [1, 3] }],
    rebuilt: [named],
    doubtful: [{ namespace: "n", id: "b" }],
    relived: [{ namespace: "n", id: "c" }],
    withoutVector: 2,
    lostVectors: [{ model: "m", vectors: 3 }, { vectors: 4 }],
    journal: { rows: 5, lost: 6, withoutUndo: 7 },
    tornSnapshots: [
      { namespace: "n", name: "s", memories: 8, lost: 9 },
      { namespace: "n", name: "t", memories: 0 },
    ],
    keptWithoutVector: 10,
    lostTuning: 11,
    renamed: ["recovered-1"],
    restarted: ["n"],
    logPages: 0,
  });
  assert.deepEqual(text.split("\n").slice(1), [
    "salvaged   1 memory, 1 document, 1 namespace, 2 snapshots, 5 rows of the journal",
    'vectors    3 of m missing: "strata reembed" makes them',
    'vectors    4 of a model whose name is lost missing: "strata reembed" makes them',
    "vectors    2 memories are left without any: found by words until then",
    "renamed    recovered-1: its name is lost",
    "lost       n  a",
    "lost       n  id unknown",
    "lost       n  d.md, all of it",
    "torn       n  d.md, chunks 1, 3",
    "rebuilt    n  d.md: title, tags and times may be lost",
    "reset      n  c: in semantic, importance .5",
    "doubtful   n  b: the index knows another id",
    "snapshot   n  s: 8 came back, 9 did not",
    "snapshot   n  t: 0 came back, how many did not is unknown",
    "journal    6 rows lost",
    "journal    7 rows that undo can no longer take back",
    "vectors    10 damaged in the journal or a snapshot",
    "tuning     11 decisions lost",
    "tending    consolidation begins anew in every namespace",
  ]);
});
