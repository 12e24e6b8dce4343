import assert from "node:assert/strict";
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import type { Embedder } from "../contract/embedding-model.ts";
import type { Recall } from "../contract/recall.ts";
import { createAnalyzer } from "./analyzer.ts";
import { FakeStore } from "./fake-store.ts";
import { decodeSnapshot, type SnapshotIdentity } from "./index-snapshot.ts";
import { Retriever } from "./retriever.ts";
import { VectorMemory } from "./vector-memory.ts";
import { VectorRows } from "./vector-rows.ts";

const analyzer = createAnalyzer();
const home = { namespace: "home" };
const size = 2_100;
const questions = ["word7 word11", "Ada word3", "word400"];
const folder = mkdtempSync(join(tmpdir(), "strata-snapshots-"));
const store = new FakeStore();
let expected: unknown;
let whole: Buffer;

function vectorOf(text: string): number[] {
  const number = Number(/\d+/.exec(text)?.[0] ?? 1);
  return [number % 7, number % 11, number % 13, 1];
}

function retriever(model = "fake", snapshotsOnTheSpot = false): Retriever {
  const embedder: Embedder = {
    model: { id: model, dimensions: 4 },
    embed: async (texts) => ({ vectors: texts.map((text) => Float32Array.from(vectorOf(text))) }),
  };
  return new Retriever({ store: store.port, embedder, analyzer, snapshotFolder: folder, snapshotsOnTheSpot });
}

async function answers(from: Retriever): Promise<unknown> {
  const found: [string, number][][] = [];
  const summary = ({ hits }: Recall): [string, number][] =>
    hits.map(({ memory, score }) => [memory.id, score]);
  for (const question of questions) {
    found.push(summary(await from.recall(home, question, { limit: 30 })));
    found.push(summary(await from.search(home, question, { limit: 30 })));
    found.push(
      summary(await from.recall(home, question, { limit: 30, tags: ["third"], minImportance: 0.6 })),
    );
    found.push(summary(await from.recall(home, question, { limit: 30, after: 1_000, pinned: true })));
  }
  return found;
}

async function answersOnce(onTheSpot = false): Promise<unknown> {
  const once = retriever("fake", onTheSpot);
  const found = await answers(once);
  await once.close();
  return found;
}

function file(): string {
  return join(folder, readdirSync(folder)[0]!);
}

/** Pages of the feed read until the first answer. */
async function rowsReadByFirstAnswer(from: Retriever): Promise<number> {
  const changes = store.changes.bind(store);
  let rows = 0;
  store.changes = async (scope, cursor) => {
    const page = await changes(scope, cursor);
    rows += page.rows.length;
    return page;
  };
  try {
    await from.recall(home, "word7");
  } finally {
    store.changes = changes;
  }
  return rows;
}

before(async () => {
  for (let i = 0; i < size; i++) {
    const turn = i % 3 === 0 ? { thread: `t${i % 10}`, speaker: i % 2 ? "Ada" : "Ben", at: i } : {};
    const life = {
      tags: i % 3 === 0 ? ["third"] : [],
      importance: (i % 11) / 10,
      pinned: i % 5 === 0,
      createdAt: i,
    };
    store.put("home", {
      content: `word${i} word${i % 50} word${i % 7}`,
      vector: vectorOf(`${i}`),
      ...turn,
      ...life,
    });
  }
  const first = retriever();
  expected = await answers(first);
  await first.close();
  whole = readFileSync(file());
});

after(() => rmSync(folder, { recursive: true }));

test("a process that starts from a snapshot reads nothing of the feed and gives the same answers", async () => {
  const again = retriever();
  assert.equal(await rowsReadByFirstAnswer(again), 0);
  assert.deepEqual(await answers(again), expected);
});

test("a snapshot read on the spot gives the same answers, and damaged changes none", async () => {
  const again = retriever("fake", true);
  assert.equal(await rowsReadByFirstAnswer(again), 0);
  assert.deepEqual(await answers(again), expected);
  for (const at of [0, 40, 5_000, whole.length >> 1, whole.length - 3]) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 0x10;
    writeFileSync(file(), damaged);
    assert.deepEqual(await answersOnce(true), expected, `byte ${at}`);
  }
  writeFileSync(file(), whole.subarray(0, whole.length - 20_000));
  assert.deepEqual(await answersOnce(true), expected);
  writeFileSync(file(), whole);
});

test("a snapshot can be read by its owner alone, and nothing is left beside it", () => {
  assert.equal(statSync(file()).mode & 0o777, 0o600);
  assert.equal(readdirSync(folder).length, 1);
});

