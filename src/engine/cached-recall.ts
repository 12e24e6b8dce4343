import { QueryOptimizer } from "../caching/query-optimizer.ts";
import {
  checkSettings,
  type QueryFunction,
  type QueryOptimizerOptions,
  type QueryPath,
} from "../caching/query-optimizer-options.ts";
import { shareValue } from "../caching/shared-value.ts";
import { systemClock } from "../contract/clock.ts";
import type { Recall, RecallOptions } from "../contract/recall.ts";
import type { Scope } from "../contract/scope.ts";
import { checkFlag, checkOptions } from "./check-values.ts";
import type { Parts } from "./parts.ts";
import type { CheckedRecall } from "./recall-options.ts";

/** How answers of `recall` and `search` are kept. */
export interface QueryCacheOptions
  extends Pick<QueryOptimizerOptions, "maxEntries" | "maxBytes" | "ttlMs" | "ttlJitter" | "refreshAhead"> {
  /**
   * After each question, compute the one that followed it before, while no caller waits. It switches itself off while
   * that is seldom used; each fetch costs one embedding. Default false.
   */
  readonly prefetch?: boolean | undefined;
}

/** Names of {@link QueryCacheOptions}. */
const cacheNames: readonly (keyof QueryCacheOptions)[] = [
  "maxEntries",
  "maxBytes",
  "ttlMs",
  "ttlJitter",
  "refreshAhead",
  "prefetch",
];

/** Before anything is opened. @throws INVALID_ARGUMENT, UNKNOWN_OPTION */
export function checkQueryCache(given: QueryCacheOptions | undefined): QueryCacheOptions {
  const { prefetch, ...options } = checkOptions(given, cacheNames, "queryCache");
  checkSettings(options);
  return { ...options, prefetch: prefetch !== undefined && checkFlag(prefetch, "prefetch") };
}

type Verb = "recall" | "search";
/** What an answer depends on beside its namespace and the namespace's state; a model that is not the one in use by its id. */
type Asked = readonly [verb: Verb, text: string, options: RecallOptions, formerModel?: string];

/** Answers questions through a cache that no write outlives. */
export class CachedRecall {
  readonly queries: QueryOptimizer;
  readonly #parts: Parts;

  constructor(parts: Parts, { prefetch, ...options }: QueryCacheOptions) {
    this.#parts = parts;
    this.queries = new QueryOptimizer({
      ...options,
      clock: parts.clock,
      prefetch:
        prefetch === true ? { prepare: ({ namespace, key }) => this.#prepare(namespace, key) } : undefined,
    });
  }

  /**
   * The answer to a question, kept or new. Its uses are for the caller to count.
   * @param startedAt Of the call, by the machine's monotonic clock, where it was read anyway.
   */
  async answer(
    verb: Verb,
    scope: Scope,
    text: string,
    checked: CheckedRecall,
    startedAt?: number,
  ): Promise<Recall> {
    const { cache, touch, signal, ...options } = checked;
    const work = this.#work(verb, scope, text, options);
    if (!cache) {
      const answer = await this.queries.executeQuery("", work, { cache, signal });
      return answer.explanation
        ? { ...answer, explanation: { ...answer.explanation, cache: "off" } }
        : answer;
    }
    // Read before the work begins: what is written meanwhile leaves an answer that nobody asks for again.
    const former = await this.#parts.formerAnswering(scope);
    const model = former ?? (await this.#parts.embedder()).model.id;
    const generation = await this.#parts.store.generation(scope, model);
    // Told during the call: the compiler sees no assignment.
    let path = "miss" as QueryPath;
    const key = JSON.stringify(former === undefined ? [verb, text, options] : [verb, text, options, former]);
    const { recorder } = this.#parts;
    const began = recorder === undefined ? 0 : this.#parts.clock.monotonic();
    const answer = await this.queries.executeQuery(key, work, {
      namespace: scope.namespace,
      generation,
      expiresAt: earliestExpiry,
      // A clock of a test's own tells another time.
      now: this.#parts.clock === systemClock ? startedAt : undefined,
      signal,
      onPath: (taken) => {
        path = taken;
      },
    });
    if (recorder !== undefined) {
      const ms = this.#parts.clock.monotonic() - began;
      const made = path === "miss" ? { bytes: shareValue(answer).bytes, ms } : undefined;
      recorder.recall(scope.namespace, generation, key, text, made);
    }
    return answer.explanation ? { ...answer, explanation: { ...answer.explanation, cache: path } } : answer;
  }

  /** Lets go of every answer of a namespace, so that no erased text stays in memory. */
  drop({ namespace }: Scope): void {
    this.queries.invalidateCache({ namespace });
  }

  #work(verb: Verb, scope: Scope, text: string, options: RecallOptions): QueryFunction<Recall> {
    return (signal) =>
      this.#parts.ask(scope, (retriever) => retriever[verb](scope, text, { ...options, signal }));
  }

  #prepare(namespace: string, key: string) {
    const [verb, text, options] = JSON.parse(key) as Asked;
    return { work: this.#work(verb, { namespace }, text, options), expiresAt: earliestExpiry };
  }
}

/** When the first of the memories in an answer expires. */
function earliestExpiry({ hits }: Recall): number {
  return Math.min(...hits.map(({ memory }) => memory.expiresAt ?? Number.POSITIVE_INFINITY));
}
