import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { StrataError } from "../../contract/errors.ts";
import { sampleEntry } from "../../testing/store-samples.ts";
import { applicationId, migrations } from "./migrations.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-open-"));
const scope = { namespace: "n" };

let files = 0;
const newPath = () => join(folder, `${files++}.db`);

/** A database with something in it, closed. */
async function makeDatabase(path = newPath()): Promise<string> {
  const store = await openSqliteStore(path);
  const entries = Array.from({ length: 200 }, (_, index) => sampleEntry(`m${index}`));
  await store.add(scope, entries);
  await store.close();
  return path;
}

async function rejects(promise: Promise<unknown>, code: StrataError["code"]): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(StrataError.isInstance(error), `expected ${code}, got ${String(error)}`);
    assert.equal(error.code, code);
    assert.doesNotMatch(error.message, /text of m/);
    return true;
  });
}

test("a new database is made with its folder, for its owner alone", async () => {
  const path = join(folder, "deep", "er", "memory.db");
  const store = await openSqliteStore(path);
  await store.add(scope, [sampleEntry("a")]);
  for (const suffix of ["", "-wal", "-shm"])
    assert.equal(statSync(path + suffix).mode & 0o777, 0o600, suffix);
  assert.equal(statSync(join(folder, "deep")).mode & 0o777, 0o700);
  await store.close();
});

test("a folder in the database's place is named as such", async () => {
  const path = newPath();
  mkdirSync(path);
  await rejects(openSqliteStore(path), "DATABASE_IS_DIRECTORY");
});

test("a database that is not there is made only when that was wanted", async () => {
  await rejects(openSqliteStore(newPath(), { create: false }), "DATABASE_NOT_FOUND");
  await rejects(openSqliteStore(newPath(), { readOnly: true }), "DATABASE_NOT_FOUND");
});

test("a file that is no database is refused and stays as it is", async () => {
  for (const content of ["hello", "x".repeat(100_000), "SQLite format 2\0".padEnd(5_000, "x")]) {
    const path = newPath();
    writeFileSync(path, content);
    await rejects(openSqliteStore(path), "NOT_A_DATABASE");
    assert.equal(readFileSync(path, "utf8"), content);
  }
});

test("another program's SQLite database is refused and stays as it is", async () => {
  const path = newPath();
  const database = new DatabaseSync(path);
  database.exec("create table theirs (x); insert into theirs values (1)");
  database.close();
  const before = readFileSync(path);
  await rejects(openSqliteStore(path), "NOT_A_DATABASE");
  assert.deepEqual(readFileSync(path), before);
});

test("a database of a newer schema is refused with both versions", async () => {
  const path = await makeDatabase();
  const database = new DatabaseSync(path);
  database.exec(`pragma user_version = ${migrations.length + 1}`);
  database.close();
  await rejects(openSqliteStore(path), "DATABASE_NEWER");
});

test("every earlier schema is brought to this one", async () => {
  for (let version = 0; version < migrations.length; version++) {
    const path = newPath();
    const database = new DatabaseSync(path);
    for (const migration of migrations.slice(0, version)) database.exec(migration);
    database.exec(
      `pragma user_version = ${version}; pragma application_id = ${version === 0 ? 0 : applicationId}`,
    );
    database.close();
    await makeDatabase(path);
    const migrated = new DatabaseSync(path, { readOnly: true });
    assert.equal(migrated.prepare("pragma user_version").get()?.["user_version"], migrations.length);
    assert.equal(migrated.prepare("pragma application_id").get()?.["application_id"], applicationId);
    migrated.close();
  }
});

test("a truncated database is refused and stays as it is", async () => {
  for (const size of [10, 50, 5_000, 20_480]) {
    const path = await makeDatabase();
    truncateSync(path, size);
    const before = readFileSync(path);
    await rejects(openSqliteStore(path), "DATABASE_CORRUPT");
    assert.deepEqual(readFileSync(path), before);
  }
});

test("an empty file beside a log with content is damaged, not new", async () => {
  const path = newPath();
  writeFileSync(path, "");
  writeFileSync(`${path}-wal`, "something");
  await rejects(openSqliteStore(path), "DATABASE_CORRUPT");
  assert.equal(readFileSync(`${path}-wal`, "utf8"), "something");
});

test("a torn page is reported when it is read, never taken for data", async () => {
  const path = await makeDatabase();
  const bytes = readFileSync(path);
  for (let page = 2; page * 4_096 < bytes.length; page++)
    bytes.fill(0x5a, page * 4_096 + 100, page * 4_096 + 3_000);
  writeFileSync(path, bytes);
  const reading = async () => {
    const store = await openSqliteStore(path);
    try {
      return await store.list(scope, {}, { limit: 1_000 });
    } finally {
      await store.close();
    }
  };
  await rejects(reading(), "DATABASE_CORRUPT");
});

test("a store opened to read reads, and refuses to write", async () => {
  const path = await makeDatabase();
  const store = await openSqliteStore(path, { readOnly: true });
  assert.equal((await store.get(scope, ["m1"]))[0]?.id, "m1");
  assert.equal((await store.stats(scope)).memories, 200);
  await rejects(store.add(scope, [sampleEntry("new")]), "DATABASE_READ_ONLY");
  await rejects(store.forget(scope, { ids: ["m1"] }), "DATABASE_READ_ONLY");
  await store.close();
});

test("a file without rights to write is reported as that", {
  skip: process.getuid?.() === 0 && "rights do not bind the superuser",
}, async () => {
  const path = await makeDatabase();
  chmodSync(path, 0o400);
  const opening = async () => {
    const store = await openSqliteStore(path);
    await store.add(scope, [sampleEntry("new")]).finally(() => store.close());
  };
  await rejects(opening(), "DATABASE_READ_ONLY");
});

test("processes that open a new file at once all succeed", async () => {
  const path = newPath();
  const program = `
    import { openSqliteStore } from ${JSON.stringify(new URL("sqlite-store.ts", import.meta.url).href)};
    import { sampleEntry } from ${JSON.stringify(new URL("../../testing/store-samples.ts", import.meta.url).href)};
    const store = await openSqliteStore(${JSON.stringify(path)});
    await store.add({ namespace: "n" }, [sampleEntry(process.argv[1])]);
    await store.close();`;
  const codes = await Promise.all(
    ["a", "b", "c", "d"].map((id) => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", program, id], { stdio: "inherit" });
      return new Promise((resolve) => child.once("close", resolve));
    }),
  );
  assert.deepEqual(codes, [0, 0, 0, 0]);
  const store = await openSqliteStore(path);
  assert.equal((await store.stats(scope)).memories, 4);
  await store.close();
});

test("options out of range are refused", async () => {
  for (const wrong of [
    { decayRate: -1 },
    { decayRate: Number.NaN },
    { lockTimeoutMs: -1 },
    { journalMaxRows: 0 },
  ]) {
    await rejects(openSqliteStore(newPath(), { ...wrong }), "INVALID_ARGUMENT");
  }
});
