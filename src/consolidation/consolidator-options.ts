import { type Clock, systemClock } from "../contract/clock.ts";
import { StrataError } from "../contract/errors.ts";
import type { Memory } from "../contract/memory.ts";
import type { Scope } from "../contract/scope.ts";
import type { TierTable } from "../contract/tier.ts";
import { demotionPolicy } from "./demotion-policy.ts";
import type { ConsolidationHooks, ExtractHook, MemoryComposer, SummarizeHook } from "./language-hooks.ts";
import type { MovePolicy } from "./move-policy.ts";
import { promotionPolicy } from "./promotion-policy.ts";

/** How a `MemoryConsolidator` works. All of it is bounded. */
export interface MemoryConsolidatorOptions extends ConsolidationHooks {
  /** Namespace of calls that name none. Default "default". */
  readonly namespace?: string | undefined;
  /** Relevance 0..1 from which on an entry is promoted. Default .75. */
  readonly consolidationThreshold?: number | undefined;
  /** Relevance 0..1 below which a memory is demoted, at most `consolidationThreshold`; 0: never. Default .2. */
  readonly demotionThreshold?: number | undefined;
  /** Share of the recency bonus a memory loses for each UTC day without use: the store's. Default .1. */
  readonly decayRate?: number | undefined;
  /** Times to live and capacities of the store. Default: asked of the store, once. */
  readonly tiers?: TierTable | undefined;
  /** Instead of the built-in ones, in this order; `[]`: nothing moves. */
  readonly policies?: readonly MovePolicy[] | undefined;
  /** Merge near-duplicates too, instead of proposing them. Default false. */
  readonly mergeSimilar?: boolean | undefined;
  /** Ids of memories whose vectors are near a memory's own; absent: near-duplicates are not looked for. */
  readonly neighbours?: NeighbourSearch | undefined;
  /** Most moves and merges of a pass. At least 1, default 100,000. */
  readonly maxActions?: number | undefined;
  /** Most changed memories a pass looks at for duplicates. 0: none; default 10,000. */
  readonly maxExamined?: number | undefined;
  /** Ends calls of hooks, and has no other begin. */
  readonly hookSignal?: AbortSignal | undefined;
  /** Makes memories of what hooks return; needed with one. A memory's own consolidator has one. */
  readonly compose?: MemoryComposer | undefined;
  /** Runs before each pass, such as the writing of uses that wait. */
  readonly prepare?: (() => Promise<void>) | undefined;
  /** Namespaces used since it was last asked, for the background task to come to first. Default: none. */
  readonly takeUsed?: (() => readonly string[]) | undefined;
  /** For tests. Default: the machine's time. */
  readonly clock?: Clock | undefined;
  /** Uniform in 0..1, for the spread of background passes. For tests. Default Math.random. */
  readonly random?: (() => number) | undefined;
}

/** Finds memories like one, the nearest first; the memory itself may be among them. */
export type NeighbourSearch = (
  scope: Scope,
  memory: Memory,
  call: { readonly signal: AbortSignal | undefined },
) => Promise<readonly string[]>;

/** Hooks with their bounds. */
export interface CheckedHooks {
  readonly summarize: SummarizeHook | undefined;
  readonly extract: ExtractHook | undefined;
  readonly hookTimeoutMs: number;
  readonly maxHookCalls: number;
}

/** Options with their defaults. */
export interface ConsolidatorSettings {
  readonly namespace: string;
  readonly decayRate: number;
  readonly tiers: TierTable | undefined;
  readonly policies: readonly MovePolicy[];
  readonly mergeSimilar: boolean;
  readonly neighbours: NeighbourSearch | undefined;
  readonly maxActions: number;
  readonly maxExamined: number;
  readonly hooks: CheckedHooks;
  readonly hookSignal: AbortSignal | undefined;
  /** There when a hook is. */
  readonly compose: MemoryComposer | undefined;
  readonly prepare: (() => Promise<void>) | undefined;
  readonly takeUsed: () => readonly string[];
  readonly clock: Clock;
  readonly random: () => number;
}

