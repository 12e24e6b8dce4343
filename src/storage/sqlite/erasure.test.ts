import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { MemoryStore, NewEntry } from "../../contract/memory-store.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { sampleChunks, sampleDocument, sampleEntry } from "../../testing/store-samples.ts";
import { openSqliteStore, type SqliteStoreOptions } from "./sqlite-store.ts";

const scope = { namespace: "n" };

/** A store in a folder of its own, and a search of the bytes of every file there. */
async function openStore(options: Partial<SqliteStoreOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "strata-erase-"));
  const path = join(folder, "memory.db");
  const store = await openSqliteStore(path, options);
  const holds = (bytes: string | Uint8Array) =>
    readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(Buffer.from(bytes)));
  return { store, path, holds };
}

/** An entry whose text, terms, tag, metadata and vector are all recognisable. */
function marked(id: string, fields: Partial<NewEntry> = {}): NewEntry {
  const waves = (step: number) =>
    Float32Array.from({ length: 64 }, (_, index) => Math.sin(index * step + hashNumber(id)));
  return sampleEntry(id, {
    content: `Zyzzyva${id} keeps Quokka${id} in words ${"lorem ipsum ".repeat(3)}`,
    tags: [`tag${id}`],
    metadata: { note: `meta${id}` },
    speaker: `speaker${id}`,
    vector: { model: "sample-model", values: waves(7) },
    sideVectors: [{ model: "next-model", values: waves(5) }],
    ...fields,
  });
}

function hashNumber(id: string): number {
  return [...id].reduce((sum, character) => sum * 31 + character.charCodeAt(0), 7);
}

/** Everything of an entry that must not be found. */
function traces(id: string): (string | Uint8Array)[] {
  const { vector, sideVectors } = marked(id);
  return [
    `Zyzzyva${id}`,
    `zyzzyva${id}`,
    `quokka${id}`,
    `tag${id}`,
    `meta${id}`,
    `speaker${id}`,
    new Uint8Array(new Float16Array(vector!.values).buffer),
    new Uint8Array(new Float16Array(sideVectors![0]!.values!).buffer),
  ];
}

function assertGone(holds: (bytes: string | Uint8Array) => boolean, id: string): void {
  for (const trace of traces(id))
    assert.ok(!holds(trace), `${String(trace).slice(0, 40)} is still in a file`);
}

async function addMany(store: MemoryStore, count: number): Promise<void> {
  const entries = Array.from({ length: count }, (_, index) =>
    marked(`m${index}x`, { thread: "one", at: index, tier: index % 2 === 0 ? "long_term" : "episodic" }),
  );
  for (const entry of entries) await store.add(scope, [entry]);
}

test("an erased memory is in no byte of any file, and its neighbours are there", async () => {
  const { store, holds } = await openStore();
  await addMany(store, 60);
  assert.ok(holds("Zyzzyvam7x") && holds(traces("m7x").at(-1)!), "the search would find it");
  await store.forget(scope, { ids: ["m7x"] }, { erase: true });
  assertGone(holds, "m7x");
  assert.ok(holds("Zyzzyvam8x"));
  await store.close();
  assertGone(holds, "m7x");
});

test("what was forgotten or evicted before is erased too, journal and all", async () => {
  const limits = { ttlSeconds: 0, capacity: 0 };
  const { store, holds } = await openStore({
    tiers: {
      working: { ttlSeconds: 0, capacity: 1 },
      short_term: limits,
      episodic: limits,
      long_term: limits,
      semantic: limits,
    },
  });
  await addMany(store, 20);
  await store.forget(scope, { ids: ["m3x"] });
  await store.add(scope, [marked("ev1x", { tier: "working" })]);
  await store.add(scope, [marked("ev2x", { tier: "working" })]);
  assert.ok(holds("Zyzzyvam3x") && holds("Zyzzyvaev1x"), "kept for undo");
  await store.forget(scope, { ids: ["m3x", "ev1x"] }, { erase: true });
  assertGone(holds, "m3x");
  assertGone(holds, "ev1x");
  const kinds = (await store.journal(scope, { limit: 9 })).entries.map((entry) => entry.kind);
  assert.deepEqual(kinds, ["evict", "forget"]);
  await store.close();
});

test("earlier contents of an updated memory are erased with it", async () => {
  const { store, holds } = await openStore();
  await addMany(store, 10);
  const { content, contentHash, vector } = marked("laterx");
  await store.update(scope, "m2x", {
    content: { text: content, hash: contentHash, vector },
    tags: ["taglaterx"],
  });
  await store.forget(scope, { ids: ["m2x"] }, { erase: true });
  assertGone(holds, "m2x");
  assertGone(holds, "laterx");
  await store.close();
});

test("an erased document leaves no chunk, vector, title or path behind, and neither does one forgotten before", async () => {
  for (const before of [false, true]) {
    const { store, holds } = await openStore();
    await addMany(store, 5);
    const staged = await store.stageDocument(scope, sampleDocument("pathzz/filezz.md", { title: "Titlezz" }));
    const { vector, sideVectors } = marked("chunk");
    const chunks = sampleChunks("c", ["Chunkzz one", "Chunkzz two"]);
    await store.addChunks(
      staged,
      chunks.map((chunk) => ({ ...chunk, vector, sideVectors })),
    );
    await store.publishDocument(staged);
    const vectors = traces("chunk").slice(-2);
    for (const bytes of vectors) assert.ok(holds(bytes));
    if (before) await store.forget(scope, { document: "pathzz/filezz.md" });
    assert.ok(holds("Chunkzz"));
    await store.forget(scope, { document: "pathzz/filezz.md" }, { erase: true });
    for (const trace of ["Chunkzz", "chunkzz", "Titlezz", "titlezz", "filezz", ...vectors]) {
      assert.ok(!holds(trace), `${String(trace).slice(0, 20)} is still in a file`);
    }
    await store.close();
  }
});

