import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { MemoryConsolidatorOptions } from "../consolidation/consolidator-options.ts";
import type { ExtractedFact, HookInput, MemoryComposer } from "../consolidation/language-hooks.ts";
import { MemoryConsolidator } from "../consolidation/memory-consolidator.ts";
import { StrataError } from "../contract/errors.ts";
import type { Memory } from "../contract/memory.ts";
import type { MemoryStore, NewEntry } from "../contract/memory-store.ts";
import { createInMemoryStore } from "../storage/in-memory/in-memory-store.ts";
import { openSqliteStore } from "../storage/sqlite/sqlite-store.ts";
import { createManualClock, type ManualClock } from "../testing/manual-clock.ts";
import { sampleChunks, sampleDocument, sampleEntry, sampleVector } from "../testing/store-samples.ts";
import { memoryComposer } from "./compose-memories.ts";
import { openMemory } from "./open-memory.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-hooks-"));
after(() => rmSync(folder, { recursive: true }));

const scope = { namespace: "n" };
const minuteMs = 60_000;
let files = 0;

const drivers = {
  sqlite: (clock: ManualClock) => openSqliteStore(join(folder, `${files++}.db`), { clock }),
  "in-memory": async (clock: ManualClock) => createInMemoryStore({ clock }),
};

const embed = async (_: unknown, texts: readonly string[]) =>
  texts.map((text) => ({ vector: sampleVector(text.length) }));

async function setup(driver: keyof typeof drivers, options: MemoryConsolidatorOptions = {}) {
  const clock = createManualClock();
  const store: MemoryStore = await drivers[driver](clock);
  const compose = memoryComposer({ clock, embed }, "refuse");
  return {
    clock,
    store,
    consolidator: new MemoryConsolidator(store, { namespace: "n", clock, compose, ...options }),
    async say(thread: string, ...texts: readonly string[]): Promise<void> {
      for (const text of texts) {
        clock.advance(1);
        await store.add(scope, [turn(thread, text)]);
      }
    },
    async all(): Promise<readonly Memory[]> {
      return (await store.list(scope, {}, { limit: 1_000 })).memories;
    },
  };
}

function turn(thread: string, content: string, fields: Partial<NewEntry> = {}): NewEntry {
  return sampleEntry(`${thread}: ${content}`, {
    content,
    thread,
    tier: "short_term",
    tags: [thread],
    ...fields,
  });
}

/** A hook that never answers. */
const hung = (): Promise<never> => new Promise(() => {});

/** Lets what waits for nothing but the store go on. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turns = 0; !isSo() && turns < 10_000; turns++)
    await new Promise((resolve) => setImmediate(resolve));
  assert.ok(isSo(), "waited for in vain");
}

/** Credentials are put together here, so that the repository holds nothing that looks like one. */
const credential = `AKIA${"QWERTYUIOP234567"}`;

