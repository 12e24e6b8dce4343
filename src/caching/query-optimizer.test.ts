import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { Clock } from "../contract/clock.ts";
import { StrataError } from "../contract/errors.ts";
import type { PrefetcherOptions } from "./prefetcher.ts";
import { QueryOptimizer } from "./query-optimizer.ts";
import type { QueryOptimizerOptions, QueryPath } from "./query-optimizer-options.ts";

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

  test("computes again ahead of the end of a result that is asked for again and again", async () => {
    const { clock, queries } = setup({ ttlMs: 100, refreshAhead: 0.2 });
    await queries.executeQuery("a", () => 1);
    await queries.executeQuery("a", () => -1);
    clock.advance(81);
    assert.equal(await queries.executeQuery("a", () => 2), 1);
    await settled();
    clock.advance(90);
    assert.equal(await queries.executeQuery("a", () => 3), 2);
  });

  test("does not compute again ahead what was asked for only once more", async () => {
    const { clock, queries } = setup({ ttlMs: 100, refreshAhead: 0.2 });
    await queries.executeQuery("a", () => 1);
    clock.advance(81);
    await queries.executeQuery("a", () => 2);
    assert.equal(queries.getStats().background.begun, 0);
  });

  test("keeps empty results for a time of their own", async () => {
    const { clock, queries } = setup({ ttlMs: 100, emptyTtlMs: 10 });
    await queries.executeQuery<number[]>("a", () => []);
    clock.advance(10);
    assert.deepEqual(await queries.executeQuery("a", () => [1]), [1]);
  });

  test("ends a result's time where it stops being true, though the machine slept meanwhile", async () => {
    const { clock, queries } = setup();
    const end = clock.wall + 50;
    await queries.executeQuery("a", () => 1, { expiresAt: () => end });
    clock.wall += 50;
    assert.equal(await queries.executeQuery("a", () => 2), 2);
  });

  test("gives a result only to those who know the same state of things", async () => {
    const { queries } = setup();
    await queries.executeQuery("a", () => "old", { generation: "1" });
    assert.equal(await queries.executeQuery("a", () => "new", { generation: "2" }), "new");
    assert.equal(await queries.executeQuery("a", () => "newer", { generation: "2" }), "new");
    assert.equal(queries.getStats().outdated, 1);
    assert.equal(queries.getStats().cacheSize, 1);
  });

  test("lets nobody wait for a flight that began on another state of things, and keeps none of its result", async () => {
    const { queries } = setup();
    const one = controlled<string>();
    const before = queries.executeQuery("a", one.work, { generation: "1" });
    assert.equal(await queries.executeQuery("a", () => "new", { generation: "2" }), "new");
    one.resolve("old");
    assert.equal(await before, "old");
    assert.equal(await queries.executeQuery("a", () => "newer", { generation: "2" }), "new");
  });

  test("computes for a caller who wants no cache, keeping nothing and freezing nothing", async () => {
    const { queries } = setup();
    await queries.executeQuery("a", () => [1]);
    const own = await queries.executeQuery("a", () => [2], { cache: false });
    own.push(3);
    assert.deepEqual(await queries.executeQuery("a", () => [4]), [1]);
    const { totalQueries, bypassed, hitRate } = queries.getStats();
    assert.deepEqual({ totalQueries, bypassed, hitRate }, { totalQueries: 3, bypassed: 1, hitRate: 0.5 });
  });

  test("tells how a result came about", async () => {
    const { clock, queries } = setup({ ttlMs: 100, staleMs: 100 });
    const paths: QueryPath[] = [];
    const onPath = (path: QueryPath): number => paths.push(path);
    await Promise.all([1, 2].map((value) => queries.executeQuery("a", () => value, { onPath })));
    await queries.executeQuery("a", () => 3, { onPath });
    await queries.executeQuery("a", () => 4, { onPath, cache: false });
    clock.advance(150);
    await queries.executeQuery("a", () => 5, { onPath });
    assert.deepEqual(paths, ["miss", "joined", "hit", "off", "stale"]);
  });

  test("hands a result that can be neither frozen nor copied to those who wait, and keeps none", async () => {
    const { queries } = setup();
    class Answer {
      text = "x";
      shout(): string {
        return this.text.toUpperCase();
      }
    }
    const answers = [1, 2].map(() => queries.executeQuery("a", () => new Answer()));
    for (const answer of await Promise.all(answers)) assert.equal(answer.shout(), "X");
    assert.equal(queries.getStats().notKept, 1);
    assert.equal(queries.getStats().cacheSize, 0);
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

suite("a defect of the reference that must stay absent:", () => {
  test("a cancelled leader leaves its followers their answer, and does not keep them waiting", async () => {
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

  test("one cancelled follower is taken away alone, and fails no other", async () => {
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

  test("it keeps at most its entries, and a hit makes an entry stay", async () => {
    const { queries } = setup({ maxEntries: 2 });
    await queries.executeQuery("a", () => 1);
    await queries.executeQuery("b", () => 2);
    await queries.executeQuery("a", () => -1);
    await queries.executeQuery("c", () => 3);
    assert.equal(await queries.executeQuery("a", () => -1), 1);
    assert.equal(await queries.executeQuery("b", () => -2), -2);
    assert.equal(queries.getStats().evictions, 2);
  });

  test("it keeps at most its bytes, and not a result larger than all of them", async () => {
    const { queries } = setup({ maxBytes: 10_000 });
    for (let key = 0; key < 50; key++) await queries.executeQuery(`${key}`, () => "x".repeat(500));
    assert.ok(queries.getStats().cacheBytes <= 10_000);
    assert.ok(queries.getStats().cacheSize > 1);
    await queries.executeQuery("large", () => "x".repeat(10_000));
    assert.equal(await queries.executeQuery("large", () => "again"), "again");
    assert.equal(queries.getStats().notKept, 1);
  });

  test("an invalidation during a flight keeps its result out of the cache, and later callers from joining it", async () => {
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

  test("nobody is given a result that another caller could change", async () => {
    const { queries } = setup();
    const first = await queries.executeQuery("a", () => ({ hits: [{ id: "1" }] }));
    assert.throws(() => first.hits.push({ id: "2" }), TypeError);
    const vector = await queries.executeQuery("v", () => new Float32Array([1, 2]));
    vector[0] = 9;
    assert.deepEqual(await queries.executeQuery("v", () => new Float32Array()), new Float32Array([1, 2]));
  });

  test("a result is forgotten after its time, whatever the wall clock does", async () => {
    const { clock, queries } = setup({ ttlMs: 100 });
    await queries.executeQuery("a", () => 1);
    clock.wall -= 1_000_000;
    clock.steady += 99;
    assert.equal(await queries.executeQuery("a", () => 2), 1);
    clock.steady += 1;
    assert.equal(await queries.executeQuery("a", () => 2), 2);
  });

  test("equal keys of two namespaces are two queries", async () => {
    const { queries } = setup();
    await queries.executeQuery("a", () => "mine", { namespace: "one" });
    assert.equal(await queries.executeQuery("a", () => "yours", { namespace: "two" }), "yours");
    await queries.executeQuery("bc", () => "mine", { namespace: "a" });
    assert.equal(await queries.executeQuery("c", () => "yours", { namespace: "ab" }), "yours");
  });

  test("equal queries at once are computed once, and joins count in the hit rate", async () => {
    const { queries } = setup();
    const one = controlled<string>();
    const answers = Array.from({ length: 100 }, () => queries.executeQuery("a", one.work));
    one.resolve("x");
    assert.deepEqual(new Set(await Promise.all(answers)), new Set(["x"]));
    assert.equal(one.calls.length, 1);
    const { joins, misses, hitRate } = queries.getStats();
    assert.deepEqual({ joins, misses, hitRate }, { joins: 99, misses: 1, hitRate: 0.99 });
  });
});

suite("an abort", () => {
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

  test("of the last caller leaves nothing under way, even where the work does not notice", async () => {
    const { queries } = setup();
    for (const cache of [true, false]) {
      const controller = new AbortController();
      const { work } = controlled<number>();
      const caller = queries.executeQuery("a", work, { signal: controller.signal, cache });
      controller.abort(new Error("enough"));
      await assert.rejects(caller, /enough/);
    }
    assert.equal(queries.getStats().inFlight, 0);
  });

  test("leaves no listener behind when the answer came first", async () => {
    const { queries } = setup();
    const { signal } = new AbortController();
    for (const key of ["a", "b", "a"]) await queries.executeQuery(key, () => 1, { signal });
    await settled();
    assert.equal(getEventListeners(signal, "abort").length, 0);
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
    assert.equal(queries.invalidateCache({ namespace: "n", key: "user:2" }), 1);
    assert.equal(queries.invalidateCache({ namespace: "n", key: "user:2" }), 0);
    await fill();
    assert.equal(queries.invalidateCache(), 3);
    assert.equal(queries.getStats().cacheSize, 0);
    assert.equal(queries.getStats().cacheBytes, 0);
  });
});

suite("closing", () => {
  test("answers everyone who waits, aborts their work and refuses later calls", async () => {
    const { queries } = setup();
    const one = controlled<number>();
    const waiting = queries.executeQuery("a", one.work);
    const alone = queries.executeQuery("a", one.work, { cache: false });
    await queries.close();
    await queries.close();
    const closed = (error: unknown): boolean => StrataError.isInstance(error) && error.code === "CLOSED";
    await assert.rejects(waiting, closed);
    await assert.rejects(alone, closed);
    assert.ok(one.calls.every(({ aborted }) => aborted));
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

suite("fetching ahead", () => {
  /** Work of each key, counted; a predicted key is prepared with the same. */
  function ahead(
    options: QueryOptimizerOptions = {},
    prefetch: PrefetcherOptions = {},
  ): Setup & { computed: string[]; ask: Ask } {
    const computed: string[] = [];
    const workOf = (key: string) => (): string => {
      computed.push(key);
      return `answer ${key}`;
    };
    const both = setup({
      maxEntries: 3,
      prefetch: { ...prefetch, prepare: ({ key }) => ({ work: workOf(key) }) },
      ...options,
    });
    const ask: Ask = async (keys, more) => {
      for (const key of keys) {
        await both.queries.executeQuery(key, workOf(key), more);
        await settled();
      }
    };
    return { ...both, computed, ask };
  }
  type Ask = (keys: Iterable<string>, more?: { namespace?: string; session?: string }) => Promise<void>;

  test("has the next query there before it is asked, and counts it as used", async () => {
    const { queries, ask } = ahead();
    await ask("abcdefabcdef".repeat(5));
    const { hits, prefetch } = queries.getStats();
    assert.ok(hits > 40, `${hits}`);
    assert.ok(prefetch!.precision > 0.9);
    assert.ok(prefetch!.coverage > 0.5);
    assert.equal(prefetch!.on, true);
  });

  test("counts as wasted what leaves before it is asked for, and stops fetching", async () => {
    const { queries, ask } = ahead({}, { minProbability: 0 });
    for (let round = 0; round < 100; round++)
      await ask(["a", `x${round}`, "b", `y${round}`, "c", `z${round}`]);
    const { prefetch } = queries.getStats();
    assert.ok(prefetch!.precision < 0.3);
    assert.equal(prefetch!.on, false);
    assert.ok(prefetch!.issued < 200);
  });

  test("predicts in no namespace what it saw in another", async () => {
    const { computed, ask } = ahead({ maxEntries: 100 });
    await ask("ab".repeat(10), { namespace: "one" });
    computed.length = 0;
    await ask("a", { namespace: "two" });
    assert.deepEqual(computed, ["a"]);
  });

  test("takes two namespaces that are asked by turns for no sequence", async () => {
    const { queries, ask } = ahead({ maxEntries: 1 });
    for (let round = 0; round < 10; round++) {
      await ask("a", { namespace: "one" });
      await ask("b", { namespace: "two" });
    }
    assert.equal(queries.getStats().prefetch!.issued, 0);
  });

  test("begins only when no caller waits", async () => {
    const { queries, computed, ask } = ahead({ maxEntries: 2 });
    await ask("abcabcabcabc");
    computed.length = 0;
    const slow = controlled<string>();
    const waiting = queries.executeQuery("slow", slow.work, { session: "other" });
    await ask("d");
    await ask("a");
    assert.ok(!computed.includes("b"));
    slow.resolve("done");
    await waiting;
    await settled();
    assert.ok(computed.includes("b"));
  });

  test("keeps what it fetched only for the state of things it was asked in", async () => {
    const { queries, ask } = ahead();
    await ask("abcabcabc");
    await queries.executeQuery("a", () => "answer a", { generation: "2" });
    await settled();
    assert.equal(await queries.executeQuery("b", () => "new", { generation: "3" }), "new");
  });

  test("never fails a caller, whatever preparing does", async () => {
    const prepare = (): never => {
      throw new Error("cannot");
    };
    const { queries, ask } = ahead({ maxEntries: 1, prefetch: { prepare } });
    await ask("ababab");
    assert.ok(queries.getStats().background.failed > 0);
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
