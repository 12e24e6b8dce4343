import { v7 as uuidv7 } from "uuid";
import type { ActionOutcome, Candidate, MoveAction, UndoResult } from "../contract/consolidation.ts";
import { StrataError } from "../contract/errors.ts";
import type { Evicted, MemoryStore } from "../contract/memory-store.ts";
import { operationChannels } from "../contract/operations.ts";
import { utcDay } from "../contract/relevance.ts";
import { checkNamespace, type Scope } from "../contract/scope.ts";
import { isTier, type Tier, type TierTable, tiers } from "../contract/tier.ts";
import { BackgroundTask } from "./background-task.ts";
import { ConsolidationPass, candidatePages, countsByTier } from "./consolidation-pass.ts";
import type { ConsolidationReport, ConsolidationStats } from "./consolidation-report.ts";
import { ConsolidationTotals } from "./consolidation-totals.ts";
import {
  type ConsolidatorSettings,
  checkConsolidatorOptions,
  count,
  invalid,
  type MemoryConsolidatorOptions,
} from "./consolidator-options.ts";
import { readHookState } from "./hook-state.ts";
import type { MovePolicy } from "./move-policy.ts";
import { planMoves } from "./plan-moves.ts";

/** How one pass is run. */
export interface ConsolidationOptions {
  /** Default: the consolidator's. */
  readonly namespace?: string | undefined;
  /** Only tell what would be done. Default false. */
  readonly dryRun?: boolean | undefined;
  /** Ends the pass between two slices; what was done by then stays and can be undone. */
  readonly signal?: AbortSignal | undefined;
  /** Instead of the consolidator's own. */
  readonly maxActions?: number | undefined;
  readonly maxExamined?: number | undefined;
  /** Look for near-duplicates, where the consolidator has `neighbours`. Default true. */
  readonly similar?: boolean | undefined;
  /** Call the hooks, where the consolidator has some. Default true. */
  readonly hooks?: boolean | undefined;
}

/** One entry that a pass would move. */
export interface AnalyzedCandidate {
  readonly entry: Candidate;
  readonly action: MoveAction;
}

export interface MoveResult {
  /** For `undo`. */
  readonly run: string;
  readonly outcome: ActionOutcome;
  readonly evicted: readonly Evicted[];
}

/** How the background task is started. */
export interface BackgroundOptions {
  /** The first round now, instead of after the first wait. Default false. */
  readonly atOnce?: boolean | undefined;
  /** Only remove what has expired. Default false. */
  readonly cleanupOnly?: boolean | undefined;
}

/** A namespace's lease is held so long after the last slice; a crashed holder's passes on then. */
const leaseMs = 60_000;
/** Most candidates that are told by `analyzeCandidates`. */
const analyzedAtMost = 1_000;

/**
 * Tends the tiers of a store: promotes what is used, demotes what is not, merges what is there twice, removes what has
 * expired. Each pass is planned, journaled under a run, done in small slices of whole moves, and can be undone.
 *
 * @example
 * ```ts fragment
 * const consolidator = new MemoryConsolidator(store);
 * const { run, actions } = await consolidator.runConsolidation();
 * await consolidator.undo(run);
 * ```
 */
export class MemoryConsolidator {
  readonly #store: MemoryStore;
  readonly #settings: ConsolidatorSettings;
  readonly #totals = new ConsolidationTotals();
  #limits: TierTable | undefined;
  #background: BackgroundTask | undefined;
  #stopped: Promise<void> = Promise.resolve();

