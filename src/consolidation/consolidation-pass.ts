import type {
  ActionOutcome,
  Candidate,
  CandidateQuery,
  ConsolidationAction,
  MoveAction,
} from "../contract/consolidation.ts";
import type { Evicted, MemoryStore } from "../contract/memory-store.ts";
import { errorCodeOf, publishStage } from "../contract/operations.ts";
import { relevanceOffset, utcDay } from "../contract/relevance.ts";
import type { Scope } from "../contract/scope.ts";
import { type Tier, type TierTable, tiers } from "../contract/tier.ts";
import type { ConsolidationReport, MoveCounts, PassFailure, PassStage } from "./consolidation-report.ts";
import type { ConsolidatorSettings } from "./consolidator-options.ts";
import { type DuplicatePage, DuplicateSearch } from "./duplicate-search.ts";
import { HookPass } from "./hook-pass.ts";
import type { MergeProposal } from "./merge-plan.ts";
import type { MovePolicy, MoveRoute } from "./move-policy.ts";
import { type PassState, readPassState, writePassState } from "./pass-state.ts";
import { planMoves } from "./plan-moves.ts";
import { PlannedTiers } from "./planned-tiers.ts";

/** Entries read, and actions performed in one transaction: so short that readers and writers hardly notice. */
export const sliceSize = 64;

/** Changed memories whose neighbours one pass looks for. */
const similarAtMost = 512;

/** How one pass is called. */
export interface PassCall {
  /** Publishes the stages. */
  readonly source: object;
  readonly run: string;
  readonly scope: Scope;
  readonly dryRun: boolean;
  readonly limits: TierTable;
  readonly maxActions: number;
  readonly maxExamined: number;
  /** Look for near-duplicates. */
  readonly similar: boolean;
  /** Call the hooks. */
  readonly hooks: boolean;
  /** Called before each slice; what it throws ends the pass between two slices. */
  readonly beforeSlice: () => Promise<void>;
  /** Called while a hook is at work. */
  readonly keepOn: () => Promise<void>;
  readonly signal: AbortSignal | undefined;
}

/** One pass over one namespace: what is done, or with `dryRun` what would be. */
export class ConsolidationPass {
  readonly #store: MemoryStore;
  readonly #settings: ConsolidatorSettings;
  readonly #call: PassCall;
  readonly #now: number;
  readonly #planned: PlannedTiers | undefined;
  /** What was moved, merged or evicted in this pass, and so is left alone by the rest of it. */
  readonly #settled = new Set<string>();
  readonly #actions: ConsolidationAction[] = [];
  readonly #evicted: Evicted[] = [];
  readonly #proposals: MergeProposal[] = [];
  readonly #failures: PassFailure[] = [];
  readonly #full = new Set<Tier>();
  readonly #stagesMs: Partial<Record<PassStage, number>> = {};
  #expired = { count: 0, byTier: countsByTier() };
  #changed = 0;
  #more = false;
  #hooks: HookPass | undefined;

