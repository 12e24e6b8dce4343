import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import fc from "fast-check";
import type { MemoryStore } from "../../contract/memory-store.ts";
import { sampleChunks, sampleDocument, sampleEntry } from "../../testing/store-samples.ts";
import { checkConsistency } from "./check-consistency.ts";
import { PageFile } from "./page-file.ts";
import { repairDatabase } from "./repair-database.ts";
import type { RepairReport } from "./repair-report.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import { walkTable } from "./stored-records.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-repair-database-"));
const scope = { namespace: "n" };
const page = { limit: 100 };
let made = 0;

/** A file with some of everything, changed by `damage` before it is repaired. */
async function repaired(
  damage: (database: DatabaseSync, path: string) => void,
  act?: (store: MemoryStore) => Promise<unknown>,
): Promise<{
  readonly report: RepairReport;
  readonly path: string;
}> {
  const path = join(folder, `damaged${made}.db`);
  const target = join(folder, `repaired${made++}.db`);
  const store = await openSqliteStore(path);
  await store.add(scope, [sampleEntry("a"), sampleEntry("bb"), sampleEntry("gone"), sampleEntry("left")]);
  for (const uri of ["d", "e"]) {
    const staged = await store.stageDocument(scope, sampleDocument(uri, { title: `title of ${uri}` }));
    await store.addChunks(staged, sampleChunks(uri, ["one", "two"]));
    await store.publishDocument(staged);
  }
  await store.saveSnapshot(scope, "monday", {});
  await store.saveSnapshot({ namespace: "other" }, "empty", {});
  await store.saveSnapshot(scope, "tuesday", { tiers: ["long_term"] });
  await store.forget(scope, { ids: ["gone", "left"] });
  await store.writeState(scope, "pass", "one");
  for (const at of [1, 2, 3]) {
    await store.noteTuning({ at, parameter: "ann_lists", before: at, after: at + 0.5, reason: "slow" });
  }
  await act?.(store);
  await store.close();
  const database = new DatabaseSync(path, { defensive: false });
  database.exec("pragma secure_delete = on");
  damage(database, path);
  if (database.isOpen) database.close();
  const report = await repairDatabase(path, target, { now: Date.now() });
  using checked = new DatabaseSync(target, { readOnly: true });
  assert.deepEqual(checkConsistency(checked), []);
  return { report, path: target };
}

async function read<T>(path: string, ask: (store: MemoryStore) => Promise<T>): Promise<T> {
  const store = await openSqliteStore(path);
  try {
    return await ask(store);
  } finally {
    await store.close();
  }
}

/** Fills the root page of a table or an index, which is its only one. */
function destroy(database: DatabaseSync, path: string, name: string): void {
  database.exec("pragma wal_checkpoint(truncate)");
  const row = database.prepare("select rootpage from sqlite_schema where name = ?").get(name);
  const size = Number(database.prepare("pragma page_size").get()?.["page_size"]);
  database.close();
  const bytes = readFileSync(path);
  const start = (Number(row?.["rootpage"]) - 1) * size;
  bytes.fill(0x5a, start, start + size);
  writeFileSync(path, bytes);
}

test("snapshots, the journal and the decisions of self-tuning come back as they were", async () => {
  const { report, path } = await repaired(() => {});
  assert.deepEqual(report.journal, { rows: 2, lost: 0, withoutUndo: 0 });
  assert.deepEqual([report.snapshots, report.tornSnapshots, report.lostTuning], [3, [], 0]);
  assert.deepEqual(report.restarted, ["n", "other"]);
  const state = await read(path, (store) => store.readState(scope, "pass"));
  assert.equal(state, undefined, "the report says that it begins anew");
  const decisions = await read(path, (store) => store.tuningDecisions(10));
  assert.deepEqual(
    decisions.map(({ at, parameter, before, after, reason }) => [at, parameter, before, after, reason]),
    [3, 2, 1].map((at) => [at, "ann_lists", at, at + 0.5, "slow"]),
  );
  const { items } = await read(path, (store) => store.readSnapshot(scope, "tuesday", page));
  assert.deepEqual(items.map(({ memory }) => memory.id).sort(), ["a", "bb", "gone", "left"]);
  assert.ok(items.every(({ vector }) => vector !== null));
  await read(path, async (store) => {
    const { entries } = await store.journal(scope, page);
    assert.equal((await store.undo(scope, entries[0]!.run)).undone, 2);
  });
});

