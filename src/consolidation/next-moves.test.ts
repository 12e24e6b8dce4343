import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Candidate } from "../contract/consolidation.ts";
import { dayMs, relevanceKeys, utcDay } from "../contract/relevance.ts";
import { defaultTierTable, tiers } from "../contract/tier.ts";
import { demotionPolicy } from "./demotion-policy.ts";
import { type LivingEntry, nextMoves, type TendingRules } from "./next-moves.ts";
import { promotionPolicy } from "./promotion-policy.ts";

const now = Date.UTC(2026, 0, 1, 12);
const rules: TendingRules = {
  consolidationThreshold: 0.75,
  demotionThreshold: 0.2,
  decayRate: 0.1,
  limits: defaultTierTable,
  now,
};

function entry(fields: Partial<LivingEntry> = {}): LivingEntry {
  const rest = { importance: 0.5, accessCount: 0, lastUsedAt: now, pinned: false, document: false };
  return { tier: "long_term", expiresAt: now + 30 * dayMs, ...rest, ...fields };
}

describe("what happens next", () => {
  test("a memory as it is stored is promoted at ten uses, or expires in thirty days", () => {
    assert.deepEqual(nextMoves(entry(), rules), [
      { kind: "promote", to: "semantic", uses: 10 },
      { kind: "expire", at: now + 30 * dayMs },
    ]);
  });

  test("one of low importance goes down first, and no number of uses takes it up", () => {
    assert.deepEqual(nextMoves(entry({ importance: 0.2 }), rules), [
      { kind: "demote", to: "episodic", at: (utcDay(now) + 7) * dayMs },
      { kind: "expire", at: now + 30 * dayMs },
    ]);
  });

  test("what is pinned, or knowledge, stays", () => {
    assert.deepEqual(nextMoves(entry({ pinned: true }), rules), [{ kind: "stay" }]);
    assert.deepEqual(nextMoves(entry({ tier: "semantic", expiresAt: undefined }), rules), [{ kind: "stay" }]);
  });

  test("is what the policies then do", () => {
    const living = fc.record({
      tier: fc.constantFrom("working", "short_term", "episodic", "long_term" as const),
      importance: fc.double({ min: 0, max: 1, noNaN: true }),
      accessCount: fc.nat(12),
      age: fc.nat(12),
    });
    fc.assert(
      fc.property(living, ({ age, ...fields }) => {
        const lastUsedAt = now - age * dayMs;
        const told = nextMoves(
          entry({ ...fields, lastUsedAt, expiresAt: now + 300 * dayMs, tier: fields.tier as "episodic" }),
          { ...rules, limits: longTable },
        );
        const demotion = told.find(({ kind }) => kind === "demote");
        const below = tiers[tiers.indexOf(fields.tier) - 1];
        if (below === undefined) return assert.equal(demotion, undefined);
        for (let day = 0; day < 14; day++) {
          const then = now + day * dayMs;
          const wanted = demotes({ ...fields, lastUsedAt }, then) !== undefined;
          assert.equal(demotion !== undefined && demotion.at! <= then, wanted, `day ${day}`);
        }
        const promotion = told.find(({ kind }) => kind === "promote");
        assert.equal(promotion?.at === now, promotes({ ...fields, lastUsedAt }) !== undefined);
        return undefined;
      }),
    );
  });
});

const longTable = Object.fromEntries(
  tiers.map((tier) => [tier, { ttlSeconds: 300 * 86_400 + 12 * 86_400, capacity: 0 }]),
) as typeof defaultTierTable;

type Fields = Pick<LivingEntry, "tier" | "importance" | "accessCount" | "lastUsedAt">;

function candidate(fields: Fields): Candidate {
  const keys = relevanceKeys(fields, 0.1);
  return { id: "one", document: false, createdAt: 0, version: 1, keys, ...fields };
}

function demotes(fields: Fields, then: number): string | undefined {
  const to = tiers[tiers.indexOf(fields.tier) - 1]!;
  const context = { now: then, day: utcDay(then), decayRate: 0.1, limits: longTable, from: fields.tier, to };
  return demotionPolicy(0.2).judge(candidate(fields), context);
}

function promotes(fields: Fields): string | undefined {
  const to = tiers[tiers.indexOf(fields.tier) + 1]!;
  const context = { now, day: utcDay(now), decayRate: 0.1, limits: longTable, from: fields.tier, to };
  return promotionPolicy(0.75).judge(candidate(fields), context);
}
