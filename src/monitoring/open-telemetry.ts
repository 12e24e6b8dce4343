import { AsyncLocalStorage } from "node:async_hooks";
import { tracingChannel } from "node:diagnostics_channel";
import type { Attributes, MeterProvider, Span, TracerProvider } from "@opentelemetry/api";
import { StrataError } from "../contract/errors.ts";
import { type OperationEvent, operationChannelName, operationNames } from "../contract/operations.ts";
import { histogramBoundsMs } from "./log-histogram.ts";
import { onOperations } from "./watch-operations.ts";

/** Types of its own, so that a program without OpenTelemetry still type-checks. */
export interface OpenTelemetryOptions {
  /** A `TracerProvider`. Default: the one registered globally. */
  readonly tracerProvider?: { getTracer(name: string): object } | undefined;
  /** A `MeterProvider`. Default: the one registered globally. */
  readonly meterProvider?: { getMeter(name: string): object } | undefined;
}

const scope = "strata-memory";
const spanPrefix = "strata";

/**
 * Turns what Strata does in this process into OpenTelemetry spans and metrics: a span for each operation, within the
 * caller's span; within it the texts embedded, calls of the model, and stages. The histogram
 * `strata.operation.duration` is in seconds. Attributes are names, codes and counts, those of embeddings after the
 * semantic conventions for generative AI; never a text, a query, a tag, a vector or a namespace.
 *
 * Needs the package `@opentelemetry/api`.
 * @returns The function that ends it.
 * @throws MISSING_PACKAGE
 */
export async function exportToOpenTelemetry(options: OpenTelemetryOptions = {}): Promise<() => void> {
  const api = await loadApi();
  const tracer = ((options.tracerProvider as TracerProvider | undefined) ?? api.trace).getTracer(scope);
  const meter = ((options.meterProvider as MeterProvider | undefined) ?? api.metrics).getMeter(scope);
  const durations = meter.createHistogram(`${spanPrefix}.operation.duration`, {
    description: "Time that operations took.",
    unit: "s",
    advice: { explicitBucketBoundaries: histogramBoundsMs.map((bound) => bound / 1_000) },
  });
  /** The span in which code runs, of operations of Strata alone. */
  const current = new AsyncLocalStorage<Span>();
  const spans = new WeakMap<OperationEvent, Span>();
  const parentContext = (): ReturnType<typeof api.context.active> => {
    const span = current.getStore();
    return span === undefined ? api.context.active() : api.trace.setSpan(api.context.active(), span);
  };

  const channels = operationNames.map((name) =>
    tracingChannel<unknown, OperationEvent>(operationChannelName(name)),
  );
  for (const { start } of channels) {
    start.bindStore(current, (event) => {
      const span = tracer.startSpan(
        `${spanPrefix} ${event.operation}`,
        {
          kind: event.operation === "model-call" ? api.SpanKind.CLIENT : api.SpanKind.INTERNAL,
          attributes: attributesOf(event),
        },
        parentContext(),
      );
      spans.set(event, span);
      return span;
    });
  }
  const stop = onOperations({
    onOperation(event) {
      const failed = event.errorCode === undefined ? undefined : { "error.type": event.errorCode };
      durations.record(event.durationMs / 1_000, { "strata.operation": event.operation, ...failed });
      const span = spans.get(event);
      if (failed) span?.setAttributes(failed).setStatus({ code: api.SpanStatusCode.ERROR });
      span?.end();
    },
    onStage({ operation, stage, durationMs }) {
      // The embedder publishes an operation of its own.
      if (stage === "embed") return;
      const endTime = performance.timeOrigin + performance.now();
      const attributes = { "strata.operation": operation, "strata.stage": stage };
      tracer
        .startSpan(
          `${spanPrefix} ${operation} ${stage}`,
          { startTime: endTime - durationMs, attributes },
          parentContext(),
        )
        .end(endTime);
    },
  });
  return () => {
    stop();
    for (const { start } of channels) start.unbindStore(current);
  };
}

function attributesOf({ operation, count, model }: OperationEvent): Attributes {
  return {
    "strata.operation": operation,
    ...(count !== undefined && { "strata.texts": count }),
    ...(model !== undefined && { "gen_ai.operation.name": "embeddings", "gen_ai.request.model": model }),
  };
}

async function loadApi(): Promise<typeof import("@opentelemetry/api")> {
  try {
    return await import("@opentelemetry/api");
  } catch (cause) {
    throw new StrataError(
      "MISSING_PACKAGE",
      "OpenTelemetry needs the package @opentelemetry/api: npm install @opentelemetry/api",
      { cause, details: { package: "@opentelemetry/api" } },
    );
  }
}
