/** Where a graph is computed. */
export type OnnxDevice = "cpu" | "cuda" | "webgpu";

/** What was found out about one device by computing on it. */
export interface DeviceProbe {
  readonly device: OnnxDevice;
  readonly available: boolean;
  /** Why it cannot be used, in the runtime's words; absent when it can. */
  readonly reason?: string;
  /** How to supply it; absent when it is there. */
  readonly remedy?: string;
}
