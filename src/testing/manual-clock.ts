import type { Clock } from "../contract/clock.ts";

/** A clock for tests: it stands still until it is moved. */
export interface ManualClock extends Clock {
  /** Moves both times forward and runs what became due, in order of time. */
  advance(ms: number): void;
}

/** Makes a {@link ManualClock}. @param startMs What `now()` says at first. Default noon of 1 January 2024, UTC. */
export function createManualClock(startMs: number = Date.UTC(2024, 0, 1, 12)): ManualClock {
  let elapsedMs = 0;
  const timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>();

  function nextDue(untilMs: number) {
    let next: { readonly dueMs: number; readonly callback: () => void } | undefined;
    for (const timer of timers) {
      if (timer.dueMs <= untilMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }

  return {
    now: () => startMs + elapsedMs,
    monotonic: () => elapsedMs,
    schedule(callback, delayMs) {
      const timer = { dueMs: elapsedMs + Math.max(0, delayMs), callback };
      timers.add(timer);
      return () => {
        timers.delete(timer);
      };
    },
    advance(ms) {
      const untilMs = elapsedMs + ms;
      for (let timer = nextDue(untilMs); timer; timer = nextDue(untilMs)) {
        timers.delete(timer);
        elapsedMs = Math.max(elapsedMs, timer.dueMs);
        timer.callback();
      }
      elapsedMs = untilMs;
    },
  };
}