test("a snapshot that is damaged anywhere or of another model changes no answer", async () => {
  for (const at of [0, 5, 9, 13, 40, 5_000, whole.length >> 1, whole.length - 3]) {
    const damaged = Buffer.from(whole);
    damaged[at]! ^= 0x10;
    writeFileSync(file(), damaged);
    assert.deepEqual(await answersOnce(), expected, `byte ${at}`);
  }
  writeFileSync(file(), whole);
  const another = retriever("another");
  assert.equal((await another.recall(home, "word7", { mode: "vector" })).hits.length, 0);
  await another.close();
  assert.deepEqual(await answersOnce(), expected);
});

test("a snapshot torn at any boundary of 4 kB, and none at all, changes no answer", async () => {
  assert.ok(whole.length > 10 * 4_096);
  for (let end = 0; end < whole.length; end += 4_096) {
    writeFileSync(file(), whole);
    truncateSync(file(), end);
    assert.deepEqual(await answersOnce(), expected, `${end} bytes`);
  }
  rmSync(file());
  assert.deepEqual(await answersOnce(), expected);
});

test("no damaged or torn bytes are taken for an index", async () => {
  const memory = new VectorMemory();
  const identity: SnapshotIdentity = {
    namespace: "home",
    analyzer: analyzer.version,
    model: "fake",
    dimensions: 4,
  };
  const decode = (bytes: Uint8Array): unknown =>
    decodeSnapshot(
      {
        size: bytes.length,
        read: async (into, offset) => {
          if (offset + into.length > bytes.length) return false;
          into.set(bytes.subarray(offset, offset + into.length));
          return true;
        },
      },
      identity,
      new VectorRows(memory, identity.dimensions),
    );
  assert.ok(await decode(whole));
  const lastByte = Buffer.from(whole);
  lastByte[whole.length - 1]! ^= 1;
  assert.equal(await decode(lastByte), undefined);
  const taken = memory.bytes;
  for (let end = 0; end < whole.length; end += 4_096) {
    assert.equal(await decode(whole.subarray(0, end)), undefined);
  }
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= flip;
      assert.equal(await decode(damaged), undefined);
    }),
  );
  assert.equal(memory.bytes, taken, "what was refused gives its memory back");
});

test("a stale snapshot is followed up from where it stands", async () => {
  writeFileSync(file(), whole);
  const row = store.put("home", { content: "a word9999 that came later", vector: [1, 2, 3, 4] });
  const late = retriever();
  assert.equal(await rowsReadByFirstAnswer(late), 1);
  assert.equal((await late.search(home, "word9999")).hits.length, 1);
  store.remove("home", row);
  assert.deepEqual(await answers(late), expected);
  await late.close();
  assert.ok(!readFileSync(file()).includes("word9999"));
});

test("the snapshot of a database that was replaced by another is not used", async () => {
  writeFileSync(file(), whole);
  const other = new FakeStore();
  for (let i = 0; i < size + 10; i++) {
    other.put("home", { id: `other${i}`, content: `other${i}`, vector: [1, 1, 1, 1] });
  }
  const { model } = { model: { id: "fake", dimensions: 4 } };
  const embedder: Embedder = { model, embed: async (texts) => ({ vectors: texts.map(() => null) }) };
  const moved = new Retriever({ store: other.port, embedder, analyzer, snapshotFolder: folder });
  assert.equal((await moved.search(home, "word7")).hits.length, 0);
  assert.equal((await moved.search(home, "other7")).hits.length, 1);
  await moved.close();
  writeFileSync(file(), whole);
});

test("a forgotten snapshot is gone, and what is written later holds nothing of what was erased", async () => {
  const row = store.put("home", { content: "secretword", speaker: "Secretspeaker", thread: "secretthread" });
  const again = retriever();
  assert.equal((await again.search(home, "secretword")).hits.length, 1);
  await again.forgetSnapshots(home);
  assert.equal(readdirSync(folder).length, 0);
  store.remove("home", row);
  await answers(again);
  await again.close();
  const bytes = readFileSync(file());
  for (const text of ["secretword", "Secretspeaker", "secretthread"]) {
    assert.ok(!bytes.includes(text) && !bytes.includes(Buffer.from(text, "utf16le")), text);
  }
});

test("a small namespace has no file", async () => {
  const small = retriever();
  store.put("small", { content: "tea", vector: [1, 0, 0, 0] });
  await small.recall({ namespace: "small" }, "tea");
  const files = readdirSync(folder).length;
  await small.close();
  assert.equal(readdirSync(folder).length, files);
});

test("without the folder's rights a recall answers and close resolves", async () => {
  const blocked = join(folder, "not-a-folder");
  writeFileSync(blocked, "");
  const embedder: Embedder = {
    model: { id: "fake", dimensions: 4 },
    embed: async (texts) => ({ vectors: texts.map((text) => Float32Array.from(vectorOf(text))) }),
  };
  const without = new Retriever({ store: store.port, embedder, analyzer, snapshotFolder: blocked });
  assert.deepEqual(await answers(without), expected);
  await without.close();
  rmSync(blocked);
});