test("a snapshot that lost memories is told with how many, and counts those that are left", async () => {
  const { report, path } = await repaired((database) => {
    database.exec("update snapshot_item set memory = '{' where memory_id = 'gone'");
  });
  assert.deepEqual(report.tornSnapshots, [
    { namespace: "n", name: "monday", memories: 3, lost: 1 },
    { namespace: "n", name: "tuesday", memories: 3, lost: 1 },
  ]);
  const snapshots = await read(path, (store) => store.snapshots(scope));
  assert.deepEqual(
    snapshots.map(({ name, memories }) => [name, memories]),
    [
      ["monday", 3],
      ["tuesday", 3],
    ],
  );
  using database = new DatabaseSync(path, { readOnly: true });
  const bytes = database
    .prepare(
      "select sum(length(cast(memory as blob)) + length(vector)) as bytes from snapshot_item group by snapshot",
    )
    .all();
  assert.deepEqual(
    snapshots.map((one) => one.bytes),
    bytes.map((row) => row["bytes"]),
  );
});

test("snapshots whose own row is lost keep their names by the index, or get others", async () => {
  const byIndex = await repaired((database, path) => destroy(database, path, "snapshot"));
  const expected = { namespace: "n", memories: 4, lost: 0 };
  assert.deepEqual(byIndex.report.tornSnapshots, [
    { ...expected, name: "monday" },
    { namespace: "other", name: "empty", memories: 0 },
    { ...expected, name: "tuesday" },
  ]);
  assert.equal(byIndex.report.snapshots, 2);
  const { report, path } = await repaired((database) => {
    database.exec("drop index snapshot_name; delete from snapshot where name = 'monday'");
  });
  assert.deepEqual(report.tornSnapshots, [{ ...expected, name: "recovered-1" }]);
  const { items } = await read(path, (store) => store.readSnapshot(scope, "recovered-1", page));
  assert.equal(items.length, 4);
});

test("a text of a snapshot or of the journal that has another hash does not come back", async () => {
  const { report, path } = await repaired((database) => {
    database.exec(`
      update snapshot_item set memory = replace(memory, 'text of bb', 'text of bc') where snapshot = 1;
      update journal set before = replace(before, 'text of gone', 'text of gane')`);
  });
  assert.deepEqual(report.tornSnapshots, [{ namespace: "n", name: "monday", memories: 3, lost: 1 }]);
  assert.deepEqual(report.journal, { rows: 2, lost: 0, withoutUndo: 1 });
  await read(path, async (store) => {
    const { entries } = await store.journal(scope, page);
    const { undone, skipped } = await store.undo(scope, entries[0]!.run);
    assert.deepEqual([undone, skipped.map(({ id }) => id)], [1, ["gone"]]);
  });
});

test("damaged vectors of the journal and of snapshots are left out and counted", async () => {
  const { report, path } = await repaired((database) => {
    database.exec(`
      update snapshot_item set vector = zeroblob(8) where snapshot = 1 and memory_id = 'a';
      update journal set vector = zeroblob(8) where memory_id = 'gone'`);
  });
  assert.equal(report.keptWithoutVector, 2);
  const { items } = await read(path, (store) => store.readSnapshot(scope, "monday", page));
  assert.deepEqual(
    items.filter(({ vector }) => vector === null).map(({ memory }) => memory.id),
    ["a"],
  );
});

test("rows of the journal and decisions of self-tuning that are lost are counted", async () => {
  const tuning = await repaired((database, path) => destroy(database, path, "tuning"));
  assert.equal(tuning.report.lostTuning, 3);
  const one = await repaired((database) => database.exec("delete from tuning where id = 2"));
  assert.equal(one.report.lostTuning, 1);
  const journal = await repaired((database, path) => destroy(database, path, "journal"));
  assert.deepEqual(journal.report.journal, { rows: 0, lost: 2, withoutUndo: 0 });
  const counted = await repaired((database) => {
    database.exec("drop index journal_memory; delete from journal where memory_id = 'gone'");
  });
  assert.deepEqual(counted.report.journal, { rows: 1, lost: 1, withoutUndo: 0 });
});

test("forgotten documents, which undo can no longer bring back, are counted", async () => {
  const forget = (store: MemoryStore) => store.forget(scope, { document: "d" });
  const { report } = await repaired(() => {}, forget);
  assert.equal(report.documents, 1);
  assert.deepEqual([report.lost, report.lostDocuments], [[], []]);
  assert.deepEqual(report.journal, { rows: 3, lost: 0, withoutUndo: 1 });
});

test("namespaces and models keep the names that the index tells, or are told to have new ones", async () => {
  const byIndex = await repaired((database, path) => destroy(database, path, "namespace"));
  assert.deepEqual([byIndex.report.renamed, byIndex.report.restarted], [[], ["n", "other"]]);
  const models = await repaired((database, path) => destroy(database, path, "model"));
  assert.deepEqual(models.report.lostVectors, []);
  const renamed = await repaired((database) =>
    database.exec("update namespace set name = '' where id = 1; delete from namespace"),
  );
  assert.deepEqual(renamed.report.renamed, ["recovered-1", "recovered-2"]);
  const nameless = await repaired((database) => database.exec("delete from model"));
  assert.deepEqual(nameless.report.lostVectors, [{ vectors: 6 }]);
  assert.equal(nameless.report.withoutVector, 6);
});

