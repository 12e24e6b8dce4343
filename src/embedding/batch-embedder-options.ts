import { type Clock, systemClock } from "../contract/clock.ts";
import type { EmbeddingModel, EmbeddingPrice } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import type { VectorCache } from "../contract/vector-cache.ts";
import type { FunctionModelOptions } from "./model-source.ts";

/** All have defaults; all bounds are finite. */
export interface BatchEmbedderOptions extends FunctionModelOptions {
  /** Most texts of a batch. Default: found by measurement, from 32. */
  readonly batchSize?: number | undefined;
  /** Most batches with the model at once. Default: found by measurement, from 4. */
  readonly concurrency?: number | undefined;
  /** Most tokens of a batch by estimate, padding included. Default 16,384. */
  readonly maxBatchTokens?: number | undefined;
  /** p95 of a batch's time that the measured settings keep to. Default 100. */
  readonly latencyTargetMs?: number | undefined;
  /**
   * Time a batch that is not full waits for more texts though a slot is free: for providers that charge by the call.
   * Default 0: a lone text leaves at the end of the current turn of the event loop.
   */
  readonly maxWaitMs?: number | undefined;
  /** Texts that may wait for the model. Default 10,000. */
  readonly maxQueue?: number | undefined;
  /** What becomes of a call whose texts find no room: it waits its turn, or is refused. Default "wait". */
  readonly whenFull?: "wait" | "reject" | undefined;
  /** For one call of the model, after which its work is aborted. Default 60,000. */
  readonly timeoutMs?: number | undefined;
  /** Calls after the first, for what may pass: refusals of rate, lost connections, deadlines. Default 4. */
  readonly maxRetries?: number | undefined;
  /** Bytes of texts and vectors kept in memory; 0: none. Default 64 MiB. */
  readonly cacheBytes?: number | undefined;
  /** Most entries kept in memory; 0: none. Default: bytes alone bound it. */
  readonly cacheEntries?: number | undefined;
  /** A cache that outlives the process. The embedder closes it. A plain function needs an `id` and `dimensions` then. */
  readonly vectorCache?: VectorCache | undefined;
  /** What the provider charges. Default: what the model declares, else nothing. */
  readonly price?: EmbeddingPrice | undefined;
  /** Most that may be spent, in the currency of the price. Default: unbounded. */
  readonly budget?: number | undefined;
  readonly clock?: Clock | undefined;
  /** 0 ≤ x < 1, for the jitter of retries. Default Math.random. */
  readonly random?: (() => number) | undefined;
  /** Calls back at the end of the current turn of the event loop. Default setImmediate. */
  readonly defer?: ((callback: () => void) => void) | undefined;
}

/** Options with their defaults, checked. */
export interface ResolvedOptions {
  readonly batchSize: number;
  readonly concurrency: number;
  readonly maxBatchSize: number;
  readonly maxConcurrency: number;
  /** At least one of batch size and concurrency is found by measurement. */
  readonly adaptive: boolean;
  readonly maxBatchTokens: number;
  readonly latencyTargetMs: number;
  readonly maxWaitMs: number;
  readonly maxQueue: number;
  readonly whenFull: "wait" | "reject";
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly cacheBytes: number;
  readonly cacheEntries: number | undefined;
  readonly vectorCache: VectorCache | undefined;
  readonly price: EmbeddingPrice;
  readonly budget: number | undefined;
  readonly clock: Clock;
  readonly random: () => number;
  readonly defer: (callback: () => void) => void;
}

const known: Readonly<Record<keyof BatchEmbedderOptions, true>> = {
  id: true,
  dimensions: true,
  maxBatchSize: true,
  symmetric: true,
  batchSize: true,
  concurrency: true,
  maxBatchTokens: true,
  latencyTargetMs: true,
  maxWaitMs: true,
  maxQueue: true,
  whenFull: true,
  timeoutMs: true,
  maxRetries: true,
  cacheBytes: true,
  cacheEntries: true,
  vectorCache: true,
  price: true,
  budget: true,
  clock: true,
  random: true,
  defer: true,
};

/** Where the measurement starts, and how far it goes where the model names no bound. */
const startBatchSize = 32;
const startConcurrency = 4;
const greatestBatchSize = 256;
const greatestConcurrency = 16;

/** @throws INVALID_ARGUMENT, UNKNOWN_OPTION */
export function resolveOptions(options: BatchEmbedderOptions, model: EmbeddingModel): ResolvedOptions {
  for (const name of Object.keys(options))
    if (!Object.hasOwn(known, name))
      throw new StrataError(
        "UNKNOWN_OPTION",
        `Expected an option of BatchEmbedder, got "${name}"; there are ${Object.keys(known).join(", ")}.`,
      );
  const modelBatch = countOf("maxBatchSize", model.maxBatchSize);
  const modelSlots = countOf("maxConcurrency", model.maxConcurrency ?? greatestConcurrency);
  const batchSize = optionalCount("batchSize", options.batchSize);
  const concurrency = optionalCount("concurrency", options.concurrency);
  const maxBatchSize = Math.min(modelBatch, batchSize ?? greatestBatchSize);
  const maxConcurrency = Math.min(modelSlots, concurrency ?? greatestConcurrency);
  return {
    batchSize: Math.min(batchSize ?? startBatchSize, maxBatchSize),
    concurrency: Math.min(concurrency ?? startConcurrency, maxConcurrency),
    maxBatchSize,
    maxConcurrency,
    adaptive: batchSize === undefined || concurrency === undefined,
    maxBatchTokens: countOf("maxBatchTokens", options.maxBatchTokens ?? 16_384),
    latencyTargetMs: positive("latencyTargetMs", options.latencyTargetMs ?? 100),
    maxWaitMs: notNegative("maxWaitMs", options.maxWaitMs ?? 0),
    maxQueue: countOf("maxQueue", options.maxQueue ?? 10_000),
    whenFull: oneOf("whenFull", options.whenFull ?? "wait", ["wait", "reject"]),
    timeoutMs: positive("timeoutMs", options.timeoutMs ?? 60_000),
    maxRetries: notNegative("maxRetries", options.maxRetries ?? 4),
    cacheBytes: notNegative("cacheBytes", options.cacheBytes ?? 64 * 2 ** 20),
    cacheEntries:
      options.cacheEntries === undefined ? undefined : notNegative("cacheEntries", options.cacheEntries),
    vectorCache: options.vectorCache,
    price: options.price ?? model.price ?? {},
    budget: options.budget === undefined ? undefined : notNegative("budget", options.budget),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
    defer: options.defer ?? ((callback) => void setImmediate(callback)),
  };
}

function refuse(name: string, expected: string, value: unknown): never {
  const came = typeof value === "number" || typeof value === "string" ? `${value}` : typeof value;
  throw new StrataError("INVALID_ARGUMENT", `Expected ${name} to be ${expected}, got ${came}.`);
}

function countOf(name: string, value: number): number {
  return Number.isInteger(value) && value >= 1 ? value : refuse(name, "a whole number of at least 1", value);
}

function optionalCount(name: string, value: number | undefined): number | undefined {
  return value === undefined ? undefined : countOf(name, value);
}

function positive(name: string, value: number): number {
  return Number.isFinite(value) && value > 0 ? value : refuse(name, "a finite number above 0", value);
}

function notNegative(name: string, value: number): number {
  return Number.isFinite(value) && value >= 0 ? value : refuse(name, "a finite number of at least 0", value);
}

function oneOf<T extends string>(name: string, value: T, values: readonly T[]): T {
  return values.includes(value) ? value : refuse(name, `one of ${values.join(", ")}`, value);
}
