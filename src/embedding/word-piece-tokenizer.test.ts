import assert from "node:assert/strict";
import { createHash, type Hash } from "node:crypto";
import { createReadStream, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import fc from "fast-check";
import { WordPieceTokenizer } from "./word-piece-tokenizer.ts";
import { WordPieceVocabulary } from "./word-piece-vocabulary.ts";

interface Fixture {
  readonly cases: readonly (readonly [text: string, ids: readonly number[]])[];
  readonly blockSize: number;
  readonly blocks: readonly string[];
  readonly files: Readonly<Record<string, string>>;
}

const fixture: Fixture = JSON.parse(
  readFileSync(new URL("./word-piece-tokenizer.fixture.json", import.meta.url), "utf8"),
);
const modelFolder = new URL("../../models/builtin/", import.meta.url);
const vocabularyBytes = Uint8Array.from(readFileSync(new URL("vocab.bin", modelFolder)));
const vocabulary = new WordPieceVocabulary(vocabularyBytes);
const pieces = readFileSync(new URL("vocab.txt", modelFolder), "utf8").split("\n").slice(0, -1);
const tokenizer = new WordPieceTokenizer("test", vocabulary);

function piecesOf(text: string): string[] {
  return Array.from(tokenizer.encode(text), (id) => pieces[id]!);
}

/** The digest of models/builtin/reference_tokenizer.py: ids as little-endian int32, -1 behind each text. */
function addToDigest(hash: Hash, text: string): void {
  const ids = tokenizer.encode(text);
  const bytes = Buffer.alloc((ids.length + 1) * 4);
  ids.forEach((id, i) => {
    bytes.writeInt32LE(id, i * 4);
  });
  bytes.writeInt32LE(-1, ids.length * 4);
  hash.update(bytes);
}

test("a word of the vocabulary is one piece, another word several", () => {
  assert.deepEqual(piecesOf("Tea teapots"), ["tea", "tea", "##pot", "##s"]);
  assert.equal(tokenizer.count("Tea teapots"), 4);
});

test("a word that no pieces spell is one unknown piece", () => {
  assert.deepEqual(piecesOf("teapot\u{1f375}s tea"), ["[UNK]", "tea"]);
  assert.equal(tokenizer.encode("\u{1f375}")[0], tokenizer.unknownId);
});

test("the reference's ids come out for edge cases and random Unicode", () => {
  for (const [text, ids] of fixture.cases)
    assert.deepEqual([...tokenizer.encode(text)], ids, JSON.stringify(text));
});

test("every code point is treated as by the reference, inside a word and alone", () => {
  fixture.blocks.forEach((expected, block) => {
    const hash = createHash("sha256");
    const start = block * fixture.blockSize;
    for (let codePoint = start; codePoint < start + fixture.blockSize; codePoint++) {
      if (codePoint >= 0xd800 && codePoint < 0xe000) continue;
      const character = String.fromCodePoint(codePoint);
      addToDigest(hash, `a${character}b ${character}`);
    }
    assert.equal(hash.digest("hex"), expected, `code points from ${start.toString(16)}`);
  });
});

test("every piece of the vocabulary has the id of its line", () => {
  assert.equal(vocabulary.size, pieces.length);
  pieces.forEach((piece, line) => {
    assert.equal(vocabulary.idOf(piece), line, piece);
  });
  assert.equal(vocabulary.idOf("no such piece"), -1);
});

test("a lone surrogate leaves no trace", () => {
  assert.deepEqual(tokenizer.encode("te\ud800a \udc00"), tokenizer.encode("tea"));
});

test("texts cut at white space give the pieces of the whole, whatever the text", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "grapheme" }), (a, b) => {
      const whole = [...tokenizer.encode(`${a} ${b}`)];
      assert.deepEqual(whole, [...tokenizer.encode(a), ...tokenizer.encode(b)]);
      assert.equal(tokenizer.count(`${a} ${b}`), whole.length);
      assert.ok(whole.every((id) => id >= 0 && id < pieces.length));
    }),
  );
});

test("encoded ids stay as they are while other texts are read", () => {
  const first = tokenizer.encode("Ada prefers tea");
  const copy = [...first];
  tokenizer.encode("something else entirely");
  assert.deepEqual([...first], copy);
});

test("a text longer than any buffer is read to its end", () => {
  assert.equal(tokenizer.count("tea ".repeat(100_000)), 100_000);
});

test("bytes that are no vocabulary are refused", () => {
  const refused = { name: "StrataError", code: "FILE_UNREADABLE" };
  const foreign = vocabularyBytes.slice();
  foreign[0]! ^= 1;
  const slotsAllTaken = new Uint8Array(64);
  slotsAllTaken.set(vocabularyBytes.subarray(0, 4));
  slotsAllTaken.set([1, 0, 0, 0, 1, 0, 0, 0], 4);
  for (const bytes of [new Uint8Array(), foreign, vocabularyBytes.slice(0, 200_000), slotsAllTaken])
    assert.throws(() => new WordPieceVocabulary(bytes), refused);
});

const dataFolder = process.env["STRATA_TEST_DATA"];
const noData = dataFolder === undefined && "STRATA_TEST_DATA names no folder of development data";

test("the reference's ids come out for all development data", { skip: noData }, async (t) => {
  for (const [file, expected] of Object.entries(fixture.files)) {
    const path = join(dataFolder!, file);
    await t.test(file, { skip: !existsSync(path) && "the file is not there" }, async () => {
      const hash = createHash("sha256");
      for await (const line of createInterface({ input: createReadStream(path) }))
        if (line.trim() !== "") for (const text of stringsIn(JSON.parse(line))) addToDigest(hash, text);
      assert.equal(hash.digest("hex"), expected);
    });
  }
});

function* stringsIn(value: unknown): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null)
    for (const item of Object.values(value)) yield* stringsIn(item);
}
