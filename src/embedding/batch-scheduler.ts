import type { EmbeddingTask } from "../contract/embedding-model.ts";

/** One text waiting for the model. */
export interface QueueItem {
  readonly task: EmbeddingTask;
  /** Estimate of its tokens, at least 1: what a batch is cut by. */
  readonly tokens: number;
  /** On the scheduler's clock, in milliseconds. */
  readonly queuedAt: number;
}

/** What may be in flight. */
export interface BatchLimits {
  /** Most texts of a batch. */
  readonly batchSize: number;
  /** Most batches in flight. */
  readonly concurrency: number;
}

export interface BatchSchedulerOptions extends BatchLimits {
  /** Most tokens of a batch, padding included: texts times the longest of them. */
  readonly maxBatchTokens: number;
  /** Time a batch that is not full may wait for more texts though a slot is free. 0: none. */
  readonly maxWaitMs: number;
}

/** A batch that leaves now. */
export interface Departure<Item> {
  readonly items: readonly Item[];
  readonly task: EmbeddingTask;
  /** More texts wait than the slots can take: what is measured now is the model, not the callers. */
  readonly saturated: boolean;
}

/** Texts looked at to find some of one length, as a multiple of the batch size. */
const windowBatches = 8;

/** Query batches in a row while documents wait; then one batch of documents goes, so that they never starve. */
const queryBatchesInRow = 4;

/** Weight of the latest call in the typical one. */
const typicalWeight = 0.2;

/**
 * Decides which texts leave together and when; performs nothing and reads no clock.
 *
 * With a slot free and nothing in flight a batch leaves at once. With calls in flight, a batch that is not full leaves
 * when the last departure lies a typical call's time, divided by the slots, behind it: texts that trickle in would
 * otherwise take all slots one by one within a moment and then wait for the first of them together. A full batch never
 * waits for anything but a slot.
 */
export class BatchScheduler<Item extends QueueItem> {
  readonly #lanes: Readonly<Record<EmbeddingTask, Lane<Item>>> = { query: new Lane(), document: new Lane() };
  readonly #maxBatchTokens: number;
  readonly #maxWaitMs: number;
  #batchSize: number;
  #concurrency: number;
  #inFlight = 0;
  #lastDeparture = Number.NEGATIVE_INFINITY;
  #lastWasFull = false;
  #queryRun = 0;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #typicalCallMs = 0;

  constructor(options: BatchSchedulerOptions) {
    this.#batchSize = options.batchSize;
    this.#concurrency = options.concurrency;
    this.#maxBatchTokens = options.maxBatchTokens;
    this.#maxWaitMs = options.maxWaitMs;
  }

  get queued(): number {
    return this.#lanes.query.items.size + this.#lanes.document.items.size;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  setLimits(limits: BatchLimits): void {
    this.#batchSize = limits.batchSize;
    this.#concurrency = limits.concurrency;
  }

  add(item: Item): void {
    this.#lanes[item.task].add(item);
  }

  /** @returns Whether it was still waiting. */
  remove(item: Item): boolean {
    return this.#lanes[item.task].remove(item);
  }

