import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeEach, suite, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { ErrorCode } from "../../src/contract/errors.ts";
import { openMemory } from "../../src/engine/open-memory.ts";
import { restoreMemory } from "../../src/engine/restore-memory.ts";

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "strata backup "));
  path = join(folder, "memory.db");
});

const rejects = (promise: Promise<unknown>, code: ErrorCode): Promise<void> =>
  assert.rejects(promise, { code });
const partials = (): string[] => readdirSync(folder).filter((name) => name.includes("partial"));

suite("backup", () => {
  test("writes one file, verified, for its owner alone, from which a memory is restored", async () => {
    const backup = join(folder, "backup.db");
    {
      await using memory = await openMemory({ path });
      await memory.store("Ada prefers tea", { id: "tea", namespace: "a" });
      await memory.store("Ben prefers coffee", { namespace: "b" });
      const report = await memory.backup(backup);
      assert.equal(report.memories, 2);
      assert.equal(report.namespaces, 2);
      assert.deepEqual(report.damages, []);
      assert.equal(report.sha256, createHash("sha256").update(readFileSync(backup)).digest("hex"));
      assert.equal(report.bytes, statSync(backup).size);
    }
    assert.equal(statSync(backup).mode & 0o777, 0o600);
    assert.deepEqual(existsSync(`${backup}-wal`), false);
    const other = join(folder, "elsewhere", "memory.db");
    const restored = await restoreMemory(backup, { path: other });
    assert.equal(restored.path, other);
    assert.equal(restored.kept, undefined);
    await using memory = await openMemory({ path: other, mustExist: true });
    assert.equal((await memory.get("tea", { namespace: "a" }))?.content, "Ada prefers tea");
    assert.equal((await memory.recall("coffee", { namespace: "b" })).hits.length, 1);
  });

  test("holds one state while another process writes without a pause, and comes to its end", async () => {
    await using memory = await openMemory({ path });
    const texts = Array.from({ length: 1_200 }, (_, at) => ({
      content: `text ${at} ${"lorem ".repeat(300)}`,
    }));
    await memory.storeMany(texts);
    const program = fileURLToPath(new URL("storing-process.ts", import.meta.url));
    const child = spawn(process.execPath, [program, path, "w"], { stdio: ["ignore", "pipe", "inherit"] });
    let told = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => (told += chunk));
    const count = () => told.split("\n").length - 1;
    try {
      while (count() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
      const steps: number[] = [];
      const before = count();
      const report = await memory.backup(join(folder, "b.db"), {
        onProgress: ({ done }) => steps.push(done),
      });
      const after = count();
      assert.ok(after > before, "the other process went on");
      assert.ok(report.memories >= 1_200 + before && report.memories <= 1_200 + after + 1);
      assert.ok(steps.length > 0);
      assert.deepEqual(
        steps,
        steps.toSorted((a, b) => a - b),
        "it never began again",
      );
    } finally {
      child.kill("SIGKILL");
    }
  });

  test("replaces a file only when told to, and never one that a memory has open", async () => {
    await using memory = await openMemory({ path });
    await memory.store("one");
    const backup = join(folder, "backup.db");
    writeFileSync(backup, "what was there");
    await rejects(memory.backup(backup), "DATABASE_EXISTS");
    assert.equal(readFileSync(backup, "utf8"), "what was there");
    await memory.backup(backup, { overwrite: true });
    await rejects(memory.backup(path, { overwrite: true }), "DATABASE_EXISTS");
    await using other = await openMemory({ path: join(folder, "other.db") });
    await other.store("two");
    await rejects(memory.backup(other.path, { overwrite: true }), "DATABASE_EXISTS");
    mkdirSync(join(folder, "f"));
    await rejects(memory.backup(join(folder, "f")), "DATABASE_IS_DIRECTORY");
    await rejects(memory.backup(join(folder, "none", "b.db")), "DATABASE_READ_ONLY");
    await rejects(memory.backup(backup, { gzip: true } as never), "UNKNOWN_OPTION");
    assert.deepEqual(partials(), []);
  });

  test("leaves no half file when it is aborted", async () => {
    await using memory = await openMemory({ path });
    await memory.store("one");
    const controller = new AbortController();
    const reason = new Error("enough");
    const backup = join(folder, "backup.db");
    const onProgress = () => controller.abort(reason);
    await assert.rejects(memory.backup(backup, { signal: controller.signal, onProgress }), reason);
    assert.equal(existsSync(backup), false);
    assert.deepEqual(partials(), []);
  });

  test("of a memory whose counts disagree is refused by name", async () => {
    await using memory = await openMemory({ path });
    await memory.store("one");
    const database = new DatabaseSync(path);
    database.exec("update tier_count set memories = 7");
    database.close();
    await rejects(memory.backup(join(folder, "backup.db")), "DATABASE_CORRUPT");
    assert.deepEqual(partials(), []);
  });
});

suite("restore", () => {
  async function backedUp(text: string): Promise<string> {
    const backup = join(folder, "backup.db");
    await using memory = await openMemory({ path });
    await memory.store(text);
    await memory.backup(backup);
    return backup;
  }

  test("keeps the memory that stood there, with its latest writes, and makes derived indexes anew", async () => {
    const backup = await backedUp("before");
    {
      await using memory = await openMemory({ path });
      await memory.store("after");
      // As a process leaves it that is killed: the write is in the log alone.
    }
    mkdirSync(`${path}-index`);
    writeFileSync(join(`${path}-index`, "stale"), "stale");
    await rejects(restoreMemory(backup, { path }), "DATABASE_EXISTS");
    const { kept } = await restoreMemory(backup, { path, force: true });
    assert.equal(existsSync(`${path}-index`), false);
    await using memory = await openMemory({ path });
    assert.equal((await memory.stats()).memories, 1);
    await using former = await openMemory({ path: kept! });
    assert.equal((await former.stats()).memories, 2);
  });

  test("is refused while a process has the memory open", async () => {
    const backup = await backedUp("before");
    await using memory = await openMemory({ path });
    await memory.store("after");
    await rejects(restoreMemory(backup, { path, force: true }), "DATABASE_BUSY");
    assert.equal((await memory.stats()).memories, 2);
    assert.deepEqual(partials(), []);
  });

  test("changes nothing when the backup is damaged, of something else or not there", async () => {
    const backup = await backedUp("before");
    const bytes = readFileSync(backup);
    const other = join(folder, "other.db");
    const damaged = join(folder, "damaged.db");
    writeFileSync(damaged, bytes.subarray(0, 30_000));
    await rejects(restoreMemory(damaged, { path: other }), "DATABASE_CORRUPT");
    writeFileSync(damaged, "something else, and long enough to be a file".repeat(100));
    await rejects(restoreMemory(damaged, { path: other }), "NOT_A_DATABASE");
    await rejects(restoreMemory(join(folder, "none.db"), { path: other }), "DATABASE_NOT_FOUND");
    await rejects(restoreMemory(path, { path, force: true }), "INVALID_ARGUMENT");
    assert.equal(existsSync(other), false);
    assert.deepEqual(partials(), []);
  });

  test("takes the place of a memory that is damaged", async () => {
    const backup = await backedUp("before");
    writeFileSync(path, readFileSync(path).subarray(0, 9_000));
    const { kept } = await restoreMemory(backup, { path, force: true });
    assert.equal(statSync(kept!).size, 9_000);
    await using memory = await openMemory({ path });
    assert.equal((await memory.stats()).memories, 1);
  });
});
