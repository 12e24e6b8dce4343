import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { Logger, type LoggerOptions } from "./logger.ts";

function recorder(options: LoggerOptions): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const now = (): number => Date.UTC(2024, 0, 1, 12);
  return { logger: new Logger({ ...options, now, write: (line) => lines.push(line) }), lines };
}

suite("the log", () => {
  test("writes a line with time, level, event and figures", () => {
    const { logger, lines } = recorder({ level: "info" });
    logger.warn("operation-slow", { operation: "recall", durationMs: 1_234.5 });
    assert.deepEqual(lines, [
      "2024-01-01T12:00:00.000Z warn  operation-slow operation=recall durationMs=1234.5\n",
    ]);
  });

  test("writes JSON, one object a line", () => {
    const { logger, lines } = recorder({ level: "info", format: "json" });
    logger.info("report", { operations: { recall: { count: 2 } } });
    assert.deepEqual(JSON.parse(lines[0]!), {
      time: "2024-01-01T12:00:00.000Z",
      level: "info",
      event: "report",
      operations: { recall: { count: 2 } },
    });
  });

  test("is silent unless it is told to speak, and leaves out what is less important", () => {
    const quiet = recorder({});
    quiet.logger.error("failed");
    assert.deepEqual(quiet.lines, []);
    const { logger, lines } = recorder({ level: "warn" });
    logger.error("a");
    logger.warn("b");
    logger.info("c");
    logger.debug("d");
    assert.equal(lines.length, 2);
  });

  for (const [name, value] of Object.entries({
    apiKey: "zebra",
    authorization: "Bearer zebra",
    text: "zebra",
    content: "zebra",
    query: "zebra",
    question: "zebra",
    tags: ["zebra"],
    vector: new Float32Array(2),
    metadata: { zebra: 1 },
    url: "https://user:zebra@example.org/v1",
    nested: { deep: { password: "zebra" } },
  })) {
    test(`does not tell what ${name} holds`, () => {
      for (const format of ["text", "json"] as const) {
        const { logger, lines } = recorder({ level: "debug", format });
        logger.debug("event", { [name]: value });
        assert.match(lines[0]!, /redacted/);
        assert.doesNotMatch(lines[0]!, /zebra/);
      }
    });
  }

  test("a count is told, whatever it counts", () => {
    const { logger, lines } = recorder({ level: "debug" });
    logger.debug("event", { texts: 3, tokens: 5, maxKey: 7 });
    assert.match(lines[0]!, /texts=3 tokens=5 maxKey=7/);
  });

  test("a value with line breaks stays on its line", () => {
    const { logger, lines } = recorder({ level: "debug" });
    logger.debug("event", { place: "a\nb error=x" });
    assert.equal(lines[0]?.split("\n").length, 2);
    assert.match(lines[0]!, /place="a\\nb error=x"/);
  });

  test("whatever is logged, a line comes out", () => {
    const { logger, lines } = recorder({ level: "debug" });
    const cycle: Record<string, unknown> = {};
    cycle["self"] = cycle;
    logger.debug("event", { cycle, big: 1n, nothing: undefined, none: null, error: new Error("x") });
    assert.equal(lines.length, 1);
  });
});
