/** Slots with their scores, best first. */
export interface ScoredSlots {
  readonly slots: Uint32Array;
  readonly scores: Float64Array;
}

/** What is scored. */
export interface SlotScores {
  readonly scores: Float32Array | Float64Array;
  /** Slot of each score; absent: its number. */
  readonly slots?: Uint32Array | undefined;
  /** Only scores above it take part. */
  readonly above: number;
}

/** The best so far, the worst of them at the root. */
interface Heap {
  readonly slots: Uint32Array;
  readonly scores: Float64Array;
  readonly rows: Float64Array;
}

/** Scores among which a bound is looked for first: of more, one comparison each with the worst so far costs less. */
const mostCounted = 65_536;
const buckets = 256;

/**
 * The `limit` best scored slots: by score, then the newer row first, so that one question always has one answer. A
 * heap of the best so far; most slots are refused by one comparison with its least.
 * @param rows Row of each slot.
 */
export function bestSlots(scored: SlotScores, limit: number, rows: Float64Array): ScoredSlots {
  const { heap, size } = gather(scored, limit, rows);
  // The worst comes off first, and stands last.
  for (let last = size - 1; last > 0; last--) {
    const [slot, score] = [heap.slots[last]!, heap.scores[last]!];
    heap.slots[last] = heap.slots[0]!;
    heap.scores[last] = heap.scores[0]!;
    siftDown(heap, last, slot, score);
  }
  return { slots: heap.slots.subarray(0, size), scores: heap.scores.subarray(0, size) };
}

/** The same in no order, which takes half the time. */
export function bestUnordered(scored: SlotScores, limit: number, rows: Float64Array): ScoredSlots {
  const { heap, size } = gather(scored, limit, rows);
  return { slots: heap.slots.subarray(0, size), scores: heap.scores.subarray(0, size) };
}

function gather(
  scored: SlotScores,
  limit: number,
  rows: Float64Array,
): { readonly heap: Heap; readonly size: number } {
  const { slots, above } = scored;
  // Of one kind whatever was given: loops over arrays of two kinds take three times as long.
  const scores = scored.scores instanceof Float64Array ? scored.scores : new Float64Array(scored.scores);
  const room = Math.min(limit, scores.length);
  const heap: Heap = { slots: new Uint32Array(room), scores: new Float64Array(room), rows };
  const bound = scores.length > mostCounted ? Number.NEGATIVE_INFINITY : boundOfBest(scores, above, limit);
  let size = 0;
  let least = above;
  for (let index = 0; index < scores.length; index++) {
    const score = scores[index]!;
    if (score < bound) continue;
    if (size === room ? score < least : !(score > above)) continue;
    const slot = slots ? slots[index]! : index;
    if (size < room) siftUp(heap, size++, slot, score);
    else if (isWorse(heap, 0, slot, score)) siftDown(heap, room, slot, score);
    least = heap.scores[0]!;
  }
  return { heap, size };
}

/**
 * A score that at least `limit` of those above `above` reach, and hardly more, by counting how many lie in each part of
 * their range; negative infinity where that is not known.
 */
export function boundOfBest(scores: Float64Array, above: number, limit: number): number {
  const unknown = Number.NEGATIVE_INFINITY;
  if (scores.length < 2 * limit) return unknown;
  let least = Number.POSITIVE_INFINITY;
  let greatest = unknown;
  for (let index = 0; index < scores.length; index++) {
    const score = scores[index]!;
    least = Math.min(least, score);
    greatest = Math.max(greatest, score);
  }
  least = Math.max(least, above);
  const step = (buckets - 1) / (greatest - least);
  if (!(step > 0 && step < Number.POSITIVE_INFINITY)) return unknown;
  const counts = new Uint32Array(buckets);
  for (let index = 0; index < scores.length; index++) {
    const place = (scores[index]! - least) * step;
    if (place > 0) counts[place | 0]!++;
  }
  let bucket = buckets;
  for (let sum = 0; bucket > 0 && sum < limit; ) sum += counts[--bucket]!;
  // Rounding may have put one into the next bucket.
  return bucket === 0 ? unknown : least + (bucket - 0.01) / step;
}

/** True when what stands at `at` is worse than the other. */
function isWorse({ slots, scores, rows }: Heap, at: number, slot: number, score: number): boolean {
  const known = scores[at]!;
  return known < score || (known === score && rows[slots[at]!]! < rows[slot]!);
}

/** Puts one at the end, `at`, and lets it rise. */
function siftUp(heap: Heap, at: number, slot: number, score: number): void {
  const { slots, scores } = heap;
  let place = at;
  while (place > 0) {
    const parent = (place - 1) >> 1;
    if (isWorse(heap, parent, slot, score)) break;
    slots[place] = slots[parent]!;
    scores[place] = scores[parent]!;
    place = parent;
  }
  slots[place] = slot;
  scores[place] = score;
}

/** Puts one in the place of the root of the first `size`, and lets it sink. */
function siftDown(heap: Heap, size: number, slot: number, score: number): void {
  const { slots, scores } = heap;
  let place = 0;
  for (;;) {
    let child = 2 * place + 1;
    if (child >= size) break;
    const right = child + 1;
    if (right < size && isWorse(heap, right, slots[child]!, scores[child]!)) child = right;
    if (!isWorse(heap, child, slot, score)) break;
    slots[place] = slots[child]!;
    scores[place] = scores[child]!;
    place = child;
  }
  slots[place] = slot;
  scores[place] = score;
}
