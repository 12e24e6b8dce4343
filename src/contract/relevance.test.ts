import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import {
  dayMs,
  fadedDay,
  isAtLeast,
  type RelevanceInput,
  relevance,
  relevanceKeys,
  relevanceOffset,
  utcDay,
} from "./relevance.ts";

/** The reference's formula as it is written down. */
function referenceRelevance(input: RelevanceInput, now: number, decayRate: number): number {
  const age = utcDay(now) - utcDay(input.lastUsedAt);
  const recency = Math.max(0, 1 - decayRate * age);
  return 0.5 * input.importance + 0.3 * recency + 0.2 * Math.min(1, input.accessCount / 10);
}

const share = fc.double({ min: 0, max: 1, noNaN: true });
const inputs = fc.record({
  importance: share,
  accessCount: fc.integer({ min: 0, max: 40 }),
  lastUsedAt: fc.integer({ min: 0, max: 40_000 * dayMs }),
});
const ages = fc.integer({ min: 0, max: 3_000 * dayMs });

suite("relevance", () => {
  test("a memory of default importance used ten times today is at the promotion threshold", () => {
    const now = Date.UTC(2026, 5, 1);
    const keys = relevanceKeys({ importance: 0.5, accessCount: 10, lastUsedAt: now }, 0.1);
    assert.ok(isAtLeast(keys, 0.75, relevanceOffset(utcDay(now), 0.1)));
  });

  test("the keys give the reference's formula to 1e-9 at any age and decay", () => {
    fc.assert(
      fc.property(inputs, ages, share, (input, age, decayRate) => {
        const now = input.lastUsedAt + age;
        const keys = relevanceKeys(input, decayRate);
        const got = relevance(keys, relevanceOffset(utcDay(now), decayRate));
        assert.ok(Math.abs(got - referenceRelevance(input, now, decayRate)) < 1e-9);
      }),
    );
  });

  test("k orders fresh memories as relevance does on every later day on which they are fresh", () => {
    fc.assert(
      fc.property(inputs, inputs, fc.constantFrom(0.05, 0.1, 0.5), (a, b, decayRate) => {
        const today = Math.max(utcDay(a.lastUsedAt), utcDay(b.lastUsedAt));
        const faded = fadedDay(today, decayRate);
        fc.pre(utcDay(a.lastUsedAt) > faded && utcDay(b.lastUsedAt) > faded);
        const [ka, kb] = [relevanceKeys(a, decayRate), relevanceKeys(b, decayRate)];
        const difference =
          referenceRelevance(a, today * dayMs, decayRate) - referenceRelevance(b, today * dayMs, decayRate);
        if (Math.abs(difference) > 1e-9) assert.equal(Math.sign(ka.k - kb.k), Math.sign(difference));
      }),
    );
  });

  test("a memory fades on the day its recency reaches zero, and never without decay", () => {
    const today = 20_000;
    assert.equal(fadedDay(today, 0.1), today - 10);
    assert.equal(fadedDay(today, 0), Number.NEGATIVE_INFINITY);
    const lastUsedAt = fadedDay(today, 0.1) * dayMs;
    const keys = relevanceKeys({ importance: 0.5, accessCount: 0, lastUsedAt }, 0.1);
    assert.ok(Math.abs(relevance(keys, relevanceOffset(today, 0.1)) - keys.b) < 1e-9);
  });
});
