import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Memory } from "../contract/memory.ts";
import type { Hit } from "../contract/recall.ts";
import { createAnalyzer } from "./analyzer.ts";
import { foldDuplicates } from "./fold-duplicates.ts";

const analyzer = createAnalyzer();

function fold(...texts: (string | readonly [string, string])[]): string[] {
  const hits = texts.map((text, at): Hit => {
    const [content, speaker] = typeof text === "string" ? [text, undefined] : text;
    const memory = { id: `${at}`, content, ...(speaker && { speaker }) } as Memory;
    return { memory, score: 1 };
  });
  return foldDuplicates(hits, analyzer).map(({ memory, folded }) => [memory.id, ...(folded ?? [])].join("+"));
}

const long =
  "the release of the mobile client moves from the spring to the summer because the payment provider asked for another audit of the whole checkout flow before launch";

suite("folding duplicates", () => {
  test("texts that differ in case, signs and white space are one, the best of them", () => {
    assert.deepEqual(fold("Ada prefers tea.", "Ben walks", "ADA  prefers tea!"), ["0+2", "1"]);
  });

  test("a word more or less in a long text changes little", () => {
    assert.deepEqual(fold(long, `${long} day`), ["0+1"]);
    assert.deepEqual(fold("Ada prefers tea", "Ada prefers green tea"), ["0", "1"]);
  });

  test("another number or a negation is another memory", () => {
    assert.deepEqual(fold(`${long} on day 7`, `${long} on day 8`), ["0", "1"]);
    assert.deepEqual(fold(long, long.replace("moves", "never moves")), ["0", "1"]);
    assert.deepEqual(fold(long, long.replace("asked", "didn't ask")), ["0", "1"]);
  });

  test("the same words of another speaker stay", () => {
    assert.deepEqual(fold(["Thank you!", "Ada"], ["Thank you!", "Ben"], ["thank you", "Ada"]), ["0+2", "1"]);
  });

  test("texts without a word are never folded", () => {
    assert.deepEqual(fold("!!!", "???"), ["0", "1"]);
  });
});
