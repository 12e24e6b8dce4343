import type { ApplyResult, RestoreAction } from "../contract/consolidation.ts";
import { StrataError } from "../contract/errors.ts";
import { type Memory, maxTags } from "../contract/memory.ts";
import type { MemoryStore } from "../contract/memory-store.ts";
import { errorCodeOf } from "../contract/operations.ts";
import { utcDay } from "../contract/relevance.ts";
import type { Scope } from "../contract/scope.ts";
import { type Tier, type TierTable, tiers } from "../contract/tier.ts";
import { callHook } from "./call-hook.ts";
import { changesSince } from "./changes-since.ts";
import type { HookReport } from "./consolidation-report.ts";
import type { ConsolidatorSettings } from "./consolidator-options.ts";
import { charactersAtMost, inOrderSaid, memoriesAtMost, relatedGroups } from "./hook-groups.ts";
import { type HookState, readHookState, rememberedAtMost, writeHookState } from "./hook-state.ts";
import type { ComposedMemory, HookDraft, HookInput } from "./language-hooks.ts";

/** Names a hook, its stage, and its part of the report. */
export type HookName = "summarize" | "extract";

/** How the hooks of one pass are called. */
export interface HookPassCall {
  readonly run: string;
  readonly scope: Scope;
  readonly dryRun: boolean;
  readonly limits: TierTable;
  /** Entries of a tier, and changes of the feed, that are looked at. */
  readonly maxExamined: number;
  readonly beforeSlice: () => Promise<void>;
  /** Renews what would run out while a hook is at work. */
  readonly keepOn: () => Promise<void>;
  readonly signal: AbortSignal | undefined;
  readonly onFailure: (hook: HookName, code: string) => void;
  readonly onApplied: (actions: readonly RestoreAction[], result: ApplyResult) => void;
}

/** What a hook may return at most in one call. */
const factsAtMost = 64;
/** Entries that are about to expire and are grouped together. */
const groupedAtMost = 128;
/** Entries read at once. */
const pageSize = 128;
/** Memories with the content of facts that are looked at. */
const sameAtMost = 1_024;
/** After so many failures in a row the hook is offered the next ones: what it fails at may be what it is offered. */
const failuresAtMost = 8;
/** Before a hook that failed is tried again for its own sake: this, doubled with each failure. */
const firstDelayMs = 60_000;
const beatMs = 15_000;

/** Who is about to expire: a memory with its expiry. */
interface Fading {
  readonly id: string;
  readonly expiresAt: number;
}

/** The part of a pass in which a caller's language model has its say. A failure of it is told, and ends that part only. */
export class HookPass {
  readonly #store: MemoryStore;
  readonly #settings: ConsolidatorSettings;
  readonly #call: HookPassCall;
  readonly #now: number;
  readonly #reports: Partial<Record<HookName, HookReport>> = {};
  #state: HookState;
  #dueAt = Number.POSITIVE_INFINITY;
  #more = false;

  private constructor(
    store: MemoryStore,
    settings: ConsolidatorSettings,
    call: HookPassCall,
    state: HookState,
  ) {
    this.#store = store;
    this.#settings = settings;
    this.#call = call;
    this.#state = state;
    this.#now = settings.clock.now();
  }

  static async begin(
    store: MemoryStore,
    settings: ConsolidatorSettings,
    call: HookPassCall,
  ): Promise<HookPass> {
    return new HookPass(store, settings, call, await readHookState(store, call.scope));
  }

  get reports(): Readonly<Partial<Record<HookName, HookReport>>> {
    return this.#reports;
  }

  /** A bound ended it. */
  get more(): boolean {
    return this.#more;
  }

  /** Keeps from when on there is something to do. */
  async end(): Promise<void> {
    const { dueAt: _, ...state } = this.#state;
    const dueAt = this.#more ? Math.min(this.#dueAt, this.#now) : this.#dueAt;
    await this.#keep(Number.isFinite(dueAt) ? { ...state, dueAt } : state);
  }

