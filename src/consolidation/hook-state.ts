import type { MemoryStore, StoreCall } from "../contract/memory-store.ts";
import type { Scope } from "../contract/scope.ts";
import type { Tier } from "../contract/tier.ts";

/** The last entry of a tier that was offered, in the order of their expiry. */
export interface OfferedUntil {
  readonly expiresAt: number;
  readonly id: string;
}

/** Where the hooks stand in a namespace, beside the state of passes: those that call no hook leave it as it is. */
export interface HookState {
  readonly summarized: Partial<Record<Tier, OfferedUntil>>;
  /** Ids offered for a summary, the latest {@link rememberedAtMost}: a demotion gives a memory a new expiry. */
  readonly offered: readonly string[];
  /** Where the change feed was read to. Absent: from the beginning. */
  readonly extracted?: string;
  /** Calls of each hook that failed in a row. */
  readonly failures: { readonly summarize: number; readonly extract: number };
  /** From when on a hook has something to do though nothing was written, in milliseconds since 1970. */
  readonly dueAt?: number;
}

export const rememberedAtMost = 1_024;
const stateName = "consolidation-hooks";

/** What is there, or a beginning. */
export async function readHookState(store: MemoryStore, scope: Scope): Promise<HookState> {
  const beginning = { summarized: {}, offered: [], failures: { summarize: 0, extract: 0 } };
  const text = await store.readState(scope, stateName);
  if (text === undefined) return beginning;
  try {
    const state = JSON.parse(text) as HookState;
    const whole = Array.isArray(state.offered) && Number.isInteger(state.failures.extract);
    return whole ? { ...beginning, ...state } : beginning;
  } catch {
    return beginning;
  }
}

export function writeHookState(
  store: MemoryStore,
  scope: Scope,
  state: HookState,
  call?: StoreCall,
): Promise<void> {
  return store.writeState(scope, stateName, JSON.stringify(state), call);
}
