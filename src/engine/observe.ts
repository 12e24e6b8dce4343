import type { Config } from "../config/config.ts";
import { Logger } from "../monitoring/logger.ts";
import { PerformanceMonitor } from "../monitoring/performance-monitor.ts";
import { onOperations, watchOperations } from "../monitoring/watch-operations.ts";
import type { Parts } from "./parts.ts";

/** Watches the operations of one memory as configured, until its parts are closed. */
export function observe(
  parts: Parts,
  config: Pick<Config, "monitoring" | "logging" | "notices">,
): PerformanceMonitor {
  const { enabled, trackMemory, reportIntervalMs, slowMs } = config.monitoring;
  const logger = new Logger({ ...config.logging, now: () => parts.clock.now() });
  const monitor = new PerformanceMonitor({
    trackMemory,
    reportIntervalMs,
    onReport: (report) => logger.info("report", { ...report }),
    clock: parts.clock,
  });
  parts.onClose(() => monitor.close());
  if (enabled) parts.onClose(watchOperations(monitor, parts.sources));
  if (logger.writes("error")) parts.onClose(logOperations(parts, logger, slowMs));
  for (const notice of config.notices) logger.warn("configuration", { notice });
  return monitor;
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
