import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Clock } from "../contract/clock.ts";
import { StrataError } from "../contract/errors.ts";
import { QueryOptimizer, type QueryOptimizerOptions } from "./query-optimizer.ts";

/** A clock that stands still until it is moved; the wall and the monotonic time may be moved apart. */
class TestClock implements Clock {
  wall = 1_000_000;
  steady = 0;
  now(): number {
    return this.wall;
  }
  monotonic(): number {
    return this.steady;
  }
  schedule(): () => void {
    throw new Error("The optimizer has no timers.");
  }
  advance(ms: number): void {
    this.wall += ms;
    this.steady += ms;
  }
}

interface Setup {
  readonly clock: TestClock;
  readonly queries: QueryOptimizer;
}

function setup(options: QueryOptimizerOptions = {}): Setup {
  const clock = new TestClock();
  return { clock, queries: new QueryOptimizer({ clock, random: () => 0, ...options }) };
}

/** Work that ends when it is told to. */
function controlled<T>(): {
  work: (signal: AbortSignal) => Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
  calls: AbortSignal[];
} {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const calls: AbortSignal[] = [];
  const work = (signal: AbortSignal): Promise<T> => {
    calls.push(signal);
    return promise;
  };
  return { work, resolve, reject, calls };
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

suite("QueryOptimizer", () => {
  test("computes a query once and gives the result again", async () => {
    const { queries } = setup();
    let calls = 0;
    const work = (): number => ++calls;
    assert.equal(await queries.executeQuery("a", work), 1);
    assert.equal(await queries.executeQuery("a", work), 1);
    assert.equal(queries.getStats().hitRate, 0.5);
  });

  test("computes equal queries at once only once, and counts joins in the hit rate", async () => {
    const { queries } = setup();
    const one = controlled<string>();
    const answers = Array.from({ length: 100 }, () => queries.executeQuery("a", one.work));
    one.resolve("x");
    assert.deepEqual(new Set(await Promise.all(answers)), new Set(["x"]));
    assert.equal(one.calls.length, 1);
    const { joins, misses, hitRate } = queries.getStats();
    assert.deepEqual({ joins, misses, hitRate }, { joins: 99, misses: 1, hitRate: 0.99 });
  });

  test("keeps namespaces apart under equal keys", async () => {
    const { queries } = setup();
    await queries.executeQuery("a", () => "mine", { namespace: "one" });
    assert.equal(await queries.executeQuery("a", () => "yours", { namespace: "two" }), "yours");
  });

  test("keeps at most its entries, and a hit makes an entry stay", async () => {
    const { queries } = setup({ maxEntries: 2 });
    await queries.executeQuery("a", () => 1);
    await queries.executeQuery("b", () => 2);
    await queries.executeQuery("a", () => -1);
    await queries.executeQuery("c", () => 3);
    assert.equal(await queries.executeQuery("a", () => -1), 1);
    assert.equal(await queries.executeQuery("b", () => -2), -2);
    assert.equal(queries.getStats().evictions, 2);
  });

  test("keeps at most its bytes, and not a result larger than all of them", async () => {
    const { queries } = setup({ maxBytes: 10_000 });
    for (let key = 0; key < 50; key++) await queries.executeQuery(`${key}`, () => "x".repeat(500));
    assert.ok(queries.getStats().cacheBytes <= 10_000);
    assert.ok(queries.getStats().cacheSize > 1);
    await queries.executeQuery("large", () => "x".repeat(10_000));
    assert.equal(await queries.executeQuery("large", () => "again"), "again");
    assert.equal(queries.getStats().notKept, 1);
  });

  test("gives nobody a result that another caller could change", async () => {
    const { queries } = setup();
    const first = await queries.executeQuery("a", () => ({ hits: [{ id: "1" }] }));
    assert.throws(() => first.hits.push({ id: "2" }), TypeError);
    const vector = await queries.executeQuery("v", () => new Float32Array([1, 2]));
    vector[0] = 9;
    assert.deepEqual(await queries.executeQuery("v", () => new Float32Array()), new Float32Array([1, 2]));
  });

  test("forgets a result after its time, whatever the wall clock does", async () => {
    const { clock, queries } = setup({ ttlMs: 100 });
    await queries.executeQuery("a", () => 1);
    clock.wall -= 1_000_000;
    clock.steady += 99;
    assert.equal(await queries.executeQuery("a", () => 2), 1);
    clock.steady += 1;
    assert.equal(await queries.executeQuery("a", () => 2), 2);
  });

  test("shortens times at random, so that many do not end together", async () => {
    const { clock, queries } = setup({ ttlMs: 100, ttlJitter: 0.5, random: () => 0.5 });
    await queries.executeQuery("a", () => 1);
    clock.advance(75);
    assert.equal(await queries.executeQuery("a", () => 2), 2);
  });

  test("ends a result's time where it stops being true", async () => {
    const { clock, queries } = setup({ staleMs: 1_000 });
    const expiresAt = (): number => clock.wall + 50;
    await queries.executeQuery("a", () => 1, { expiresAt });
    clock.advance(50);
    assert.equal(await queries.executeQuery("a", () => 2), 2);
  });

  test("gives a stale result while it is computed again", async () => {
    const { clock, queries } = setup({ ttlMs: 100, staleMs: 100 });
    await queries.executeQuery("a", () => 1);
    clock.advance(150);
    assert.equal(await queries.executeQuery("a", () => 2), 1);
    await settled();
    assert.equal(await queries.executeQuery("a", () => 3), 2);
    assert.equal(queries.getStats().staleHits, 1);
  });

  test("computes again ahead of the end of a result that is asked for", async () => {
    const { clock, queries } = setup({ ttlMs: 100, refreshAhead: 0.2 });
    await queries.executeQuery("a", () => 1);
    clock.advance(81);
    assert.equal(await queries.executeQuery("a", () => 2), 1);
    await settled();
    clock.advance(90);
    assert.equal(await queries.executeQuery("a", () => 3), 2);
  });

  test("keeps empty results for a time of their own", async () => {
    const { clock, queries } = setup({ ttlMs: 100, emptyTtlMs: 10 });
    await queries.executeQuery<number[]>("a", () => []);
    clock.advance(10);
    assert.deepEqual(await queries.executeQuery("a", () => [1]), [1]);
  });

  test("tries a failed query again, unless asked to keep failures", async () => {
    const failing = (): never => {
      throw new Error("down");
    };
    const { queries } = setup();
    await assert.rejects(queries.executeQuery("a", failing), /down/);
    assert.equal(await queries.executeQuery("a", () => 1), 1);
    const keeping = setup({ errorTtlMs: 100 });
    await assert.rejects(keeping.queries.executeQuery("a", failing), /down/);
    await assert.rejects(
      keeping.queries.executeQuery<number>("a", () => 1),
      /down/,
    );
    keeping.clock.advance(100);
    assert.equal(await keeping.queries.executeQuery("a", () => 1), 1);
  });

  test("rejects every waiter of a failed query with its one error", async () => {
    const { queries } = setup();
    const one = controlled<number>();
    const answers = Array.from({ length: 3 }, () => queries.executeQuery("a", one.work));
    one.reject(new Error("down"));
    for (const answer of await Promise.allSettled(answers)) assert.equal(answer.status, "rejected");
    assert.equal(queries.getStats().inFlight, 0);
  });
});

suite("an abort", () => {
  test("of one follower takes that follower away alone", async () => {
    const { queries } = setup();
    const one = controlled<number>();
    const leader = queries.executeQuery("a", one.work);
    const controller = new AbortController();
    const follower = queries.executeQuery("a", one.work, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(follower, /enough/);
    one.resolve(1);
    assert.equal(await leader, 1);
    assert.equal(one.calls[0]?.aborted, false);
  });

  test("of the leader leaves its followers their answer", async () => {
    const { queries } = setup();
    const one = controlled<number>();
    const controller = new AbortController();
    const leader = queries.executeQuery("a", one.work, { signal: controller.signal });
    const follower = queries.executeQuery("a", one.work);
    controller.abort(new Error("enough"));
    await assert.rejects(leader, /enough/);
    one.resolve(1);
    assert.equal(await follower, 1);
    assert.equal(one.calls.length, 1);
  });

  test("of the last caller aborts the work, and the next caller begins anew", async () => {
    const { queries } = setup();
    const one = controlled<number>();
    const controller = new AbortController();
    const caller = queries.executeQuery("a", one.work, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(caller, /enough/);
    assert.equal(one.calls[0]?.aborted, true);
    assert.equal(await queries.executeQuery("a", () => 2), 2);
    one.resolve(1);
    await settled();
    assert.equal(await queries.executeQuery("a", () => 3), 2);
  });

  test("before the call rejects and computes nothing", async () => {
    const { queries } = setup();
    const one = controlled<number>();
    await assert.rejects(
      queries.executeQuery("a", one.work, { signal: AbortSignal.abort(new Error("enough")) }),
      /enough/,
    );
    assert.equal(one.calls.length, 0);
  });
});

suite("an invalidation", () => {
  test("drops one key, a prefix, a tag, a namespace, or everything", async () => {
    const { queries } = setup();
    const fill = async (): Promise<void> => {
      await queries.executeQuery("user:1", () => 1, { tags: ["users"] });
      await queries.executeQuery("user:2", () => 2, { namespace: "n" });
      await queries.executeQuery("post:1", () => 3, { namespace: "n", tags: ["users"] });
    };
    await fill();
    assert.equal(queries.invalidateCache("user:1"), 1);
    await fill();
    assert.equal(queries.invalidateCache({ prefix: "user:" }), 2);
    await fill();
    assert.equal(queries.invalidateCache({ tag: "users" }), 2);
    await fill();
    assert.equal(queries.invalidateCache({ namespace: "n" }), 2);
    await fill();
    assert.equal(queries.invalidateCache({ namespace: "n", tag: "users" }), 1);
    await fill();
    assert.equal(queries.invalidateCache(), 3);
    assert.equal(queries.getStats().cacheSize, 0);
    assert.equal(queries.getStats().cacheBytes, 0);
  });

  test("during a flight keeps its result out of the cache, and later callers from joining it", async () => {
    const { queries } = setup();
    const one = controlled<string>();
    const before = queries.executeQuery("a", one.work);
    queries.invalidateCache();
    const after = queries.executeQuery("a", () => "new");
    one.resolve("old");
    assert.equal(await before, "old");
    assert.equal(await after, "new");
    assert.equal(await queries.executeQuery("a", () => "newer"), "new");
  });
});

suite("closing", () => {
  test("answers everyone who waits, aborts their work and refuses later calls", async () => {
    const { queries } = setup();
    const one = controlled<number>();
    const waiting = queries.executeQuery("a", one.work);
    await queries.close();
    await queries.close();
    const closed = (error: unknown): boolean => StrataError.isInstance(error) && error.code === "CLOSED";
    await assert.rejects(waiting, closed);
    assert.equal(one.calls[0]?.aborted, true);
    await assert.rejects(
      queries.executeQuery("a", () => 1),
      closed,
    );
    assert.equal(
      queries.prefetch("a", () => 1),
      false,
    );
  });
});

suite("prefetching", () => {
  test("fills the cache in bounded background work that never fails a caller", async () => {
    const { queries } = setup({ maxBackground: 1 });
    const one = controlled<number>();
    assert.equal(queries.prefetch("a", one.work), true);
    assert.equal(
      queries.prefetch("b", () => 2),
      false,
    );
    one.reject(new Error("down"));
    await settled();
    assert.deepEqual(queries.getStats().background, { begun: 1, failed: 1, leftUndone: 1 });
    assert.equal(
      queries.prefetch("b", () => 2),
      true,
    );
    await settled();
    assert.equal(await queries.executeQuery("b", () => -2), 2);
    assert.equal(
      queries.prefetch("b", () => 3),
      false,
    );
  });
});

suite("bad options", () => {
  for (const options of [
    { maxEntries: 0 },
    { maxEntries: Number.NaN },
    { maxBytes: 0 },
    { ttlMs: -1 },
    { ttlJitter: 2 },
    { refreshAhead: -1 },
  ]) {
    test(`${JSON.stringify(options)} is refused by name`, () => {
      assert.throws(
        () => new QueryOptimizer(options),
        (error: Error) => error.message.includes(Object.keys(options)[0]!),
      );
    });
  }
});

test("no answer is older than the last invalidation, under any order of reads, writes, aborts and endings", async () => {
  type Step = { readonly kind: "read" | "write" | "abort" | "end"; readonly key: number };
  const steps = fc.array(
    fc.record<Step>({ kind: fc.constantFrom("read", "write", "abort", "end"), key: fc.nat(2) }),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (script) => {
      const { queries } = setup({ maxEntries: 2 });
      const truth = [0, 0, 0];
      const endings: (() => void)[] = [];
      const readers: { controller: AbortController; answer: Promise<void> }[] = [];
      for (const { kind, key } of script) {
        if (kind === "write") {
          truth[key]! += 1;
          queries.invalidateCache(`${key}`);
        } else if (kind === "read") {
          const least = truth[key]!;
          const controller = new AbortController();
          const work = (): Promise<number> => {
            const seen = truth[key]!;
            return new Promise((resolve) => endings.push(() => resolve(seen)));
          };
          const answer = queries.executeQuery(`${key}`, work, { signal: controller.signal }).then(
            (value) => assert.ok(value >= least, "stale"),
            (error: unknown) => assert.equal(error, controller.signal.reason),
          );
          readers.push({ controller, answer });
        } else if (kind === "abort") readers[key]?.controller.abort();
        else {
          endings.shift()?.();
          await settled();
        }
      }
      for (const end of endings) end();
      await Promise.all(readers.map(({ answer }) => answer));
      assert.equal(queries.getStats().inFlight, 0);
    }),
    { numRuns: 200 },
  );
});
