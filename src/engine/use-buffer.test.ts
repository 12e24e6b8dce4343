import assert from "node:assert/strict";
import { suite, test } from "node:test";
import type { Clock } from "../contract/clock.ts";
import type { MemoryStore, Use } from "../contract/memory-store.ts";
import { UseBuffer } from "./use-buffer.ts";

/** Time and a store that records what is written to it. */
function setup(): {
  uses: UseBuffer;
  written: [string, readonly Use[]][];
  fire: () => void;
  fail: (error: Error | undefined) => void;
} {
  const written: [string, readonly Use[]][] = [];
  let due: (() => void) | undefined;
  let failure: Error | undefined;
  const clock: Clock = {
    now: () => 5,
    monotonic: () => 0,
    schedule(callback) {
      due = callback;
      return () => {
        due = undefined;
      };
    },
  };
  const store = {
    async touch({ namespace }: { namespace: string }, uses: readonly Use[]) {
      if (failure) throw failure;
      written.push([namespace, uses]);
    },
  } as unknown as MemoryStore;
  const fail = (error: Error | undefined): void => {
    failure = error;
  };
  return { uses: new UseBuffer(store, clock), written, fire: () => due?.(), fail };
}

suite("UseBuffer", () => {
  test("adds up uses and writes them once, by namespace", async () => {
    const { uses, written, fire } = setup();
    uses.add("a", ["1", "2"]);
    uses.add("a", ["1"]);
    uses.add("b", ["1"]);
    assert.equal(uses.size, 3);
    assert.deepEqual(written, []);
    fire();
    await uses.flush();
    const use = (id: string, count: number): Use => ({ id, count, lastUsedAt: 5 });
    assert.deepEqual(written, [
      ["a", [use("1", 2), use("2", 1)]],
      ["b", [use("1", 1)]],
    ]);
    assert.equal(uses.size, 0);
  });

  test("writes at once when very many wait", async () => {
    const { uses, written } = setup();
    uses.add(
      "a",
      Array.from({ length: 10_001 }, (_, index) => `${index}`),
    );
    await uses.flush();
    assert.equal(written[0]?.[1].length, 10_001);
  });

  test("tells a failed flush to who asked for it, and goes on", async () => {
    const { uses, written, fire, fail } = setup();
    fail(new Error("disk"));
    uses.add("a", ["1"]);
    await assert.rejects(uses.flush(), /disk/);
    assert.match(String(uses.lastError), /disk/);
    fail(undefined);
    uses.add("a", ["2"]);
    fire();
    await uses.flush();
    assert.equal(written.length, 1);
    assert.equal(uses.lastError, undefined);
  });
});
