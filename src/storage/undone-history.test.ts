import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { v7 as uuidv7 } from "uuid";
import type { Candidate, ConsolidationAction } from "../contract/consolidation.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import { utcDay } from "../contract/relevance.ts";
import { type TierTable, tiers } from "../contract/tier.ts";
import { publish, scope, stateOf } from "../testing/contract-bench.ts";
import { createManualClock, type ManualClock } from "../testing/manual-clock.ts";
import { sampleEntry } from "../testing/store-samples.ts";
import { createInMemoryStore } from "./in-memory/in-memory-store.ts";
import { openSqliteStore } from "./sqlite/sqlite-store.ts";

const folder = mkdtempSync(join(tmpdir(), "strata-undone-"));
const dayMs = 86_400_000;
const table: TierTable = {
  working: { ttlSeconds: 30 * 86_400, capacity: 12 },
  short_term: { ttlSeconds: 40 * 86_400, capacity: 8 },
  episodic: { ttlSeconds: 50 * 86_400, capacity: 8 },
  long_term: { ttlSeconds: 60 * 86_400, capacity: 10 },
  semantic: { ttlSeconds: 0, capacity: 0 },
};

const tier = fc.constantFrom(...tiers);
const fraction = fc.integer({ min: 0, max: 1_000 }).map((part) => part / 1_000);
const memory = fc.record({
  tier,
  importance: fraction,
  accessCount: fc.nat({ max: 12 }),
  ageDays: fc.nat({ max: 20 }),
  thread: fc.constantFrom(undefined, "one", "two"),
  tags: fc.uniqueArray(fc.constantFrom("x", "y", "z")),
  speaker: fc.constantFrom(undefined, "Ada"),
  hasVector: fc.boolean(),
});
const document = fc.record({ tier, importance: fraction, chunks: fc.nat({ max: 4 }) });
/** One run: what a consolidation plans, or what is forgotten. */
const run = fc.oneof(
  fc.record({
    kind: fc.constant("moves" as const),
    up: fraction,
    down: fraction,
    merges: fc.array(fc.tuple(fc.nat(), fc.nat()), { maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant("forget" as const), every: fc.integer({ min: 2, max: 5 }) }),
  fc.record({ kind: fc.constant("forget tag" as const), tag: fc.constantFrom("x", "y") }),
  fc.record({ kind: fc.constant("forget document" as const), number: fc.nat({ max: 3 }) }),
);
type Run = typeof run extends fc.Arbitrary<infer T> ? T : never;

const drivers = {
  SQLite: (clock: ManualClock, file: number) =>
    openSqliteStore(join(folder, `${file}.db`), { clock, tiers: table }),
  "in-memory of two partitions": async (clock: ManualClock) =>
    createInMemoryStore({ clock, tiers: table, partitions: 2 }),
};

for (const [name, open] of Object.entries(drivers)) {
  test(`runs taken back latest first leave the ${name} store as it was, and taken back again as they left it`, async () => {
    let files = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(memory, { minLength: 5, maxLength: 30, size: "max" }),
        fc.array(document, { maxLength: 4 }),
        fc.array(run, { minLength: 1, maxLength: 4 }),
        async (memories, documents, runs) => {
          const clock = createManualClock();
          const store = await open(clock, files++);
          try {
            for (const [index, { ageDays, hasVector, ...fields }] of memories.entries()) {
              const createdAt = clock.now() - ageDays * dayMs;
              const vector = hasVector ? {} : { vector: null };
              await store.add(scope, [sampleEntry(`m${index}`, { ...fields, ...vector, createdAt })]);
            }
            for (const [index, { chunks, ...fields }] of documents.entries()) {
              const texts = Array.from({ length: chunks }, (_, part) => `part ${part} of ${index}`);
              const bench = { store, clock, partitions: 1, reopen: async () => undefined };
              await publish(bench, `d${index}`, texts, { ...fields, tags: ["x"] });
            }
            const states = [await stateOf(store)];
            const done: string[] = [];
            for (const one of runs) {
              clock.advance(60_000);
              const id = await perform(store, one, clock.now());
              if (id === undefined) continue;
              done.push(id);
              states.push(await stateOf(store));
            }
            const undone: string[] = [];
            for (let at = done.length - 1; at >= 0; at--) {
              const result = await store.undo(scope, done[at]!);
              assert.deepEqual([result.skipped, result.evicted], [[], []]);
              assert.deepEqual(await stateOf(store), states[at], `after taking back run ${at}`);
              undone.push(result.run);
            }
            for (let at = done.length - 1; at >= 0; at--) {
              const result = await store.undo(scope, undone[at]!);
              assert.deepEqual([result.skipped, result.evicted], [[], []]);
              assert.deepEqual(timeless(await stateOf(store)), timeless(states[done.length - at]));
            }
          } finally {
            await store.close();
          }
        },
      ),
      { numRuns: 40 },
    );
  });
}

/** Everything but when it expires. */
function timeless(state: unknown): unknown {
  return JSON.parse(JSON.stringify(state, (key, value) => (key === "expiresAt" ? undefined : value)));
}

/** Does one run. Returns its name, undefined when there was nothing to do. */
async function perform(store: MemoryStore, one: Run, now: number): Promise<string | undefined> {
  if (one.kind === "forget tag") return (await store.forget(scope, { tags: [one.tag] })).run;
  if (one.kind === "forget document") return (await store.forget(scope, { document: `d${one.number}` })).run;
  const { memories } = await store.list(scope, {}, { limit: 1_000 });
  if (one.kind === "forget") {
    const ids = memories.filter((_, index) => index % one.every === 0).map(({ id }) => id);
    return (await store.forget(scope, { ids })).run;
  }
  const actions: ConsolidationAction[] = [];
  const own = memories.filter((memory) => !memory.source);
  const versions = new Map(own.map(({ id, version }) => [id, version]));
  for (const [keep, absorb] of one.merges) {
    const [kept, absorbed] = [own[keep % own.length], own[absorb % own.length]];
    if (!kept || !absorbed || kept === absorbed || !versions.has(kept.id) || !versions.has(absorbed.id))
      continue;
    const [version, other] = [versions.get(kept.id)!, versions.get(absorbed.id)!];
    actions.push({
      kind: "merge",
      keep: { id: kept.id, version },
      absorb: { id: absorbed.id, version: other },
      reason: "alike",
    });
    versions.set(kept.id, version + 1);
    versions.delete(absorbed.id);
  }
  for (const [index, from] of tiers.entries()) {
    for (const side of ["at-least", "below"] as const) {
      const threshold = side === "at-least" ? one.up : one.down;
      const to = tiers[index + (side === "at-least" ? 1 : -1)];
      if (to === undefined) continue;
      const query = { tier: from, side, threshold, day: utcDay(now), limit: 1_000 } as const;
      const { candidates } = await store.candidates(scope, query);
      const kind = side === "at-least" ? "promote" : "demote";
      actions.push(
        ...candidates.map(({ id, document: isDocument, version }: Candidate): ConsolidationAction => {
          return {
            kind,
            id,
            document: isDocument,
            version: versions.get(id) ?? version,
            from,
            to,
            reason: "planned",
          };
        }),
      );
    }
  }
  const name = uuidv7();
  const { outcomes } = await store.apply(scope, name, actions);
  return outcomes.includes("done") ? name : undefined;
}