const names: readonly string[] = [
  "namespace",
  "consolidationThreshold",
  "demotionThreshold",
  "decayRate",
  "tiers",
  "policies",
  "mergeSimilar",
  "neighbours",
  "maxActions",
  "maxExamined",
  "summarize",
  "extract",
  "hookTimeoutMs",
  "maxHookCalls",
  "hookSignal",
  "compose",
  "prepare",
  "takeUsed",
  "clock",
  "random",
] satisfies (keyof MemoryConsolidatorOptions)[];

/** @throws INVALID_ARGUMENT, UNKNOWN_OPTION */
export function checkConsolidatorOptions(options: MemoryConsolidatorOptions): ConsolidatorSettings {
  const unknown = Object.keys(options).find((name) => !names.includes(name));
  if (unknown !== undefined) {
    throw new StrataError("UNKNOWN_OPTION", `MemoryConsolidator has no option "${unknown}".`, {
      details: { option: unknown },
    });
  }
  const promoteFrom = share(options.consolidationThreshold ?? 0.75, "consolidationThreshold");
  const demoteBelow = share(options.demotionThreshold ?? 0.2, "demotionThreshold");
  if (!(demoteBelow <= promoteFrom)) {
    throw invalid("demotionThreshold", `at most consolidationThreshold, ${promoteFrom}`, demoteBelow);
  }
  const hasHook = options.summarize !== undefined || options.extract !== undefined;
  if (hasHook && options.compose === undefined) {
    throw invalid("compose", "what makes memories of what summarize and extract return", options.compose);
  }
  return {
    namespace: options.namespace ?? "default",
    decayRate: share(options.decayRate ?? 0.1, "decayRate"),
    tiers: options.tiers,
    policies: options.policies ?? [demotionPolicy(demoteBelow), promotionPolicy(promoteFrom)],
    mergeSimilar: options.mergeSimilar ?? false,
    neighbours: options.neighbours,
    maxActions: count(options.maxActions ?? 100_000, 1, "maxActions"),
    maxExamined: count(options.maxExamined ?? 10_000, 0, "maxExamined"),
    hooks: checkHooks(options),
    hookSignal: options.hookSignal,
    compose: options.compose,
    prepare: options.prepare,
    takeUsed: options.takeUsed ?? (() => []),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  };
}

/** @throws INVALID_ARGUMENT */
export function checkHooks(hooks: ConsolidationHooks): CheckedHooks {
  for (const name of ["summarize", "extract"] as const) {
    const hook: unknown = hooks[name];
    if (hook !== undefined && typeof hook !== "function") throw invalid(name, "a function", hook);
  }
  const { summarize, extract, hookTimeoutMs = 30_000, maxHookCalls = 8 } = hooks;
  // What a timer can wait for.
  if (!(hookTimeoutMs >= 1 && hookTimeoutMs < 2 ** 31)) {
    throw invalid("hookTimeoutMs", "milliseconds from 1 to 2,147,483,647", hookTimeoutMs);
  }
  return { summarize, extract, hookTimeoutMs, maxHookCalls: count(maxHookCalls, 1, "maxHookCalls") };
}

function share(value: number, name: string): number {
  if (value >= 0 && value <= 1) return value;
  throw invalid(name, "a number from 0 to 1", value);
}

export function count(value: number, minimum: number, name: string): number {
  if (Number.isInteger(value) && value >= minimum) return value;
  throw invalid(name, `a whole number of at least ${minimum}`, value);
}

export function invalid(name: string, expected: string, got: unknown): StrataError {
  const shown = typeof got === "number" ? String(got) : `a ${typeof got}`;
  return new StrataError("INVALID_ARGUMENT", `Expected ${name} as ${expected}, got ${shown}.`, {
    details: { argument: name },
  });
}
