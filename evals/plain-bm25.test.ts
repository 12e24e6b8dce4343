import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { PlainBm25, plainTerms } from "./plain-bm25.ts";

suite("plain BM25", () => {
  test("ranks what shares the rarest words first", () => {
    const index = new PlainBm25([
      ["tea", "Ada drinks tea"],
      ["coffee", "Ben drinks coffee"],
      ["walk", "Ada walks"],
    ]);
    assert.deepEqual(index.search("does Ada like teas?", 10), ["tea", "walk"]);
    assert.deepEqual(index.search("does Ada like teas?", 1), ["tea"]);
    assert.deepEqual(index.search("of the", 10), []);
  });

  test("ranks the shorter of two texts that hold a word once higher", () => {
    const index = new PlainBm25([
      ["long", "key one two three four five"],
      ["short", "key one"],
    ]);
    assert.deepEqual(index.search("key", 10), ["short", "long"]);
  });

  test("takes plural endings off and stop words out", () => {
    assert.deepEqual(plainTerms("The studies of Glass, gas and boxes: is a bus it?"), [
      "study",
      "glass",
      "ga",
      "boxe",
      "bus",
    ]);
  });
});
