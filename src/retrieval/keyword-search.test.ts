import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createAnalyzer } from "./analyzer.ts";
import { bestSlots } from "./best-slots.ts";
import { kinds } from "./columns.ts";
import { addTermScores, inverseFrequency, LengthNorms } from "./keyword-scores.ts";
import { KeywordSearch } from "./keyword-search.ts";
import { type IndexEntry, NamespaceIndex } from "./namespace-index.ts";
import { VectorMemory } from "./vector-memory.ts";

const surroundings = {
  analyzer: createAnalyzer(),
  memory: new VectorMemory(),
  model: { id: "fake", dimensions: 8 },
};
const bm25 = { k1: 1.2, b: 0.75 };

function entry(row: number, content: string, context = ""): IndexEntry {
  const nothing = { at: undefined, thread: undefined, speaker: undefined, vector: null, model: undefined };
  const life = { tier: "semantic" as const, createdAt: 0, importance: 0.5, pinned: false, tags: [] };
  return { row, content, context, kind: row % 2 === 0 ? kinds.note : kinds.chunk, ...nothing, ...life };
}

/** Terms with their weights, as a plan has them: the rarest first. */
function planned(index: NamespaceIndex, words: readonly string[]) {
  return words
    .map((term) => ({ term, frequency: index.frequencyOf(term) }))
    .filter(({ frequency }) => frequency > 0)
    .map(({ term, frequency }) => ({ term, idf: inverseFrequency(index.size, frequency) }))
    .sort((a, b) => b.idf - a.idf || (a.term < b.term ? -1 : 1));
}

/** Every posting of every term added up, then the best of all slots. */
function fullScan(index: NamespaceIndex, words: readonly string[], limit: number, mask: Uint8Array) {
  const scores = new Float64Array(index.columns.size);
  const norms = new LengthNorms(index, "all", bm25);
  for (const { term, idf } of planned(index, words)) {
    addTermScores(scores, index.postings.of(term), idf, "all", norms, bm25.k1);
  }
  const seen = scores.map((score, slot) => (mask[slot] === 1 ? score : 0));
  return { scores, best: bestSlots({ scores: seen, above: 0 }, limit, index.columns.arrays.rows) };
}

function assertSameAsFullScan(
  index: NamespaceIndex,
  words: readonly string[],
  limit: number,
  mask = index.live,
): void {
  const search = new KeywordSearch(index, planned(index, words), bm25);
  const { scores, best } = fullScan(index, words, limit, mask);
  for (const again of [1, 2]) assert.deepEqual(search.best(limit, mask), best, `time ${again}`);
  const some = Uint32Array.from(
    { length: Math.min(50, index.columns.size) },
    (_, i) => (i * 7) % index.columns.size,
  );
  assert.deepEqual(
    search.scoresOf(some),
    Float64Array.from(some, (slot) => scores[slot]!),
  );
}

/** Words whose frequencies are as uneven as in texts: "w0" is everywhere, "w99" hardly anywhere. */
const word = fc.integer({ min: 0, max: 9_999 }).map((n) => `w${Math.floor(100 ** (n / 10_000)) - 1}`);
const text = fc.array(word, { minLength: 1, maxLength: 12 }).map((words) => words.join(" "));

test("the best are those of a full scan, to the bit, whatever was sealed, merged, replaced, removed or filtered", () => {
  const scenario = fc.record({
    texts: fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 120 }),
    sealedAt: fc.array(fc.nat(120), { maxLength: 4 }),
    replaced: fc.array(fc.tuple(fc.nat(119), text), { maxLength: 20 }),
    removed: fc.array(fc.nat(119), { maxLength: 20 }),
    question: fc.uniqueArray(word, { minLength: 1, maxLength: 10 }),
    limit: fc.integer({ min: 1, max: 12 }),
    tended: fc.boolean(),
    modulus: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(scenario, ({ texts, sealedAt, replaced, removed, question, limit, tended, modulus }) => {
      const index = new NamespaceIndex(surroundings);
      texts.forEach(([content, context], row) => {
        if (sealedAt.includes(row)) index.seal();
        index.put(entry(row, content, context));
      });
      for (const [row, content] of replaced) if (row < texts.length) index.put(entry(row, content));
      for (const row of removed) index.remove(row);
      if (tended) for (const _ of index.tend(modulus === 1));
      const mask = index.live.map((alive, slot) => (slot % modulus === 0 ? alive : 0));
      assertSameAsFullScan(index, question, limit, mask);
      index.release();
    }),
  );
});

test("the best of many are those of a full scan, to the bit", () => {
  const index = new NamespaceIndex(surroundings);
  const words = fc.sample(word, { numRuns: 120_000, seed: 5 });
  for (let row = 0; row < 8_000; row++)
    index.put(entry(row, words.slice(row * 15, row * 15 + 9 + (row % 6)).join(" ")));
  for (const _ of index.tend());
  for (const question of fc.sample(fc.uniqueArray(word, { minLength: 2, maxLength: 12 }), {
    numRuns: 40,
    seed: 6,
  })) {
    assertSameAsFullScan(index, question, 10);
    assertSameAsFullScan(index, question, 100);
  }
  index.release();
});

test("the index may be used and changed between the steps that clear its dead away", () => {
  const step = fc.oneof(
    fc.record({ put: text }),
    fc.record({ remove: fc.nat(200) }),
    fc.record({ replace: fc.nat(200), by: text }),
  );
  fc.assert(
    fc.property(
      fc.array(text, { minLength: 20, maxLength: 60 }),
      fc.array(step, { maxLength: 12 }),
      fc.uniqueArray(word, { minLength: 1, maxLength: 6 }),
      (texts, steps, question) => {
        const index = new NamespaceIndex(surroundings);
        const expected = new Map<number, string>();
        const put = (row: number, content: string): void => {
          index.put(entry(row, content));
          expected.set(row, content);
        };
        for (const [row, content] of texts.entries()) put(row, content);
        for (let row = 0; row < texts.length; row += 3) {
          index.remove(row);
          expected.delete(row);
        }
        const work = index.tend(true);
        let next = texts.length;
        for (const change of steps) {
          work.next();
          if ("put" in change) put(next++, change.put);
          else if ("remove" in change) {
            index.remove(change.remove);
            expected.delete(change.remove);
          } else if (expected.has(change.replace)) put(change.replace, change.by);
          assertSameAsFullScan(index, question, 5);
        }
        for (const _ of work);
        const anew = new NamespaceIndex(surroundings);
        for (const [row, content] of [...expected].sort((a, b) => a[0] - b[0])) anew.put(entry(row, content));
        const found = (from: NamespaceIndex) => {
          const { slots, scores } = new KeywordSearch(from, planned(from, question), bm25).best(9, from.live);
          return [...slots].map((slot, at) => [from.columns.arrays.rows[slot], scores[at]]);
        };
        assert.deepEqual(found(index), found(anew));
        index.release();
        anew.release();
      },
    ),
  );
});
