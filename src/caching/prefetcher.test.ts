import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Prefetcher } from "./prefetcher.ts";
import { QueryPredictor } from "./query-predictor.ts";

function observeAll(predictor: QueryPredictor, session: string, keys: string): void {
  for (const key of keys) predictor.observe(session, key);
}

suite("QueryPredictor", () => {
  test("learns what follows a query", () => {
    const predictor = new QueryPredictor();
    observeAll(predictor, "s", "abababa");
    assert.equal(predictor.predict("s", 1)[0]?.key, "b");
    assert.ok(predictor.predict("s", 1)[0]!.probability > 0.5);
  });

  test("tells apart by the last two queries what one cannot", () => {
    const predictor = new QueryPredictor();
    observeAll(predictor, "s", "axbcxdaxbcxdaxbcxdax");
    assert.equal(predictor.predict("s", 1)[0]?.key, "b");
    observeAll(predictor, "s", "bcx");
    assert.equal(predictor.predict("s", 1)[0]?.key, "d");
  });

  test("learns from one session for another, but keeps their contexts apart", () => {
    const predictor = new QueryPredictor();
    observeAll(predictor, "one", "ababab");
    predictor.observe("two", "a");
    assert.equal(predictor.predict("two", 1)[0]?.key, "b");
    assert.deepEqual(predictor.predict("three", 1), []);
  });

  test("follows a habit that changes", () => {
    const predictor = new QueryPredictor();
    observeAll(predictor, "s", "ab".repeat(30));
    observeAll(predictor, "s", "ac".repeat(20));
    predictor.observe("new", "a");
    assert.equal(predictor.predict("new", 1)[0]?.key, "c");
  });

  test("gives probabilities that never add up to more than one", () => {
    const predictor = new QueryPredictor();
    for (let step = 0; step < 500; step++) predictor.observe("s", `${(step * step) % 13}`);
    const sum = predictor.predict("s", 8).reduce((total, { probability }) => total + probability, 0);
    assert.ok(sum > 0 && sum <= 1);
  });

  test("forgets the oldest contexts beyond its bound", () => {
    const predictor = new QueryPredictor({ maxContexts: 4 });
    observeAll(predictor, "s", "abcdefghijklmnop");
    predictor.observe("new", "a");
    assert.deepEqual(predictor.predict("new", 1), []);
  });

  test("refuses a bound that is none", () => {
    assert.throws(() => new QueryPredictor({ maxContexts: Number.NaN }), /maxContexts/);
  });
});

suite("Prefetcher", () => {
  test("fetches what probably comes next, and counts what of it is used", () => {
    const prefetcher = new Prefetcher();
    const fetched: string[] = [];
    for (const key of "abababab") prefetcher.observe("s", key, (next) => fetched.push(next) > 0);
    assert.ok(fetched.includes("b"));
    const { issued, used, wasted, precision, on } = prefetcher.getStats();
    assert.equal(issued, fetched.length);
    assert.ok(used > 0);
    assert.deepEqual({ wasted, precision, on }, { wasted: 0, precision: 1, on: true });
  });

  test("counts nothing as issued that could not be fetched", () => {
    const prefetcher = new Prefetcher();
    for (const key of "abababab") prefetcher.observe("s", key, () => false);
    assert.equal(prefetcher.getStats().issued, 0);
  });

  test("switches itself off while little of what it fetches is used, and on again when that changes", () => {
    const prefetcher = new Prefetcher({ minProbability: 0.05 });
    let asked = 0;
    const fetch = (): boolean => {
      asked += 1;
      return true;
    };
    // Each key is followed by another one each time: every prediction is wrong.
    for (let round = 0; round < 40; round++) {
      for (let key = 0; key < 20; key++) {
        prefetcher.observe("s", `k${key}`, fetch);
        prefetcher.observe("s", `${round}/${key}`, fetch);
      }
    }
    assert.equal(prefetcher.getStats().on, false);
    const before = asked;
    for (let round = 40; round < 50; round++) prefetcher.observe("s", `${round}`, fetch);
    assert.ok(asked - before <= 1);
    for (let round = 0; round < 3_000; round++) prefetcher.observe("t", round % 2 === 0 ? "a" : "b", fetch);
    assert.equal(prefetcher.getStats().on, true);
  });

  test("refuses shares outside 0..1", () => {
    assert.throws(() => new Prefetcher({ minPrecision: 2 }), /minPrecision/);
  });
});
