import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
export const collectGarbage: () => void = runInNewContext("gc");

/** Bytes that the process holds once its garbage is collected: in the engine's heap, in arrays and in WebAssembly's memory. */
export function heldBytes(): number {
  // A second time for what only the first lets go.
  for (const _ of [1, 2]) collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
