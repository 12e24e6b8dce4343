import { subscribe, tracingChannel, unsubscribe } from "node:diagnostics_channel";
import {
  type OperationEvent,
  type OperationName,
  operationChannelName,
  operationNames,
  type StageEvent,
  stageChannelName,
} from "../contract/operations.ts";
import type { PerformanceMonitor } from "./performance-monitor.ts";

/** What is told of operations and their stages. */
export interface OperationListener {
  onOperation(event: OperationEvent): void;
  onStage?(event: StageEvent): void;
}

/**
 * Tells a listener of every operation that ends, in this process.
 * @param operations Of these alone; absent: all.
 * @returns The function that ends it.
 */
export function onOperations(
  listener: OperationListener,
  operations: readonly OperationName[] = operationNames,
): () => void {
  // Bound, not wrapped: a call less for each operation.
  const ended = listener.onOperation.bind(listener) as (event: unknown) => void;
  const staged = (event: unknown): void => listener.onStage?.(event as StageEvent);
  const channels = operations.map((name) => tracingChannel(operationChannelName(name)).asyncEnd);
  for (const channel of channels) channel.subscribe(ended);
  if (listener.onStage) subscribe(stageChannelName, staged);
  return () => {
    for (const channel of channels) channel.unsubscribe(ended);
    unsubscribe(stageChannelName, staged);
  };
}

/**
 * Counts and times in `monitor` what Strata does: operations by name, stages as `recall.score`.
 * @param sources Whose operations, read anew each time; absent: all in this process.
 * @param operations Which; absent: all.
 * @returns The function that ends it.
 */
export function watchOperations(
  monitor: PerformanceMonitor,
  sources?: readonly object[],
  operations: readonly OperationName[] = operationNames,
): () => void {
  /** A name made once: to join and look up a new string costs ten times as much as to count it. */
  const names = new Map<OperationName, Map<string, string>>();
  const nameOf = (operation: OperationName, stage: string): string => {
    const known = names.get(operation)?.get(stage);
    if (known !== undefined) return known;
    const name = `${operation}.${stage}`;
    const stages = names.get(operation) ?? new Map<string, string>();
    // Stages are few; whoever publishes others under the same channel does not fill the memory.
    if (stages.size < 100) names.set(operation, stages.set(stage, name));
    return name;
  };
  const listener: OperationListener = {
    onOperation({ source, operation, durationMs, errorCode }) {
      if (sources !== undefined && !sources.includes(source)) return;
      monitor.trackOperation(operation, durationMs);
      if (errorCode !== undefined) monitor.recordError(operation, errorCode);
    },
    onStage({ source, operation, stage, durationMs }) {
      if (sources !== undefined && !sources.includes(source)) return;
      monitor.trackOperation(nameOf(operation, stage), durationMs);
    },
  };
  return onOperations(listener, operations);
}
