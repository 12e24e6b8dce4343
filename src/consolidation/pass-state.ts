import type { MemoryStore, StoreCall } from "../contract/memory-store.ts";
import { utcDay } from "../contract/relevance.ts";
import type { Scope } from "../contract/scope.ts";

/** Where consolidation stands in a namespace, kept in its store, so that every worker goes on where the last one stopped. */
export interface PassState {
  /** When the last pass ended, in milliseconds since 1970. */
  readonly at: number;
  /** UTC day whose relevance was judged last. */
  readonly day: number;
  /** The store's generation when the last pass ended. */
  readonly generation: string;
  /** Where duplicates are looked for next, as the change feed counts. Absent: from the beginning. */
  readonly cursor?: string;
  /** As `cursor`, for near-duplicates, which cost more and are not looked for by every pass. */
  readonly similarCursor?: string;
  /** A bound ended the last pass. */
  readonly more: boolean;
}

const stateName = "consolidation";

/** Undefined when no pass ended yet, or what is there cannot be read: the next pass begins anew. */
export async function readPassState(store: MemoryStore, scope: Scope): Promise<PassState | undefined> {
  const text = await store.readState(scope, stateName);
  if (text === undefined) return undefined;
  try {
    const state = JSON.parse(text) as Partial<PassState>;
    const whole =
      Number.isFinite(state.at) && Number.isInteger(state.day) && typeof state.generation === "string";
    return whole ? (state as PassState) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a pass may find something: a bound ended the last one, the UTC day turned, or the namespace changed. */
export async function isPassDue(
  store: MemoryStore,
  scope: Scope,
  state: PassState | undefined,
  now: number,
): Promise<boolean> {
  if (state === undefined || state.more || state.day < utcDay(now)) return true;
  return state.generation !== (await store.generation(scope));
}

export function writePassState(
  store: MemoryStore,
  scope: Scope,
  state: PassState,
  call?: StoreCall,
): Promise<void> {
  return store.writeState(scope, stateName, JSON.stringify(state), call);
}
