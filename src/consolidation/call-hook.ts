import type { Clock } from "../contract/clock.ts";

/** How a hook is called. */
export interface HookCall {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Whatever else ends the call. */
  readonly signals: readonly AbortSignal[];
  /** Called every `beatMs` while the hook is at work; when it rejects, so does the call. */
  readonly beat: () => Promise<void>;
  readonly beatMs: number;
}

/**
 * Calls a hook and waits for it no longer than it may take: one that never answers is left to itself.
 * @throws What the hook throws, a TimeoutError, and the reason of a signal
 */
export async function callHook<T>(
  hook: (signal: AbortSignal) => Promise<T> | T,
  { clock, timeoutMs, signals, beat, beatMs }: HookCall,
): Promise<T> {
  const own = new AbortController();
  const signal = AbortSignal.any([own.signal, ...signals]);
  signal.throwIfAborted();
  const ended = Promise.withResolvers<never>();
  const onAbort = (): void => ended.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  const deadline = clock.schedule(() => own.abort(timeout(timeoutMs)), timeoutMs);
  let cancelBeat = clock.schedule(keepOn, beatMs);
  function keepOn(): void {
    cancelBeat = clock.schedule(keepOn, beatMs);
    beat().catch((error: unknown) => own.abort(error));
  }
  try {
    return await Promise.race([ended.promise, (async () => hook(signal))()]);
  } finally {
    deadline();
    cancelBeat();
    signal.removeEventListener("abort", onAbort);
  }
}

function timeout(ms: number): DOMException {
  return new DOMException(`Expected an answer of the hook within ${ms} ms.`, "TimeoutError");
}
