import type { Memory, Metadata, StoredVector } from "../contract/memory.ts";
import type { Scope } from "../contract/scope.ts";
import type { Tier } from "../contract/tier.ts";

/** What a pass offers to a hook. */
export interface HookInput {
  /** 1 to 32 memories of 65,536 characters together, turns of one thread beside each other in the order they were said. */
  readonly memories: readonly Memory[];
  /** Aborted at the deadline, and when the pass ends or the memory is closed; nobody waits for the hook then. */
  readonly signal: AbortSignal;
}

/** Says shortly what memories say that are about to expire, 2 or more of one thread, or of the same tags; null: nothing. */
export type SummarizeHook = (input: HookInput) => Promise<string | null> | string | null;

/** A fact that is worth keeping longer than the turn that told it. */
export interface ExtractedFact {
  /** 1 to 65,536 characters. */
  readonly content: string;
  /** 0..1, default .5. */
  readonly importance?: number | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly speaker?: string | undefined;
  /** When what it tells happened: a Date, milliseconds since 1970, or ISO 8601 text. */
  readonly at?: Date | number | string | undefined;
}

/** Finds the facts in turns of conversations that are new or were changed; at most 64 a call. */
export type ExtractHook = (input: HookInput) => Promise<readonly ExtractedFact[]> | readonly ExtractedFact[];

/** A caller's language model at work in a pass. Without one, a pass does without. */
export interface ConsolidationHooks {
  /** The summary becomes a memory one tier up; the originals stay where they are, and fade by themselves. */
  readonly summarize?: SummarizeHook | undefined;
  /** Each fact becomes a memory of long_term, unless it is there already. */
  readonly extract?: ExtractHook | undefined;
  /** How long a call may take, in milliseconds. At least 1, finite; default 30,000. */
  readonly hookTimeoutMs?: number | undefined;
  /** Most calls of each hook in a pass. At least 1, default 8. */
  readonly maxHookCalls?: number | undefined;
}

/** What a hook returned, and what becomes of it; checked by whoever composes a memory of it. */
export interface HookDraft {
  readonly content: unknown;
  /** Importance, tags, speaker, at. */
  readonly fields: object;
  readonly tier: Tier;
  readonly metadata: Metadata;
}

/** A memory that can be added, or the code of the error for which it cannot. */
export type ComposedMemory =
  | {
      readonly memory: Memory;
      readonly vector: StoredVector | null;
      /** It holds what looks like a credential. */
      readonly flagged: boolean;
    }
  | { readonly refused: string };

/** Checks drafts as `store` does and embeds them, in their order. Rejects only when it cannot do its work. */
export type MemoryComposer = (
  scope: Scope,
  drafts: readonly HookDraft[],
  call: { readonly signal: AbortSignal | undefined },
) => Promise<readonly ComposedMemory[]>;
