/** Slots with their scores, best first. */
export interface ScoredSlots {
  readonly slots: Uint32Array;
  readonly scores: Float64Array;
}

/**
 * The `limit` best of `count` scored slots: by score, then the newer row first, so that one question always has one
 * answer. A heap of the best so far; most slots are refused by one comparison with its least.
 * @param slotAt Slot of the i-th score; those for which `accepts` is false do not take part.
 */
export function bestSlots(
  scores: Float32Array | Float64Array,
  count: number,
  limit: number,
  rows: Float64Array,
  slotAt: (index: number) => number,
  accepts: (slot: number, score: number) => boolean,
): ScoredSlots {
  const heapSlots: number[] = [];
  const heapScores: number[] = [];
  const worse = (slotA: number, scoreA: number, slotB: number, scoreB: number): boolean =>
    scoreA < scoreB || (scoreA === scoreB && rows[slotA]! < rows[slotB]!);

  const siftDown = (slot: number, score: number): void => {
    const size = heapSlots.length;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      const right = child + 1;
      if (right < size && worse(heapSlots[right]!, heapScores[right]!, heapSlots[child]!, heapScores[child]!))
        child = right;
      if (!worse(heapSlots[child]!, heapScores[child]!, slot, score)) break;
      heapSlots[at] = heapSlots[child]!;
      heapScores[at] = heapScores[child]!;
      at = child;
    }
    heapSlots[at] = slot;
    heapScores[at] = score;
  };

  for (let index = 0; index < count; index++) {
    const score = scores[index]!;
    const full = heapSlots.length === limit;
    if (full && score < heapScores[0]!) continue;
    const slot = slotAt(index);
    if (!accepts(slot, score)) continue;
    if (full) {
      if (worse(heapSlots[0]!, heapScores[0]!, slot, score)) siftDown(slot, score);
      continue;
    }
    let at = heapSlots.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!worse(slot, score, heapSlots[parent]!, heapScores[parent]!)) break;
      heapSlots[at] = heapSlots[parent]!;
      heapScores[at] = heapScores[parent]!;
      at = parent;
    }
    heapSlots[at] = slot;
    heapScores[at] = score;
  }

  const order = heapSlots.map((_, index) => index);
  order.sort((a, b) => heapScores[b]! - heapScores[a]! || rows[heapSlots[b]!]! - rows[heapSlots[a]!]!);
  return {
    slots: Uint32Array.from(order, (index) => heapSlots[index]!),
    scores: Float64Array.from(order, (index) => heapScores[index]!),
  };
}
