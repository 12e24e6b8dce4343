import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import type { Embedder } from "../contract/embedding-model.ts";
import type { Recall, RecallOptions } from "../contract/recall.ts";
import { createAnalyzer } from "./analyzer.ts";
import { FakeStore } from "./fake-store.ts";
import { followFeed } from "./feed-follower.ts";
import { NamespaceIndex } from "./namespace-index.ts";
import { Retriever, type RetrieverOptions } from "./retriever.ts";
import { SlicedWork } from "./sliced-work.ts";
import { SnapshotFolder } from "./snapshot-folder.ts";
import { VectorMemory } from "./vector-memory.ts";

const analyzer = createAnalyzer();
const home = { namespace: "home" };
const folder = mkdtempSync(join(tmpdir(), "strata-words-"));
const embedder: Embedder = {
  model: { id: "fake", dimensions: 4 },
  embed: async (texts) => ({ vectors: texts.map((text) => Float32Array.from(vectorOf(text))) }),
};

after(() => rmSync(folder, { recursive: true }));

function vectorOf(text: string): number[] {
  let state = 7;
  for (const character of text) state = (state * 31 + character.charCodeAt(0)) % 65_521;
  return [state % 7, state % 11, state % 13, 1];
}

function retriever(store: FakeStore, options?: Partial<RetrieverOptions>): Retriever {
  const clock = { now: () => 0, monotonic: () => 0, schedule: () => () => {} };
  return new Retriever({ store: store.port, embedder, analyzer, clock, ...options });
}

/** All that an answer says but the path its words took. */
function said({ hits, explanation }: Recall): unknown {
  return { hits, ...(explanation && { ...explanation, path: explanation.path.vector }) };
}

function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

const word = fc.integer({ min: 0, max: 40 }).map((number) => `word${number}`);
const text = fc.array(fc.oneof(word, fc.constantFrom("the", "node:sqlite", "v1.2.3", "中文")), {
  minLength: 1,
  maxLength: 8,
});

test("answers are the same to the bit whether words are in memory or in files", async () => {
  const change = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        put: text,
        row: fc.option(fc.nat(30), { nil: undefined }),
        tag: fc.boolean(),
        turn: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ remove: fc.nat(30) }) },
    { weight: 1, arbitrary: fc.record({ hide: fc.nat(30) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        ask: fc.tuple(text, fc.constantFrom("plain", "phrase", "prefix")).map(([words, form]) => {
          if (form === "phrase") return `"${words.join(" ")}"`;
          return form === "prefix" ? `${words.join(" ")} wor* word1*` : words.join(" ");
        }),
        filtered: fc.boolean(),
        limit: fc.integer({ min: 1, max: 12 }),
      }),
    },
  );
  let onDisk = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 10, maxLength: 60 }), async (changes) => {
      const store = new FakeStore();
      const inMemory = retriever(store);
      const inFiles = retriever(store, { maxIndexBytes: 1, snapshotFolder: folder });
      for (const each of changes) {
        if ("put" in each) {
          const content = each.put.join(" ");
          const rows = store.rows("home");
          const row = each.row === undefined ? undefined : rows[each.row % Math.max(1, rows.length)]?.row;
          const place = each.turn ? { thread: "t", speaker: "Ada", at: content.length } : {};
          store.put(
            "home",
            { content, vector: vectorOf(content), tags: each.tag ? ["some"] : [], ...place },
            row,
          );
        } else if ("remove" in each) {
          const rows = store.rows("home");
          if (rows.length > 0) store.remove("home", rows[each.remove % rows.length]!.row);
        } else if ("hide" in each) store.hidden.add(each.hide);
        else {
          const options: RecallOptions = {
            limit: each.limit,
            explain: true,
            ...(each.filtered && { tags: ["some"] }),
          };
          const both = async (ask: (from: Retriever) => Promise<Recall>): Promise<void> => {
            const [expected, found] = [await ask(inMemory), await ask(inFiles)];
            assert.deepEqual(said(found), said(expected));
          };
          await both((from) => from.recall(home, each.ask, options));
          await both((from) => from.recall(home, each.ask, { ...options, mode: "keyword", minScore: 0.2 }));
          await both((from) => from.search(home, each.ask, options));
          // Words go to a file beside the use.
          if (each.filtered) await new Promise((resolve) => setTimeout(resolve, 2));
        }
      }
      onDisk += inFiles.stats().indexesOnDisk;
      await Promise.all([inMemory.close(), inFiles.close()]);
    }),
    { numRuns: 80 },
  );
  assert.ok(onDisk > 20, `${onDisk} indexes were read from files`);
  assert.deepEqual(readdirSync(folder), []);
});

