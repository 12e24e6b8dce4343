import { type Channel, channel, type TracingChannel, tracingChannel } from "node:diagnostics_channel";

/**
 * What is published as it happens, each on the tracing channel `strata:NAME`: the verbs of a memory, then the work
 * below them (texts embedded, one call of the model, one document ingested).
 */
export const operationNames = [
  "store",
  "store-many",
  "ingest",
  "recall",
  "search",
  "research",
  "get",
  "update",
  "forget",
  "clear",
  "list",
  "documents",
  "document",
  "namespaces",
  "stats",
  "journal",
  "cleanup",
  "audit",
  "consolidate",
  "undo",
  "snapshot",
  "export",
  "import",
  "backup",
  "reembed",
  "flush",
  "embed",
  "model-call",
  "ingest-document",
] as const;

export type OperationName = (typeof operationNames)[number];

/**
 * One operation, the same object from its start to its end. It carries names and counts, never a text, a query, a
 * tag, a vector or a namespace.
 */
export interface OperationEvent {
  /** Who does it: a memory, an embedder, a retriever. Tells two of them in one process apart. */
  readonly source: object;
  readonly operation: OperationName;
  /** Texts, for `embed` and `model-call`. */
  readonly count: number | undefined;
  /** Id of the embedding model, for `embed` and `model-call`. */
  readonly model: string | undefined;
  /** Milliseconds of `performance.now()`. */
  readonly startedAt: number;
  /** From its start to its settlement; 0 until `asyncEnd`. */
  durationMs: number;
  /** Code or class of what it threw, never a message; set at `error` and `asyncEnd` after a failure. */
  errorCode: string | undefined;
}

/** A part of an operation, published on the channel {@link stageChannelName} when it is over. */
export interface StageEvent {
  readonly source: object;
  readonly operation: OperationName;
  readonly stage: string;
  readonly durationMs: number;
}

export const stageChannelName = "strata:stage";

/** Name of an operation's tracing channel, for `node:diagnostics_channel`. */
export function operationChannelName(operation: OperationName): string {
  return `strata:${operation}`;
}

/** What an event may carry beside source and operation. */
export type OperationFacts = Partial<Pick<OperationEvent, "count" | "model">>;

/**
 * Publishes one kind of operation. Unlike `tracePromise` it keeps results and errors to itself: they hold texts. Of
 * the five events of a tracing channel there are `start`, `end`, `asyncStart`, `asyncEnd`, `error`, with their usual
 * meaning; stores bound to `start` are entered.
 */
export class OperationChannel {
  readonly #operation: OperationName;
  readonly #channel: TracingChannel<unknown, OperationEvent>;
  /** The parts of the channel, once read: a call that takes three microseconds feels each look-up. */
  readonly #start: TracingChannel<unknown, OperationEvent>["start"];
  readonly #end: TracingChannel<unknown, OperationEvent>["end"];
  readonly #asyncStart: TracingChannel<unknown, OperationEvent>["asyncStart"];
  readonly #asyncEnd: TracingChannel<unknown, OperationEvent>["asyncEnd"];

  constructor(operation: OperationName) {
    this.#operation = operation;
    this.#channel = tracingChannel<unknown, OperationEvent>(operationChannelName(operation));
    const { start, end, asyncStart, asyncEnd } = this.#channel;
    this.#start = start;
    this.#end = end;
    this.#asyncStart = asyncStart;
    this.#asyncEnd = asyncEnd;
  }

  /** Runs the operation; with no subscriber nothing is added to it but the question whether there is one. */
  trace<T>(source: object, run: () => Promise<T>, facts?: OperationFacts): Promise<T> {
    const event = this.begin(source, facts);
    return event === undefined ? run() : this.#traced(event, run);
  }

  /**
   * For a caller that waits for the operation anyway, what {@link trace} does in steps: `begin`, `run`, and when it has
   * settled `settle`. Undefined when nobody listens.
   */
  begin(source: object, facts?: OperationFacts): OperationEvent | undefined {
    // Whoever counts listens to the end; only the few others ask all five.
    if (!this.#asyncEnd.hasSubscribers && !this.#channel.hasSubscribers) return undefined;
    return {
      source,
      operation: this.#operation,
      count: facts?.count,
      model: facts?.model,
      startedAt: performance.now(),
      durationMs: 0,
      errorCode: undefined,
    };
  }

  /**
   * Starts the operation within the stores that are bound to its start.
   * @param run Gets the event's `startedAt`, so that the operation need not read the clock again.
   */
  run<T>(event: OperationEvent, run: (startedAt: number) => Promise<T>): Promise<T> {
    const { startedAt } = event;
    const running = this.#start.hasSubscribers
      ? this.#start.runStores(event, run, undefined, startedAt)
      : run(startedAt);
    if (this.#end.hasSubscribers) this.#end.publish(event);
    return running;
  }

  /**
   * @param failure What it threw, in a list of one; empty: it succeeded.
   * @param durationMs Where the caller measured it; absent: the time since the event began.
   */
  settle(
    event: OperationEvent,
    failure: readonly [error?: unknown],
    durationMs: number = performance.now() - event.startedAt,
  ): void {
    event.durationMs = durationMs;
    if (failure.length > 0) {
      event.errorCode = errorCodeOf(failure[0]);
      this.#channel.error.publish(event);
    }
    if (this.#asyncStart.hasSubscribers) this.#asyncStart.publish(event);
    this.#asyncEnd.publish(event);
  }

  async #traced<T>(event: OperationEvent, run: () => Promise<T>): Promise<T> {
    let failure: readonly [error?: unknown] = succeeded;
    try {
      return await this.run(event, run);
    } catch (error) {
      failure = [error];
      throw error;
    } finally {
      this.settle(event, failure);
    }
  }
}

/** No failure, for {@link OperationChannel.settle}. */
export const succeeded: readonly [] = [];

/** The channel of each operation: one registry a process, as Node's own. */
export const operationChannels: Readonly<Record<OperationName, OperationChannel>> = Object.fromEntries(
  operationNames.map((operation) => [operation, new OperationChannel(operation)]),
) as Record<OperationName, OperationChannel>;

const stages: Channel<unknown, StageEvent> = channel(stageChannelName) as Channel<unknown, StageEvent>;

/** Publishes that a part of an operation is over. */
export function publishStage(
  source: object,
  operation: OperationName,
  stage: string,
  durationMs: number,
): void {
  if (stages.hasSubscribers) stages.publish({ source, operation, stage, durationMs });
}

/** What looks like a code, and not like a sentence. */
export const codePattern: RegExp = /^[A-Za-z][\w.:-]{0,63}$/;

/** Code of an error, else its class; "unknown" for what looks like neither. Never its message. */
export function errorCodeOf(error: unknown): string {
  const code = typeof error === "object" && error !== null ? Reflect.get(error, "code") : undefined;
  if (typeof code === "string" && codePattern.test(code)) return code;
  return error instanceof Error && codePattern.test(error.name) ? error.name : "unknown";
}
