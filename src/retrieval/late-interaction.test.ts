import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { PieceVectors } from "../contract/piece-vectors.ts";
import { LateInteraction } from "./late-interaction.ts";
import { VectorMemory } from "./vector-memory.ts";

const dimensions = 12;

/** A table of one piece a letter; "z" says nothing. */
const letters: PieceVectors = {
  id: "letters",
  size: 26,
  dimensions,
  piecesOf: (text) => Int32Array.from(text.match(/[a-z]/g) ?? [], (letter) => letter.charCodeAt(0) - 97),
  leadingRow(piece, into) {
    if (piece === 25) return false;
    const row = Float32Array.from(into, (_, at) => Math.sin((piece + 1) * (at + 2)));
    const length = Math.hypot(...row);
    into.set(row.map((value) => value / length));
    return true;
  },
};

function setUp(leading = dimensions): LateInteraction {
  return new LateInteraction(letters, new VectorMemory(), leading, 100_000);
}

function leadingRow(piece: number, leading: number): Float32Array | undefined {
  const row = new Float32Array(leading);
  return letters.leadingRow(piece, row) ? row : undefined;
}

/** The formula as it is written, for letters that are no stop words. */
function formula(words: readonly { word: string; idf: number }[], text: string, leading: number): number {
  const weights = new Map<number, number>();
  for (const { word, idf } of words)
    for (const piece of letters.piecesOf(word)) weights.set(piece, Math.max(idf, weights.get(piece) ?? 0));
  let sum = 0;
  for (const [piece, idf] of weights) {
    const row = leadingRow(piece, leading);
    if (!row) continue;
    let best = 0;
    for (const other of letters.piecesOf(text)) {
      const theirs = leadingRow(other, leading);
      if (theirs)
        best = Math.max(
          best,
          theirs.reduce((dot, value, at) => dot + value * row[at]!, 0),
        );
    }
    sum += idf * best * best;
  }
  return sum;
}

// "a" and "i" are stop words.
const text = fc.string({ unit: fc.constantFrom(..."bcdefghjkz "), minLength: 1, maxLength: 12 });
const words = fc.array(fc.record({ word: text, idf: fc.double({ min: 0.1, max: 8, noNaN: true }) }), {
  maxLength: 6,
});

suite("late interaction", () => {
  test("a text that holds the question's pieces scores their whole idf", () => {
    const late = setUp();
    const question = late.questionPieces([{ word: "cb", idf: 2 }]);
    assert.equal(question.knownShare, 1);
    const [same, other] = late.scores(question, [late.keep({}, 1, "b c"), late.keep({}, 2, "k")]);
    assert.ok(Math.abs(same! - 4) < 1e-2);
    assert.ok(other! < same!);
  });

  for (const leading of [dimensions, 8]) {
    test(`scores are those of the formula over ${leading} dimensions`, () => {
      const late = setUp(leading);
      fc.assert(
        fc.property(words, fc.array(text, { maxLength: 8 }), (question, texts) => {
          const scores = late.scores(
            late.questionPieces(question),
            texts.map((each, at) => late.keep({}, at, each)),
          );
          for (const [at, each] of texts.entries()) {
            const expected = formula(question, each, leading);
            // Rows are float16.
            assert.ok(Math.abs(scores[at]! - expected) < 0.004 * (1 + expected), `${scores[at]} ${expected}`);
          }
        }),
      );
    });
  }

  test("words of which the table knows nothing lower the share that is known", () => {
    const late = setUp();
    const { pieces, knownShare } = late.questionPieces([
      { word: "b", idf: 3 },
      { word: "zz", idf: 1 },
    ]);
    assert.deepEqual([...pieces], [1]);
    assert.equal(knownShare, 0.75);
    assert.equal(late.questionPieces([]).knownShare, 0);
  });

  test("pieces are kept by family and slot, within the bound", () => {
    const late = setUp();
    const [one, two] = [{}, {}];
    late.keep(two, 7, "k");
    for (let slot = 0; slot < 2_000; slot++) {
      late.keep(one, slot, "bcd");
      assert.ok(late.bytes <= 100_000);
      // What is asked for again and again stays.
      assert.deepEqual(late.kept(two, Uint32Array.of(7)), [Uint32Array.of(10)]);
    }
    const [first, last] = late.kept(one, Uint32Array.of(0, 1_999));
    assert.equal(first, undefined);
    assert.deepEqual(last, Uint32Array.of(1, 2, 3));
    assert.deepEqual(late.kept({}, Uint32Array.of(7)), [undefined]);
  });
});
