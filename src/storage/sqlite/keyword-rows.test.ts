import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, test } from "node:test";
import fc from "fast-check";
import type { MemoryStore } from "../../contract/memory-store.ts";
import { createManualClock, type ManualClock } from "../../testing/manual-clock.ts";
import {
  hashOf,
  plainAnalyzer,
  sampleChunks,
  sampleDocument,
  sampleEntry,
} from "../../testing/store-samples.ts";
import { openSqliteStore } from "./sqlite-store.ts";

const scope = { namespace: "n" };
let path: string;
let clock: ManualClock;
let store: MemoryStore;

beforeEach(async () => {
  path = join(mkdtempSync(join(tmpdir(), "strata-words-")), "memory.db");
  clock = createManualClock();
  store = await openSqliteStore(path, { analyzer: plainAnalyzer, clock });
});

afterEach(() => store.close());

const turn = (id: string, at: number, fields = {}) =>
  store.add(scope, [sampleEntry(id, { content: `word${id}`, thread: "one", at, ...fields })]);

/** Ids of memories around which, not in which, the full text has a term. */
async function around(term: string): Promise<(string | undefined)[]> {
  using database = new DatabaseSync(path, { readOnly: true });
  const rows = database.prepare("select rowid from words where words match ?").all(`context : "1:${term}"`);
  const memories = await store.read(
    scope,
    rows.map((row) => Number(row["rowid"])),
  );
  return memories.map((memory) => memory?.id).sort();
}

test("a turn is found by the words of the two turns before it", async () => {
  for (const [at, id] of ["a", "b", "c", "d"].entries()) await turn(id, at, { speaker: "Ada" });
  assert.deepEqual(await around("worda"), ["b", "c"]);
  assert.deepEqual(await around("wordd"), []);
  assert.deepEqual(await around("ada"), ["a", "b", "c", "d"]);
  assert.deepEqual(await around("1970"), ["a", "b", "c", "d"]);
});

test("turns of other threads and memories of none stay apart", async () => {
  await turn("a", 1);
  await turn("b", 2, { thread: "two" });
  await turn("c", 3, { thread: undefined });
  assert.deepEqual(await around("worda"), []);
});

test("a late turn becomes part of what surrounds the turns after it", async () => {
  for (const [index, id] of ["a", "c", "d", "e"].entries()) await turn(id, 10 * index);
  await turn("late", 5);
  assert.deepEqual(await around("wordlate"), ["c", "d"]);
  assert.deepEqual(await around("worda"), ["c", "late"]);
  assert.deepEqual(await around("wordc"), ["d", "e"]);
});

test("a forgotten turn leaves what surrounds the turns after it", async () => {
  for (const [index, id] of ["a", "b", "c", "d"].entries()) await turn(id, index);
  await store.forget(scope, { ids: ["b"] });
  assert.deepEqual(await around("wordb"), []);
  assert.deepEqual(await around("worda"), ["c", "d"]);
});

test("a changed turn changes what surrounds the turns after it, and a moved one both places", async () => {
  for (const [index, id] of ["a", "b", "c", "d"].entries()) await turn(id, index);
  await turn("x", 9, { thread: "two" });
  const content = { text: "other", hash: hashOf("other"), vector: null };
  await store.update(scope, "b", { content });
  assert.deepEqual(await around("wordb"), []);
  assert.deepEqual(await around("other"), ["c", "d"]);
  await store.update(scope, "b", { thread: "two" });
  assert.deepEqual(await around("other"), ["x"]);
  assert.deepEqual(await around("worda"), ["c", "d"]);
  await store.update(scope, "a", { speaker: "Eve" });
  assert.deepEqual(await around("eve"), ["a", "c", "d"]);
  await store.update(scope, "a", { at: 99 });
  assert.deepEqual(await around("worda"), []);
});

test("a chunk is found by its document's title and headings", async () => {
  const staged = await store.stageDocument(scope, sampleDocument("doc", { title: "Great Title" }));
  const [first, second] = sampleChunks("doc", ["one", "two"]);
  await store.addChunks(staged, [
    { ...first!, source: { ...first!.source, headings: ["Heading", "Inner"] } },
    { ...second!, id: "doc-1" },
  ]);
  await store.publishDocument(staged);
  assert.deepEqual(await around("great"), ["doc-0", "doc-1"]);
  assert.deepEqual(await around("inner"), ["doc-0"]);
});

test("any term that holds no white space is one token, found by itself", async () => {
  const analyzer = { version: "split", terms: (text: string) => text.split(/\s+/u).filter(Boolean) };
  const other = await openSqliteStore(`${path}2`, { analyzer, clock });
  let number = 0;
  const term = fc
    .string({ unit: "binary", minLength: 1, maxLength: 8 })
    .filter((text) => text.isWellFormed() && !/[\s\0]/u.test(text));
  await fc.assert(
    fc.asyncProperty(fc.array(term, { minLength: 1, maxLength: 4 }), async (terms) => {
      const id = `t${number++}`;
      await other.add(scope, [sampleEntry(id, { content: `start ${terms.join(" ")} end`, thread: id })]);
      const rows = await other.phraseRows(scope, ["start", ...terms, "end"], 10_000);
      const found = await other.read(scope, [...rows]);
      assert.ok(found.some((memory) => memory?.id === id));
    }),
    { numRuns: 300 },
  );
  await other.close();
});

test("another tokenizer's store is indexed again when it is opened", async () => {
  await turn("a", 1);
  await turn("b", 2);
  await store.close();
  const analyzer = {
    version: "upper-1",
    terms: (text: string) => plainAnalyzer.terms(text).map((term) => `new${term}`),
  };
  store = await openSqliteStore(path, { analyzer, clock });
  assert.equal((await store.phraseRows(scope, ["newworda"], 5)).length, 1);
  assert.equal((await store.phraseRows(scope, ["worda"], 5)).length, 0);
  assert.deepEqual(await around("newworda"), ["b"]);
});
