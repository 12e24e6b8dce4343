import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, suite, test } from "node:test";
import { context, SpanKind, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import {
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { exportToOpenTelemetry } from "../monitoring/open-telemetry.ts";
import { openMemory } from "./open-memory.ts";

suite("OpenTelemetry", () => {
  const folder = mkdtempSync(join(tmpdir(), "strata-telemetry-"));
  after(() => rmSync(folder, { recursive: true }));
  const secret = "zebra-secret";
  const exporter = new InMemorySpanExporter();
  const tracerProvider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });

  const open = (): ReturnType<typeof openMemory> =>
    openMemory({ path: join(folder, "memory.db"), namespace: secret, configFile: false });

  test("a recall's span holds what was embedded and its stages, within the caller's span", async () => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    const stop = await exportToOpenTelemetry({ tracerProvider });
    await using memory = await open();
    await memory.store(`${secret} prefers tea`, { tags: [secret] });
    exporter.reset();
    const tracer = tracerProvider.getTracer("test");
    await tracer.startActiveSpan("request", async (span) => {
      await Promise.all([memory.recall(`what does ${secret} drink?`), memory.recall("another question")]);
      span.end();
    });
    stop();
    context.disable();
    const spans = exporter.getFinishedSpans();
    const request = spans.find(({ name }) => name === "request")!;
    const recalls = spans.filter(({ name }) => name === "strata recall");
    assert.equal(recalls.length, 2);
    for (const recall of recalls) {
      assert.equal(recall.parentSpanContext?.spanId, request.spanContext().spanId);
      const children = spans.filter((span) => parentOf(span) === recall.spanContext().spanId);
      assert.deepEqual(
        children
          .map(({ name }) => name)
          .filter((name) => /embed|follow|score|rank|read/.test(name))
          .sort(),
        [
          "strata embed",
          "strata recall follow",
          "strata recall rank",
          "strata recall read",
          "strata recall score",
        ],
      );
      for (const child of children) {
        assert.ok(timeOf(child.startTime) >= timeOf(recall.startTime) - 1, child.name);
        assert.ok(timeOf(child.endTime) <= timeOf(recall.endTime) + 1, child.name);
      }
    }
    const embed = spans.find(({ name }) => name === "strata embed")!;
    assert.partialDeepStrictEqual(embed.attributes, {
      "gen_ai.operation.name": "embeddings",
      "strata.texts": 1,
    });
    const told = spans.map(({ name, attributes, events, status }) => ({ name, attributes, events, status }));
    assert.doesNotMatch(JSON.stringify(told), /zebra/);
  });

  test("a failure is told by its code alone", async () => {
    exporter.reset();
    const stop = await exportToOpenTelemetry({ tracerProvider });
    await using memory = await open();
    await assert.rejects(memory.forget(`no ${secret}`));
    stop();
    const [span] = exporter.getFinishedSpans();
    assert.partialDeepStrictEqual(span, {
      name: "strata forget",
      kind: SpanKind.INTERNAL,
      attributes: { "error.type": "NOT_FOUND" },
      status: { code: 2 },
    });
    assert.equal(span?.status.message, undefined);
    assert.deepEqual(span?.events, []);
  });

  test("durations arrive as a histogram in seconds, by operation", async () => {
    const metricExporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({
      exporter: metricExporter,
      exportIntervalMillis: 3_600_000,
    });
    const meterProvider = new MeterProvider({ readers: [reader] });
    const stop = await exportToOpenTelemetry({ tracerProvider, meterProvider });
    {
      await using memory = await open();
      await memory.recall("what is there?");
      await memory.recall("what is there?");
    }
    stop();
    await meterProvider.forceFlush();
    const [metric] = metricExporter.getMetrics()[0]!.scopeMetrics[0]!.metrics;
    assert.partialDeepStrictEqual(metric?.descriptor, { name: "strata.operation.duration", unit: "s" });
    const recall = metric?.dataPoints.find(({ attributes }) => attributes["strata.operation"] === "recall");
    assert.partialDeepStrictEqual(recall?.value, { count: 2 });
    await meterProvider.shutdown();
  });

  test("nothing is told once it has ended", async () => {
    exporter.reset();
    (await exportToOpenTelemetry({ tracerProvider }))();
    await using memory = await open();
    await memory.recall("what is there?");
    assert.deepEqual(exporter.getFinishedSpans(), []);
    assert.equal(trace.getActiveSpan(), undefined);
  });
});

function parentOf(span: ReadableSpan): string | undefined {
  return span.parentSpanContext?.spanId;
}

/** Milliseconds of a time as OpenTelemetry has it. */
function timeOf([seconds, nanoseconds]: ReadableSpan["startTime"]): number {
  return seconds * 1_000 + nanoseconds / 1e6;
}
