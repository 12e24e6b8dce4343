/** Slots with their scores, best first. */
export interface ScoredSlots {
  readonly slots: Uint32Array;
  readonly scores: Float64Array;
}

/** What is scored and which of it may take part. */
export interface SlotScores {
  readonly scores: Float32Array | Float64Array;
  /** Slot of each score; absent: its number. */
  readonly slots?: Uint32Array | undefined;
  /** By slot: only those with 1 take part. */
  readonly mask: Uint8Array;
  /** A second mask, when there is one. */
  readonly holds?: Uint8Array | undefined;
  /** Only scores above it take part. */
  readonly above: number;
}

/**
 * The `limit` best scored slots: by score, then the newer row first, so that one question always has one answer. A
 * heap of the best so far; most slots are refused by one comparison with its least.
 * @param rows Row of each slot.
 */
export function bestSlots(scored: SlotScores, limit: number, rows: Float64Array): ScoredSlots {
  const { scores, slots, mask, holds, above } = scored;
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

  let least = above;
  let full = false;
  for (let index = 0; index < scores.length; index++) {
    const score = scores[index]!;
    if (full ? score < least : !(score > above)) continue;
    const slot = slots ? slots[index]! : index;
    if (mask[slot] !== 1 || (holds && holds[slot] !== 1)) continue;
    if (full) {
      if (worse(heapSlots[0]!, heapScores[0]!, slot, score)) siftDown(slot, score);
      least = heapScores[0]!;
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
    full = heapSlots.length === limit;
    least = heapScores[0]!;
  }

  // The worst comes off first, and stands last.
  const best = { slots: new Uint32Array(heapSlots.length), scores: new Float64Array(heapSlots.length) };
  for (let at = heapSlots.length - 1; at >= 0; at--) {
    best.slots[at] = heapSlots[0]!;
    best.scores[at] = heapScores[0]!;
    const slot = heapSlots.pop()!;
    const score = heapScores.pop()!;
    if (at > 0) siftDown(slot, score);
  }
  return best;
}