test("documents are told that are lost, or whose own row is", async () => {
  const rebuilt = await repaired((database, path) => destroy(database, path, "document"));
  assert.deepEqual(rebuilt.report.rebuilt, [
    { namespace: "n", uri: "d" },
    { namespace: "n", uri: "e" },
  ]);
  assert.deepEqual(rebuilt.report.lostDocuments, []);
  const lost = await repaired((database) => {
    database.exec(
      "delete from memory where chunk is not null and entry = (select entry from document where uri = 'e')",
    );
  });
  assert.deepEqual(lost.report.lostDocuments, [{ namespace: "n", uri: "e" }]);
  assert.equal(lost.report.documents, 1);
});

/** Enough of everything for tables of many pages. */
async function fill(store: MemoryStore): Promise<void> {
  const texts = Array.from({ length: 60 }, (_, at) => `text ${at} ${"lorem ipsum ".repeat(at)}`);
  await store.add(
    scope,
    texts.map((content, at) => sampleEntry(`many${at}`, { content })),
  );
  const { memories } = await store.lacking(scope, "next-model", page);
  const values = Float32Array.of(0, 0, 1, 0);
  await store.addVectors(
    scope,
    "next-model",
    memories.map(({ row, memory }) => ({ row, version: memory.version, values })),
  );
  await store.saveSnapshot(scope, "full", {});
  await store.forget(scope, { ids: ["many7", "many8", "many9"] });
}

/** What a file holds, each kind as one number; of vectors those of the rows given. */
function figuresOf(path: string, rows?: ReadonlySet<number>): Record<string, number> {
  using database = new DatabaseSync(path, { readOnly: true });
  const count = (sql: string) => Number(Object.values(database.prepare(sql).get() ?? {})[0]);
  const owners = database.prepare("select row from vector union all select row from side_vector").all();
  return {
    memories: count("select count(*) from memory where entry in (select id from entry)"),
    documents: count("select count(*) from document"),
    vectors: owners.filter(({ row }) => rows === undefined || rows.has(Number(row))).length,
    journal: count("select count(*) from journal"),
    tuning: count("select count(*) from tuning"),
    kept: count("select coalesce(sum(memories), 0) from snapshot"),
  };
}

test("whatever page is destroyed, what came back and what is told to be lost are what was there", async () => {
  const damaged = fc.integer({ min: 0, max: 9_999 });
  await fc.assert(
    fc.asyncProperty(damaged, async (place) => {
      let before: Buffer | undefined;
      const { report, path } = await repaired((database, file) => {
        database.exec("pragma wal_checkpoint(truncate)");
        database.close();
        before = readFileSync(file);
        const bytes = Buffer.from(before);
        const at = (place % (bytes.length / 4_096)) * 4_096;
        writeFileSync(file, bytes.fill(0x5a, at, at + 4_096));
      }, fill);
      const whole = join(folder, "whole.db");
      writeFileSync(whole, before!);
      using database = new DatabaseSync(path, { readOnly: true });
      const rows = new Set(
        database
          .prepare("select row from memory")
          .all()
          .map(({ row }) => Number(row)),
      );
      const sum = (counts: readonly number[]) => counts.reduce((total, one) => total + one, 0);
      const lost: Record<string, number> = {
        memories: report.lost.length,
        documents: report.lostDocuments.length,
        vectors: sum(report.lostVectors.map(({ vectors }) => vectors)),
        journal: report.journal.lost,
        tuning: report.lostTuning,
        kept: sum(report.tornSnapshots.map((one) => one.lost ?? 0)),
      };
      const found = Object.entries(figuresOf(path)).map(([kind, count]) => [kind, count + lost[kind]!]);
      assert.deepEqual(Object.fromEntries(found), figuresOf(whole, rows));
    }),
    { numRuns: 15 },
  );
});

test("an empty document comes back", async () => {
  const { report, path } = await repaired(
    () => {},
    async (store) => store.publishDocument(await store.stageDocument(scope, sampleDocument("empty"))),
  );
  assert.deepEqual([report.documents, report.lostDocuments, report.torn], [3, [], []]);
  assert.equal((await read(path, (store) => store.stats(scope))).documents, 3);
});

test("a file of a later version is refused by name, and left as it is", async () => {
  const path = join(folder, "newer.db");
  await (await openSqliteStore(path)).close();
  const database = new DatabaseSync(path);
  database.exec("pragma user_version = 99");
  database.close();
  const target = join(folder, "of-newer.db");
  const repair = repairDatabase(path, target, { now: Date.now() });
  await assert.rejects(repair, { code: "DATABASE_NEWER" });
  assert.equal(existsSync(target), false);
  using file = new PageFile(path);
  assert.ok([...walkTable(file, 1)].length > 0);
});