test("an index larger than the bound is made, asked by many at once, changed, cleared of its dead, kept and read again within it", async () => {
  const store = new FakeStore();
  const next = random(3);
  const words = (count: number): string =>
    Array.from({ length: count }, () => `w${Math.floor(next() ** 3 * 20_000)}`).join(" ");
  const put = (row?: number): number =>
    store.put("home", { content: words(60), vector: vectorOf(`${next()}`) }, row);
  const rows = Array.from({ length: 6_000 }, () => put());
  store.pageSize = 250;
  const maxIndexBytes = 1_000_000;
  const inMemory = retriever(store);
  const inFiles = retriever(store, { maxIndexBytes, snapshotFolder: folder });
  const questions = Array.from({ length: 12 }, () => words(8));
  const same = async (from: Retriever): Promise<void> => {
    const ask = (to: Retriever): Promise<unknown[]> =>
      Promise.all(
        questions.flatMap((question) => [
          to.recall(home, question, { explain: true }).then(said),
          to.search(home, question, { limit: 20 }).then(said),
        ]),
      );
    assert.deepEqual(await ask(from), await ask(inMemory));
  };
  await same(inFiles);
  assert.equal(inFiles.stats().indexesOnDisk, 1);
  const bytesInMemory = inMemory.stats().indexBytes;
  // Columns, vectors, marks and places of 6,000 memories take a third of a megabyte.
  const others = 60 * rows.length;
  assert.ok(bytesInMemory > 3 * maxIndexBytes, `${bytesInMemory}`);
  assert.ok(inFiles.stats().indexBytes < others + maxIndexBytes / 2, `${inFiles.stats().indexBytes}`);

  for (const row of rows.slice(0, 2_000)) store.remove("home", row);
  for (const row of rows.slice(2_000, 2_500)) put(row);
  for (let i = 0; i < 3; i++) await same(inFiles);
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith(".scratch")),
    [],
  );
  await inFiles.close();
  assert.equal(readdirSync(folder).length, 1, "a snapshot and nothing else");

  const again = retriever(store, { maxIndexBytes, snapshotFolder: folder });
  await same(again);
  assert.equal(again.stats().indexesOnDisk, 1);
  assert.ok(again.stats().indexBytes < others + maxIndexBytes / 2, `${again.stats().indexBytes}`);
  const large = retriever(store, { snapshotFolder: folder });
  await same(large);
  assert.equal(large.stats().indexesOnDisk, 0);
  await again.forgetSnapshots(home);
  assert.deepEqual(readdirSync(folder), []);
  await same(again);
  await Promise.all([inMemory.close(), again.close(), large.close()]);
});

/** Files of this process that have no name any more. */
function scratchFiles(): string[] {
  return readdirSync("/proc/self/fd")
    .map((descriptor) => `/proc/self/fd/${descriptor}`)
    .filter((path) => existsSync(path) && readlinkSync(path).endsWith(".scratch (deleted)"));
}

const noProc = existsSync("/proc/self/fd") ? false : "needs /proc to reach a file without a name";

test("a file of words that was torn changes no answer, and none is left open", { skip: noProc }, async () => {
  const store = new FakeStore();
  for (let i = 0; i < 300; i++)
    store.put("home", { content: `word${i % 50} word${i % 7}`, vector: vectorOf(`${i}`) });
  const inMemory = retriever(store);
  const inFiles = retriever(store, { maxIndexBytes: 1, snapshotFolder: folder });
  const ask = async (from: Retriever): Promise<unknown> =>
    said(await from.recall(home, "word3 word4 word13", { limit: 20 }));
  const expected = await ask(inMemory);
  for (let tries = 0; tries < 100 && inFiles.stats().indexesOnDisk === 0; tries++) {
    assert.deepEqual(await ask(inFiles), expected);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  const files = scratchFiles();
  assert.equal(files.length, 1);
  assert.equal(statSync(files[0]!).mode & 0o777, 0o600);
  truncateSync(files[0]!, 100);
  store.put("home", { content: "a boat that nobody asked for", vector: null });
  assert.deepEqual(await ask(inFiles), await ask(inMemory));
  assert.deepEqual(said(await inFiles.search(home, "word49")), said(await inMemory.search(home, "word49")));
  assert.equal(inFiles.stats().indexesOnDisk, 0, "it stays in memory from then on");
  await Promise.all([inMemory.close(), inFiles.close()]);
  for (let tries = 0; tries < 100 && scratchFiles().length > 0; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.deepEqual(scratchFiles(), []);
});

test("an index stays within its bound while it is made", async () => {
  const store = new FakeStore();
  const next = random(5);
  for (let i = 0; i < 4_000; i++) {
    const words = Array.from({ length: 60 }, () => `w${Math.floor(next() ** 3 * 20_000)}`);
    store.put("home", { content: words.join(" "), vector: [1, 2, 3, next()] });
  }
  store.pageSize = 100;
  const maxBytes = 1_000_000;
  const scratch = new SnapshotFolder(folder);
  const memory = new VectorMemory();
  const files = { open: () => scratch.openScratch(), cacheBytes: 0 };
  const model = { id: "fake", dimensions: 4 };
  const make = async (bounded: boolean): Promise<{ index: NamespaceIndex; greatest: number }> => {
    const index = new NamespaceIndex({ analyzer, memory, model, ...(bounded && { maxBytes, files }) });
    let greatest = 0;
    await followFeed(index, store.port, home, async () => {
      greatest = Math.max(greatest, index.bytes);
      await new SlicedWork(index.tend(), () => false).run(() => false);
      assert.equal(index.wantsFiling, false);
    });
    return { index, greatest: Math.max(greatest, index.bytes) };
  };
  const plain = await make(false);
  const bounded = await make(true);
  assert.ok(plain.greatest > 2 * maxBytes, `${plain.greatest}`);
  // A page is 100 memories of 60 words.
  assert.ok(bounded.greatest < maxBytes + 100 * 60 * 100, `${bounded.greatest}`);
  for (const { index } of [plain, bounded]) index.release();
});
