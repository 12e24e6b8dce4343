import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Candidate } from "../contract/consolidation.ts";
import { dayMs, relevanceKeys, utcDay } from "../contract/relevance.ts";
import { defaultTierTable, type Tier } from "../contract/tier.ts";
import { demotionPolicy, restsUntil } from "./demotion-policy.ts";
import type { MoveContext } from "./move-policy.ts";

const noon = Date.UTC(2026, 0, 1, 12);
const policy = demotionPolicy(0.2);

function entry(tier: Tier, fields: Partial<Candidate> = {}): Candidate {
  const { importance = 0.1, accessCount = 0, lastUsedAt = noon - 20 * dayMs } = fields;
  const keys = relevanceKeys({ importance, accessCount, lastUsedAt }, 0.1);
  const expiresAt = lastUsedAt + defaultTierTable[tier].ttlSeconds * 1_000;
  const rest = { importance, accessCount, lastUsedAt, createdAt: lastUsedAt, version: 1, keys };
  return { id: "one", document: false, tier, expiresAt, ...rest, ...fields };
}

function context(from: Tier, to: Tier, now = noon): MoveContext {
  return { now, day: utcDay(now), decayRate: 0.1, limits: defaultTierTable, from, to };
}

describe("demotion", () => {
  test("a memory of low importance that nobody used for ten days goes down", () => {
    assert.equal(
      policy.judge(entry("long_term"), context("long_term", "episodic")),
      "relevance 0.05, below 0.2: importance 0.1, 0 uses, last used 20 days ago, in long_term",
    );
  });

  test("an unused memory of default importance never does", () => {
    const unused = entry("long_term", { importance: 0.5, lastUsedAt: noon - 29 * dayMs });
    assert.equal(policy.judge(unused, context("long_term", "episodic")), undefined);
  });

  test("nor does a document, or what is in semantic or in a tier without a time to live", () => {
    const document = entry("long_term", { document: true });
    assert.equal(policy.judge(document, context("long_term", "episodic")), undefined);
    assert.equal(policy.range.memoriesOnly, true);
    assert.deepEqual(policy.routes(defaultTierTable), [
      { from: "short_term", to: "working" },
      { from: "episodic", to: "short_term" },
      { from: "long_term", to: "episodic" },
    ]);
    const limits = { ...defaultTierTable, long_term: { ttlSeconds: 0, capacity: 5 } };
    assert.ok(!policy.routes(limits).some(({ from }) => from === "long_term"));
    const mortal = { ...defaultTierTable, semantic: { ttlSeconds: 60, capacity: 5 } };
    assert.ok(!policy.routes(mortal).some(({ from }) => from === "semantic"));
  });

  test("what was moved since its last use rests for half of the tier's time to live", () => {
    const lastUsedAt = noon - 20 * dayMs;
    const moved = entry("episodic", { lastUsedAt, expiresAt: noon + 7 * dayMs });
    const into = (now: number) => policy.judge(moved, context("episodic", "short_term", now));
    assert.equal(restsUntil(moved, defaultTierTable), noon + 3.5 * dayMs);
    assert.equal(into(noon), undefined);
    assert.equal(into(noon + 3.5 * dayMs - 1), undefined);
    assert.ok(into(noon + 3.5 * dayMs) !== undefined);
  });

  test("what was used since does not", () => {
    const lastUsedAt = noon - 6 * dayMs;
    assert.equal(restsUntil(entry("episodic", { lastUsedAt }), defaultTierTable), 0);
  });
});