for (const driver of Object.keys(drivers) as (keyof typeof drivers)[]) {
  describe(`a language model in the passes over the ${driver} store`, () => {
    test("extracts facts from the turns of a conversation, and undo takes them away", async () => {
      const offered: string[][] = [];
      const { consolidator, say, all, store } = await setup(driver, {
        extract: ({ memories }) => {
          offered.push(memories.map(({ content }) => content));
          return [{ content: "Ada prefers tea", importance: 0.8, tags: ["taste"], speaker: "Ada" }];
        },
      });
      await say("a", "What do you drink?", "Tea, please");
      await say("b", "Good morning");
      await store.add(scope, [sampleEntry("note")]);
      const { run, hooks, failures } = await consolidator.runConsolidation();
      assert.deepEqual(offered, [["What do you drink?", "Tea, please", "Good morning"]]);
      assert.deepEqual(failures, []);
      const [id] = hooks.extract!.added as [string];
      assert.deepEqual(hooks, {
        extract: { calls: 1, memories: 3, added: [id], folded: 0, flagged: [], refused: 0 },
      });
      const [fact] = (await store.get(scope, [id])) as [Memory];
      const { content, tier, importance, tags, speaker, metadata, version, accessCount } = fact;
      assert.deepEqual(
        { content, tier, importance, tags, speaker, metadata, version, accessCount },
        {
          content: "Ada prefers tea",
          tier: "long_term",
          importance: 0.8,
          tags: ["taste"],
          speaker: "Ada",
          metadata: { extractedFrom: ["a: What do you drink?", "a: Tea, please", "b: Good morning"] },
          version: 1,
          accessCount: 0,
        },
      );
      assert.ok((await store.vectors(scope, [id]))[0]);
      const { entries } = await store.journal(scope, { limit: 10, run });
      assert.deepEqual(
        entries.map(({ kind, reason }) => [kind, reason]),
        [["restore", "extracted from 3 memories"]],
      );
      await consolidator.undo(run);
      assert.equal((await all()).length, 4);
      await consolidator.runConsolidation();
      assert.equal(offered.length, 1, "what was taken back stays so");
    });

    test("summarizes a conversation in the second half of its life, one tier up, and leaves it as it is", async () => {
      const offered: string[][] = [];
      const { consolidator, say, all, store, clock } = await setup(driver, {
        summarize: ({ memories }) => {
          offered.push(memories.map(({ content }) => content));
          return "Ada asked for tea and got it";
        },
      });
      await say("a", "Tea, please", "There you are");
      await store.add(scope, [turn("b", "alone")]);
      clock.advance(29 * minuteMs);
      await consolidator.runConsolidation();
      assert.deepEqual(offered, []);
      clock.advance(2 * minuteMs);
      const before = await all();
      const { run, hooks } = await consolidator.runConsolidation();
      assert.deepEqual(offered, [["Tea, please", "There you are"]]);
      const [summary] = (await store.get(scope, hooks.summarize!.added)) as [Memory];
      const { content, tier, tags, metadata, thread } = summary;
      assert.deepEqual(
        { content, tier, tags, metadata, thread },
        {
          content: "Ada asked for tea and got it",
          tier: "episodic",
          tags: ["a"],
          metadata: { summaryOf: ["a: Tea, please", "a: There you are"] },
          thread: undefined,
        },
      );
      assert.deepEqual(
        (await all()).filter(({ id }) => id !== summary.id),
        before,
      );
      clock.advance(5 * minuteMs);
      await consolidator.runConsolidation();
      assert.equal(offered.length, 1, "nothing is offered twice");
      await consolidator.undo(run);
      assert.deepEqual(await all(), before);
    });

    test("a summary of null adds nothing, and nobody asks again", async () => {
      let calls = 0;
      const { consolidator, say, all, clock } = await setup(driver, {
        summarize: () => {
          calls += 1;
          return null;
        },
      });
      await say("a", "one", "two");
      clock.advance(31 * minuteMs);
      const { hooks, failures } = await consolidator.runConsolidation();
      assert.deepEqual([hooks.summarize!.calls, hooks.summarize!.added, failures], [1, [], []]);
      await consolidator.runConsolidation();
      assert.equal(calls, 1);
      assert.equal((await all()).length, 2);
    });

    test("a hook that fails is told without its text, the pass goes on, and the next one tries again", async () => {
      let isDown = true;
      const { consolidator, say, store } = await setup(driver, {
        extract: () => {
          if (isDown) throw new RangeError("Tea, please is not a number");
          return [{ content: "a fact" }];
        },
      });
      await say("a", "Tea, please");
      await store.add(scope, [sampleEntry("used", { accessCount: 10 })]);
      const { failures, counts, hooks } = await consolidator.runConsolidation();
      assert.deepEqual(failures, [{ stage: "extract", code: "RangeError" }]);
      assert.equal(counts.promote, 1);
      assert.deepEqual(hooks.extract!.added, []);
      isDown = false;
      assert.equal((await consolidator.runConsolidation()).hooks.extract!.added.length, 1);
    });

    test("what a hook fails at again and again is left out after eight times", async () => {
      const { consolidator, say } = await setup(driver, {
        extract: ({ memories }) => {
          if (memories.some(({ content }) => content === "poison")) throw new Error("no");
          return [];
        },
      });
      await say("a", "poison");
      for (let pass = 0; pass < 8; pass++) {
        assert.equal((await consolidator.runConsolidation()).failures.length, 1);
      }
      assert.deepEqual((await consolidator.runConsolidation()).failures, []);
      await say("a", "fine");
      const { failures, hooks } = await consolidator.runConsolidation();
      assert.deepEqual([failures, hooks.extract!.memories], [[], 1]);
    });

    test("a hook that hangs ends at its deadline, and its signal tells it", async () => {
      let signal: AbortSignal | undefined;
      const { consolidator, say, clock } = await setup(driver, {
        hookTimeoutMs: 90_000,
        extract: (input) => {
          signal = input.signal;
          return hung();
        },
      });
      await say("a", "hello");
      const pass = consolidator.runConsolidation();
      await until(() => signal !== undefined);
      clock.advance(89_999);
      assert.equal(signal!.aborted, false);
      clock.advance(1);
      assert.equal(signal!.aborted, true);
      assert.deepEqual((await pass).failures, [{ stage: "extract", code: "TimeoutError" }]);
    });

    test("the lease of the namespace is held for as long as a hook works", async () => {
      let isCalled = false;
      const { consolidator, say, clock } = await setup(driver, {
        hookTimeoutMs: 600_000,
        extract: () => {
          isCalled = true;
          return hung();
        },
      });
      await say("a", "hello");
      const pass = consolidator.runConsolidation();
      await until(() => isCalled);
      for (let beat = 0; beat < 12; beat++) {
        clock.advance(15_000);
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal((await consolidator.runConsolidation({ hooks: false })).busy, true);
      clock.advance(600_000);
      await pass;
    });

    test("an abort ends the pass at once, however long the hook takes, and nothing is added", async () => {
      let signal: AbortSignal | undefined;
      const stop = new AbortController();
      const { consolidator, say, all } = await setup(driver, {
        extract: (input) => {
          signal = input.signal;
          return hung();
        },
      });
      await say("a", "hello");
      const pass = consolidator.runConsolidation({ signal: stop.signal });
      await until(() => signal !== undefined);
      stop.abort(new Error("enough"));
      await assert.rejects(pass, /enough/);
      assert.equal(signal!.aborted, true);
      assert.equal((await all()).length, 1);
    });

    test("a background pass calls the hooks, and stopping waits for none", async () => {
      let signal: AbortSignal | undefined;
      const { consolidator, say } = await setup(driver, {
        extract: (input) => {
          signal = input.signal;
          return hung();
        },
      });
      await say("a", "hello");
      consolidator.startBackgroundTask(300_000, { atOnce: true });
      await until(() => signal !== undefined);
      await consolidator.close();
      assert.equal(signal!.aborted, true);
    });

    test("a background round comes for what fades although nothing was written", async () => {
      let calls = 0;
      const { consolidator, say, clock } = await setup(driver, {
        summarize: () => {
          calls += 1;
          return null;
        },
      });
      await say("a", "one", "two");
      await consolidator.runConsolidation();
      consolidator.startBackgroundTask(31 * minuteMs);
      clock.advance(40 * minuteMs);
      await until(() => calls === 1);
      await consolidator.close();
    });

    test("what is not valid is refused and told by its code, and the rest of the answer is added", async () => {
      const facts = [
        { content: "valid" },
        { content: " " },
        { content: "x".repeat(65_537) },
        { content: "much", importance: Number.NaN },
        { content: "odd", tier: "working" },
        { content: `the key is ${credential}` },
        null,
      ] as unknown as ExtractedFact[];
      const { consolidator, say, all } = await setup(driver, { extract: async () => facts });
      await say("a", "hello");
      const { hooks, failures } = await consolidator.runConsolidation();
      assert.deepEqual([hooks.extract!.added.length, hooks.extract!.refused], [1, 6]);
      assert.deepEqual(
        failures.map(({ code }) => code),
        [
          "EMPTY_TEXT",
          "TEXT_TOO_LARGE",
          "INVALID_IMPORTANCE",
          "UNKNOWN_OPTION",
          "SECRET_DETECTED",
          "INVALID_ARGUMENT",
        ],
      );
      assert.equal((await all()).length, 2);
    });

    test("a model of vectors that is down fails the call, and it is made again", async () => {
      let isDown = true;
      const compose: MemoryComposer = async (...call) => {
        if (isDown) throw new StrataError("EMBEDDING_UNAVAILABLE", "down");
        return memoryComposer({ clock: createManualClock(), embed }, "off")(...call);
      };
      const { consolidator, say } = await setup(driver, { compose, extract: () => [{ content: "a fact" }] });
      await say("a", "hello");
      const { failures } = await consolidator.runConsolidation();
      assert.deepEqual(failures, [{ stage: "extract", code: "EMBEDDING_UNAVAILABLE" }]);
      isDown = false;
      assert.equal((await consolidator.runConsolidation()).hooks.extract!.added.length, 1);
    });

    test("an answer that is no list fails as a whole", async () => {
      const { consolidator, say } = await setup(driver, { extract: () => "facts" as never });
      await say("a", "hello");
      const { failures } = await consolidator.runConsolidation();
      assert.deepEqual(failures, [{ stage: "extract", code: "INVALID_ARGUMENT" }]);
    });

    test("a fact that is there already is used once more, and not added again", async () => {
      const { consolidator, say, store } = await setup(driver, {
        extract: () => [
          { content: "Ada prefers tea" },
          { content: "Ada prefers tea" },
          { content: "I prefer tea", speaker: "Ben" },
        ],
      });
      await say("a", "one");
      const first = await consolidator.runConsolidation();
      assert.equal(first.hooks.extract!.added.length, 2);
      await say("a", "two");
      const { hooks } = await consolidator.runConsolidation();
      assert.deepEqual([hooks.extract!.added, hooks.extract!.folded], [[], 3]);
      const [fact] = await store.get(scope, first.hooks.extract!.added);
      assert.equal(fact!.accessCount, 1);
    });

    test("a dry run calls no hook, and tells how much it would offer", async () => {
      const never = (): never => assert.fail("called");
      const { consolidator, say, clock } = await setup(driver, { summarize: never, extract: never });
      await say("a", "one", "two");
      await say("b", "three", "four");
      clock.advance(31 * minuteMs);
      for (let time = 0; time < 2; time++) {
        const { hooks } = await consolidator.runConsolidation({ dryRun: true });
        assert.deepEqual([hooks.summarize!.calls, hooks.summarize!.memories], [2, 4]);
        assert.deepEqual([hooks.extract!.calls, hooks.extract!.memories], [1, 4]);
      }
    });

    test("input and calls are bounded; the next pass goes on, and each memory comes once", async () => {
      const turns: string[] = [];
      const summed: string[] = [];
      const check = ({ memories }: HookInput): void => {
        assert.ok(memories.length <= 32);
        assert.ok(memories.reduce((sum, { content }) => sum + content.length, 0) <= 65_536);
      };
      const { consolidator, say, clock } = await setup(driver, {
        maxHookCalls: 2,
        extract: (input) => {
          check(input);
          turns.push(...input.memories.map(({ id }) => id));
          return [];
        },
        summarize: (input) => {
          check(input);
          summed.push(...input.memories.map(({ id }) => id));
          return null;
        },
      });
      for (let at = 0; at < 45; at++)
        await say(`t${at % 9}`, `${at} ${"long ".repeat(at % 7 === 0 ? 6_000 : 1)}`);
      clock.advance(31 * minuteMs);
      for (let passes = 0, more = true; more; passes++) {
        assert.ok(passes < 40, "it comes to an end");
        const report = await consolidator.runConsolidation();
        assert.ok((report.hooks.extract?.calls ?? 0) <= 2 && (report.hooks.summarize?.calls ?? 0) <= 2);
        more = report.more;
      }
      assert.deepEqual([turns.length, new Set(turns).size], [45, 45]);
      assert.equal(summed.length, new Set(summed).size);
      assert.ok(summed.length >= 42, `${summed.length} of 45, but for those alone in their part`);
    });

    test("moves a document as a whole, by its id or that of a chunk, down too", async () => {
      const { consolidator, store } = await setup(driver);
      const revision = await store.stageDocument(scope, sampleDocument("doc"));
      await store.addChunks(revision, sampleChunks("doc", ["one", "two"]));
      const { document } = await store.publishDocument(revision);
      const tier = async () => (await store.document(scope, "doc"))!.tier;
      const { run, outcome } = await consolidator.demoteMemory("doc-1", "episodic");
      assert.deepEqual([outcome, await tier()], ["done", "episodic"]);
      assert.equal((await consolidator.promoteMemory(document.id, "long_term")).outcome, "done");
      assert.equal(await tier(), "long_term");
      const { entries } = await store.journal(scope, { limit: 1, run });
      assert.deepEqual([entries[0]!.id, entries[0]!.document], [document.id, true]);
      await assert.rejects(consolidator.promoteMemory(document.id, "working"), { code: "INVALID_ARGUMENT" });
      await consolidator.demoteMemory(document.id, "episodic");
      const { undone } = await consolidator.undo(run);
      assert.equal(undone, 1);
      assert.equal(await tier(), "semantic");
    });
  });
}

test("a hook that is no function, without composer, or with an endless deadline is refused", async () => {
  const store = await drivers["in-memory"](createManualClock());
  const compose = async () => [];
  for (const options of [
    { extract: () => [] },
    { compose, extract: "model" as never },
    { compose, hookTimeoutMs: Number.POSITIVE_INFINITY },
    { compose, hookTimeoutMs: Number.NaN },
    { compose, maxHookCalls: 0 },
  ]) {
    assert.throws(() => new MemoryConsolidator(store, options), { code: "INVALID_ARGUMENT" });
  }
  const path = join(folder, "refused.db");
  await assert.rejects(openMemory({ path, consolidation: { summarize: 1 as never } }), {
    code: "INVALID_ARGUMENT",
  });
  await assert.rejects(openMemory({ path, consolidation: { sumarize: () => null } as never }), {
    code: "UNKNOWN_OPTION",
  });
});

test("an open memory's facts are found by meaning, and closing it waits for no hook", async () => {
  let isHung = false;
  const memory = await openMemory({
    path: join(folder, "open.db"),
    consolidation: {
      extract: ({ memories }) => {
        if (memories.some(({ content }) => content === "stay")) {
          isHung = true;
          return hung();
        }
        return [{ content: "Ada drinks green tea in the morning" }];
      },
    },
  });
  await memory.store("Green tea, as every morning", { thread: "a", speaker: "Ada" });
  const { hooks } = await memory.consolidate();
  assert.equal(hooks.extract!.added.length, 1);
  const { hits } = await memory.recall("which beverage does Ada like?");
  assert.ok(hits.some((hit) => hit.memory.id === hooks.extract!.added[0]));
  await memory.store("stay", { thread: "a" });
  const pass = memory.consolidate();
  await until(() => isHung);
  await memory.close();
  assert.deepEqual((await pass).failures, [{ stage: "extract", code: "CLOSED" }]);
});
