import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CostMeter } from "./cost-meter.ts";

const text = (namespace: string | undefined, tokens: number) => ({ namespace, tokens });

describe("the account of cost", () => {
  test("shares a call out by the texts' lengths, as far as the model's count goes", () => {
    const meter = new CostMeter({ price: { perMillionTokens: 1_000_000, perCall: 4 }, budget: undefined });
    meter.charge([text("ada", 30), text("ben", 10)], 1, 80);
    assert.deepEqual(meter.byNamespace, {
      ada: { texts: 1, tokens: 60, calls: 1, price: 62 },
      ben: { texts: 1, tokens: 20, calls: 1, price: 22 },
    });
    assert.deepEqual(meter.total, { texts: 2, tokens: 80, calls: 1, price: 84 });
  });

  test("takes the estimates where the model counts nothing", () => {
    const meter = new CostMeter({ price: {}, budget: undefined });
    meter.charge([text(undefined, 30)], 1, undefined);
    assert.deepEqual(meter.byNamespace, { "(none)": { texts: 1, tokens: 30, calls: 1, price: 0 } });
  });

  test("sets aside what is on its way, and takes it back when it fails", () => {
    const meter = new CostMeter({ price: { perThousandTexts: 1_000 }, budget: 2 });
    meter.reserve([text("a", 1), text("a", 1)]);
    assert.throws(() => meter.reserve([text("a", 1)]), {
      code: "BUDGET_EXCEEDED",
      details: { budget: 2, spent: 0, texts: 1 },
    });
    meter.release([text("a", 1)]);
    meter.reserve([text("a", 1)]);
  });

  test("keeps its accounts bounded", () => {
    const meter = new CostMeter({ price: {}, budget: undefined });
    for (let i = 0; i < 1_500; i++) meter.chargeCall(`namespace ${i}`, 1, 1);
    const accounts = meter.byNamespace;
    assert.equal(Object.keys(accounts).length, 1_001);
    assert.equal(accounts["(other)"]?.texts, 500);
  });
});
