import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/contract/clock.ts";
import { openMemory } from "../../src/engine/open-memory.ts";
import { checkConsistency } from "../../src/storage/sqlite/check-consistency.ts";
import { openDatabase } from "../../src/storage/sqlite/open-database.ts";
import { openOptions } from "./rig-texts.ts";

const program = fileURLToPath(new URL("scarce-process.ts", import.meta.url));
const newPath = () => join(mkdtempSync(join(tmpdir(), "strata-scarce-")), "memory.db");
const isWindows = process.platform === "win32";
const isSuperuser = process.getuid?.() === 0;

function told(run: ReturnType<typeof spawnSync>): Record<string, unknown> {
  assert.equal(run.status, 0, String(run.stderr));
  return JSON.parse(String(run.stdout));
}

function assertSound(path: string): void {
  using database = new DatabaseSync(path);
  assert.equal(database.prepare("pragma integrity_check").get()?.["integrity_check"], "ok");
  assert.deepEqual(checkConsistency(database), []);
}

/** A file system of four megabytes that only a child sees; undefined where the system lets nobody mount one. */
const canMount = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;

suite("want of what the system gives", () => {
  test("a disk that is full is named by every verb, loses nothing, and does once there is room", {
    skip: !canMount && "needs the right to mount a file system of its own",
  }, () => {
    const path = newPath();
    const kept = mkdtempSync(join(tmpdir(), "strata-kept-"));
    const script =
      'mount -t tmpfs -o size=4m tmpfs "$1" && "$2" "$3" disk "$1/memory.db" && cp "$1/memory.db" "$4"';
    const folder = dirname(path);
    const figures = told(
      spawnSync("unshare", ["-rm", "bash", "-c", script, "bash", folder, process.execPath, program, kept], {
        encoding: "utf8",
      }),
    );
    const { store, ingest, backup, after, ingestAfter, documents, recalled } = figures;
    assert.deepEqual([store, ingest, backup], ["DISK_FULL", "DISK_FULL", "DISK_FULL"]);
    assert.deepEqual([after, ingestAfter, documents, recalled], ["done", "done", 1, 1]);
    assert.ok(Number(figures["acknowledged"]) > 0);
    assert.equal(figures["found"], figures["acknowledged"]);
    assertSound(join(kept, "memory.db"));
  });

  test("a database at its most pages refuses the write and keeps none of it", async () => {
    const path = newPath();
    await (await openMemory(openOptions(path))).close();
    const options = { durability: "process", readOnly: false, create: false, lockTimeoutMs: 10 } as const;
    const connection = await openDatabase(path, options);
    const [pages] = connection.get<[number]>("pragma page_count")!;
    connection.get(`pragma max_page_count = ${pages + 2}`);
    const fill = () => {
      for (let at = 0; at < 100; at++)
        connection.run("insert into setting values (?, ?)", `x${at}`, "x".repeat(900));
    };
    await assert.rejects(connection.write(fill), { code: "DISK_FULL", retryable: true });
    assert.equal(connection.get("select 1 from setting where name like 'x%'"), undefined);
    connection.get("pragma max_page_count = 100000");
    await connection.write(fill);
    assert.deepEqual(connection.get("select count(*) from setting where name like 'x%'"), [100]);
    connection.close();
  });

  test("no more files to be had is named, what is open goes on, and the rest does afterwards", {
    skip: isWindows && "needs a limit on open files",
  }, () => {
    const path = newPath();
    const script = 'ulimit -n 80 && exec "$0" "$@"';
    const figures = told(
      spawnSync("bash", ["-c", script, process.execPath, program, "files", path], { encoding: "utf8" }),
    );
    const { store, recall, open, openSame, backup, ingest, ...rest } = figures;
    assert.deepEqual([store, recall], ["done", "done"]);
    for (const code of [open, openSame, backup]) assert.equal(code, "DATABASE_READ_ONLY");
    assert.equal(ingest, "FILE_UNREADABLE");
    assert.deepEqual(rest, { after: "done", backupAfter: "done", found: ["before", "meanwhile", "after"] });
    assertSound(path);
  });

  test("a file and a folder that may not be written are named, and stay as they are", {
    skip: isWindows && "rights are told otherwise",
  }, async () => {
    const path = newPath();
    await (await openMemory(openOptions(path))).close();
    const before = readFileSync(path);
    chmodSync(path, 0o444);
    chmodSync(dirname(path), 0o555);
    // Rights do not bind the superuser: the child is nobody.
    const run = spawnSync(process.execPath, [program, "rights", path], {
      encoding: "utf8",
      env: { ...process.env, HOME: tmpdir() },
      ...(isSuperuser && { uid: 65_534, gid: 65_534 }),
    });
    assert.deepEqual(told(run), { open: "DATABASE_READ_ONLY", elsewhere: "DATABASE_READ_ONLY" });
    assert.deepEqual(readFileSync(path), before);
    assert.deepEqual(readdirSync(dirname(path)), ["memory.db"]);
    chmodSync(dirname(path), 0o755);
    chmodSync(path, 0o600);
    await using memory = await openMemory(openOptions(path));
    await memory.store("written again");
  });

  test("a clock that goes back loses nothing and stops no duty", async () => {
    const path = newPath();
    mkdirSync(dirname(path), { recursive: true });
    let offset = 0;
    const clock = { ...systemClock, now: () => Date.now() + offset };
    await using memory = await openMemory({ ...openOptions(path), clock });
    const year = 365 * 86_400_000;
    offset = 2 * year;
    await memory.store("stored in the future", { id: "future" });
    await memory.store("worked on in the future", { id: "work", tier: "working" });
    await memory.ingest({ name: "d.md", text: "a document of the future" });
    offset = 0;
    await memory.store("stored now", { id: "now" });
    await memory.update("future", { tags: ["changed"] });
    offset = -year;
    await memory.store("stored in the past", { id: "past" });
    await memory.update("work", { tier: "semantic" });
    const { expired } = await memory.cleanup();
    assert.equal(expired, 0);
    assert.equal((await memory.stats()).memories, 5);
    for (const id of ["future", "work", "now", "past"]) assert.ok(await memory.get(id), id);
    assert.equal((await memory.recall("stored", { limit: 10 })).hits.length >= 3, true);
    await memory.close();
    assertSound(path);
  });
});
