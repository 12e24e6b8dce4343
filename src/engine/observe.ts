import type { Config } from "../config/config.ts";
import { type OperationName, operationNames } from "../contract/operations.ts";
import { Logger } from "../monitoring/logger.ts";
import { PerformanceMonitor } from "../monitoring/performance-monitor.ts";
import { onOperations, watchOperations } from "../monitoring/watch-operations.ts";
import type { Parts } from "./parts.ts";

/** Verbs so short or frequent that publishing them would show; no room publishes them. */
const countedByTheMemory: ReadonlySet<OperationName> = new Set(["store", "recall", "search", "get"]);
const fromChannels = operationNames.filter((name) => !countedByTheMemory.has(name));

/**
 * Counts in a monitor what one memory does. Of its verbs the memory itself tells, straight: a recall from the cache
 * takes three microseconds, of which an event would be a twentieth. Of all else the channels tell.
 */
export class Observation {
  readonly monitor: PerformanceMonitor;
  readonly #parts: Parts;
  #stop: (() => void) | undefined;

  constructor(parts: Parts, monitor: PerformanceMonitor) {
    this.#parts = parts;
    this.monitor = monitor;
  }

  /** Where the memory counts its verbs; undefined while nothing is counted. */
  get counting(): PerformanceMonitor | undefined {
    return this.#stop === undefined ? undefined : this.monitor;
  }

  start(): void {
    this.#stop ??= watchOperations(this.monitor, this.#parts.rooms, fromChannels);
  }

  stop(): void {
    this.#stop?.();
    this.#stop = undefined;
  }
}

/** Watches the operations of one memory as configured, until its parts are closed. */
export function observe(
  parts: Parts,
  config: Pick<Config, "monitoring" | "logging" | "notices">,
): Observation {
  const { enabled, trackMemory, reportIntervalMs, slowMs } = config.monitoring;
  const logger = new Logger({ ...config.logging, now: () => parts.clock.now() });
  const monitor = new PerformanceMonitor({
    trackMemory,
    reportIntervalMs,
    onReport: (report) => logger.info("report", { ...report }),
    clock: parts.clock,
  });
  parts.onClose(() => monitor.close());
  const observation = new Observation(parts, monitor);
  if (enabled) observation.start();
  parts.onClose(() => observation.stop());
  if (logger.writes("error")) parts.onClose(logOperations(parts, logger, slowMs));
  for (const notice of config.notices) logger.warn("configuration", { notice });
  return observation;
}

/** Failures at level warn (they reach the caller too), slow operations at warn, all others at debug. */
function logOperations(parts: Parts, logger: Logger, slowMs: number): () => void {
  return onOperations({
    onOperation({ source, operation, durationMs, errorCode, count, model }) {
      if (!parts.sources.includes(source)) return;
      const fields = {
        operation,
        durationMs: Math.round(durationMs * 1_000) / 1_000,
        ...(count !== undefined && { count }),
        ...(model !== undefined && { model }),
      };
      if (errorCode === "INTERNAL") logger.error("operation-failed", { ...fields, errorCode });
      else if (errorCode !== undefined) logger.warn("operation-failed", { ...fields, errorCode });
      else if (durationMs >= slowMs) logger.warn("operation-slow", fields);
      else logger.debug("operation", fields);
    },
  });
}
