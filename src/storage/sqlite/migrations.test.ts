import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { utcDay } from "../../contract/relevance.ts";
import { sampleChunks, sampleDocument, sampleEntry } from "../../testing/store-samples.ts";
import { checkConsistency } from "./check-consistency.ts";
import { applicationId, migrations } from "./migrations.ts";
import { repairDatabase } from "./repair-database.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-migrations-"));
const scope = { namespace: "n" };

/** A file of this version with what the first version could hold: memories, a document, something forgotten. */
async function makeCurrent(path: string): Promise<void> {
  const store = await openSqliteStore(path);
  await store.add(scope, [sampleEntry("a"), sampleEntry("b", { vector: null }), sampleEntry("gone")]);
  const staged = await store.stageDocument(scope, sampleDocument("d"));
  await store.addChunks(staged, sampleChunks("d", ["one", "two"]));
  await store.publishDocument(staged);
  await store.forget(scope, { ids: ["gone"] });
  await store.close();
}

/** The same rows in a file of an earlier version: its schema, and of each table the columns that it had. */
function makeEarlier(path: string, version: number, current: string): void {
  const database = new DatabaseSync(path, { defensive: false });
  for (const migration of migrations.slice(0, version)) database.exec(migration);
  database.exec(`attach '${current}' as newer`);
  const tables = database
    .prepare("select name from main.sqlite_schema where type = 'table' and name not like 'words%'")
    .all();
  for (const { name } of tables) {
    const columns = database.prepare(`pragma main.table_info("${String(name)}")`).all();
    const names = columns.map((column) => `"${String(column["name"])}"`).join(", ");
    database.exec(`delete from main."${String(name)}"`);
    database.exec(
      `insert into main."${String(name)}" (${names}) select ${names} from newer."${String(name)}"`,
    );
  }
  // Earlier versions held the words of texts too.
  if (version < 8)
    database.exec("insert into main.words (rowid, content) select row, content from newer.memory");
  database.exec(`pragma main.user_version = ${version}; pragma application_id = ${applicationId}`);
  database.close();
}

for (let version = 1; version < migrations.length; version++) {
  test(`a file of schema version ${version} opens with everything in it, and takes what is new`, async () => {
    const current = join(folder, `current-${version}.db`);
    await makeCurrent(current);
    const path = join(folder, `of-version-${version}.db`);
    makeEarlier(path, version, current);
    const [migrated, fresh] = [await openSqliteStore(path), await openSqliteStore(current)];
    try {
      const page = { limit: 100 };
      assert.deepEqual(await migrated.list(scope, {}, page), await fresh.list(scope, {}, page));
      assert.deepEqual(await migrated.journal(scope, page), await fresh.journal(scope, page));
      const figures = async (store: typeof fresh) => ({ ...(await store.stats(scope)), bytesOnDisk: 0 });
      assert.deepEqual(await figures(migrated), await figures(fresh));
      const { memories } = await migrated.lacking(scope, "next-model", page);
      assert.equal(memories.length, 4);
      const vectors = memories.map(({ row, memory }) => ({ row, version: memory.version, values: null }));
      assert.deepEqual(await migrated.addVectors(scope, "next-model", vectors), [true, true, true, true]);
      assert.equal((await migrated.stats(scope)).unknown["next-model"], 4);
      const { entries } = await migrated.journal(scope, page);
      assert.equal((await migrated.undo(scope, entries[0]!.run)).undone, 1);
      const query = { side: "at-least", threshold: 0.5, day: utcDay(Date.now()), limit: 9 } as const;
      const { candidates } = await migrated.candidates(scope, { ...query, tier: "long_term" });
      assert.deepEqual(candidates.map(({ id }) => id).sort(), ["a", "b", "gone"]);
      const documents = await migrated.candidates(scope, { ...query, tier: "semantic" });
      assert.equal(documents.candidates[0]?.document, true);
      const place = { document: false, from: "long_term", to: "semantic", version: 1 } as const;
      const action = { kind: "promote", id: "gone", ...place, reason: "used" } as const;
      assert.deepEqual((await migrated.apply(scope, "run", [action])).outcomes, ["done"]);
      await migrated.writeState(scope, "pass", "one");
      using database = new DatabaseSync(path, { readOnly: true });
      assert.deepEqual(checkConsistency(database), []);
    } finally {
      await migrated.close();
      await fresh.close();
    }
  });
}

for (let version = 1; version <= migrations.length; version++) {
  test(`a file of schema version ${version} is repaired with everything in it`, async () => {
    const current = join(folder, `repaired-from-${version}.db`);
    await makeCurrent(current);
    const store = await openSqliteStore(current);
    const { memories } = await store.lacking(scope, "next-model", { limit: 100 });
    const vectors = memories.map(({ row, memory }, at) => ({
      row,
      version: memory.version,
      values: at === 1 ? null : Float32Array.of(0, 0, 1, 0),
    }));
    if (version >= 3) await store.addVectors(scope, "next-model", vectors);
    if (version >= 2) await store.saveSnapshot(scope, "kept", {});
    await store.close();
    const path = join(folder, `damaged-${version}.db`);
    makeEarlier(path, version, current);
    const target = join(folder, `repaired-${version}.db`);
    const report = await repairDatabase(path, target, { now: Date.now() });
    const { lost, torn, lostDocuments, rebuilt, lostVectors, journal, withoutVector, tornSnapshots } = report;
    assert.deepEqual(
      [lost, torn, lostDocuments, rebuilt, lostVectors, tornSnapshots],
      [[], [], [], [], [], []],
    );
    assert.deepEqual([journal, withoutVector], [{ rows: 1, lost: 0, withoutUndo: 0 }, 0]);
    const [repaired, fresh] = [await openSqliteStore(target), await openSqliteStore(current)];
    try {
      const page = { limit: 100 };
      assert.deepEqual(await repaired.list(scope, {}, page), await fresh.list(scope, {}, page));
      assert.deepEqual(await repaired.journal(scope, page), await fresh.journal(scope, page));
      assert.deepEqual(await repaired.coverage(scope), await fresh.coverage(scope));
      assert.deepEqual(await repaired.snapshots(scope), await fresh.snapshots(scope));
    } finally {
      await repaired.close();
      await fresh.close();
    }
  });
}

test("words that an earlier version held are in no byte of the file any more", async () => {
  const current = join(folder, "current-words.db");
  await makeCurrent(current);
  const path = join(folder, "of-words.db");
  makeEarlier(path, 7, current);
  const database = new DatabaseSync(path);
  database.exec("insert into words (rowid, content) values (900, 'zyzzyvaterm')");
  database.close();
  const holds = () =>
    readdirSync(folder)
      .filter((name) => name.startsWith("of-words"))
      .some((name) => readFileSync(join(folder, name)).includes("zyzzyvaterm"));
  assert.ok(holds());
  await (await openSqliteStore(path)).close();
  assert.ok(!holds());
});
