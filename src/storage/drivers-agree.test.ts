import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import fc from "fast-check";
import { v7 as uuidv7 } from "uuid";
import type { Candidate, ConsolidationAction } from "../contract/consolidation.ts";
import { StrataError } from "../contract/errors.ts";
import type { Memory } from "../contract/memory.ts";
import type { MemoryStore, NewEntry } from "../contract/memory-store.ts";
import { utcDay } from "../contract/relevance.ts";
import { type Tier, type TierTable, tiers } from "../contract/tier.ts";
import { createManualClock } from "../testing/manual-clock.ts";
import { hashOf, sampleChunks, sampleDocument, sampleEntry, sampleVector } from "../testing/store-samples.ts";
import { createInMemoryStore } from "./in-memory/in-memory-store.ts";
import { checkConsistency } from "./sqlite/check-consistency.ts";
import { openSqliteStore } from "./sqlite/sqlite-store.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-agree-"));
const scope = { namespace: "n" };
const dayMs = 86_400_000;
const table: TierTable = {
  working: { ttlSeconds: 3 * 86_400, capacity: 5 },
  short_term: { ttlSeconds: 0, capacity: 4 },
  episodic: { ttlSeconds: 40 * 86_400, capacity: 6 },
  long_term: { ttlSeconds: 0, capacity: 3 },
  semantic: { ttlSeconds: 0, capacity: 0 },
};

const number = fc.nat({ max: 15 });
const tier = fc.constantFrom(...tiers);
/** Equal, or so far apart that sums of it differ too. */
const importance = fc.integer({ min: 0, max: 2 ** 30 }).map((part) => part / 2 ** 30);
const tag = fc.constantFrom("x", "y", "z");
const thread = fc.constantFrom(undefined, "one", "two");

const entry = fc.record({
  number,
  tier,
  importance,
  thread,
  tags: fc.uniqueArray(tag, { maxLength: 2 }),
  pinned: fc.nat({ max: 7 }).map((one) => one === 7),
  accessCount: fc.nat({ max: 12 }),
  ageDays: fc.oneof(fc.constant(0), fc.nat({ max: 13 }), fc.nat({ max: 60 })),
  key: fc.option(fc.nat({ max: 5 }), { nil: undefined }),
  // Mostly one text for one id, so that most calls are not refused whole.
  text: fc.oneof({ weight: 20, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 2 }) }),
});

const operation = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({
      kind: fc.constant("add" as const),
      entries: fc.array(entry, { minLength: 1, maxLength: 8, size: "max" }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("update" as const),
      number,
      tier: fc.option(tier, { nil: undefined }),
      importance: fc.option(importance, { nil: undefined }),
      pinned: fc.option(fc.boolean(), { nil: undefined }),
      thread: fc.option(fc.constantFrom(null, "one", "two"), { nil: undefined }),
      ifVersion: fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("touch" as const),
      numbers: fc.array(number, { maxLength: 4 }),
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("forget" as const),
      numbers: fc.array(number, { maxLength: 3 }),
      erase: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("forget tag" as const), tag }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("publish" as const),
      uri: fc.constantFrom("d1", "d2", "d3"),
      chunks: fc.nat({ max: 3 }),
      tier,
      importance,
      pinned: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("forget document" as const),
      uri: fc.constantFrom("d1", "d2", "d3"),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("wait" as const),
      days: fc.constantFrom(0.3, 0.3, 0.5, 0.6, 0.8, 1, 1, 1, 2, 2, 9, 11, 45, 800),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cleanup" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("embed" as const),
      model: fc.constantFrom("sample-model", "next-model"),
      numbers: fc.array(number, { minLength: 1, maxLength: 4 }),
      knows: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("drop vectors" as const),
      // The model that is followed: followers of others keep what they were told.
      model: fc.constant("next-model" as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("consolidate" as const),
      tier,
      side: fc.constantFrom("at-least" as const, "below" as const),
      threshold: fc.constantFrom(0, 0.2, 0.35, 0.5, 0.65, 1),
      daysAgo: fc.nat({ max: 2 }),
      memoriesOnly: fc.boolean(),
      applied: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("merge" as const), keep: number, absorb: number }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("undo" as const), runsAgo: fc.nat({ max: 3 }) }) },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

