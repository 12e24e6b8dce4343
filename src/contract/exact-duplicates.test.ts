import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { canRepeat, duplicateKey, isRepeat, type Saying } from "./exact-duplicates.ts";
import type { Metadata } from "./memory.ts";

const said: Saying = { contentHash: "h", tags: [], metadata: {} };
const source = { documentId: "d", uri: "u", headings: [], chunk: 0, start: 0, end: 1 };

suite("exact duplicates", () => {
  test("the same text without anything else is the same", () => {
    assert.ok(isRepeat(said, { ...said }));
    assert.equal(duplicateKey(said), duplicateKey({ ...said }));
  });

  const others: readonly Partial<Saying>[] = [
    { contentHash: "i" },
    { speaker: "Ada" },
    { at: 0 },
    { thread: "trip", at: 0 },
  ];
  for (const other of others) {
    test(`${JSON.stringify(other)} makes another memory`, () => {
      assert.ok(!isRepeat({ ...said, ...other }, said));
      assert.ok(!isRepeat(said, { ...said, ...other }));
      assert.notEqual(duplicateKey(said), duplicateKey({ ...said, ...other }));
    });
  }

  test("a chunk and a turn without a time are never the same as another", () => {
    for (const alone of [
      { ...said, source },
      { ...said, thread: "trip" },
    ]) {
      assert.ok(!canRepeat(alone));
      assert.ok(!isRepeat(alone, alone));
    }
    assert.ok(isRepeat({ ...said, thread: "trip", at: 5 }, { ...said, thread: "trip", at: 5 }));
  });

  test("one repeats another that has more metadata, not one that has less", () => {
    const more = { ...said, metadata: { room: 4 } };
    assert.ok(isRepeat(said, more));
    assert.ok(!isRepeat(more, said));
    assert.ok(!isRepeat({ ...said, metadata: { toString: 1 } }, said));
  });

  test("tags tell nothing apart while there is room for them", () => {
    const tags = (from: string, count: number) => Array.from({ length: count }, (_, at) => `${from}${at}`);
    assert.ok(isRepeat({ ...said, tags: tags("x", 32) }, { ...said, tags: tags("y", 32) }));
    assert.ok(isRepeat({ ...said, tags: tags("x", 64) }, { ...said, tags: tags("x", 64) }));
    assert.ok(!isRepeat({ ...said, tags: tags("x", 33) }, { ...said, tags: tags("y", 32) }));
  });

  test("two have the same key exactly when each repeats the other", () => {
    const name = fc.option(fc.constantFrom("a", "b"), { nil: undefined });
    const value = fc.jsonValue({ maxDepth: 2, depthSize: "small" });
    const metadata = fc.dictionary(fc.constantFrom("a", "b", "__proto__", "mergedFrom"), value, {
      maxKeys: 2,
    });
    const saying: fc.Arbitrary<Saying> = fc.record({
      contentHash: fc.constantFrom("h", "i"),
      speaker: name,
      thread: name,
      at: fc.constantFrom(0, 1),
      tags: fc.constant([]),
      metadata: metadata as fc.Arbitrary<Metadata>,
    });
    const changed = saying.chain((one) =>
      fc.tuple(
        fc.constant(one),
        fc.oneof(
          saying,
          metadata.map((other) => ({ ...one, metadata: other as Metadata })),
          fc.constant({ ...one, metadata: Object.fromEntries(Object.entries(one.metadata).toReversed()) }),
        ),
      ),
    );
    fc.assert(
      fc.property(changed, ([one, other]) => {
        const both = isRepeat(one, other) && isRepeat(other, one);
        assert.equal(duplicateKey(one) === duplicateKey(other), both);
      }),
    );
  });
});
