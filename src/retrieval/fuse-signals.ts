import type { ScoredSlots } from "./best-slots.ts";
import type { Signal, SignalName } from "./find-candidates.ts";

/** One signal over all candidates, in their order. */
export interface FusedSignal {
  readonly name: SignalName;
  readonly weight: number;
  /** Among its own best. */
  readonly found: number;
  /** How vectors were found. */
  readonly path?: "exact" | "approximate" | undefined;
  readonly raw: Float64Array;
  readonly normalized: Float64Array;
}

/** Candidates with what each signal says of them. */
export interface Fusion {
  /** Fused candidates, then those that fill a limit above them. */
  readonly slots: Uint32Array;
  /** How many of `slots` were fused. */
  readonly fused: number;
  readonly signals: readonly FusedSignal[];
  /** Σ weight · normalized. */
  readonly scores: Float64Array;
}

/**
 * The union of the best `depth` by each signal, every signal scored exactly for each of them, negatives taken as 0,
 * divided by its greatest value among them, weighted and summed. With fewer than `limit`, more follow in the order of
 * the first signal, then of the next, none of which changes the scores of those before.
 */
export function fuseSignals(signals: readonly Signal[], depth: number, limit: number): Fusion {
  const best = signals.map((signal) => signal.best(depth, false));
  /** By slot, its place among the candidates. */
  const places = new Map<number, number>();
  for (const { slots } of best) {
    for (let i = 0; i < slots.length; i++) if (!places.has(slots[i]!)) places.set(slots[i]!, places.size);
  }
  const fused = places.size;
  if (fused < limit) {
    for (const signal of signals) {
      for (const slot of signal.best(limit + fused, true).slots) {
        if (places.size < limit && !places.has(slot)) places.set(slot, places.size);
      }
    }
  }
  const slots = Uint32Array.from(places.keys());
  const scores = new Float64Array(slots.length);
  const fusedSignals = signals.map((signal, at): FusedSignal => {
    const raw = scoresOf(signal, best[at]!, slots, places);
    let greatest = 0;
    for (let i = 0; i < fused; i++) greatest = Math.max(greatest, raw[i]!);
    const normalized = new Float64Array(slots.length);
    for (let i = 0; i < slots.length; i++) {
      normalized[i] = greatest > 0 ? Math.min(1, Math.max(0, raw[i]!) / greatest) : 0;
      scores[i]! += signal.weight * normalized[i]!;
    }
    const { name, weight, path } = signal;
    return { name, weight, path, found: best[at]!.slots.length, raw, normalized };
  });
  return { slots, fused, signals: fusedSignals, scores };
}

/** A signal's scores of all candidates; of its own best they are known. */
function scoresOf(
  signal: Signal,
  best: ScoredSlots,
  slots: Uint32Array,
  places: ReadonlyMap<number, number>,
): Float64Array {
  const scores = new Float64Array(slots.length);
  const known = new Uint8Array(slots.length);
  for (let i = 0; i < best.slots.length; i++) {
    const place = places.get(best.slots[i]!)!;
    scores[place] = best.scores[i]!;
    known[place] = 1;
  }
  const others = slots.filter((_, place) => known[place] === 0);
  if (others.length === 0) return scores;
  const asked = signal.scoresOf(others);
  let at = 0;
  for (let place = 0; place < slots.length; place++) if (known[place] === 0) scores[place] = asked[at++]!;
  return scores;
}