test("the drivers show the same memories after any sequence of operations, and nothing is lost", async () => {
  let files = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { minLength: 15, maxLength: 50, size: "max" }),
      fc.constantFrom(0, 0.01, 0.1, 0.5),
      async (operations, decayRate) => {
        const clock = createManualClock();
        // One driver's journal is trimmed by every write, the other's by cleanups.
        const forgetRetentionMs = 10_000 * dayMs;
        const options = { clock, tiers: table, decayRate, forgetRetentionMs };
        const path = join(folder, `${files++}.db`);
        const sqlite = await openSqliteStore(path, options);
        const plain = createInMemoryStore(options);
        const followers = [new Follower(sqlite), new Follower(plain)];
        try {
          for (const one of operations) {
            if (one.kind === "wait") clock.advance(one.days * dayMs);
            const results = [];
            for (const store of [sqlite, plain]) results.push(await perform(store, one, clock.now()));
            assert.deepEqual(results[0], results[1], `results of ${one.kind}`);
            const shown = [await visible(sqlite), await visible(plain)];
            assert.deepEqual(shown[0], shown[1], `state after ${one.kind}`);
            await assertStats(sqlite, plain);
            assert.deepEqual(await history(sqlite), await history(plain), `journal after ${one.kind}`);
            for (const follower of followers) await follower.agree(shown[0]!);
          }
          using database = new DatabaseSync(path, { readOnly: true });
          assert.deepEqual(checkConsistency(database), []);
        } finally {
          await sqlite.close();
          await plain.close();
        }
      },
    ),
    { numRuns: 60 },
  );
});

async function perform(store: MemoryStore, operation: Operation, now: number): Promise<unknown> {
  switch (operation.kind) {
    case "add":
      return outcome(async () => {
        const { memories, evicted } = await store.add(
          scope,
          operation.entries.map((one) => toEntry(one, now)),
        );
        return [memories.map(({ memory, outcome }) => [memory.id, outcome]), evicted.map(rounded)];
      });
    case "update": {
      const { kind: _kind, number: id, ifVersion, ...patch } = operation;
      return outcome(async () => {
        const { memory, evicted } = await store.update(scope, `m${id}`, patch, { ifVersion });
        return [memory, evicted.map(rounded)];
      });
    }
    case "touch":
      return store.touch(
        scope,
        operation.numbers.map((id) => ({ id: `m${id}`, count: operation.count, lastUsedAt: now })),
      );
    case "forget": {
      const filter = { ids: operation.numbers.map((id) => `m${id}`) };
      return (await store.forget(scope, filter, { erase: operation.erase })).forgotten;
    }
    case "forget tag":
      return (await store.forget(scope, { tags: [operation.tag] })).forgotten;
    case "forget document":
      return (await store.forget(scope, { document: operation.uri })).forgotten;
    case "publish": {
      const { uri, chunks, kind: _kind, ...life } = operation;
      const staged = await store.stageDocument(scope, sampleDocument(uri, { ...life, tags: ["x"] }));
      const texts = Array.from({ length: chunks }, (_, index) => `part ${index} of ${uri}`);
      await store.addChunks(staged, sampleChunks(uri, texts));
      const { document, replaced, evicted } = await store.publishDocument(staged);
      return [{ ...document, id: "" }, replaced, evicted.map(rounded)];
    }
    case "cleanup":
      await store.cleanup({ dryRun: false });
      return (await store.stats()).expired;
    case "embed": {
      const { model, numbers, knows } = operation;
      const { memories } = await store.lacking(scope, model, { limit: 1_000 });
      // Chunks by their place in the document: what a number names is an id of a memory of its own.
      const wanted = memories.filter(({ memory }) =>
        numbers.some((id) => memory.id === `m${id}` || memory.source?.chunk === id),
      );
      const vectors = wanted.map(({ row, memory }) => ({
        row,
        version: memory.version,
        values: knows ? sampleVector(memory.content.length).values : null,
      }));
      const put = await store.addVectors(scope, model, vectors);
      return [memories.map(({ memory }) => memory.id).sort(), put];
    }
    case "drop vectors": {
      for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
        cursor = (await store.dropOtherVectors(scope, operation.model, { limit: 3, cursor })).cursor;
      }
      return (await store.lacking(scope, operation.model, { limit: 1_000 })).memories.length;
    }
    case "consolidate":
      return consolidate(store, operation, now);
    case "merge": {
      const ids = [`m${operation.keep}`, `m${operation.absorb}`];
      const [keep, absorb] = (await store.get(scope, ids)).map((memory, at) => {
        return { id: ids[at]!, version: memory?.version ?? 1 };
      });
      return store.apply(scope, uuidv7(), [{ kind: "merge", keep: keep!, absorb: absorb!, reason: "alike" }]);
    }
    case "undo": {
      const { entries } = await store.journal(scope, { limit: 1_000 });
      const runs = new Set(entries.filter((one) => one.kind !== "expire").map((one) => one.run));
      const run = [...runs][operation.runsAgo];
      if (run === undefined) return undefined;
      const documents = new Set(entries.filter((one) => one.document).map((one) => one.id));
      const { undone, skipped, evicted } = await store.undo(scope, run);
      const named = skipped.map(({ id, reason }) => `${documents.has(id) ? "document" : id} ${reason}`);
      return [undone, named.sort(), evicted.map(rounded)];
    }
    case "wait":
      return undefined;
  }
}

