import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Chunk, TokenCounter } from "../contract/chunk.ts";
import { type DocumentSource, openSource, type SourceInput, type SourceOptions } from "./document-source.ts";
import { splitText } from "./splitters/split-text.ts";

const counter: TokenCounter = { id: "words", count: (text) => text.split(/\s+/).filter(Boolean).length };
const limits = { counter, chunkTokens: 40, overlapTokens: 5 };
const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

async function chunksOf(source: DocumentSource, signal?: AbortSignal): Promise<Chunk[]> {
  const chunks: Chunk[] = [];
  for await (const chunk of (await source.read()).chunks(limits, signal)) chunks.push(chunk);
  return chunks;
}

async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "strata-source-"));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function* blocksOf(text: string, length: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

const markdown = `# Über 红楼梦\n\n${"Some words, one after the other. 😀 ".repeat(20_000)}`;

test("a text, its bytes, a file and a stream give the same hash, title and chunks", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.md");
    await writeFile(path, markdown);
    const inputs: SourceInput[] = [
      path,
      { name: "a.md", text: markdown },
      { name: "a.md", bytes: Buffer.from(markdown) },
      { name: "a.md", stream: blocksOf(markdown, 1013) },
    ];
    const expected = [...splitText(markdown, { ...limits, kind: "markdown" })];
    for (const input of inputs) {
      await using source = await openSource(input);
      assert.equal(await source.hash(), sha256(markdown));
      assert.equal(source.bytes, Buffer.byteLength(markdown));
      const document = await source.read();
      assert.equal(document.title, "Über 红楼梦");
      assert.equal(document.kind, "markdown");
      assert.deepEqual(await chunksOf(source), expected);
      for await (const _ of document.chunks(limits));
      assert.equal(document.characters(), markdown.length);
    }
  });
});

test("a file is named by its path, others by what the caller says", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.txt");
    await writeFile(path, "x");
    const file = await openSource(path);
    assert.deepEqual([file.uri, file.name], [path, "a.txt"]);
    const page = await openSource({
      name: "p.html",
      uri: "https://x.test/",
      text: "<title>A</title><p>B",
      title: "C",
    });
    assert.equal(page.uri, "https://x.test/");
    assert.equal((await page.read()).title, "C");
    assert.equal((await chunksOf(page))[0]?.text, "B");
  });
});

test("a stream over 8 MB is put down in a private file, which closing removes", async () => {
  await withFolder(async (folder) => {
    const text = "Nine words are in this very short line, really.\n".repeat(200_000);
    const options: SourceOptions = { spoolFolder: folder };
    const source = await openSource({ name: "-", stream: blocksOf(text, 65_536) }, options);
    assert.equal((await readdir(folder)).length, 1);
    assert.equal(await source.hash(), sha256(text));
    let end = 0;
    for await (const chunk of (await source.read()).chunks(limits)) end = chunk.end;
    assert.equal(end, text.trimEnd().length);
    await source.close();
    await source.close();
    assert.deepEqual(await readdir(folder), []);
  });
});

test("a stream that fails or is too large leaves no file", async () => {
  await withFolder(async (folder) => {
    const text = "x".repeat(10_000_000);
    const options = { spoolFolder: folder, maxBytes: 1, maxTextBytes: 9_000_000 };
    await assert.rejects(openSource({ name: "-", stream: blocksOf(text, 65_536) }, options), {
      code: "FILE_TOO_LARGE",
    });
    assert.deepEqual(await readdir(folder), []);
  });
});

test("a page of many blocks is read whole from file and stream", async () => {
  await withFolder(async (folder) => {
    const path = join(folder, "a.html");
    const lines = Array.from({ length: 20_000 }, (_, index) => `<p>Line ${index}`).join("\n");
    await writeFile(path, lines);
    const expected = lines.replaceAll("<p>", "").replaceAll("\n", "\n\n");
    async function* reused(): AsyncGenerator<Uint8Array> {
      const block = Buffer.alloc(1000);
      const bytes = Buffer.from(lines);
      for (let at = 0; at < bytes.length; at += 1000) {
        yield block.subarray(0, bytes.copy(block, 0, at));
      }
    }
    for (const input of [path, { name: "a.html", stream: reused() }]) {
      const chunks = await chunksOf(await openSource(input));
      for (const chunk of chunks) assert.equal(expected.slice(chunk.start, chunk.end), chunk.text);
      assert.equal(chunks.at(-1)!.end, expected.length);
    }
  });
});

test("wrong UTF-8 deep in a file is found when it is reached", async () => {
  const bytes = Buffer.concat([Buffer.from("word ".repeat(40_000)), Buffer.from([0xff])]);
  const source = await openSource({ name: "a.txt", bytes });
  await assert.rejects(chunksOf(source), { code: "INVALID_UTF8" });
});

test("a file that changes between hashing and reading is not taken for the one hashed", async () => {
  await withFolder(async (folder) => {
    for (const [name, before, after] of [
      ["a.txt", "before", "after!"],
      ["a.html", "<p>before", "<p>after!"],
    ] as const) {
      const path = join(folder, name);
      await writeFile(path, before);
      const source = await openSource(path);
      await source.hash();
      await writeFile(path, after);
      await assert.rejects(chunksOf(source), { code: "FILE_UNREADABLE", message: /changed/ });
    }
  });
});

test("a missing file, a folder and limits have their codes", async () => {
  await withFolder(async (folder) => {
    await assert.rejects(openSource(join(folder, "none")), { code: "FILE_NOT_FOUND" });
    await assert.rejects(openSource(folder), { code: "FILE_UNREADABLE" });
    const large = await openSource({ name: "a.html", text: "<p>12345" }, { maxBytes: 4 });
    await assert.rejects(large.read(), { code: "FILE_TOO_LARGE" });
    const text = await openSource({ name: "a.txt", bytes: Buffer.from("12345") }, { maxTextBytes: 4 });
    await assert.rejects(text.read(), { code: "FILE_TOO_LARGE" });
    const binary = await openSource({ name: "a.txt", bytes: Uint8Array.from([0, 1]) });
    await assert.rejects(binary.read(), { code: "FILE_BINARY" });
  });
});

test("an empty document has no chunks", async () => {
  assert.deepEqual(await chunksOf(await openSource({ name: "a.txt", bytes: new Uint8Array() })), []);
});

test("an abort ends the reading with the signal's reason", async () => {
  const stop = new AbortController();
  const source = await openSource({ name: "a.txt", text: "word ".repeat(100_000) });
  const chunks = (await source.read()).chunks(limits, stop.signal)[Symbol.asyncIterator]();
  await chunks.next();
  const reason = new Error("enough");
  stop.abort(reason);
  await assert.rejects(async () => {
    while (!(await chunks.next()).done);
  }, reason);
});
