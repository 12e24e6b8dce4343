import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Candidate } from "../contract/consolidation.ts";
import { dayMs, relevanceKeys, utcDay } from "../contract/relevance.ts";
import { defaultTierTable, tiers } from "../contract/tier.ts";
import type { MoveContext } from "./move-policy.ts";
import { promotionPolicy } from "./promotion-policy.ts";

const noon = Date.UTC(2026, 0, 1, 12);
const policy = promotionPolicy(0.75);

function entry(fields: Partial<Candidate> = {}): Candidate {
  const { importance = 0.5, accessCount = 0, lastUsedAt = noon } = fields;
  const keys = relevanceKeys({ importance, accessCount, lastUsedAt }, 0.1);
  const rest = { importance, accessCount, lastUsedAt, createdAt: noon, version: 1, keys };
  return { id: "one", document: false, tier: "episodic", ...rest, ...fields };
}

function context(fields: Partial<MoveContext> = {}): MoveContext {
  const now = fields.now ?? noon;
  const rest = { decayRate: 0.1, limits: defaultTierTable, from: "episodic", to: "long_term" } as const;
  return { now, day: utcDay(now), ...rest, ...fields };
}

describe("promotion", () => {
  test("a memory of default importance used ten times goes up on the day of its last use", () => {
    const reason = policy.judge(entry({ accessCount: 10 }), context());
    assert.equal(reason, "relevance 0.75, at least 0.75: importance 0.5, 10 uses, last used today");
  });

  test("on whatever day that is: sums of hundreds lose no memory by a last bit", () => {
    for (let day = 15_000; day < 40_000; day++) {
      const lastUsedAt = day * dayMs + 5;
      const used = entry({ accessCount: 10, lastUsedAt });
      assert.ok(policy.judge(used, context({ now: lastUsedAt })) !== undefined, `day ${day}`);
    }
  });

  test("after nine uses, or a day later, it stays", () => {
    assert.equal(policy.judge(entry({ accessCount: 9 }), context()), undefined);
    assert.equal(policy.judge(entry({ accessCount: 10 }), context({ now: noon + dayMs })), undefined);
  });

  test("the first pass of a day judges with the day before, and what is used today as of today", () => {
    const now = noon + dayMs;
    const firstOfDay = context({ now, day: utcDay(noon) });
    assert.ok(policy.judge(entry({ accessCount: 10 }), firstOfDay) !== undefined);
    assert.equal(policy.judge(entry({ accessCount: 9, lastUsedAt: now }), firstOfDay), undefined);
    assert.ok(policy.judge(entry({ accessCount: 10, lastUsedAt: now }), firstOfDay) !== undefined);
  });

  test("goes one step up, the upper tiers first", () => {
    assert.deepEqual(policy.routes(defaultTierTable), [
      { from: "long_term", to: "semantic" },
      { from: "episodic", to: "long_term" },
      { from: "short_term", to: "episodic" },
      { from: "working", to: "short_term" },
    ]);
  });

  test("never into a tier that is set to keep it for less time", () => {
    const limits = { ...defaultTierTable, long_term: { ttlSeconds: 3_600, capacity: 10 } };
    assert.ok(!policy.routes(limits).some(({ to }) => to === "long_term"));
    const forEver = { ...defaultTierTable, episodic: { ttlSeconds: 0, capacity: 10 } };
    assert.ok(!policy.routes(forEver).some(({ from }) => from === "episodic"));
    for (const { from, to } of policy.routes(defaultTierTable))
      assert.equal(tiers.indexOf(to), tiers.indexOf(from) + 1);
  });

  test("whatever is promoted is relevant as of today or of the day of its use", () => {
    const anyEntry = fc.record({
      importance: fc.double({ min: 0, max: 1, noNaN: true }),
      accessCount: fc.nat(30),
      age: fc.nat(40),
    });
    fc.assert(
      fc.property(anyEntry, fc.boolean(), ({ importance, accessCount, age }, isFirst) => {
        const lastUsedAt = noon - age * dayMs;
        const judged = entry({ importance, accessCount, lastUsedAt });
        const reason = policy.judge(judged, context({ day: utcDay(noon) - (isFirst ? 1 : 0) }));
        const days = Math.max(0, age - (isFirst ? 1 : 0));
        const relevance =
          0.5 * importance + 0.3 * Math.max(0, 1 - 0.1 * days) + 0.2 * Math.min(1, accessCount / 10);
        if (Math.abs(relevance - 0.75) > 1e-8) assert.equal(reason !== undefined, relevance > 0.75);
      }),
    );
  });
});