/** Pages through candidates and moves them one step. */
async function consolidate(
  store: MemoryStore,
  operation: Extract<Operation, { kind: "consolidate" }>,
  now: number,
): Promise<unknown> {
  const { side, threshold, daysAgo, memoriesOnly } = operation;
  const from = operation.tier;
  const uris = new Map(
    (await store.documents(scope, { limit: 100 })).documents.map((document) => [document.id, document.uri]),
  );
  const found: Candidate[] = [];
  for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
    const query = { tier: from, side, threshold, day: utcDay(now) - daysAgo, memoriesOnly, limit: 2, cursor };
    const page = await store.candidates(scope, query);
    found.push(...page.candidates);
    cursor = page.cursor;
  }
  const nameOf = (one: Candidate) => (one.document ? uris.get(one.id)! : one.id);
  const named = found
    .map((candidate) => ({ candidate, name: nameOf(candidate) }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
  const seen = named.map(({ candidate, name }) => ({ ...candidate, id: name }));
  const to = tiers[tiers.indexOf(from) + (side === "at-least" ? 1 : -1)];
  if (!operation.applied || to === undefined) return seen;
  const kind = side === "at-least" ? "promote" : "demote";
  const actions = named.map(({ candidate: { id, document, version } }): ConsolidationAction => {
    return { kind, id, document, version, from, to, reason: "planned" };
  });
  const { outcomes, evicted } = await store.apply(scope, uuidv7(), actions);
  return [seen, outcomes, evicted.map(rounded)];
}

/** What the journal tells, run by run, but for the ids that drivers make up and what merely expired. */
async function history(store: MemoryStore): Promise<unknown> {
  const { entries } = await store.journal(scope, { limit: 1_000 });
  const runs = new Map<string, string[]>();
  for (const { run, kind, id, document, from, to, into, undoable } of entries) {
    if (kind === "expire") continue;
    const rows = runs.get(run) ?? [];
    rows.push(JSON.stringify([kind, document ? "document" : id, from, to, into, undoable]));
    runs.set(run, rows);
  }
  return [...runs.values()].map((rows) => rows.sort());
}

function toEntry(one: typeof entry extends fc.Arbitrary<infer T> ? T : never, now: number): NewEntry {
  const { number: id, ageDays, key, text, ...fields } = one;
  const createdAt = now - ageDays * dayMs;
  const content = text === 0 ? `text of m${id}` : `other text ${text} of m${id}`;
  return sampleEntry(`m${id}`, {
    ...fields,
    content,
    createdAt,
    at: createdAt + id,
    vector: text === 2 ? null : sampleVector(id),
    ...(id % 3 === 0 && {
      sideVectors: [{ model: "next-model", values: text === 1 ? null : sampleVector(1).values }],
    }),
    idempotencyKey: key === undefined ? undefined : `key ${key}`,
  });
}

function rounded(evicted: {
  readonly id: string;
  readonly document: boolean;
  readonly tier: Tier;
  readonly relevance: number;
}) {
  return [evicted.document ? "document" : evicted.id, evicted.tier, evicted.relevance.toFixed(9)];
}

async function outcome(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    return error instanceof Error && "code" in error ? error.code : error;
  }
}

