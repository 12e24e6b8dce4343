import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import type { SearchBreadth } from "../contract/tuning.ts";
import { type SearchMove, SearchTuner } from "./search-tuner.ts";
import { seededRandom } from "./seeded-random.ts";

const widest: SearchBreadth = { candidates: 100, vectorBreadth: 1 };

interface World {
  ms(breadth: SearchBreadth, recall: number): number;
  overlap(breadth: SearchBreadth, recall: number): number;
}

function play({ ms, overlap }: World, recalls: number, seed = 1) {
  const random = seededRandom(seed);
  const moves: SearchMove[] = [];
  const tuner = new SearchTuner({ widest, minOverlap: 0.98, random, onMove: (move) => moves.push(move) });
  for (let recall = 0; recall < recalls; recall++) {
    const breadth = tuner.next();
    tuner.answered(breadth, ms(breadth, recall) * (0.5 + random()));
    if (tuner.wantsProbe(breadth)) tuner.probed(breadth, overlap(breadth, recall));
  }
  return { tuner, moves };
}

suite("SearchTuner", () => {
  test("searches narrower where that is faster and finds the same", () => {
    const { tuner, moves } = play({ ms: ({ candidates }) => candidates, overlap: () => 1 }, 30_000);
    assert.equal(tuner.breadth.candidates, 50);
    const kept = moves.filter(({ verdict }) => verdict === "kept");
    assert.deepEqual(
      kept.map(({ parameter, before, after }) => [parameter, before, after]),
      [
        ["candidates", 100, 75],
        ["candidates", 75, 50],
      ],
    );
    assert.match(kept[0]!.reason, /faster \(p = .*Mann and Whitney/);
  });

  test("stays as configured where narrower finds less, however fast it is", () => {
    const { tuner, moves } = play(
      { ms: ({ candidates }) => candidates, overlap: ({ candidates }) => (candidates < 100 ? 0.9 : 1) },
      30_000,
    );
    assert.equal(tuner.breadth.candidates, 100);
    assert.ok(moves.some(({ verdict }) => verdict === "taken back"));
  });

  test("stays as configured where narrower is no faster", () => {
    const { tuner } = play({ ms: () => 1, overlap: () => 1 }, 60_000);
    assert.deepEqual(tuner.breadth, widest);
  });

  test("takes back what does not find enough any more", () => {
    const { tuner, moves } = play(
      {
        ms: ({ candidates }) => candidates,
        overlap: ({ candidates }, recall) => (candidates < 100 && recall > 15_000 ? 0.9 : 1),
      },
      40_000,
    );
    assert.equal(tuner.breadth.candidates, 100);
    const last = moves.filter(({ verdict }) => verdict !== "tried").at(-1);
    assert.equal(last?.verdict, "taken back");
  });

  test("without a question asked again nothing is kept", () => {
    const moves: SearchMove[] = [];
    const tuner = new SearchTuner({
      widest,
      minOverlap: 0.9,
      random: seededRandom(1),
      onMove: (move) => moves.push(move),
    });
    for (let recall = 0; recall < 10_000; recall++) {
      const breadth = tuner.next();
      tuner.answered(breadth, breadth.candidates);
    }
    assert.deepEqual(tuner.breadth, widest);
    assert.ok(moves.length > 0 && moves.every(({ verdict }) => verdict !== "kept"));
  });

  test("whatever happens: within bounds, one change at a time", () => {
    const unit = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(fc.integer(), unit, unit, unit, (seed, cost, found, change) => {
        const world: World = {
          ms: ({ candidates, vectorBreadth }, recall) =>
            1 + cost * candidates + (recall > 10_000 * change ? vectorBreadth * 50 : 0),
          overlap: ({ candidates }, recall) =>
            recall > 10_000 * change ? 1 : 1 - (found * (100 - candidates)) / 500,
        };
        const { moves } = play(world, 20_000, seed);
        const inForce: Record<string, number> = { candidates: 100, "vector-breadth": 1 };
        let trial: SearchMove | undefined;
        for (const move of moves) {
          assert.ok(
            move.parameter === "candidates"
              ? move.after >= 50 && move.after <= 100
              : move.after >= 0.5 && move.after <= 1,
          );
          if (move.verdict === "tried") {
            assert.equal(trial, undefined);
            assert.equal(move.before, inForce[move.parameter]);
            trial = move;
            continue;
          }
          if (move.verdict === "kept") inForce[move.parameter] = move.after;
          else if (trial === undefined || trial.parameter !== move.parameter || move.before !== trial.after)
            inForce[move.parameter] = move.after;
          trial = undefined;
        }
      }),
      { numRuns: 30 },
    );
  });

  test("decides the same by the same seed", () => {
    const world: World = { ms: ({ candidates }) => candidates, overlap: () => 0.99 };
    assert.deepEqual(play(world, 20_000, 7).moves, play(world, 20_000, 7).moves);
  });
});
