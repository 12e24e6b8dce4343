import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, suite, test } from "node:test";
import { StrataError } from "../../contract/errors.ts";
import { createManualClock } from "../../testing/manual-clock.ts";
import { openMemory } from "../open-memory.ts";
import type { StoreOptions } from "../store-options.ts";
import type { Strata } from "../strata.ts";
import { junkReason } from "./junk.ts";

const token = `npm_${"a1B2c3D4e5".repeat(4).slice(0, 36)}`;

suite("audit", () => {
  const clock = createManualClock(Date.UTC(2026, 0, 1));
  let folder: string;
  let memory: Strata;
  const open = () => openMemory({ path: join(folder, "memory.db"), configFile: false, clock });
  const ids = async () => (await memory.list()).memories.map(({ id }) => id).sort();
  const store = (id: string, text: string, options = {}) => memory.store(text, { id, ...options });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "strata-audit-"));
    memory = await open();
  });

  afterEach(async () => {
    await memory.close();
    await rm(folder, { recursive: true });
  });

  async function fill(): Promise<void> {
    await store("a", "Ada prefers tea in the morning", { tags: ["ada"] });
    clock.advance(1);
    await store("b", "Ada prefers tea in the morning", { tags: ["tea"] });
    await store("c", "ada prefers tea in the morning.");
    await store("d", "Ada prefers tea in the evening");
    await store("e", "!!! ???");
    await store("f", `The token is ${token}`);
  }

  test("a memory in order has nothing to find", async () => {
    await store("a", "Ada prefers tea");
    const report = await memory.audit();
    assert.deepEqual(report.found, { duplicate: 0, "near-duplicate": 0, junk: 0, secret: 0, echo: 0 });
    assert.deepEqual([report.memories, report.findings, report.fixed, report.runs], [1, [], 0, []]);
    assert.deepEqual([...new Set(Object.values(report.orphans!))], [0]);
  });

  test("duplicates, exact and near, junk and secrets are found, and no text is told", async () => {
    await fill();
    const { findings, memories } = await memory.audit();
    assert.equal(memories, 6);
    assert.deepEqual(
      findings.toSorted((one, two) => one.id.localeCompare(two.id)),
      [
        { kind: "duplicate", id: "b", of: "a" },
        { kind: "near-duplicate", id: "c", of: "a" },
        { kind: "junk", id: "e", reason: "no-words" },
        { kind: "secret", id: "f", rule: "npm-token", start: 13, end: 53 },
      ],
    );
    assert.ok(!JSON.stringify(findings).includes(token.slice(4)));
    assert.deepEqual(await ids(), ["a", "b", "c", "d", "e", "f"]);
  });

  test("a repair merges exact duplicates and forgets junk; tried first it changes nothing; both can be undone", async () => {
    await fill();
    const tried = await memory.audit({ fix: true, dryRun: true });
    assert.deepEqual([tried.fixed, tried.runs, (await ids()).length], [2, [], 6]);
    const done = await memory.audit({ fix: true });
    assert.deepEqual([done.fixed, done.runs.length, await ids()], [2, 2, ["a", "c", "d", "f"]]);
    assert.deepEqual((await memory.get("a"))?.tags.toSorted(), ["ada", "tea"]);
    const { entries } = await memory.journal();
    assert.deepEqual(
      entries.map(({ kind, id }) => [kind, id]),
      [
        ["merge", "b"],
        ["forget", "e"],
      ],
    );
    assert.ok(entries.every(({ run }) => done.runs.includes(run)));
    assert.equal((await memory.audit({ fix: true })).fixed, 0);
  });

  test("of exact duplicates the one in the higher tier stays, so that no life is shortened", async () => {
    await store("a", "Ada prefers tea", { tier: "episodic" });
    clock.advance(1);
    await store("b", "Ada prefers tea", { tier: "semantic" });
    const { findings } = await memory.audit({ fix: true });
    assert.deepEqual(findings, [{ kind: "duplicate", id: "a", of: "b" }]);
    assert.equal((await memory.get("b"))?.tier, "semantic");
  });

  test("a repair is undone run by run", async () => {
    await fill();
    const before = (await memory.list()).memories;
    const { runs } = await memory.audit({ fix: true });
    for (const run of runs) await memory.undo(run);
    assert.deepEqual((await memory.list()).memories, before);
  });

  test("storing again, an audit and a consolidation agree on what is the same", async () => {
    const variants: readonly StoreOptions[] = [
      {},
      { speaker: "Ada" },
      { at: 5 },
      { thread: "trip" },
      { thread: "trip", at: 5 },
      { metadata: { n: { x: 1, y: 2 } } },
      { metadata: { n: { y: 2, x: 1 } } },
      { metadata: { m: 1 } },
    ];
    const folds = async (one: StoreOptions, two: StoreOptions, namespace: string) => {
      await memory.store("Ada prefers tea", { ...one, namespace });
      return (await memory.store("Ada prefers tea", { ...two, namespace })).outcome === "existing";
    };
    for (const [a, one] of variants.entries()) {
      for (const [b, two] of variants.entries()) {
        const namespace = `both-${a}-${b}`;
        for (const each of [one, two])
          await memory.store("Ada prefers tea", { ...each, namespace, onDuplicate: "store" });
        const { found } = await memory.audit({ namespace, checks: ["duplicates"] });
        const { counts } = await memory.consolidate({ namespace, dryRun: true });
        const same = (await folds(one, two, `to-${a}-${b}`)) && (await folds(two, one, `from-${a}-${b}`));
        const expected = same ? 1 : 0;
        assert.deepEqual([found.duplicate, counts.merge], [expected, expected], JSON.stringify([one, two]));
      }
    }
  });

  test("pinned memories are told and left", async () => {
    await store("a", "Ada prefers tea", { pinned: true });
    await store("b", "Ada prefers tea", { pinned: true });
    await store("c", "!!!", { pinned: true });
    for (const dryRun of [true, false]) {
      const { found, fixed } = await memory.audit({ fix: true, dryRun });
      assert.deepEqual([found.duplicate, found.junk, fixed, await ids()], [1, 1, 0, ["a", "b", "c"]]);
    }
  });

  test("duplicates with more tags than one memory may have are told and left", async () => {
    const tags = (from: string) => Array.from({ length: 33 }, (_, at) => `${from}${at}`);
    await store("a", "Ada prefers tea", { tags: tags("x") });
    await store("b", "Ada prefers tea", { tags: tags("y") });
    const { found, fixed } = await memory.audit({ fix: true });
    assert.deepEqual([found.duplicate, fixed, await ids()], [1, 0, ["a", "b"]]);
  });

  test("turns said twice, and short turns, are neither", async () => {
    for (const id of ["a", "b"]) await store(id, "ok", { thread: "trip", speaker: "Ada" });
    assert.deepEqual((await memory.audit()).findings, []);
    await store("c", "ok", { thread: "trip", speaker: "Ada", at: 5 });
    await store("d", "ok", { thread: "trip", speaker: "Ada", at: 5 });
    assert.equal((await memory.audit()).found.duplicate, 1);
  });

  test("what repeats older memories is an echo, on request", async () => {
    await store("a", "Ada prefers green tea in the morning");
    await store("b", "The release is planned for the 7th of May");
    clock.advance(1);
    await store("c", "Ada prefers green tea in the morning, the release is planned for the 7th of May");
    assert.equal((await memory.audit()).found.echo, 0);
    const { findings } = await memory.audit({ checks: ["echoes"] });
    assert.deepEqual(
      findings.map(({ kind, id }) => [kind, id]),
      [["echo", "c"]],
    );
  });

  test("what nothing owns is counted, and removed by a repair", async () => {
    await store("a", "Ada prefers tea", { tags: ["ada"] });
    await memory.ingest({ name: "notes", text: "Ben likes coffee." });
    await memory.close();
    const database = new DatabaseSync(join(folder, "memory.db"));
    database.exec(`insert into vector select 900001, model, data from vector limit 1;
      insert into tag values (1, 'lost', 900002);
      insert into entry select 900004, namespace, document, tier, importance, access_count, last_used_at, last_used_day,
        expires_at, pinned, faded, b, k from entry limit 1`);
    database.close();
    memory = await open();
    const lost = {
      vectorsWithoutMemory: 1,
      tagsWithoutEntry: 1,
      entriesWithoutMemory: 1,
    };
    assert.partialDeepStrictEqual((await memory.audit()).orphans, lost);
    const { orphans, fixed } = await memory.audit({ fix: true, checks: ["orphans"] });
    assert.partialDeepStrictEqual(orphans, lost);
    assert.equal(fixed, 3);
    const after = await memory.audit();
    assert.deepEqual([...new Set(Object.values(after.orphans!))], [0]);
    assert.equal((await memory.recall("what does Ada drink?")).hits.length, 2);
  });

  test("findings beyond the limit are counted and handed on, pages follow each other, an abort ends it", async () => {
    await memory.storeMany(Array.from({ length: 600 }, (_, at) => ({ content: "same", id: `m${at}` })));
    const told: string[] = [];
    const done: number[] = [];
    const report = await memory.audit({
      limit: 2,
      onFinding: ({ id }) => told.push(id),
      onProgress: (progress) => done.push(progress.done),
    });
    assert.deepEqual([report.findings.length, report.found.duplicate, new Set(told).size], [2, 599, 599]);
    assert.deepEqual(done, [250, 500, 600]);
    const reason = new Error("enough");
    await assert.rejects(memory.audit({ signal: AbortSignal.abort(reason) }), reason);
  });

  test("what does not exist cannot be asked for", async () => {
    for (const options of [
      { checks: ["all" as never] },
      { checks: [] },
      { limit: Number.NaN },
      { fix: 1 as never },
    ]) {
      await assert.rejects(
        memory.audit(options),
        (error) => StrataError.isInstance(error) && error.code === "INVALID_ARGUMENT",
      );
    }
  });
});

suite("junk", () => {
  for (const text of [
    "...",
    "👍",
    "x",
    "aaaaaaaaaaaa",
    "ha ha ha ha ha ha ha ha",
    "Lorem ipsum dolor",
    "OK.",
    "As an AI language model I cannot",
  ]) {
    test(`"${text}" is junk`, () => assert.ok(junkReason(text, false)));
  }
  for (const text of [
    "Ada",
    "42",
    "茶",
    "ok, we meet at 7",
    "https://example.com",
    "No parking on Mondays",
  ]) {
    test(`"${text}" is none`, () => assert.equal(junkReason(text, false), undefined));
  }
});
