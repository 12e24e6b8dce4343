import { createHash } from "node:crypto";
import { join } from "node:path";
import { MemoryConsolidator, type Tier, tiers } from "../src/index.ts";
import { openSqliteStore } from "../src/storage/sqlite/sqlite-store.ts";
import { createManualClock } from "../src/testing/manual-clock.ts";
import { inTemporaryFolder } from "./temporary-folder.ts";

const days = 365;
/** Passes a day, some hours apart, as a program that is open in the day has them. */
const passesPerDay = 8;
const passMs = 3_600_000;
const dayMs = 86_400_000;
/** Memories stored each day, by tier. */
const stored: readonly (readonly [Tier, number])[] = [
  ["working", 4],
  ["short_term", 4],
  ["episodic", 6],
  ["long_term", 12],
];
/** Share of memories that are used at all; each about so often on its first day, less with each further day. */
const usedShare = 0.3;
const usesOnFirstDay = 4;
const fading = 0.8;

interface Followed {
  readonly id: string;
  readonly first: Tier;
  readonly used: boolean;
  readonly storedDay: number;
  tier: Tier;
  readonly reached: Set<Tier>;
  promoted: boolean;
  demoted: boolean;
}

const scope = { namespace: "year" };

/**
 * A year of use at the defaults with fake time and a seeded workload: which share of used and unused memories is
 * promoted, demoted, expires, and reaches each tier.
 */
export async function run(): Promise<unknown> {
  return inTemporaryFolder(async (folder) => {
    const clock = createManualClock(Date.UTC(2025, 0, 1));
    const store = await openSqliteStore(join(folder, "year.db"), { clock });
    const consolidator = new MemoryConsolidator(store, { namespace: scope.namespace, clock });
    const random = seeded(20250101);
    const followed = new Map<string, Followed>();
    let evicted = 0;
    for (let day = 0; day < days; day++) {
      for (let pass = 0; pass < passesPerDay; pass++) {
        if (pass === 0) await storeDay(day);
        await useSome(day);
        clock.advance(passMs);
        const report = await consolidator.runConsolidation();
        evicted += report.evicted.length;
        for (const action of report.actions)
          if (action.kind !== "merge") note(action.id, action.to, action.kind);
      }
      clock.advance(dayMs - passesPerDay * passMs);
    }
    const left = new Set<string>();
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await store.list(scope, {}, { limit: 1_000, cursor });
      for (const { id } of page.memories) left.add(id);
      cursor = page.cursor;
    }
    await store.close();
    const all = [...followed.values()];
    return {
      days,
      memories: all.length,
      evicted,
      used: shares(
        all.filter(({ used }) => used),
        left,
      ),
      unused: shares(
        all.filter(({ used }) => !used),
        left,
      ),
    };

    async function storeDay(day: number): Promise<void> {
      for (const [tier, count] of stored) {
        for (let at = 0; at < count; at++) {
          const id = `${tier}-${day}-${at}`;
          const content = `memory ${id}`;
          // Most take the default; some are said to matter more, some less.
          const importance = random() < 0.6 ? 0.5 : random();
          const contentHash = createHash("sha256").update(content).digest("hex");
          await store.add(scope, [
            {
              id,
              content,
              contentHash,
              tier,
              importance,
              tags: [],
              metadata: {},
              pinned: false,
              vector: null,
            },
          ]);
          const used = random() < usedShare;
          followed.set(id, {
            id,
            first: tier,
            used,
            storedDay: day,
            tier,
            reached: new Set([tier]),
            promoted: false,
            demoted: false,
          });
        }
      }
    }

    async function useSome(day: number): Promise<void> {
      const uses = [...followed.values()].flatMap(({ id, used, storedDay }) => {
        const age = day - storedDay;
        if (!used || age > 60) return [];
        const rate = (usesOnFirstDay * fading ** age) / passesPerDay;
        return random() < rate ? [{ id, count: 1, lastUsedAt: clock.now() }] : [];
      });
      await store.touch(scope, uses);
    }

    function note(id: string, tier: Tier, kind: "promote" | "demote"): void {
      const memory = followed.get(id)!;
      memory.tier = tier;
      memory.reached.add(tier);
      if (kind === "promote") memory.promoted = true;
      else memory.demoted = true;
    }
  });
}

/** Of all memories, the share that was ever in each tier, was moved, and is there at the end. */
function shares(memories: readonly Followed[], left: ReadonlySet<string>): object {
  const share = (wanted: (memory: Followed) => boolean): number =>
    Math.round((memories.filter(wanted).length / memories.length) * 1e3) / 1e3;
  return {
    memories: memories.length,
    promoted: share(({ promoted }) => promoted),
    demoted: share(({ demoted }) => demoted),
    thereAtTheEnd: share(({ id }) => left.has(id)),
    reached: Object.fromEntries(tiers.map((tier) => [tier, share(({ reached }) => reached.has(tier))])),
    reachedFromBelow: Object.fromEntries(
      tiers.map((tier) => [tier, share(({ first, reached }) => first !== tier && reached.has(tier))]),
    ),
  };
}

/** Uniform in 0..1, the same numbers for a seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
