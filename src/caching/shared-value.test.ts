import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { shareValue } from "./shared-value.ts";

suite("a shared value", () => {
  test("of plain data is the same frozen object for everyone", () => {
    const value = { hits: [{ id: "1", tags: ["a"] }] };
    const shared = shareValue(value);
    assert.equal(shared.give(), shared.give());
    assert.ok(Object.isFrozen(value.hits[0]!.tags));
    assert.equal(shared.isolated, true);
  });

  test("with maps, sets, dates or binary data in it is copied for everyone, kinds kept", () => {
    const circle: { self?: unknown } = {};
    circle.self = circle;
    const value = {
      map: new Map([["k", { n: 1 }]]),
      set: new Set([1]),
      date: new Date(5),
      vector: new Float32Array([1, 2]),
      bytes: Buffer.from("text"),
      circle,
    };
    const shared = shareValue(value);
    const first = shared.give() as typeof value;
    assert.deepEqual(first, value);
    first.map.get("k")!.n = 9;
    first.set.add(2);
    first.date.setTime(9);
    first.vector[0] = 9;
    first.bytes.write("TEXT");
    value.vector[1] = 9;
    const second = shared.give() as typeof value;
    assert.deepEqual(
      [
        second.map.get("k")!.n,
        second.set.size,
        second.date.getTime(),
        [...second.vector],
        String(second.bytes),
      ],
      [1, 1, 5, [1, 2], "text"],
    );
    assert.equal(second.circle.self, second.circle);
  });

  test("of functions or instances of classes is neither, and said to be so", () => {
    for (const value of [() => 1, { run: () => 1 }, new URL("https://example.com"), Promise.resolve()])
      assert.equal(shareValue(value).isolated, false);
  });

  test("may be nested deeper than the stack reaches", () => {
    let deep: object = {};
    for (let level = 0; level < 100_000; level++) deep = { deep };
    assert.ok(shareValue(deep).bytes > 100_000);
    assert.equal(shareValue({ deep, date: new Date() }).isolated, false);
  });

  test("of any JSON is equal to what was shared, and counts at least its text", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const expected = structuredClone(value);
        const { give, bytes } = shareValue(value);
        assert.deepEqual(give(), expected);
        assert.ok(typeof value !== "string" || bytes >= 2 * value.length);
      }),
    );
  });
});
