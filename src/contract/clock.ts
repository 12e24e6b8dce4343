/** Time as the rooms see it; a test hands in one that stands still until it is moved. */
export interface Clock {
  /** Milliseconds since 1970, for what is stored. */
  now(): number;
  /** Milliseconds from an arbitrary start that never go back, for durations and deadlines. */
  monotonic(): number;
  /** Calls `callback` once after `delayMs`; returns the function that cancels it. Keeps no process alive. */
  schedule(callback: () => void, delayMs: number): () => void;
}

/** The machine's own time. */
export const systemClock: Clock = {
  now: Date.now,
  monotonic: () => performance.now(),
  schedule(callback, delayMs) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
