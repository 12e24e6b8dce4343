import type { GhostDepths } from "../contract/ghost-stack.ts";
import type { WorkloadStep } from "../contract/workload.ts";
import { type CacheMove, type CachesWindow, CacheTuner, type CacheWindow } from "./cache-tuner.ts";

/** A cache as the simulation sees it: names and bytes. The rooms' own caches are handed in. */
export interface SimulatedCache {
  /** True when it holds the name, which is now the most recently used. */
  look(name: string): boolean;
  keep(name: string, bytes: number): void;
  resize(maxBytes: number): void;
  watchDepths(maxBytes: number): void;
  takeDepths(): GhostDepths | undefined;
}

export interface CacheSimulation {
  readonly steps: Iterable<WorkloadStep>;
  readonly queries: SimulatedCache;
  readonly embeddings: SimulatedCache;
  readonly totalBytes: number;
  /** Bytes of the query cache at the start. */
  readonly queryBytes: number;
  /** Milliseconds of what a record does not tell. */
  readonly embedMs: number;
  readonly searchMs: number;
  /** Numbers of a vector. */
  readonly dimensions: number;
  /** False: the caches stay as they are. */
  readonly tuned: boolean;
}

export interface CacheOutcome {
  /** What all misses cost. */
  readonly ms: number;
  readonly queryHits: number;
  readonly embeddingHits: number;
  readonly queryBytes: number;
  readonly moves: readonly CacheMove[];
}

/** Look-ups in both caches that make a window. */
export const windowLookups = 500;
/** Of an answer that no record tells of, and an entry of a vector beside its numbers and text. */
const usualAnswerBytes = 8_000;
const entryBytes = 250;

/** Plays a workload against two caches, with and without tuning. Touches nothing else. */
export function simulateCaches(simulation: CacheSimulation): CacheOutcome {
  const { queries, embeddings, totalBytes, queryBytes, dimensions, tuned } = simulation;
  const tuner = new CacheTuner({ totalBytes, queryBytes });
  const divide = (bytes: number): void => {
    queries.resize(bytes);
    embeddings.resize(totalBytes - bytes);
  };
  if (tuned) for (const cache of [queries, embeddings]) cache.watchDepths(totalBytes);
  divide(queryBytes);
  const generations = new Map<string, number>();
  /** Of answers, as the record told last. */
  const known = new Map<string, { readonly bytes: number; readonly ms: number }>();
  const moves: CacheMove[] = [];
  let asked = new Figures();
  let told = new Figures();
  const totals = { ms: 0, queryHits: 0, embeddingHits: 0 };
  const { embedMs } = simulation;
  const embed = (key: string, length: number): number => {
    told.lookups++;
    if (embeddings.look(key)) {
      totals.embeddingHits++;
      return 0;
    }
    told.missed(embedMs);
    embeddings.keep(key, 2 * length + 4 * dimensions + entryBytes);
    return embedMs;
  };
  for (const step of simulation.steps) {
    if (step.op === "write") {
      generations.set(step.namespace, (generations.get(step.namespace) ?? 0) + 1);
      continue;
    }
    if (step.op === "embed") totals.ms += embed(step.key, step.length);
    else {
      const name = `${step.namespace}\0${generations.get(step.namespace) ?? 0}\0${step.key}`;
      if (step.bytes !== undefined)
        known.set(step.key, { bytes: step.bytes, ms: step.ms ?? simulation.searchMs });
      asked.lookups++;
      if (queries.look(name)) totals.queryHits++;
      else {
        // Its vector is the other cache's affair: a question whose answer left is often still known there.
        const { bytes, ms } = known.get(step.key) ?? { bytes: usualAnswerBytes, ms: simulation.searchMs };
        asked.missed(ms);
        totals.ms += ms + embed(step.question ?? step.key, step.length);
        queries.keep(name, bytes);
      }
    }
    if (!tuned || asked.lookups + told.lookups < windowLookups) continue;
    const window: CachesWindow = { queries: asked.window(queries), embeddings: told.window(embeddings) };
    const move = tuner.observe(window);
    if (move) {
      moves.push(move);
      if (move.before !== move.after) divide(tuner.state.queryBytes);
    }
    asked = new Figures();
    told = new Figures();
  }
  return { ...totals, queryBytes: tuner.state.queryBytes, moves };
}

class Figures {
  lookups = 0;
  #misses = 0;
  #ms = 0;

  missed(ms: number): void {
    this.#misses++;
    this.#ms += ms;
  }

  window(cache: SimulatedCache): CacheWindow {
    return { depths: cache.takeDepths()!, misses: this.#misses, missMs: this.#ms };
  }
}