  /** @throws INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(store: MemoryStore, options: MemoryConsolidatorOptions = {}) {
    this.#store = store;
    this.#settings = checkConsolidatorOptions(options);
    this.#limits = this.#settings.tiers;
  }

  /**
   * Runs one pass over a namespace. While another worker is at it nothing is done, and the report says `busy`.
   * @throws What the store throws, and the signal's reason
   */
  runConsolidation(options: ConsolidationOptions = {}): Promise<ConsolidationReport> {
    return operationChannels.consolidate.trace(this, () => this.#runConsolidation(options));
  }

  async #runConsolidation(options: ConsolidationOptions): Promise<ConsolidationReport> {
    const { dryRun = false, signal } = options;
    const scope = this.#scope(options.namespace);
    const maxActions = count(options.maxActions ?? this.#settings.maxActions, 1, "maxActions");
    const maxExamined = count(options.maxExamined ?? this.#settings.maxExamined, 0, "maxExamined");
    signal?.throwIfAborted();
    const run = uuidv7();
    const lease = dryRun ? undefined : new Lease(this.#store, this.#settings.clock, scope, run);
    if (lease && !(await lease.acquire())) return busyReport(run, scope, this.#settings.clock.now());
    try {
      const pass = new ConsolidationPass(this.#store, this.#settings, {
        source: this,
        run,
        scope,
        dryRun,
        limits: await this.#tierLimits(scope),
        maxActions,
        maxExamined,
        similar: options.similar ?? true,
        hooks: options.hooks ?? true,
        signal,
        async beforeSlice() {
          await breath();
          signal?.throwIfAborted();
          await lease?.renew();
        },
        async keepOn() {
          await lease?.renew();
        },
      });
      const report = await pass.run();
      if (!dryRun) this.#totals.add(report, this.#settings.clock.now());
      return report;
    } finally {
      await lease?.release();
    }
  }

  /** The entries of a tier that a pass would move now, in its order; at most 1,000. */
  async analyzeCandidates(
    tier: Tier,
    options: Pick<ConsolidationOptions, "namespace" | "signal"> = {},
  ): Promise<readonly AnalyzedCandidate[]> {
    checkTier(tier, "tier");
    const scope = this.#scope(options.namespace);
    const limits = await this.#tierLimits(scope);
    const found: AnalyzedCandidate[] = [];
    for (const policy of this.#settings.policies) {
      const route = policy.routes(limits).find(({ from }) => from === tier);
      if (route) found.push(...(await this.#analyze(scope, policy, { ...route, limits }, options.signal)));
    }
    return found.slice(0, analyzedAtMost);
  }

  async #analyze(
    scope: Scope,
    policy: MovePolicy,
    route: { readonly from: Tier; readonly to: Tier; readonly limits: TierTable },
    signal: AbortSignal | undefined,
  ): Promise<AnalyzedCandidate[]> {
    const now = this.#settings.clock.now();
    const context = { ...route, now, day: utcDay(now), decayRate: this.#settings.decayRate };
    const query = { ...policy.range, tier: route.from, day: context.day, limit: 128 };
    const found: AnalyzedCandidate[] = [];
    const pages = candidatePages(this.#store, scope, query, async () => signal?.throwIfAborted());
    for await (const page of pages) {
      for (const action of planMoves(page, policy, context, new Set())) {
        found.push({ entry: page.find(({ id }) => id === action.id)!, action });
      }
      if (found.length >= analyzedAtMost) break;
    }
    return found;
  }

  /**
   * Moves one memory to a higher tier, whatever its relevance; a document as a whole.
   * @param id Of a memory, of a chunk, or of a document.
   * @throws NOT_FOUND, INVALID_ARGUMENT For a tier that is not higher
   */
  promoteMemory(
    id: string,
    toTier: Tier,
    options: Pick<ConsolidationOptions, "namespace" | "signal"> = {},
  ): Promise<MoveResult> {
    return this.#moveOne("promote", id, toTier, options);
  }

  /** Moves one memory or document to a lower tier, whatever its relevance. @throws as {@link promoteMemory} */
  demoteMemory(
    id: string,
    toTier: Tier,
    options: Pick<ConsolidationOptions, "namespace" | "signal"> = {},
  ): Promise<MoveResult> {
    return this.#moveOne("demote", id, toTier, options);
  }

  async #moveOne(
    kind: "promote" | "demote",
    id: string,
    to: Tier,
    options: Pick<ConsolidationOptions, "namespace" | "signal">,
  ): Promise<MoveResult> {
    checkTier(to, "toTier");
    const scope = this.#scope(options.namespace);
    const { signal } = options;
    const { from, ...moved } = await this.#movable(scope, id, signal);
    const rises = tiers.indexOf(to) > tiers.indexOf(from);
    if (to === from || rises !== (kind === "promote")) {
      throw invalid("toTier", `a tier ${kind === "promote" ? "above" : "below"} ${from}`, to);
    }
    const run = uuidv7();
    const action: MoveAction = {
      kind,
      ...moved,
      from,
      to,
      reason: `${kind}d on request`,
    };
    const { outcomes, evicted } = await this.#store.apply(scope, run, [action], { signal });
    const outcome = outcomes[0]!;
    if (outcome === "done") this.#totals.addMove(action, evicted.length);
    return { run, outcome, evicted };
  }

  /** The memory of that id, or the document that it is the id of, or of a part of which. @throws NOT_FOUND */
  async #movable(
    scope: Scope,
    id: string,
    signal: AbortSignal | undefined,
  ): Promise<Pick<MoveAction, "id" | "document" | "from" | "version">> {
    const [memory] = await this.#store.get(scope, [id]);
    if (memory) {
      const { source, tier: from, version } = memory;
      if (source) return { id: source.documentId, document: true, from, version: undefined };
      return { id, document: false, from, version };
    }
    let cursor: string | undefined;
    do {
      signal?.throwIfAborted();
      const page = await this.#store.documents(scope, { limit: 1_000, cursor });
      const document = page.documents.find((each) => each.id === id);
      if (document) return { id, document: true, from: document.tier, version: undefined };
      cursor = page.cursor;
    } while (cursor !== undefined);
    throw new StrataError("NOT_FOUND", `No memory or document has the id "${id}".`, { details: { id } });
  }

  /**
   * Takes a run back: a pass, a move, or what a caller forgot; the undoing is a run in turn.
   * @throws NOT_FOUND
   */
  undo(run: string, options: Pick<ConsolidationOptions, "namespace" | "signal"> = {}): Promise<UndoResult> {
    const scope = this.#scope(options.namespace);
    return operationChannels.undo.trace(this, () => this.#store.undo(scope, run, { signal: options.signal }));
  }

  getStats(): ConsolidationStats {
    return this.#totals.stats;
  }

  /**
   * Tends all namespaces every so often, a bounded number each time: those that changed, and those whose day turned.
   * One process of all that share the store does so at a time. Keeps no process alive.
   * @param intervalMs Default 300,000; each wait is up to a tenth shorter or longer.
   */
  startBackgroundTask(intervalMs = 300_000, options: BackgroundOptions = {}): void {
    if (!(intervalMs >= 1)) throw invalid("intervalMs", "at least 1", intervalMs);
    if (this.#background) return;
    this.#background = new BackgroundTask({
      source: this,
      store: this.#store,
      clock: this.#settings.clock,
      random: this.#settings.random,
      intervalMs,
      consolidate:
        options.cleanupOnly === true
          ? undefined
          : (pass) => this.runConsolidation({ ...pass, similar: this.#settings.mergeSimilar }),
      prepare: this.#settings.prepare,
      takeUsed: this.#settings.takeUsed,
      isHookDue: (scope) => this.#isHookDue(scope),
      onFailure: () => this.#totals.fail(),
    });
    this.#background.start(options.atOnce ?? false);
  }

  /** Returns at once; at most a slice under way ends after it, and nothing begins. */
  stopBackgroundTask(): void {
    const task = this.#background;
    if (!task) return;
    task.stop();
    this.#stopped = Promise.all([this.#stopped, task.idle]).then(() => {});
    this.#background = undefined;
  }

  /** Stops the background task and waits for what is under way. */
  async close(): Promise<void> {
    this.stopBackgroundTask();
    await this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Whether a hook has something to do in a namespace in which nothing was written. */
  async #isHookDue(scope: Scope): Promise<boolean> {
    const { hooks, clock } = this.#settings;
    if (!hooks.summarize && !hooks.extract) return false;
    const { dueAt } = await readHookState(this.#store, scope);
    return dueAt !== undefined && dueAt <= clock.now();
  }

  #scope(namespace: string | undefined): Scope {
    return { namespace: checkNamespace(namespace ?? this.#settings.namespace) };
  }

  async #tierLimits(scope: Scope): Promise<TierTable> {
    this.#limits ??= (await this.#store.stats(scope)).tiers;
    return this.#limits;
  }
}

/** The right to tend one namespace, for one pass. */
class Lease {
  readonly #store: MemoryStore;
  readonly #clock: ConsolidatorSettings["clock"];
  readonly #name: string;
  readonly #holder: string;
  #takenAt = 0;

  constructor(store: MemoryStore, clock: ConsolidatorSettings["clock"], scope: Scope, holder: string) {
    this.#store = store;
    this.#clock = clock;
    this.#name = `consolidate:${scope.namespace}`;
    this.#holder = holder;
  }

  async acquire(): Promise<boolean> {
    this.#takenAt = this.#clock.monotonic();
    return this.#store.acquireLease(this.#name, this.#holder, leaseMs);
  }

  /** @throws DATABASE_BUSY When it passed on, because this process stood still for too long. */
  async renew(): Promise<void> {
    if (this.#clock.monotonic() - this.#takenAt < leaseMs / 4) return;
    if (await this.acquire()) return;
    throw new StrataError(
      "DATABASE_BUSY",
      "Another worker took over the consolidation of this namespace: run it again.",
    );
  }

  async release(): Promise<void> {
    await this.#store.releaseLease(this.#name, this.#holder);
  }
}

function busyReport(run: string, { namespace }: Scope, now: number): ConsolidationReport {
  return {
    run,
    namespace,
    dryRun: false,
    startedAt: now,
    durationMs: 0,
    stagesMs: {},
    actions: [],
    counts: { promote: 0, demote: 0, merge: 0, evict: 0, expire: 0 },
    movedTo: { promote: countsByTier(), demote: countsByTier() },
    expiredByTier: countsByTier(),
    evicted: [],
    full: [],
    changed: 0,
    hooks: {},
    proposals: [],
    failures: [],
    more: false,
    busy: true,
  };
}

function checkTier(value: unknown, name: string): void {
  if (!isTier(value)) {
    throw new StrataError("UNKNOWN_TIER", `Expected ${name} as one of ${tiers.join(", ")}.`);
  }
}

/** Lets other work of the process run between two slices. */
function breath(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