  constructor(store: MemoryStore, settings: ConsolidatorSettings, call: PassCall) {
    this.#store = store;
    this.#settings = settings;
    this.#call = call;
    this.#now = settings.clock.now();
    if (call.dryRun) {
      const offset = relevanceOffset(utcDay(this.#now), settings.decayRate);
      this.#planned = new PlannedTiers(store, call.scope, settings.decayRate, offset, utcDay(this.#now));
    }
  }

  async run(): Promise<ConsolidationReport> {
    const { scope, signal, dryRun } = this.#call;
    const startedAt = this.#settings.clock.monotonic();
    await this.#stage("prepare", async () => this.#settings.prepare?.());
    const before = await readPassState(this.#store, scope);
    await this.#stage("expire", () => this.#expire());
    const cursors = await this.#stage("merge", () => this.#merge(before));
    for (const policy of this.#settings.policies) {
      await this.#stage(policy.kind, () => this.#move(policy, before));
    }
    if (this.#call.hooks) await this.#callHooks();
    if (!dryRun) {
      const { day, at } = { day: utcDay(this.#now), at: this.#settings.clock.now() };
      const generation = await this.#store.generation(scope);
      const judged = this.#more ? (before?.day ?? day - 1) : day;
      const state = { at, day: judged, generation, ...cursors, more: this.#more };
      await writePassState(this.#store, scope, state, { signal });
    }
    return this.#report(this.#settings.clock.monotonic() - startedAt);
  }

  async #stage<T>(stage: PassStage, work: () => Promise<T>): Promise<T> {
    this.#call.signal?.throwIfAborted();
    const { clock } = this.#settings;
    const startedAt = clock.monotonic();
    const result = await work();
    const ms = clock.monotonic() - startedAt;
    this.#stagesMs[stage] = (this.#stagesMs[stage] ?? 0) + ms;
    publishStage(this.#call.source, "consolidate", stage, ms);
    return result;
  }

  async #callHooks(): Promise<void> {
    const { summarize, extract } = this.#settings.hooks;
    if (!summarize && !extract) return;
    const hooks = await HookPass.begin(this.#store, this.#settings, {
      ...this.#call,
      onFailure: (stage, code) => this.#fail({ stage, code }),
      onApplied: (actions, { outcomes, evicted }) => {
        this.#evict(evicted);
        for (const [at, { memory }] of actions.entries()) {
          if (outcomes[at] === "full") this.#full.add(memory.tier);
        }
      },
    });
    this.#hooks = hooks;
    if (summarize) await this.#stage("summarize", () => hooks.summarize());
    if (extract) await this.#stage("extract", () => hooks.extract());
    await hooks.end();
  }

  /** Told once of each kind. */
  #fail(failure: PassFailure): void {
    const isKnown = this.#failures.some(
      ({ stage, code }) => stage === failure.stage && code === failure.code,
    );
    if (!isKnown) this.#failures.push(failure);
  }

  async #expire(): Promise<void> {
    const { scope, dryRun, signal } = this.#call;
    const { expired, expiredByTier } = await this.#store.cleanup({ dryRun, scope }, { signal });
    this.#expired = { count: expired, byTier: { ...expiredByTier } };
  }

  /** @returns Where the feed was read to. */
  async #merge(before: PassState | undefined): Promise<Pick<PassState, "cursor" | "similarCursor">> {
    const { scope, signal, similar, maxExamined } = this.#call;
    const search = new DuplicateSearch(this.#store, scope, this.#settings, this.#settled, signal);
    const cursor = await this.#mergeFound(before?.cursor, maxExamined, false, (...page) =>
      search.same(...page),
    );
    let similarCursor = before?.similarCursor;
    if (similar && this.#settings.neighbours) {
      const bound = Math.min(maxExamined, similarAtMost);
      try {
        similarCursor = await this.#mergeFound(similarCursor, bound, true, (...page) =>
          search.similar(...page),
        );
      } catch (error) {
        signal?.throwIfAborted();
        // What finds neighbours is a model's index, and may be down: the rest of the pass does without.
        this.#failures.push({ stage: "merge", code: errorCodeOf(error) });
      }
    }
    return { ...(cursor !== undefined && { cursor }), ...(similarCursor !== undefined && { similarCursor }) };
  }

  async #mergeFound(
    from: string | undefined,
    examinedAtMost: number,
    proposes: boolean,
    find: (cursor: string | undefined, limit: number) => Promise<DuplicatePage>,
  ): Promise<string | undefined> {
    let cursor = from;
    for (let left = examinedAtMost; left > 0; ) {
      await this.#call.beforeSlice();
      const page = await find(cursor, Math.min(left, sliceSize));
      this.#proposals.push(...page.proposals);
      if (page.merges.length > 0) {
        for (const { keep, absorb } of page.merges) await this.#planned?.merge(keep, absorb);
        const actions = page.merges.map(({ action }) => action);
        this.#note(actions, await this.#perform(actions));
      }
      cursor = page.cursor;
      left -= Math.max(1, page.examined);
      if (!page.more) return cursor;
      if (this.#actions.length >= this.#call.maxActions) break;
    }
    // Near-duplicates are proposed some at a time, and no pass has to hurry for them.
    if (examinedAtMost > 0 && !proposes) this.#more = true;
    return cursor;
  }

  async #move(policy: MovePolicy, before: PassState | undefined): Promise<void> {
    const today = utcDay(this.#now);
    // What was used yesterday and not judged since would lose its day to midnight.
    const isFirstOfDay = before === undefined || before.day < today;
    const day = policy.range.side === "at-least" && isFirstOfDay ? today - 1 : today;
    for (const route of policy.routes(this.#call.limits)) await this.#moveAlong(route, policy, day);
  }

  async #moveAlong(route: MoveRoute, policy: MovePolicy, day: number): Promise<void> {
    const { scope, limits, maxActions } = this.#call;
    const context = { ...route, now: this.#now, day, decayRate: this.#settings.decayRate, limits };
    const query = { ...policy.range, tier: route.from, day, limit: sliceSize };
    for await (const page of candidatePages(this.#store, scope, query, this.#call.beforeSlice)) {
      const wanted = planMoves(page, policy, context, this.#settled);
      const actions = wanted.slice(0, maxActions - this.#actions.length);
      if (actions.length < wanted.length) this.#more = true;
      if (actions.length === 0 && wanted.length > 0) return;
      if (actions.length === 0) continue;
      const outcomes = await this.#performMoves(actions, page);
      this.#note(actions, outcomes);
      // The most relevant come first: where one finds no place, no later one does.
      if (policy.range.side === "at-least" && outcomes.includes("full")) return;
    }
  }

  async #performMoves(
    actions: readonly MoveAction[],
    page: readonly Candidate[],
  ): Promise<readonly ActionOutcome[]> {
    if (!this.#planned) return this.#perform(actions);
    const outcomes: ActionOutcome[] = [];
    for (const action of actions) {
      const entry = page.find(({ id }) => id === action.id)!;
      const { outcome, evicted } = await this.#planned.move(entry, action.to);
      outcomes.push(outcome);
      this.#evict(evicted);
    }
    return outcomes;
  }

  async #perform(actions: readonly ConsolidationAction[]): Promise<readonly ActionOutcome[]> {
    const { scope, run, signal } = this.#call;
    if (this.#planned) return actions.map(() => "done");
    const { outcomes, evicted } = await this.#store.apply(scope, run, actions, { signal });
    this.#evict(evicted);
    // Whoever asks or stores meanwhile waits for one slice, not for as many as the store lets follow each other.
    await new Promise(setImmediate);
    return outcomes;
  }

  #evict(evicted: readonly Evicted[]): void {
    this.#evicted.push(...evicted);
    for (const { id } of evicted) this.#settled.add(id);
  }

  #note(actions: readonly ConsolidationAction[], outcomes: readonly ActionOutcome[]): void {
    for (const [at, action] of actions.entries()) {
      const outcome = outcomes[at];
      if (outcome === "changed") this.#changed += 1;
      else if (outcome === "full" && action.kind !== "merge") this.#full.add(action.to);
      else if (outcome === "done") {
        this.#actions.push(action);
        if (action.kind === "merge") this.#settled.add(action.keep.id).add(action.absorb.id);
        else this.#settled.add(action.id);
      }
    }
  }

  #report(durationMs: number): ConsolidationReport {
    const { run, scope, dryRun } = this.#call;
    const movedTo = { promote: countsByTier(), demote: countsByTier() };
    for (const action of this.#actions) if (action.kind !== "merge") movedTo[action.kind][action.to] += 1;
    const of = (kind: ConsolidationAction["kind"]): number =>
      this.#actions.reduce((sum, action) => sum + (action.kind === kind ? 1 : 0), 0);
    const counts: MoveCounts = {
      promote: of("promote"),
      demote: of("demote"),
      merge: of("merge"),
      evict: this.#evicted.length,
      expire: this.#expired.count,
    };
    return {
      run,
      namespace: scope.namespace,
      dryRun,
      startedAt: this.#now,
      durationMs,
      stagesMs: this.#stagesMs,
      actions: this.#actions,
      counts,
      movedTo,
      expiredByTier: this.#expired.byTier,
      evicted: this.#evicted,
      full: [...this.#full],
      changed: this.#changed,
      hooks: this.#hooks?.reports ?? {},
      proposals: this.#proposals,
      failures: this.#failures,
      more: this.#more || (this.#hooks?.more ?? false),
      busy: false,
    };
  }
}

export function countsByTier(): Record<Tier, number> {
  return Object.fromEntries(tiers.map((tier) => [tier, 0])) as Record<Tier, number>;
}

/** Pages of a tier's entries; other work of the process runs between them. */
export async function* candidatePages(
  store: MemoryStore,
  scope: Scope,
  query: Omit<CandidateQuery, "cursor">,
  beforePage: () => Promise<void>,
): AsyncGenerator<readonly Candidate[]> {
  let cursor: string | undefined;
  do {
    await beforePage();
    const page = await store.candidates(scope, { ...query, cursor });
    if (page.candidates.length > 0) yield page.candidates;
    cursor = page.cursor;
  } while (cursor !== undefined);
}
