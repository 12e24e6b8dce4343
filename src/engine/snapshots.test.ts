import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, suite, test } from "node:test";
import { StrataError } from "../contract/errors.ts";
import { createManualClock, type ManualClock } from "../testing/manual-clock.ts";
import { openMemory } from "./open-memory.ts";
import type { Strata } from "./strata.ts";

let folder: string;
let clock: ManualClock;
let memory: Strata;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "strata snapshots "));
  clock = createManualClock();
  memory = await openMemory({ path: join(folder, "memory.db"), clock });
});

afterEach(async () => {
  await memory.close();
  rmSync(folder, { recursive: true });
});

suite("snapshots of a memory", () => {
  test("bring back what changed and what left, and leave what was added", async () => {
    const tea = await memory.store("Ada prefers tea", {
      tags: ["ada"],
      importance: 0.8,
      thread: "t",
      speaker: "Ada",
    });
    const trip = await memory.store("Booked for the 7th", { metadata: { seats: 2 }, pinned: true });
    const info = await memory.snapshots.save("monday");
    assert.equal(info.memories, 2);
    await memory.update(tea.id, { content: "Ada prefers coffee", tags: ["changed"], speaker: null });
    await memory.forget(trip.id);
    const added = await memory.store("Ben arrives");
    const { run, restored, changed, unchanged, skipped } = await memory.snapshots.load("monday");
    assert.deepEqual({ restored, unchanged, skipped }, { restored: [trip.id], unchanged: 0, skipped: [] });
    assert.deepEqual(changed, [{ id: tea.id, fields: ["content", "tags", "speaker"] }]);
    assert.ok(run);
    const again = await memory.get(tea.id);
    assert.deepEqual(
      [again?.content, again?.tags, again?.speaker, again?.version],
      ["Ada prefers tea", ["ada"], "Ada", 3],
    );
    const back = await memory.get(trip.id);
    assert.deepEqual(
      [back?.content, back?.metadata, back?.pinned],
      ["Booked for the 7th", { seats: 2 }, true],
    );
    assert.ok(await memory.get(added.id));
    const { hits } = await memory.recall("when is it booked?");
    assert.equal(hits[0]?.memory.id, trip.id);
    const drinks = await memory.recall("what does Ada like to drink?");
    assert.equal(drinks.hits[0]?.memory.content, "Ada prefers tea");
    assert.deepEqual(await memory.search("coffee").then((found) => found.hits), []);
    assert.deepEqual((await memory.snapshots.diff("monday")).unchanged, 2);
  });

  test("loading is one run, which can be undone", async () => {
    const tea = await memory.store("Ada prefers tea");
    const trip = await memory.store("Booked for the 7th");
    await memory.snapshots.save("monday");
    await memory.update(tea.id, { content: "Ada prefers coffee" });
    await memory.forget(trip.id);
    const before = await memory.get(tea.id);
    const { run } = await memory.snapshots.load("monday");
    const { entries } = await memory.journal({ limit: 10 });
    assert.deepEqual(
      entries
        .filter((entry) => entry.run === run)
        .map(({ kind, id }) => [kind, id])
        .sort(),
      [
        ["restore", tea.id],
        ["restore", tea.id],
        ["restore", trip.id],
      ].sort(),
    );
    assert.equal((await memory.undo(run!)).undone, 3);
    const after = await memory.get(tea.id);
    assert.deepEqual([after?.content, after?.version], [before?.content, before?.version]);
    assert.equal(await memory.get(trip.id), undefined);
    assert.deepEqual((await memory.search("tea")).hits, []);
  });

  test("a dry run tells the same and does nothing", async () => {
    const tea = await memory.store("Ada prefers tea");
    await memory.snapshots.save("monday");
    await memory.update(tea.id, { importance: 0.9 });
    const dry = await memory.snapshots.load("monday", { dryRun: true });
    assert.deepEqual([dry.run, dry.changed], [undefined, [{ id: tea.id, fields: ["importance"] }]]);
    assert.equal((await memory.get(tea.id))?.importance, 0.9);
    assert.deepEqual((await memory.snapshots.load("monday")).changed, dry.changed);
    const nothing = await memory.snapshots.load("monday");
    assert.deepEqual([nothing.run, nothing.unchanged], [undefined, 1]);
  });

  test("what came back lives on from now", async () => {
    const brief = await memory.store("a note for now", { tier: "working" });
    await memory.snapshots.save("now");
    clock.advance(3_600_000);
    assert.equal(await memory.get(brief.id), undefined);
    await memory.snapshots.load("now");
    const back = await memory.get(brief.id);
    assert.deepEqual([back?.tier, back?.createdAt], ["working", brief.createdAt]);
    assert.ok(back!.expiresAt! > clock.now());
  });

  test("a move and a use are no difference; a tier is life, not what is said", async () => {
    const tea = await memory.store("Ada prefers tea");
    await memory.snapshots.save("monday");
    await memory.update(tea.id, { tier: "semantic" });
    await memory.recall("tea");
    assert.equal((await memory.snapshots.load("monday")).unchanged, 1);
    assert.equal((await memory.get(tea.id))?.tier, "semantic");
  });

  test("a diff names what was added, left and changed, by the snapshot's own filter", async () => {
    const [one, two] = (
      await memory.storeMany([
        { content: "first", tags: ["t"] },
        { content: "second", tags: ["t"] },
      ])
    ).memories.map(({ memory: { id } }) => id);
    await memory.snapshots.save("tagged", { tags: ["t"] });
    await memory.forget(one!);
    await memory.update(two!, { metadata: { seen: true } });
    const three = await memory.store("third", { tags: ["t"] });
    await memory.store("of no concern");
    assert.deepEqual(await memory.snapshots.diff("tagged"), {
      name: "tagged",
      unchanged: 0,
      changed: [{ id: two, fields: ["metadata"] }],
      left: [one],
      added: [three.id],
    });
    await memory.snapshots.save("later", { tags: ["t"] });
    assert.deepEqual(await memory.snapshots.diff("tagged", { against: "later" }), {
      name: "tagged",
      against: "later",
      unchanged: 0,
      changed: [{ id: two, fields: ["metadata"] }],
      left: [one],
      added: [three.id],
    });
  });

  test("misuse is told", async () => {
    const code = (expected: string) => (error: unknown) =>
      StrataError.isInstance(error) && error.code === expected;
    await memory.snapshots.save("s");
    await assert.rejects(memory.snapshots.save("s"), code("ALREADY_EXISTS"));
    await memory.snapshots.save("s", { replace: true });
    await assert.rejects(memory.snapshots.load("other"), code("NOT_FOUND"));
    await assert.rejects(memory.snapshots.diff("s", { against: "other" }), code("NOT_FOUND"));
    await assert.rejects(memory.snapshots.save(""), code("INVALID_ARGUMENT"));
    await assert.rejects(memory.snapshots.save("x", { tagz: [] } as never), code("UNKNOWN_OPTION"));
    await memory.snapshots.delete("s");
    await assert.rejects(memory.snapshots.delete("s"), code("NOT_FOUND"));
    assert.deepEqual(await memory.snapshots.list(), []);
  });
});
