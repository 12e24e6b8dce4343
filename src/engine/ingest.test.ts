import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { type ErrorCode, StrataError } from "../contract/errors.ts";
import { type OpenOptions, openMemory } from "./open-memory.ts";
import type { Strata } from "./strata.ts";

let folder: string;
let memory: Strata;

async function reopen(options: OpenOptions = {}): Promise<void> {
  await memory?.close();
  memory = await openMemory({ path: join(folder, "memory.db"), ...options });
}

beforeEach(async () => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "strata ingest ")));
  mkdirSync(join(folder, "docs"));
  await reopen();
});

afterEach(async () => {
  await memory.close();
  rmSync(folder, { recursive: true });
});

function write(name: string, content: string | Uint8Array): string {
  const path = join(folder, "docs", name);
  writeFileSync(path, content);
  return path;
}

function withCode(code: ErrorCode): (error: unknown) => boolean {
  return (error) => StrataError.isInstance(error) && error.code === code;
}

/** A text of so many numbered sentences. */
function sentences(count: number, about: string): string {
  return Array.from({ length: count }, (_, index) => `Sentence ${index} tells of ${about}.`).join(" ");
}

suite("ingest", () => {
  test("makes a file recallable under its title and headings", async () => {
    const steps =
      "Run it twice a year, in spring and in autumn, and tell everyone who holds one before you begin.";
    const path = write("keys.md", `# Keys\n\n## Rotation\n\n${steps}\n\n## Loss\n\nCall the office.\n`);
    const report = await memory.ingest(path, { chunkSize: 16, overlap: 0 });
    assert.partialDeepStrictEqual(report, {
      added: 1,
      failed: 0,
      documents: [{ uri: path, outcome: "added" }],
    });
    const { hits } = await memory.recall("rotation in spring");
    assert.equal(hits[0]?.memory.tier, "semantic");
    assert.partialDeepStrictEqual(hits[0]?.memory.source, { uri: path, title: "Keys" });
    const under = hits.filter(({ memory: { source } }) => source?.headings.at(-1) === "Rotation");
    assert.ok(under.length > 0);
  });

  test("keeps exact offsets of every chunk", async () => {
    const text = sentences(2_000, "otters");
    const path = write("long.txt", text);
    const { chunks } = await memory.ingest(path, { chunkSize: 64, overlap: 8 });
    const { memories } = await memory.list({ document: path, limit: 1_000 });
    assert.equal(memories.length, chunks);
    for (const { content, source } of memories) assert.equal(text.slice(source!.start, source!.end), content);
  });

  test("does nothing for the same bytes", async () => {
    const path = write("a.txt", "The same as ever.");
    await memory.ingest(path);
    const [before] = (await memory.list()).memories;
    const report = await memory.ingest(path, { tags: ["again"] });
    assert.partialDeepStrictEqual(report, { unchanged: 1, added: 0, chunks: 0 });
    assert.deepEqual((await memory.list()).memories[0]?.id, before?.id);
  });

  test("replaces the chunks of changed bytes at once", async () => {
    const path = write("a.txt", "The meeting is on Monday.");
    await memory.ingest(path);
    write("a.txt", "The meeting is on Thursday.");
    const report = await memory.ingest(path);
    assert.equal(report.replaced, 1);
    assert.equal((await memory.list()).memories.length, 1);
    assert.deepEqual((await memory.search("Monday")).hits, []);
    assert.equal((await memory.search("Thursday")).hits.length, 1);
  });

  test("cuts the same bytes again under another chunk size", async () => {
    const path = write("a.txt", sentences(200, "otters"));
    const first = await memory.ingest(path, { chunkSize: 512 });
    const second = await memory.ingest(path, { chunkSize: 64 });
    assert.equal(second.replaced, 1);
    assert.ok(second.chunks > first.chunks);
  });

  test("reads a folder, counts what it skips, and goes on after what it cannot read", async () => {
    write("good.txt", "Readable.");
    write("bad.txt", new Uint8Array([0x61, 0xff, 0xfe, 0x62, 0xc3, 0x28]));
    write("picture.png", new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0]));
    write(".hidden", "hidden");
    const report = await memory.ingest(join(folder, "docs"));
    assert.equal(report.added, 1);
    const failed = report.documents.filter(({ outcome }) => outcome === "failed");
    assert.equal(failed.length + (report.skipped["binary"] ?? 0), 2, JSON.stringify(report));
    assert.equal(report.skipped["hidden"], 1);
  });

  test("takes text, bytes and streams under a name", async () => {
    await memory.ingest({ name: "note", text: "A text about otters." });
    await memory.ingest({ name: "bytes", bytes: new TextEncoder().encode("Bytes about badgers.") });
    async function* stream(): AsyncGenerator<Uint8Array> {
      yield new TextEncoder().encode("A stream about ");
      yield new TextEncoder().encode("beavers.");
    }
    await memory.ingest({ name: "stream", stream: stream() });
    const { documents } = await memory.documents();
    assert.deepEqual(
      documents.map(({ uri }) => uri),
      ["bytes", "note", "stream"],
    );
    assert.equal((await memory.search("beavers")).hits[0]?.memory.content, "A stream about beavers.");
  });

  test("forgets documents whose file is gone when asked to prune", async () => {
    const gone = write("gone.txt", "I will be gone.");
    write("kept.txt", "I will stay.");
    await memory.ingest(join(folder, "docs"));
    await memory.ingest({ name: "elsewhere", text: "Not from this folder." });
    rmSync(gone);
    const report = await memory.ingest(join(folder, "docs"), { prune: true });
    assert.deepEqual(report.pruned, [gone]);
    assert.deepEqual((await memory.search("gone")).hits, []);
    assert.equal((await memory.documents()).documents.length, 2);
  });

  test("tells its progress", async () => {
    const path = write("long.txt", sentences(1_000, "otters"));
    const seen: number[] = [];
    const { chunks } = await memory.ingest(path, {
      chunkSize: 32,
      overlap: 0,
      onProgress: (progress) => seen.push(progress.chunks),
    });
    assert.ok(seen.length > 2);
    assert.equal(seen.at(-1), chunks);
    assert.deepEqual(
      [...seen].sort((a, b) => a - b),
      seen,
    );
  });

  test("leaves nothing of a document that was aborted half way", async () => {
    const path = write("long.txt", sentences(2_000, "otters"));
    const controller = new AbortController();
    const ingesting = memory.ingest(path, {
      chunkSize: 32,
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await assert.rejects(ingesting, /enough/);
    assert.deepEqual((await memory.list()).memories, []);
    assert.deepEqual((await memory.recall("otters")).hits, []);
    assert.deepEqual((await memory.documents()).documents, []);
  });

  test("counts a document as one in its tier, which moves and leaves whole", async () => {
    await reopen({ config: { "memory.working_capacity": 1 } });
    const path = write("a.txt", sentences(500, "otters"));
    await memory.ingest(path, { tier: "working", chunkSize: 32, importance: 0.1 });
    const { evicted } = await memory.store("A memory worth more.", { tier: "working", importance: 0.9 });
    assert.equal(evicted.length, 1);
    assert.equal(evicted[0]?.document, true);
    assert.deepEqual((await memory.search("otters")).hits, []);
  });

  test("forgets a document whole by its name", async () => {
    const path = write("a.txt", sentences(500, "otters"));
    const { chunks } = await memory.ingest(path, { chunkSize: 32 });
    assert.equal((await memory.forget({ document: path })).forgotten, chunks);
    assert.equal(await memory.document(path), undefined);
    assert.equal((await memory.stats()).memories, 0);
  });

  const refused: readonly (readonly [string, ErrorCode, () => Promise<unknown>])[] = [
    ["a file that is missing", "FILE_NOT_FOUND", () => memory.ingest(join(folder, "missing.txt"))],
    ["a folder without readable files", "NO_READABLE_FILES", () => memory.ingest(join(folder, "docs"))],
    [
      "the one file named when it is not UTF-8",
      "INVALID_UTF8",
      () => memory.ingest(write("a.txt", new Uint8Array([0x61, 0x62, 0x20, 0xc3, 0x28, 0x0a]))),
    ],
    [
      "the one file named when it is binary",
      "FILE_BINARY",
      () =>
        memory.ingest(
          write("a.png", new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 1])),
        ),
    ],
    [
      "an overlap above half of the chunk size",
      "INVALID_ARGUMENT",
      () => memory.ingest(folder, { chunkSize: 100, overlap: 51 }),
    ],
    ["an unknown option", "UNKNOWN_OPTION", () => memory.ingest(folder, { chunk_size: 100 } as object)],
  ];
  for (const [what, code, call] of refused) {
    test(`refuses ${what} with ${code}`, () => assert.rejects(call(), withCode(code)));
  }
});
