import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { areNearDuplicates, type ComparedMemory, nearDuplicateThresholds } from "./near-duplicates.ts";

/** Memories for whose texts the model would answer the same, so that the words decide. */
function said(content: string, fields: Partial<ComparedMemory> = {}): ComparedMemory {
  return { content, vector: { model: "m", values: Float32Array.of(1, 0) }, ...fields };
}

function areSame(a: string, b: string): boolean {
  const [there, back] = [areNearDuplicates(said(a), said(b)), areNearDuplicates(said(b), said(a))];
  assert.equal(there, back, "the order of two memories does not matter");
  return there;
}

suite("near-duplicates", () => {
  test("a text written twice is the same memory", () => {
    assert.ok(areSame("Ada prefers tea", "Ada prefers tea."));
  });

  const same: readonly [string, string][] = [
    ["Ada prefers tea in the morning", "ada prefers tea in the morning!"],
    ["The release is planned for the 7th of May", "The release is planned for 7th of May"],
    ["Ben isn't in Berlin", "Ben is not in Berlin"],
    ["She'll call — tomorrow", "She will call, tomorrow"],
    ["Please send the report to Ada", "Send the report to Ada"],
    ["Ada’s “favourite” colour is green", "Ada's favourite  colour is green"],
    ["Café at noon", "Cafe\u0301 at noon"],
    ["Are we there??", "Are we there?"],
    ["茶が好き", "茶が好き。"],
  ];
  for (const [a, b] of same) test(`"${a}" is "${b}"`, () => assert.ok(areSame(a, b)));

  const different: readonly [string, string][] = [
    ["Ada likes tea", "Ada likes coffee"],
    ["Booked for the 7th", "Booked for the 8th"],
    ["Ada is at home", "Ada is not at home"],
    ["Ada can come", "Ada can't come"],
    ["Ada likes tea", "Ben likes tea"],
    ["Ben owes Ada money", "Ada owes Ben money"],
    ["Ada smokes at work", "Ada smoked at work"],
    ["It is -5 degrees in Oslo", "It is 5 degrees in Oslo"],
    ["The code is in C", "The code is in C++"],
    ["Send it to the US today", "Send it to us today"],
    ["Use v1.2.3 of the tool", "Use v1.2.4 of the tool"],
    ["Ada is coming today", "Ada is coming today?"],
    ["The area is 10² metres", "The area is 102 metres"],
    ["Great work today 👍", "Great work today 👎"],
    ["Ada has a little patience left", "Ada has little patience left"],
    ["Ada bought the big house", "Ada bought a big house"],
    ["She is low on vitamin a", "She is low on vitamin"],
    ["Ada likes tea with milk", "Ada likes tea"],
    ["He's gone to work", "He has gone to work"],
  ];
  for (const [a, b] of different) test(`"${a}" is not "${b}"`, () => assert.ok(!areSame(a, b)));

  test("one word among hundreds tells two texts apart", () => {
    const words = Array.from({ length: 400 }, (_, at) => `word${at}`);
    const changed = words.with(200, "another");
    assert.ok(!areSame(words.join(" "), changed.join(" ")));
    assert.ok(areSame(words.join(" "), `${words.join(", ")}.`));
  });

  test("another speaker, thread or time makes another memory", () => {
    for (const fields of [{ speaker: "Ada" }, { thread: "trip" }, { at: 1 }]) {
      assert.ok(!areNearDuplicates(said("ok then"), said("ok then", fields)));
      assert.ok(areNearDuplicates(said("ok then", fields), said("Ok then.", fields)));
    }
  });

  test("the model has to propose: without a vector of the same model, or far apart, nothing is the same", () => {
    const far = { model: "m", values: Float32Array.of(0, 1) };
    for (const vector of [null, far, { model: "n", values: Float32Array.of(1, 0) }]) {
      assert.ok(!areNearDuplicates(said("Ada likes tea"), said("Ada likes tea", { vector })));
    }
    assert.ok(!areNearDuplicates(said("tea", { vector: null }), said("tea", { vector: null })));
  });

  test("a threshold that is no number merges nothing", () => {
    for (const name of ["cosine", "lengthRatio", "sharedWords"] as const) {
      const thresholds = { ...nearDuplicateThresholds, [name]: Number.NaN };
      assert.ok(!areNearDuplicates(said("Ada likes tea"), said("Ada likes tea"), thresholds));
    }
  });

  test("signs alone are like nothing", () => {
    assert.ok(!areSame("...", "!!!"));
    assert.ok(!areSame("", ""));
  });

  test("whatever a text is, it is the same as itself when it holds a word, and its own order does not matter", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (a, b) => {
        assert.ok(areSame(`${a} word`, `${a} word`));
        areSame(a, b);
      }),
    );
  });

  test("a hostile text of a million signs takes no longer than its length asks for", () => {
    for (const unit of ["a'", "a.", "-1", "n't", "'s ", "e\u0301"]) {
      const text = unit.repeat(100_000);
      assert.ok(areSame(text, text));
    }
  });
});
