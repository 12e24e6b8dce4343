import type { AdaptiveBatchingState } from "./adaptive-batching.ts";
import type { BatchLimits } from "./batch-scheduler.ts";
import type { CostMeter, EmbeddingCost } from "./cost-meter.ts";
import type { CallCounts } from "./model-caller.ts";
import type { QueueRoom } from "./queue-room.ts";
import type { ReplyChecker } from "./reply-check.ts";
import type { SharedVectorsStats } from "./shared-vectors.ts";

/** What a `BatchEmbedder` did since it was made. Times in milliseconds. */
export interface BatchEmbedderStats {
  /** Id of the model. */
  readonly model: string;
  /** Texts asked for. */
  readonly texts: number;
  /** Texts answered by the cache in memory or the shared one. */
  readonly cacheHits: number;
  /** Texts answered neither by a cache nor by joining the same text on its way. */
  readonly cacheMisses: number;
  /** Share 0..1 of the texts that needed no computation of their own: hits and joins. */
  readonly hitRate: number;
  /** Texts that joined the same text on its way. */
  readonly joins: number;
  /** Texts the model answered for. */
  readonly totalEmbeddings: number;
  readonly averageBatchSize: number;
  /** Time of batches divided by their texts. */
  readonly averageTimePerEmbeddingMs: number;
  /** Texts that wait for the model or for the shared cache. */
  readonly queueLength: number;
  /** Batches with the model now. */
  readonly inFlight: number;
  /** Started, or at work. */
  readonly running: boolean;
  readonly l1: {
    readonly hits: number;
    readonly entries: number;
    readonly bytes: number;
    readonly maxBytes: number;
  };
  /** Absent without a shared cache. */
  readonly l2?: SharedVectorsStats;
  readonly queue: {
    readonly maxTexts: number;
    /** Callers in line because it is full. */
    readonly waitingCalls: number;
    readonly refusedCalls: number;
  };
  readonly calls: Readonly<CallCounts>;
  /** Vectors that came with another length than 1. */
  readonly normalized: number;
  /** Texts in which the model knows nothing. */
  readonly unknown: number;
  readonly batching: BatchLimits & {
    readonly adaptive?: Omit<AdaptiveBatchingState, keyof BatchLimits>;
  };
  readonly cost: EmbeddingCost & { readonly byNamespace: Readonly<Record<string, EmbeddingCost>> };
}

/** Where the figures come from. */
export interface StatsSources {
  readonly model: string;
  readonly texts: number;
  readonly joins: number;
  readonly memo: BatchEmbedderStats["l1"];
  readonly shared: SharedVectorsStats | undefined;
  readonly totals: { readonly batches: number; readonly texts: number; readonly busyMs: number };
  readonly calls: CallCounts;
  readonly checker: ReplyChecker;
  readonly queued: number;
  readonly maxQueue: number;
  readonly room: QueueRoom;
  readonly inFlight: number;
  readonly running: boolean;
  readonly batching: BatchLimits | AdaptiveBatchingState;
  readonly cost: CostMeter;
}

export function embedderStats(from: StatsSources): BatchEmbedderStats {
  const { texts, joins, memo, shared, totals, batching } = from;
  const cacheHits = memo.hits + (shared?.hits ?? 0);
  return {
    model: from.model,
    texts,
    cacheHits,
    cacheMisses: texts - cacheHits - joins,
    hitRate: ratio(cacheHits + joins, texts),
    joins,
    totalEmbeddings: totals.texts,
    averageBatchSize: ratio(totals.texts, totals.batches),
    averageTimePerEmbeddingMs: ratio(totals.busyMs, totals.texts),
    queueLength: from.queued,
    inFlight: from.inFlight,
    running: from.running,
    l1: memo,
    ...(shared === undefined ? {} : { l2: shared }),
    queue: {
      maxTexts: from.maxQueue,
      waitingCalls: from.room.waiting,
      refusedCalls: from.room.refused,
    },
    calls: { ...from.calls },
    normalized: from.checker.normalized,
    unknown: from.checker.unknown,
    batching: {
      batchSize: batching.batchSize,
      concurrency: batching.concurrency,
      ...("phase" in batching
        ? {
            adaptive: {
              phase: batching.phase,
              textsPerSecond: batching.textsPerSecond,
              tokensPerSecond: batching.tokensPerSecond,
              p95Ms: batching.p95Ms,
              targetMet: batching.targetMet,
            },
          }
        : {}),
    },
    cost: { ...from.cost.total, byNamespace: from.cost.byNamespace },
  };
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
