import assert from "node:assert/strict";
import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { operationChannelName, operationNames, stageChannelName } from "../contract/operations.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { readLiveFigures } from "./live-figures.ts";
import { type OpenOptions, openMemory } from "./open-memory.ts";
import type { Strata } from "./strata.ts";

suite("a memory's figures", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "strata-figures-"));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  function open(options: OpenOptions = {}): Promise<Strata> {
    return openMemory({ path: join(folder, "memory.db"), configFile: false, ...options });
  }

  test("count and time every verb, what was embedded, and the stages of a recall", async () => {
    await using memory = await open();
    await memory.store("Ada prefers tea");
    await memory.recall("what does Ada drink?");
    await memory.ingest({ name: "notes.md", text: "# Notes\n\nGrace prefers coffee." });
    await assert.rejects(memory.forget("missing"));
    const { operations, errors } = memory.monitor.getReport();
    for (const name of ["store", "recall", "ingest", "ingest-document", "recall.score", "recall.read"])
      assert.equal(operations[name]?.count, 1, name);
    assert.equal(operations["embed"]?.count, 3);
    assert.deepEqual(operations["forget"]?.errorsByCode, { NOT_FOUND: 1 });
    assert.equal(errors, 1);
  });

  test("are its own, not those of another memory in the process", async () => {
    await using first = await open();
    await using second = await open({ path: join(folder, "second.db") });
    await first.store("Ada prefers tea");
    assert.equal(second.monitor.getReport().operations["store"], undefined);
    assert.equal(second.monitor.getReport().operations["embed"], undefined);
  });

  test("are not kept when monitoring is off, and nobody listens then", async () => {
    await using memory = await open({ config: { "monitoring.enabled": false } });
    await memory.store("Ada prefers tea");
    assert.deepEqual(memory.monitor.getReport().operations, {});
    assert.ok(!tracingChannel(operationChannelName("store")).hasSubscribers);
  });

  test("end with the memory: nothing is subscribed after it is closed", async () => {
    await (await open()).close();
    for (const name of operationNames)
      assert.ok(!tracingChannel(operationChannelName(name)).hasSubscribers, name);
  });

  test("no event carries a text, a question, a tag, a vector or a namespace", async () => {
    const events: unknown[] = [];
    const keep = (event: unknown): void => {
      const { source: _, ...facts } = event as { source: object };
      events.push(facts);
    };
    const channels = operationNames.flatMap((name) => {
      const { start, end, asyncStart, asyncEnd, error } = tracingChannel(operationChannelName(name));
      return [start, end, asyncStart, asyncEnd, error];
    });
    for (const channel of channels) channel.subscribe(keep);
    subscribe(stageChannelName, keep);
    {
      await using memory = await open({ namespace: "zebra" });
      const { id } = await memory.store("zebra one", { tags: ["zebra"], speaker: "zebra", thread: "zebra" });
      await memory.ingest({ name: "zebra.md", text: "# zebra\n\nzebra zebra" });
      await memory.recall("zebra?", { tags: ["zebra"] });
      await memory.search("zebra");
      await memory.update(id, { content: "zebra two" });
      await memory.list({ tags: ["zebra"] });
      await assert.rejects(memory.store("zebra", { id: "zebra", tier: "zebra" as "working" }));
      await assert.rejects(memory.forget("zebra"));
    }
    for (const channel of channels) channel.unsubscribe(keep);
    unsubscribe(stageChannelName, keep);
    assert.ok(events.length > 50);
    assert.doesNotMatch(JSON.stringify(events), /zebra/);
  });

  test("leave as text that Prometheus reads", async () => {
    await using memory = await open();
    await memory.store("Ada prefers tea");
    await memory.recall("what does Ada drink?");
    await memory.recall("what does Ada drink?");
    const text = await memory.metrics();
    for (const name of [
      "strata_operation_duration_seconds",
      "strata_tier_memories",
      "strata_cache_hits_total",
    ])
      assert.ok(text.includes(`# TYPE ${name} `), name);
    assert.match(text, /strata_cache_hits_total\{cache="queries"\} 1\n/);
  });

  test("are told to other processes while the memory is open, in a file that nobody else reads", async () => {
    const clock = createManualClock();
    const path = join(folder, "memory.db");
    {
      await using memory = await open({ clock });
      await memory.store("Ada prefers tea");
      assert.ok(!existsSync(`${path}-figures`), "a short life leaves no trace");
      clock.advance(1_000);
      await until(() => existsSync(`${path}-figures`) && readdirSync(`${path}-figures`).some(isWhole));
      const [figures] = await readLiveFigures(path, clock.now());
      assert.equal(figures?.pid, process.pid);
      assert.equal(figures?.report.operations["store"]?.count, 1);
      const [file] = readdirSync(`${path}-figures`);
      assert.equal(statSync(join(`${path}-figures`, file!)).mode & 0o077, 0);
      assert.deepEqual(
        await readLiveFigures(path, clock.now() + 60_000),
        [],
        "a process that is silent is gone",
      );
    }
    assert.deepEqual(readdirSync(`${path}-figures`), []);
  });

  test("expired memories are removed in the background, at most once for each interval", async () => {
    const clock = createManualClock();
    await using memory = await open({ clock, config: { "memory.working_ttl": 60 } });
    await memory.store("Ada prefers tea", { tier: "working" });
    clock.advance(61_000);
    assert.equal((await memory.stats()).expired, 1);
    clock.advance(300_000);
    await until(async () => (await memory.stats()).expired === 0);
    const { entries } = await memory.journal();
    assert.deepEqual(
      entries.map(({ kind }) => kind),
      ["expire"],
    );
  });
});

function isWhole(name: string): boolean {
  return name.endsWith(".json");
}

/** Work behind a timer has no promise to wait for. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 1_000; turn++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail("it never came");
}
