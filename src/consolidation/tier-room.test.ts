import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { Candidate } from "../contract/consolidation.ts";
import { TierRoom } from "./tier-room.ts";

function entry(id: string, relevance: number, createdAt = 0): Candidate {
  const uses = { importance: 0.5, accessCount: 0, lastUsedAt: 0 };
  const keys = { b: relevance, k: 0 };
  return { id, document: false, tier: "episodic", ...uses, createdAt, version: 1, keys };
}

async function* inOrder(entries: readonly Candidate[]): AsyncGenerator<Candidate> {
  yield* entries.toSorted((a, b) => a.keys.b - b.keys.b || a.createdAt - b.createdAt);
}

function room(entries: readonly Candidate[], capacity: number): TierRoom {
  return new TierRoom({ tier: "long_term", entries: entries.length, capacity }, inOrder(entries), 0);
}

describe("the room of a planned tier", () => {
  test("an entry comes in while there is room, then in place of a less relevant one, then not", async () => {
    const tier = room([entry("low", 0.1)], 2);
    assert.deepEqual(await tier.enter(entry("a", 0.5)), { outcome: "done", evicted: [] });
    const { outcome, evicted } = await tier.enter(entry("b", 0.4));
    assert.equal(outcome, "done");
    assert.deepEqual(
      evicted.map(({ id }) => id),
      ["low"],
    );
    assert.equal((await tier.enter(entry("c", 0.4))).outcome, "full");
  });

  test("an unlimited tier takes all and asks for none of its entries", async () => {
    // biome-ignore lint/correctness/useYield: it must not be asked.
    const never = (async function* (): AsyncGenerator<Candidate> {
      throw new Error("asked");
    })();
    const tier = new TierRoom({ tier: "semantic", entries: 1e6, capacity: 0 }, never, 0);
    assert.equal((await tier.enter(entry("a", 0))).outcome, "done");
  });

  test("does what a plain list would do, whatever comes and leaves", async () => {
    const step = fc.record({ relevance: fc.nat(20), leaves: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(20), { maxLength: 12 }),
        fc.array(step, { maxLength: 30 }),
        fc.integer({ min: 1, max: 8 }),
        async (present, steps, capacity) => {
          let created = 0;
          const list = present.map((relevance, at) => entry(`p${at}`, relevance / 20, created++));
          const tier = room(list, capacity);
          let model = [...list];
          const least = () => model.toSorted((a, b) => a.keys.b - b.keys.b || a.createdAt - b.createdAt)[0];
          for (const { relevance, leaves } of steps) {
            const gone = leaves ? model[relevance % Math.max(1, model.length)] : undefined;
            if (gone) {
              tier.leave(gone.id);
              model = model.filter((each) => each !== gone);
              continue;
            }
            const coming = entry(`c${created}`, relevance / 20, created++);
            const expected: string[] = [];
            let full = false;
            while (model.length >= capacity && !full) {
              const head = least()!;
              if (head.keys.b >= coming.keys.b) full = true;
              else {
                expected.push(head.id);
                model = model.filter((each) => each !== head);
              }
            }
            if (!full) model.push(coming);
            const { outcome, evicted } = await tier.enter(coming);
            assert.equal(outcome, full ? "full" : "done");
            assert.deepEqual(
              evicted.map(({ id }) => id),
              expected,
            );
          }
        },
      ),
    );
  });
});