  /** Everything that waits, queries first; nothing waits afterwards. */
  removeAll(): Item[] {
    const items = [...this.#lanes.query.items, ...this.#lanes.document.items];
    for (const item of items) this.remove(item);
    return items;
  }

  /** No batch leaves before `time`. */
  pauseUntil(time: number): void {
    this.#pausedUntil = Math.max(this.#pausedUntil, time);
  }

  /**
   * The next batch, which counts as in flight from now on; or the milliseconds after which to ask again; or undefined
   * when nothing can leave before something is added or finishes.
   */
  take(now: number): Departure<Item> | number | undefined {
    if (this.queued === 0 || this.#inFlight >= this.#concurrency) return undefined;
    const waitMs = this.#waitMs(now);
    if (waitMs > 0) return waitMs;
    const task = this.#nextTask();
    const lane = this.#lanes[task];
    const full = this.#isFull(lane);
    const items = lane.cut(this.#batchSize, this.#maxBatchTokens);
    this.#queryRun = task === "query" ? this.#queryRun + 1 : 0;
    this.#inFlight++;
    this.#lastDeparture = now;
    this.#lastWasFull = full;
    return { items, task, saturated: full && this.queued > 0 };
  }

  /** A batch in flight ended. */
  finish(): void {
    this.#inFlight--;
  }

  /** A call of the model took so long. */
  learn(callMs: number): void {
    this.#typicalCallMs =
      this.#typicalCallMs === 0
        ? callMs
        : this.#typicalCallMs + typicalWeight * (callMs - this.#typicalCallMs);
  }

  #waitMs(now: number): number {
    const paused = this.#pausedUntil - now;
    if (paused > 0) return paused;
    const { query, document } = this.#lanes;
    if (this.#isFull(query) || this.#isFull(document)) return 0;
    const oldest = Math.min(query.oldestAt(), document.oldestAt());
    const gathering = oldest + this.#maxWaitMs - now;
    // What a full batch left behind came with it: it goes along.
    if (this.#inFlight === 0 || this.#lastWasFull) return Math.max(0, gathering);
    return Math.max(gathering, this.#lastDeparture + this.#typicalCallMs / this.#concurrency - now, 0);
  }

  #nextTask(): EmbeddingTask {
    if (this.#lanes.query.items.size === 0) return "document";
    if (this.#lanes.document.items.size === 0) return "query";
    return this.#queryRun >= queryBatchesInRow ? "document" : "query";
  }

  #isFull(lane: Lane<Item>): boolean {
    return lane.items.size >= this.#batchSize || lane.tokens >= this.#maxBatchTokens;
  }
}

/** Texts of one task in order of arrival. */
class Lane<Item extends QueueItem> {
  readonly items: Set<Item> = new Set();
  /** Sum over the items. */
  tokens = 0;

  add(item: Item): void {
    this.items.add(item);
    this.tokens += item.tokens;
  }

  remove(item: Item): boolean {
    if (!this.items.delete(item)) return false;
    this.tokens -= item.tokens;
    return true;
  }

  oldestAt(): number {
    for (const item of this.items) return item.queuedAt;
    return Number.POSITIVE_INFINITY;
  }

  /** Takes the oldest text and those nearest to it in length, so that little padding is computed and nobody starves. */
  cut(batchSize: number, maxTokens: number): Item[] {
    const window: Item[] = [];
    for (const item of this.items) {
      if (window.length >= windowBatches * batchSize) break;
      window.push(item);
    }
    const oldest = window[0]!;
    window.sort((a, b) => a.tokens - b.tokens);
    const [start, end] = growAround(window, window.indexOf(oldest), batchSize, maxTokens);
    const batch = window.slice(start, end);
    for (const item of batch) this.remove(item);
    return batch;
  }
}

/** The run of `sorted` around `centre` that grows, one text at a time, by whichever neighbour adds less padding. */
function growAround(
  sorted: readonly QueueItem[],
  centre: number,
  batchSize: number,
  maxTokens: number,
): [start: number, end: number] {
  let start = centre;
  let end = centre + 1;
  while (end - start < batchSize) {
    const size = end - start;
    const longest = sorted[end - 1]!.tokens;
    const shorter = start > 0 && (size + 1) * longest <= maxTokens ? sorted[start - 1]!.tokens : undefined;
    const longer = sorted[end]?.tokens ?? Number.POSITIVE_INFINITY;
    const longerFits = (size + 1) * longer <= maxTokens;
    if (shorter === undefined && !longerFits) break;
    const shorterCost = shorter === undefined ? Number.POSITIVE_INFINITY : longest - shorter;
    if (!longerFits || shorterCost <= (longer - longest) * size) start--;
    else end++;
  }
  return [start, end];
}