test("clearing a namespace leaves none of its texts in any file", async () => {
  const { store, holds } = await openStore();
  await addMany(store, 300);
  await store.forget(scope, { ids: ["m1x"] });
  await store.add({ namespace: "other" }, [marked("stays")]);
  assert.equal(await store.clear(scope), 299);
  for (const id of ["m0x", "m1x", "m150x", "m299x"]) assertGone(holds, id);
  await store.close();
});

test("an erasure that a reader delayed is ended by the next opening", async () => {
  const { store, holds, path } = await openStore({ lockTimeoutMs: 50 });
  await addMany(store, 30);
  const reader = new DatabaseSync(path, { readOnly: true });
  reader.exec("begin; select count(*) from memory");
  await assert.rejects(store.forget(scope, { ids: ["m7x"] }, { erase: true }), { code: "DATABASE_BUSY" });
  assert.deepEqual(await store.get(scope, ["m7x"]), [undefined]);
  reader.close();
  await store.close();
  const again = await openSqliteStore(path);
  assertGone(holds, "m7x");
  await again.close();
});

test("what a named snapshot keeps of an erased memory is in no byte of any file", async () => {
  const { store, holds } = await openStore();
  await addMany(store, 8);
  await store.saveSnapshot(scope, "before", {});
  await store.forget(scope, { ids: ["m3x", "m4x"] });
  assert.ok(holds("Zyzzyvam3x"), "the snapshot and the journal hold it");
  await store.forget(scope, { ids: ["m3x", "m4x"] }, { erase: true });
  assertGone(holds, "m3x");
  assertGone(holds, "m4x");
  assert.equal((await store.readSnapshot(scope, "before", { limit: 10 })).items.length, 6);
  await store.clear(scope);
  for (const id of ["m0x", "m7x"]) assertGone(holds, id);
  await store.close();
});

test("a save that a dead process left half done is invisible and swept by the next", async () => {
  const clock = createManualClock();
  const { store, path } = await openStore({ clock });
  await addMany(store, 3);
  const database = new DatabaseSync(path);
  database.exec(
    "insert into snapshot (namespace, name, state, created_at, filter) values (1, 'half', 0, 0, '{}')",
  );
  database.exec("insert into snapshot_item (snapshot, memory_id, memory) values (1, 'm0x', '{}')");
  assert.deepEqual(await store.snapshots(scope), []);
  await store.saveSnapshot(scope, "whole", { ids: [] });
  assert.deepEqual(
    database
      .prepare("select name from snapshot")
      .all()
      .map(({ name }) => name),
    ["whole"],
  );
  assert.equal(database.prepare("select count(*) as items from snapshot_item").get()?.["items"], 0);
  database.close();
  await store.close();
});

test("what a memory said before it was restored is erased with it, whatever it is found by", async () => {
  const { store, holds } = await openStore();
  await addMany(store, 4);
  await store.saveSnapshot(scope, "before", { ids: ["m1x"] });
  const { memory, vector } = (await store.readSnapshot(scope, "before", { limit: 1 })).items[0]!;
  const other = marked("other");
  await store.update(scope, "m1x", {
    content: { text: other.content, hash: other.contentHash, vector: other.vector },
    tags: [],
  });
  await store.apply(scope, "load", [{ kind: "restore", memory, vector, version: 2, reason: "again" }]);
  assert.ok(holds("Zyzzyvaother"), "the journal holds it");
  await store.forget(scope, { tags: ["tagm1x"] }, { erase: true });
  assertGone(holds, "m1x");
  assertGone(holds, "other");
  await store.close();
});

test("a merged memory is erased with the one that took it in, and by itself, traces and all", async () => {
  for (const erased of ["keepx", "goesx"]) {
    const { store, holds } = await openStore();
    await addMany(store, 20);
    await store.add(scope, [marked("keepx"), marked("goesx", { thread: "one", at: 7 }), marked("restx")]);
    const [keep, absorb] = ["keepx", "goesx"].map((id) => ({ id, version: 1 }));
    const merge = { kind: "merge", keep: keep!, absorb: absorb!, reason: "alike" } as const;
    await store.apply(scope, "run", [merge]);
    assert.ok(holds("Zyzzyvagoesx"), "kept for undo");
    // Taken back and done again: what each of the two kept is in the journal too.
    const { run } = await store.undo(scope, "run");
    await store.undo(scope, run);
    await store.forget(scope, { ids: [erased] }, { erase: true });
    if (erased === "keepx") assertGone(holds, "keepx");
    // Its tags are the kept one's own by now.
    for (const trace of traces("goesx")) {
      if (erased === "keepx" || trace !== "taggoesx")
        assert.ok(!holds(trace), `${String(trace)} is still there`);
    }
    await store.close();
  }
});
