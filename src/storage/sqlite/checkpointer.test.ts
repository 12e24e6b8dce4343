import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { MemoryStore } from "../../contract/memory-store.ts";
import { sampleEntry } from "../../testing/store-samples.ts";
import { Checkpointer } from "./checkpointer.ts";
import { openDatabase } from "./open-database.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const scope = { namespace: "n" };
let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "strata-log-"));
  path = join(folder, "memory.db");
});

async function addMany(store: MemoryStore, count: number, bytes: number): Promise<void> {
  for (let from = 0; from < count; from += 128) {
    const slice = Array.from({ length: Math.min(128, count - from) }, (_, at) =>
      sampleEntry(`m${from + at}`, { content: `${from + at} `.padEnd(bytes, "x") }),
    );
    await store.add(scope, slice);
  }
}

/** Waits for what another thread does in its own time. */
async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    if (condition()) return;
    await sleep(50);
  }
  assert.fail("It did not happen within 20 seconds.");
}

/** Memories in the database without its log. */
function copied(): number {
  const copy = join(folder, "copy.db");
  copyFileSync(path, copy);
  const database = new DatabaseSync(copy, { readOnly: true });
  try {
    return Number(database.prepare("select count(*) as n from memory").get()?.["n"]);
  } catch {
    // Taken while it was written, or before anything was.
    return 0;
  } finally {
    database.close();
  }
}

test("what a writer logs is copied into the database while it is open, without its doing", async () => {
  const store = await openSqliteStore(path);
  await addMany(store, 2_000, 100);
  await until(() => copied() > 0);
  await store.close();
});

test("a large log is emptied once nothing is written any more", async () => {
  const store = await openSqliteStore(path);
  await addMany(store, 2_000, 10_000);
  assert.ok(statSync(`${path}-wal`).size > 16 * 2 ** 20);
  await until(() => statSync(`${path}-wal`).size === 0);
  await store.add(scope, [sampleEntry("later")]);
  assert.equal((await store.get(scope, ["later"]))[0]?.id, "later");
  await store.close();
});

test("few large texts make a log that is emptied too, first or after many rows, once nobody reads it", async () => {
  for (const rows of [0, 2_000]) {
    path = join(folder, `large-${rows}.db`);
    const store = await openSqliteStore(path);
    await addMany(store, rows, 10);
    await sleep(1_200);
    const reader = new DatabaseSync(path, { readOnly: true });
    reader.exec("begin");
    reader.prepare("select count(*) from memory").get();
    for (let at = 0; at < 300; at++) {
      await store.add(scope, [sampleEntry(`large${at}`, { content: `${at} `.padEnd(60_000, "x") })]);
    }
    await sleep(1_500);
    assert.ok(statSync(`${path}-wal`).size > 16 * 2 ** 20);
    reader.close();
    await until(() => statSync(`${path}-wal`).size === 0);
    await store.close();
  }
});

test("a store that was closed leaves no log, and all that was written", async () => {
  const store = await openSqliteStore(path);
  await addMany(store, 2_000, 100);
  await store.close();
  assert.equal(existsSync(`${path}-wal`), false);
  assert.equal(copied(), 2_000);
});

test("without a thread SQLite copies the log at its usual bound", async () => {
  const connection = await openDatabase(path, {
    durability: "process",
    readOnly: false,
    create: true,
    lockTimeoutMs: 100,
  });
  const bound = () => connection.get<[number]>("pragma wal_autocheckpoint")?.[0];
  const checkpointer = new Checkpointer(join(folder, "no", "such", "memory.db"), connection);
  assert.equal(bound(), 16_384);
  await connection.write(() => {
    connection.exec("create table number (n integer)");
    for (let n = 0; n < 3_000; n++) connection.run("insert into number values (?)", n);
  });
  await until(() => bound() === 1_000);
  connection.close();
  await checkpointer.close();
});

/** A program that adds slices of memories, the next behind what is there, and tells after each how many there are. */
function writer(slices: number): readonly string[] {
  const source = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);
  const program = `
    const { openSqliteStore } = await import(${source("./sqlite-store.ts")});
    const { sampleEntry } = await import(${source("../../testing/store-samples.ts")});
    const store = await openSqliteStore(${JSON.stringify(path)});
    const { tiers } = await store.stats({ namespace: "n" });
    let there = tiers.semantic.memories;
    for (let slice = 0; slice < ${slices}; slice++) {
      const entries = Array.from({ length: 100 }, (_, at) =>
        sampleEntry("m" + (there + at), { tier: "semantic" }));
      await store.add({ namespace: "n" }, entries);
      there += 100;
      console.log(there);
    }`;
  return ["--no-warnings", "--input-type=module", "--eval", program];
}

test("a process that closes nothing ends all the same", () => {
  const { status, stderr } = spawnSync(process.execPath, writer(20), { encoding: "utf8", timeout: 60_000 });
  assert.equal(status, 0, stderr);
});

test("what was acknowledged is there after kill -9 at any time of the copying", async () => {
  for (let round = 0; round < 8; round++) {
    const child = spawn(process.execPath, writer(100_000), { stdio: ["ignore", "pipe", "inherit"] });
    let acknowledged = 0;
    let lines = 0;
    const ended = new Promise((resolve) => child.once("close", resolve));
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const told = text.trim().split("\n");
      acknowledged = Number(told.at(-1));
      lines += told.length;
      // From the first copy on, a slice later in each round.
      if (lines > 25 + round * 7) child.kill("SIGKILL");
    });
    await ended;
    const store = await openSqliteStore(path);
    const { tiers } = await store.stats(scope);
    assert.ok(tiers.semantic.memories >= acknowledged, `round ${round}`);
    assert.equal(tiers.semantic.memories % 100, 0);
    await store.close();
    const database = new DatabaseSync(path, { readOnly: true });
    assert.equal(database.prepare("pragma integrity_check").get()?.["integrity_check"], "ok");
    database.close();
  }
});
