import { LRUCache } from "lru-cache";

/** How many accesses a way to choose what stays would answer, from an empty cache of `size` entries. */
export type CachePolicy = (keys: readonly string[], size: number) => number;

/** Least recently used leaves. */
export function leastRecentlyUsed(keys: readonly string[], size: number): number {
  const kept = new LRUCache<string, true>({ max: size });
  let hits = 0;
  for (const key of keys) {
    if (kept.get(key)) hits += 1;
    else kept.set(key, true);
  }
  return hits;
}

/** SIEVE (Zhang et al., NSDI 2024): a hand walks from the oldest to the newest and takes the first one not used since. */
export function sieve(keys: readonly string[], size: number): number {
  /** Used since the hand came by; in the order they entered. */
  const used = new Map<string, boolean>();
  let hand = used.keys();
  let hits = 0;
  const evict = (): void => {
    for (;;) {
      const { value, done } = hand.next();
      if (done) hand = used.keys();
      else if (used.get(value)) used.set(value, false);
      else {
        used.delete(value);
        return;
      }
    }
  };
  for (const key of keys) {
    if (used.has(key)) {
      hits += 1;
      used.set(key, true);
      continue;
    }
    if (used.size >= size) evict();
    used.set(key, false);
  }
  return hits;
}

/**
 * S3-FIFO (Yang et al., SOSP 2023), algorithm 1: a small queue of a tenth for newcomers, a main queue for what was
 * asked for again, and the names of as many as the main queue holds of those that left.
 */
export function s3Fifo(keys: readonly string[], size: number): number {
  const smallSize = Math.max(1, Math.floor(size / 10));
  const mainSize = size - smallSize;
  /** Name to uses, at most 3; in the order they entered. */
  const small = new Map<string, number>();
  const main = new Map<string, number>();
  const ghosts = new Set<string>();
  let hits = 0;
  const evictMain = (): void => {
    for (const [key, uses] of main) {
      main.delete(key);
      if (uses === 0) return;
      main.set(key, uses - 1);
    }
  };
  const evictSmall = (): void => {
    for (const [key, uses] of small) {
      small.delete(key);
      if (uses > 1 && mainSize > 0) {
        if (main.size >= mainSize) evictMain();
        main.set(key, 0);
        continue;
      }
      ghosts.add(key);
      const [oldest] = ghosts;
      if (ghosts.size > Math.max(1, mainSize)) ghosts.delete(oldest!);
      return;
    }
    evictMain();
  };
  for (const key of keys) {
    const queue = small.has(key) ? small : main;
    const uses = queue.get(key);
    if (uses !== undefined) {
      hits += 1;
      queue.set(key, Math.min(3, uses + 1));
      continue;
    }
    if (small.size + main.size >= size) {
      if (small.size >= smallSize) evictSmall();
      else evictMain();
    }
    if (ghosts.delete(key) && mainSize > 0) main.set(key, 0);
    else small.set(key, 0);
  }
  return hits;
}

/** The most any policy could answer (Belady 1966), one that may also keep nothing of an access: furthest next use leaves. */
export function bestPossible(keys: readonly string[], size: number): number {
  const nextUse = nextUses(keys);
  const kept = new Map<string, number>();
  /** Heap of next uses, the furthest on top; entries whose key has another next use by now are skipped. */
  const furthest = new FurthestFirst();
  let hits = 0;
  keys.forEach((key, at) => {
    if (kept.has(key)) hits += 1;
    const next = nextUse[at]!;
    kept.set(key, next);
    furthest.push(next, key);
    while (kept.size > size) {
      const { use, key: candidate } = furthest.pop();
      if (kept.get(candidate) === use) kept.delete(candidate);
    }
  });
  return hits;
}

/** For each access, the place of the next one of the same key; past the end when there is none, all different. */
function nextUses(keys: readonly string[]): number[] {
  const seen = new Map<string, number>();
  const next = new Array<number>(keys.length);
  for (let at = keys.length - 1; at >= 0; at--) {
    next[at] = seen.get(keys[at]!) ?? keys.length + at;
    seen.set(keys[at]!, at);
  }
  return next;
}

class FurthestFirst {
  readonly #heap: { readonly use: number; readonly key: string }[] = [];

  push(use: number, key: string): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push({ use, key });
    for (; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (heap[parent]!.use >= use) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = { use, key };
  }

  pop(): { readonly use: number; readonly key: string } {
    const heap = this.#heap;
    const top = heap[0]!;
    const last = heap.pop()!;
    if (heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]!.use > heap[child]!.use) child += 1;
      if (heap[child]!.use <= last.use) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return top;
  }
}
