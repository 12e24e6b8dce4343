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
  const union = new Union(best.reduce((sum, { slots }) => sum + slots.length, limit));
  const placed = best.map(({ slots }) => union.add(slots));
  const fused = union.size;
  if (fused < limit) {
    for (const signal of signals) union.add(signal.best(limit + fused, true).slots, limit);
  }
  const slots = union.slots.subarray(0, union.size);
  const scores = new Float64Array(slots.length);
  const fusedSignals = signals.map((signal, at): FusedSignal => {
    const raw = scoresOf(signal, best[at]!, placed[at]!, slots);
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

/** Slots, each once, in the order in which they came. */
class Union {
  readonly slots: Uint32Array;
  size = 0;
  readonly #places = new Map<number, number>();

  constructor(most: number) {
    this.slots = new Uint32Array(most);
  }

  /** Adds slots up to so many in all. @returns Their places; of what found no room, none of use. */
  add(slots: Uint32Array, most: number = this.slots.length): Uint32Array {
    const placed = new Uint32Array(slots.length);
    for (let at = 0; at < slots.length; at++) {
      const slot = slots[at]!;
      let place = this.#places.get(slot);
      if (place === undefined && this.size < most) {
        place = this.size++;
        this.slots[place] = slot;
        this.#places.set(slot, place);
      }
      placed[at] = place ?? 0;
    }
    return placed;
  }
}

/** A signal's scores of all candidates; of its own best they are known. */
function scoresOf(signal: Signal, best: ScoredSlots, placed: Uint32Array, slots: Uint32Array): Float64Array {
  const scores = new Float64Array(slots.length);
  const known = new Uint8Array(slots.length);
  for (let at = 0; at < placed.length; at++) {
    const place = placed[at]!;
    scores[place] = best.scores[at]!;
    known[place] = 1;
  }
  const others = new Uint32Array(slots.length);
  let count = 0;
  for (let place = 0; place < slots.length; place++) {
    if (known[place] === 0) others[count++] = slots[place]!;
  }
  if (count === 0) return scores;
  const asked = signal.scoresOf(others.subarray(0, count));
  let at = 0;
  for (let place = 0; place < slots.length; place++) if (known[place] === 0) scores[place] = asked[at++]!;
  return scores;
}
