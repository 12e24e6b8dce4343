import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { ghostParts } from "../contract/ghost-stack.ts";
import { type CacheMove, CacheTuner, type CacheWindow } from "./cache-tuner.ts";
import { seededRandom } from "./seeded-random.ts";

const totalBytes = 64_000;

/** A window of 500 look-ups, of which `byPart` hits need so many parts. */
function window(byPart: Readonly<Record<number, number>>, held: number, missMs = 1): CacheWindow {
  const hits = new Float64Array(ghostParts);
  let answered = 0;
  for (const [part, count] of Object.entries(byPart)) {
    hits[Number(part)] = count;
    if (Number(part) < held) answered += count;
  }
  const misses = 500 - answered;
  return { depths: { lookups: 500, hits }, misses, missMs: misses * missMs };
}

/** A tuner in a world in which both caches hold what it says. */
function play(
  tuner: CacheTuner,
  windows: number,
  at: (window: number, queryParts: number) => { queries: CacheWindow; embeddings: CacheWindow },
): CacheMove[] {
  const moves: CacheMove[] = [];
  for (let each = 0; each < windows; each++) {
    const parts = (tuner.state.queryBytes / totalBytes) * ghostParts;
    const move = tuner.observe(at(each, parts));
    if (move) moves.push(move);
  }
  return moves;
}

suite("CacheTuner", () => {
  test("gives the bytes to the cache that gains by them, and keeps them there", () => {
    const tuner = new CacheTuner({ totalBytes, queryBytes: totalBytes / 2 });
    const random = seededRandom(1);
    const moves = play(tuner, 40, (_, parts) => ({
      queries: window({ 40: 300 + Math.floor(random() * 20) }, parts),
      embeddings: window({ 3: 200 }, ghostParts - parts),
    }));
    assert.deepEqual(
      moves.map(({ verdict }) => verdict),
      ["tried", "kept"],
    );
    assert.ok(tuner.state.queryBytes > 40_000);
  });

  test("leaves alone what gains nothing", () => {
    const tuner = new CacheTuner({ totalBytes, queryBytes: totalBytes / 2 });
    const random = seededRandom(2);
    const any = (): CacheWindow => window({ 5: Math.floor(random() * 300) }, 32);
    assert.deepEqual(
      play(tuner, 300, () => ({ queries: any(), embeddings: any() })),
      [],
    );
  });

  test("takes back what stops to gain while it is judged", () => {
    const tuner = new CacheTuner({ totalBytes, queryBytes: totalBytes / 2 });
    const moves = play(tuner, 30, (_, parts) => {
      const tried = parts > 32;
      return {
        queries: window({ [tried ? 5 : 40]: 300 }, parts),
        embeddings: window({ [tried ? 28 : 3]: 200 }, ghostParts - parts),
      };
    });
    const [first, second] = moves;
    assert.deepEqual([first?.verdict, second?.verdict], ["tried", "taken back"]);
    assert.deepEqual([second?.before, second?.after], [first?.after, first?.before]);
    assert.match(second?.reason ?? "", /\(-40\.0 % saved/);
  });

  test("whatever happens: within bounds, one change at a time, and taken back to where it was", () => {
    const part = fc.integer({ min: 0, max: ghostParts - 1 });
    const hits = fc.dictionary(part.map(String), fc.integer({ min: 0, max: 120 }), { maxKeys: 4 });
    const each = fc.record({
      queries: hits,
      embeddings: hits,
      ms: fc.double({ min: 0, max: 50, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.array(each, { minLength: 60, maxLength: 200 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (phases, share) => {
          const queryBytes = Math.round(totalBytes * share);
          const tuner = new CacheTuner({ totalBytes, queryBytes });
          let inForce = queryBytes;
          let trial: CacheMove | undefined;
          for (const phase of phases.flatMap((one) => [one, one, one, one])) {
            const move = tuner.observe({
              queries: window(phase.queries, 32, phase.ms),
              embeddings: window(phase.embeddings, 32),
            });
            const { state } = tuner;
            assert.equal(state.queryBytes + state.embeddingBytes, totalBytes);
            const isConfigured = state.queryBytes === queryBytes;
            assert.ok(
              isConfigured ||
                (state.queryBytes >= totalBytes / 8 && state.queryBytes <= (totalBytes * 7) / 8),
            );
            if (!move) {
              assert.equal(state.queryBytes, inForce);
              continue;
            }
            if (move.verdict === "tried") {
              assert.equal(trial, undefined);
              assert.equal(move.before, inForce);
              trial = move;
            } else if (move.verdict === "kept") {
              assert.deepEqual([move.before, move.after], [trial?.before, trial?.after]);
              trial = undefined;
            } else {
              assert.equal(move.after, trial === undefined ? queryBytes : trial.before);
              trial = undefined;
            }
            inForce = move.after;
            assert.equal(state.queryBytes, inForce);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  test("decides the same on the same figures", () => {
    const decide = (): CacheMove[] => {
      const random = seededRandom(5);
      const tuner = new CacheTuner({ totalBytes, queryBytes: totalBytes / 2 });
      return play(tuner, 200, (at, parts) => ({
        queries: window({ [at < 100 ? 40 : 2]: Math.floor(random() * 300) }, parts),
        embeddings: window({ [at < 100 ? 2 : 50]: Math.floor(random() * 300) }, ghostParts - parts),
      }));
    };
    assert.ok(decide().length > 2);
    assert.deepEqual(decide(), decide());
  });
});