  /** Offers what is in the second half of its life and was not used, the next to expire first. */
  async summarize(): Promise<void> {
    const { summarize } = this.#settings.hooks;
    if (!summarize) return;
    for (const [at, to] of tiers.slice(1).entries()) {
      const from = tiers[at]!;
      if (this.#call.limits[from].ttlSeconds > 0 && !(await this.#summarizeTier(from, to, summarize))) return;
    }
  }

  /** @returns Whether the next tier may follow. */
  async #summarizeTier(
    from: Tier,
    to: Tier,
    hook: NonNullable<ConsolidatorSettings["hooks"]["summarize"]>,
  ): Promise<boolean> {
    let fading = await this.#fading(from);
    while (fading.length > 0) {
      const slice = fading.slice(0, groupedAtMost);
      const found = await this.#groups(slice);
      // What is left over comes first in the next pass, without those that were offered.
      const groups = found.slice(0, this.#callsLeft("summarize"));
      for (const group of groups) {
        const made = await this.#offer("summarize", group, async (input) => {
          const text = await hook(input);
          return text === null ? [] : [summaryDraft(text, group, to)];
        });
        if (!made) return false;
        await this.#keep({
          ...this.#state,
          offered: [...this.#state.offered, ...group.map(({ id }) => id)].slice(-rememberedAtMost),
        });
      }
      if (groups.length < found.length) {
        this.#more = true;
        return false;
      }
      await this.#keep({
        ...this.#state,
        summarized: { ...this.#state.summarized, [from]: slice.at(-1)! },
      });
      fading = fading.slice(slice.length);
    }
    return true;
  }

  /** Memories of a tier in the second half of their life that were not offered, by their expiry. */
  async #fading(tier: Tier): Promise<Fading[]> {
    const { scope, limits, maxExamined, beforeSlice } = this.#call;
    const halfMs = limits[tier].ttlSeconds * 500;
    const until = this.#state.summarized[tier];
    const fading: Fading[] = [];
    const query = { tier, side: "below", threshold: 1, day: utcDay(this.#now), memoriesOnly: true } as const;
    let cursor: string | undefined;
    let left = maxExamined;
    do {
      await beforeSlice();
      const page = await this.#store.candidates(scope, { ...query, limit: pageSize, cursor });
      for (const { id, expiresAt } of page.candidates) {
        if (expiresAt === undefined) continue;
        const entry = { id, expiresAt };
        if (expiresAt - halfMs > this.#now) this.#dueAt = Math.min(this.#dueAt, expiresAt - halfMs);
        else if (!until || byExpiry(entry, until) > 0) fading.push(entry);
      }
      cursor = page.cursor;
      left -= page.candidates.length;
    } while (cursor !== undefined && left > 0);
    return fading.toSorted(byExpiry);
  }

  /** Groups of those that were not offered, the one that is first to expire first. */
  async #groups(fading: readonly Fading[]): Promise<Memory[][]> {
    const offered = new Set(this.#state.offered);
    const ids = fading.map(({ id }) => id).filter((id) => !offered.has(id));
    const memories = await this.#store.get(this.#call.scope, ids);
    const rank = new Map(ids.map((id, at) => [id, at]));
    const first = (group: readonly Memory[]): number => Math.min(...group.map(({ id }) => rank.get(id)!));
    return relatedGroups(memories.filter((memory) => memory !== undefined)).toSorted(
      (a, b) => first(a) - first(b),
    );
  }

  /** Offers the turns of conversations among what changed since the last pass. */
  async extract(): Promise<void> {
    const { extract } = this.#settings.hooks;
    if (!extract) return;
    const { scope, maxExamined, beforeSlice } = this.#call;
    for (let left = maxExamined, limit = memoriesAtMost; left > 0; ) {
      await beforeSlice();
      const page = await changesSince(this.#store, scope, this.#state.extracted, limit);
      const rows = page.rows.filter((row) => row.source === undefined && row.thread !== undefined);
      const characters = rows.reduce((sum, { content }) => sum + content.length, 0);
      if (characters > charactersAtMost && limit > 1) {
        limit >>= 1;
        continue;
      }
      const read = await this.#store.read(
        scope,
        rows.map(({ row }) => row),
      );
      const turns = inOrderSaid(read.filter((memory) => memory !== undefined));
      if (turns.length > 0) {
        if (this.#callsLeft("extract") === 0) break;
        const made = await this.#offer("extract", turns, async (input) =>
          factDrafts(await extract(input), turns),
        );
        if (!made) return;
      }
      await this.#keep({ ...this.#state, extracted: page.cursor });
      if (!page.more) return;
      left -= Math.max(1, page.rows.length + page.removed.length);
      limit = memoriesAtMost;
    }
    this.#more = true;
  }

  #callsLeft(hook: HookName): number {
    return this.#settings.hooks.maxHookCalls - (this.#reports[hook]?.calls ?? 0);
  }

  /** @returns Whether what was offered is done with: it was answered, or failed too often. */
  async #offer(
    hook: HookName,
    memories: readonly Memory[],
    ask: (input: HookInput) => Promise<readonly HookDraft[]>,
  ): Promise<boolean> {
    const { dryRun, beforeSlice } = this.#call;
    const { calls, memories: told } = this.#report(hook);
    this.#tell(hook, { calls: calls + 1, memories: told + memories.length });
    if (dryRun) return true;
    let composed: readonly ComposedMemory[];
    try {
      composed = await this.#ask(memories, ask);
    } catch (error) {
      this.#call.signal?.throwIfAborted();
      return this.#fail(hook, error);
    }
    await beforeSlice();
    await this.#add(hook, composed, memories.length);
    this.#state = { ...this.#state, failures: { ...this.#state.failures, [hook]: 0 } };
    return true;
  }

  async #ask(
    memories: readonly Memory[],
    ask: (input: HookInput) => Promise<readonly HookDraft[]>,
  ): Promise<readonly ComposedMemory[]> {
    const { clock, hooks, hookSignal, compose } = this.#settings;
    const { scope, signal, keepOn } = this.#call;
    const drafts = await callHook((own) => ask({ memories, signal: own }), {
      clock,
      timeoutMs: hooks.hookTimeoutMs,
      signals: [signal, hookSignal].filter((each) => each !== undefined),
      beat: keepOn,
      beatMs,
    });
    return drafts.length === 0 ? [] : compose!(scope, drafts, { signal });
  }

  async #fail(hook: HookName, error: unknown): Promise<boolean> {
    const { hookSignal } = this.#settings;
    this.#call.onFailure(hook, errorCodeOf(error));
    if (hookSignal?.aborted === true) return false;
    const failures = this.#state.failures[hook] + 1;
    const isGivenUp = failures >= failuresAtMost;
    this.#dueAt = Math.min(this.#dueAt, this.#now + firstDelayMs * 2 ** failures);
    await this.#keep({
      ...this.#state,
      failures: { ...this.#state.failures, [hook]: isGivenUp ? 0 : failures },
    });
    return isGivenUp;
  }

  /** Adds what a hook returned, as far as it is valid and not there yet. */
  async #add(hook: HookName, composed: readonly ComposedMemory[], from: number): Promise<void> {
    const { scope, run, signal, onFailure } = this.#call;
    if (composed.length === 0) return;
    const valid = composed.flatMap((each) => ("refused" in each ? [] : each));
    for (const each of composed) if ("refused" in each) onFailure(hook, each.refused);
    const there = await this.#store.sameContent(
      scope,
      valid.map(({ memory }) => memory.contentHash),
      sameAtMost,
    );
    const fresh: typeof valid = [];
    const repeated = new Set<string>();
    for (const each of valid) {
      const same = there.find((memory) => saysAlready(memory, each.memory));
      const isTwice = fresh.some(({ memory }) => saysAlready(memory, each.memory));
      if (same) repeated.add(same.id);
      else if (!isTwice) fresh.push(each);
    }
    // What is told again was used, as it is when it is stored again.
    const uses = [...repeated].map((id) => ({ id, count: 1, lastUsedAt: this.#now }));
    if (uses.length > 0) await this.#store.touch(scope, uses, { signal });
    const reason = `${hook === "summarize" ? "summary of" : "extracted from"} ${from} ${from === 1 ? "memory" : "memories"}`;
    const actions = fresh.map(
      ({ memory, vector }): RestoreAction => ({
        kind: "restore",
        memory,
        vector,
        version: undefined,
        reason,
      }),
    );
    const result =
      actions.length > 0
        ? await this.#store.apply(scope, run, actions, { signal })
        : { outcomes: [], evicted: [] };
    this.#call.onApplied(actions, result);
    const added = fresh.filter((_, at) => result.outcomes[at] === "done");
    const report = this.#report(hook);
    this.#tell(hook, {
      added: [...report.added, ...added.map(({ memory }) => memory.id)],
      flagged: [...report.flagged, ...added.flatMap(({ memory, flagged }) => (flagged ? memory.id : []))],
      folded: report.folded + valid.length - fresh.length,
      refused: report.refused + composed.length - valid.length,
    });
  }

  #report(hook: HookName): HookReport {
    return this.#reports[hook] ?? { calls: 0, memories: 0, added: [], folded: 0, flagged: [], refused: 0 };
  }

  #tell(hook: HookName, change: Partial<HookReport>): void {
    this.#reports[hook] = { ...this.#report(hook), ...change };
  }

  async #keep(state: HookState): Promise<void> {
    this.#state = state;
    const { dryRun, scope, signal } = this.#call;
    if (!dryRun) await writeHookState(this.#store, scope, state, { signal });
  }
}

