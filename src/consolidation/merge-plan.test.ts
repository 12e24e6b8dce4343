import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Memory } from "../contract/memory.ts";
import { tiers } from "../contract/tier.ts";
import { planExactMerges } from "./merge-plan.ts";

function memory(id: string, fields: Partial<Memory> = {}): Memory {
  const times = { createdAt: 1, updatedAt: 1, lastUsedAt: 1 };
  const empty = { tags: [], metadata: {}, pinned: false, version: 1, accessCount: 0, importance: 0.5 };
  const said = { content: "the same", contentHash: "h", namespace: "n", tier: "long_term" } as const;
  return { id, ...said, ...times, ...empty, ...fields };
}

describe("merging duplicates", () => {
  test("the older one takes the newer one in", () => {
    const [merge] = planExactMerges([memory("new", { createdAt: 2 }), memory("old")], new Set());
    assert.deepEqual(merge, {
      kind: "merge",
      keep: { id: "old", version: 1 },
      absorb: { id: "new", version: 1 },
      reason: "same text, thread, speaker and time as old",
    });
  });

  test("the one in the higher tier stays, so that no life is shortened", () => {
    const [merge] = planExactMerges(
      [memory("old", { tier: "working" }), memory("new", { createdAt: 2, tier: "semantic" })],
      new Set(),
    );
    assert.equal(merge?.keep.id, "new");
  });

  test("another thread, speaker or time, a chunk and a pinned memory stay alone", () => {
    const source = { documentId: "d", uri: "u", headings: [], chunk: 0, start: 0, end: 1 };
    const others = [{ thread: "t" }, { speaker: "s" }, { at: 5 }, { source }, { pinned: true }];
    for (const other of [...others, { metadata: { room: 4 } }])
      assert.deepEqual(planExactMerges([memory("a"), memory("b", other)], new Set()), []);
  });

  test("the order of keys in metadata and what was merged before tell nothing apart", () => {
    const [a, b] = [
      { n: { x: 1, y: [2] }, m: 3 },
      { mergedFrom: [{ id: "z" }], m: 3, n: { y: [2], x: 1 } },
    ];
    const group = [memory("a", { metadata: a }), memory("b", { metadata: b })];
    assert.equal(planExactMerges(group, new Set()).length, 1);
  });

  test("two that have more tags than one memory may have stay alone", () => {
    const tags = (from: string) => Array.from({ length: 33 }, (_, at) => `${from}${at}`);
    const group = (one: string, other: string) => [
      memory("a", { tags: tags(one) }),
      memory("b", { tags: tags(other) }),
    ];
    assert.equal(planExactMerges(group("x", "y"), new Set()).length, 0);
    assert.equal(planExactMerges(group("x", "x"), new Set()).length, 1);
  });

  test("two turns of a thread without a time may be equal words, with the same time they are one", () => {
    const turns = (at?: number) =>
      ["a", "b"].map((id) => memory(id, { thread: "t", ...(at !== undefined && { at }) }));
    assert.deepEqual(planExactMerges(turns(), new Set()), []);
    assert.equal(planExactMerges(turns(5), new Set()).length, 1);
  });

  test("each memory is part of one merge at most, and every larger group shrinks by half", () => {
    const group = fc.uniqueArray(
      fc.record({ id: fc.string({ minLength: 1 }), createdAt: fc.nat(5), tier: fc.constantFrom(...tiers) }),
      { selector: ({ id }) => id },
    );
    fc.assert(
      fc.property(group, (fields) => {
        const merges = planExactMerges(
          fields.map(({ id, ...rest }) => memory(id, rest)),
          new Set(),
        );
        const ids = merges.flatMap(({ keep, absorb }) => [keep.id, absorb.id]);
        assert.equal(new Set(ids).size, ids.length);
        assert.equal(merges.length, Math.floor(fields.length / 2));
      }),
    );
  });
});