/** All visible memories by id, but for the ids that drivers make up. */
async function visible(store: MemoryStore): Promise<Map<string, Memory>> {
  const { memories } = await store.list(scope, {}, { limit: 1_000 });
  const entries = memories.map((memory): [string, Memory] => [
    memory.id,
    memory.source ? { ...memory, source: { ...memory.source, documentId: "" } } : memory,
  ]);
  return new Map(entries.sort(([one], [two]) => (one < two ? -1 : 1)));
}

async function assertStats(sqlite: MemoryStore, plain: MemoryStore): Promise<void> {
  const [one, two] = [await sqlite.stats(scope), await plain.stats(scope)];
  assert.deepEqual(one.tiers, two.tiers);
  assert.deepEqual(
    [one.memories, one.documents, one.withoutVector, one.models, one.unknown, one.evicted],
    [two.memories, two.documents, two.withoutVector, two.models, two.unknown, two.evicted],
  );
  for (const name of tiers) {
    const { entries, pinned, capacity } = one.tiers[name];
    assert.ok(capacity === 0 || entries - pinned <= capacity, `${name} over its capacity`);
  }
}

/** Holds what the feed told it of memories and one model's vectors, and compares. */
class Follower {
  readonly #store: MemoryStore;
  readonly #contents = new Map<number, FollowedMemory>();
  #cursor: string | undefined;

  constructor(store: MemoryStore) {
    this.#store = store;
  }

  async agree(shown: ReadonlyMap<string, Memory>): Promise<void> {
    await this.#follow();
    const known = await this.#alive();
    assert.deepEqual(
      known.map(({ text }) => text),
      [...shown.values()].map((memory) => `${memory.id} ${memory.contentHash}`).sort(),
    );
    const anew = new Follower(this.#store);
    await anew.#follow();
    assert.deepEqual(known, await anew.#alive());
  }

  async #follow(): Promise<void> {
    for (let more = true; more; ) {
      const page = await this.#store.changes(scope, this.#cursor, 2, "next-model").catch((error: unknown) => {
        // Vectors it had not read have become the memories' own.
        if (!StrataError.isInstance(error) || error.code !== "FEED_TRUNCATED") throw error;
        this.#contents.clear();
        return this.#store.changes(scope, undefined, 2, "next-model");
      });
      for (const row of page.removed) this.#contents.delete(row);
      for (const { row, id, content, model, vector } of page.rows) {
        const text = `${id} ${hashOf(content)}`;
        this.#contents.set(row, { text, model, axis: vector?.indexOf(1) });
      }
      this.#cursor = page.cursor;
      more = page.more;
    }
  }

  async #alive(): Promise<FollowedMemory[]> {
    const rows = [...this.#contents.keys()];
    const alive = await this.#store.read(scope, rows);
    return rows
      .filter((_, at) => alive[at] !== undefined)
      .map((row) => this.#contents.get(row)!)
      .map(({ model, ...rest }) =>
        model === "next-model" ? { model, ...rest } : { ...rest, axis: undefined },
      )
      .sort((one, other) => (one.text < other.text ? -1 : 1));
  }
}

interface FollowedMemory {
  readonly text: string;
  readonly model?: string | undefined;
  readonly axis: number | undefined;
}