function byExpiry(a: Fading, b: Fading): number {
  return a.expiresAt - b.expiresAt || (a.id < b.id ? -1 : Number(a.id > b.id));
}

function summaryDraft(content: unknown, group: readonly Memory[], tier: Tier): HookDraft {
  const tags = [...new Set(group.flatMap((memory) => memory.tags))].slice(0, maxTags);
  const importance = Math.max(...group.map((memory) => memory.importance));
  return { content, fields: { tags, importance }, tier, metadata: { summaryOf: group.map(({ id }) => id) } };
}

/** @throws INVALID_ARGUMENT */
function factDrafts(facts: unknown, turns: readonly Memory[]): HookDraft[] {
  if (!Array.isArray(facts)) {
    throw new StrataError("INVALID_ARGUMENT", "Expected extract to return an array of facts.", {
      details: { argument: "extract" },
    });
  }
  if (facts.length > factsAtMost) {
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Expected at most ${factsAtMost} facts of one call of extract, got ${facts.length}.`,
      { details: { argument: "extract" } },
    );
  }
  const metadata = { extractedFrom: turns.map(({ id }) => id) };
  return facts.map((fact: unknown): HookDraft => {
    const isObject = typeof fact === "object" && fact !== null;
    const { content, ...fields } = (isObject ? fact : {}) as { readonly content?: unknown };
    return { content, fields, tier: "long_term", metadata };
  });
}

/**
 * The same text of the same speaker outside a conversation, at the same time where the new one tells a time, and kept as
 * long.
 */
function saysAlready(there: Memory, told: Memory): boolean {
  if (there.contentHash !== told.contentHash || there.speaker !== told.speaker) return false;
  const isKept = tiers.indexOf(there.tier) >= tiers.indexOf(told.tier);
  return isKept && there.thread === undefined && (told.at === undefined || told.at === there.at);
}
