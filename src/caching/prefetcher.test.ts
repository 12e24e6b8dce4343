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
  test("names what probably comes next", () => {
    const prefetcher = new Prefetcher();
    const named = [..."abababab"].flatMap((key) => prefetcher.observe("s", key));
    assert.ok(named.includes("b"));
  });

  test("counts what it fetched as used or as wasted, once, and other queries as neither", () => {
    const prefetcher = new Prefetcher();
    for (const key of "abcd") prefetcher.observe("s", key);
    for (const key of "abc") prefetcher.begun(key);
    prefetcher.settle("a", "used");
    prefetcher.settle("a", "used");
    prefetcher.settle("b", "wasted");
    prefetcher.settle("d", "used");
    const { issued, used, wasted, precision, coverage, waste } = prefetcher.getStats();
    assert.deepEqual({ issued, used, wasted }, { issued: 3, used: 1, wasted: 1 });
    assert.deepEqual({ precision, coverage, waste }, { precision: 0.5, coverage: 0.25, waste: 1 / 3 });
  });

  test("gives up on fetches that nobody has asked for since many others", () => {
    const prefetcher = new Prefetcher();
    for (let key = 0; key < 257; key++) prefetcher.begun(`${key}`);
    assert.equal(prefetcher.getStats().wasted, 1);
    prefetcher.settle("0", "used");
    assert.equal(prefetcher.getStats().used, 0);
  });

  test("switches itself off while little of what it fetches is used, and on again when that changes", () => {
    const prefetcher = new Prefetcher();
    const fetch = (key: string, outcome: "used" | "wasted"): boolean => {
      const allowed = prefetcher.allows();
      if (allowed) {
        prefetcher.begun(key);
        prefetcher.settle(key, outcome);
      }
      return allowed;
    };
    for (let key = 0; key < 100; key++) fetch(`${key}`, "wasted");
    assert.equal(prefetcher.getStats().on, false);
    const taken = Array.from({ length: 100 }, (_, key) => fetch(`${key}`, "used")).filter(Boolean);
    assert.equal(taken.length, 5);
    for (let key = 0; key < 2_000; key++) fetch(`${key}`, "used");
    assert.equal(prefetcher.getStats().on, true);
  });

  test("refuses shares outside 0..1", () => {
    assert.throws(() => new Prefetcher({ minPrecision: 2 }), /minPrecision/);
  });
});
