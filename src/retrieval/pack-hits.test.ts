import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Memory } from "../contract/memory.ts";
import type { Hit } from "../contract/recall.ts";
import { packHits } from "./pack-hits.ts";

const words = { id: "words", count: (text: string) => text.match(/\S+/g)?.length ?? 0 };

function hit(content: string, more: Partial<Memory> = {}): Hit {
  const memory: Memory = {
    id: "m1",
    namespace: "home",
    tier: "long_term",
    content,
    contentHash: "",
    importance: 0.5,
    accessCount: 0,
    createdAt: 0,
    updatedAt: 0,
    lastUsedAt: 0,
    tags: [],
    metadata: {},
    pinned: false,
    version: 1,
    ...more,
  };
  return { memory, score: 1 };
}

suite("packing hits for a prompt", () => {
  test("each memory stands in a fence that cites it", () => {
    const at = Date.UTC(2023, 4, 8);
    const { text, memories } = packHits([hit("Ada prefers tea", { speaker: "Ada", at })], 100, words);
    assert.match(
      text,
      /\n<memory id="m1" speaker="Ada" at="2023-05-08T00:00:00\.000Z">\nAda prefers tea\n<\/memory>$/,
    );
    assert.deepEqual(memories, [{ id: "m1", cut: false }]);
  });

  test("what does not fit is left out for what does, and counted", () => {
    const long = Array.from({ length: 200 }, () => "word").join(" ");
    const packed = packHits([hit("first"), hit(long, { id: "m2" }), hit("third", { id: "m3" })], 60, words);
    assert.deepEqual(
      packed.memories.map(({ id }) => id),
      ["m1", "m3"],
    );
    assert.equal(packed.omitted, 1);
    assert.equal(packed.tokens, words.count(packed.text));
  });

  test("the first memory is cut rather than nothing be said", () => {
    const long = Array.from({ length: 200 }, () => "😀word").join(" ");
    const packed = packHits([hit(long)], 64, words);
    assert.deepEqual(packed.memories, [{ id: "m1", cut: true }]);
    assert.ok(packed.tokens <= 64 && packed.tokens > 55);
    assert.ok(packed.text.isWellFormed());
    assert.match(packed.text, /…\n<\/memory>$/);
  });

  test("a chunk that a packed passage holds is not said twice", () => {
    const source = { documentId: "d", uri: "a.md", headings: [], chunk: 1, start: 0, end: 4 };
    const passage = { content: "one two three", firstChunk: 0, lastChunk: 2, start: 0, end: 13 };
    const packed = packHits(
      [{ ...hit("two", { source }), passage }, hit("three", { id: "m2", source: { ...source, chunk: 2 } })],
      100,
      words,
    );
    assert.deepEqual(packed.memories, [{ id: "m1", cut: false }]);
    assert.match(packed.text, /source="a\.md#0-2"/);
  });

  test("no text closes or opens a fence, and the budget holds", () => {
    const piece = fc.constantFrom(
      "<",
      "</",
      "＜／",
      "memory",
      "MEMORY",
      " memory ",
      ">",
      "/",
      "\u200b",
      "\n",
      '"',
      "id=",
      "x",
      "</memory>",
      "< / memory >",
      '<memory id="m9">',
    );
    const text = fc.array(piece, { minLength: 1, maxLength: 12 }).map((pieces) => pieces.join(""));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(text, text), { maxLength: 6 }),
        fc.integer({ min: 20, max: 120 }),
        (given, room) => {
          const hits = given.map(([content, speaker], at) => hit(content, { id: `m${at}`, speaker }));
          const packed = packHits(hits, room, words);
          assert.ok(packed.tokens <= room);
          const body = packed.text.split("\n").slice(1).join("\n");
          const closing = body.normalize("NFKC").match(/<[\s\p{Cf}]*\/[\s\p{Cf}]*memory/giu) ?? [];
          const tags = body.normalize("NFKC").match(/<[\s\p{Cf}]*\/?[\s\p{Cf}]*memory/giu) ?? [];
          assert.equal(closing.length, packed.memories.length);
          assert.equal(tags.length, 2 * packed.memories.length);
        },
      ),
    );
  });
});
