import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { TextGenerator } from "./generated-text.ts";

suite("generated text", () => {
  test("is the same for the same seed and another for another", () => {
    assert.deepEqual(new TextGenerator(1).sentences(20), new TextGenerator(1).sentences(20));
    assert.notDeepEqual(new TextGenerator(1).sentences(20), new TextGenerator(2).sentences(20));
  });

  test("has words as unevenly used as real text: some in every other sentence, most in none or one", () => {
    const sentences = new TextGenerator(1)
      .sentences(1_000)
      .map((text) => new Set(text.toLowerCase().match(/[a-z]+/g)));
    const uses = new Map<string, number>();
    for (const word of sentences.flatMap((words) => [...words])) uses.set(word, (uses.get(word) ?? 0) + 1);
    assert.ok(Math.max(...uses.values()) > 500);
    assert.ok([...uses.values()].filter((count) => count === 1).length > uses.size / 3);
  });

  test("a document has at least the characters asked for, in paragraphs", () => {
    const text = new TextGenerator(1).document(10_000);
    assert.ok(text.length >= 10_000 && text.length < 13_000);
    assert.ok(text.split("\n\n").length > 5);
  });
});
