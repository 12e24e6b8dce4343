import { StrataError } from "../../contract/errors.ts";
import type { DeviceProbe, OnnxDevice } from "./onnx-device.ts";
import { loadOptional } from "./optional-package.ts";

/** Fastest first: the order in which `auto` tries them. */
export const onnxDevices: readonly OnnxDevice[] = ["cuda", "webgpu", "cpu"];

const remedies: Readonly<Record<OnnxDevice, string>> = {
  cpu: "Install onnxruntime-node again: it has builds for Linux, macOS and Windows on x64 and arm64.",
  cuda: "On Linux x64 with an NVIDIA driver, CUDA 12 and cuDNN 9, run: npm rebuild onnxruntime-node --onnxruntime-node-install=cuda12",
  webgpu: "It needs a graphics driver with Vulkan (Linux: libvulkan1), Direct3D 12 or Metal.",
};

const otherWays =
  'Other accelerators, ROCm among them, are reached through an HTTP endpoint (TEI, vLLM, Ollama); or take device "cpu".';

/** y = x + x for one float: the smallest graph that makes a device compute. */
const doublingGraph = "CAk6NQoOCgF4CgF4EgF5IgNBZGQSAWdaDwoBeBIKCggIARIECgIIAWIPCgF5EgoKCAgBEgQKAggBQgQKABAR";

export type OnnxRuntime = typeof import("onnxruntime-node");

/** @throws MISSING_PACKAGE */
export async function loadOnnxRuntime(): Promise<OnnxRuntime> {
  const runtime = await loadOptional(
    "onnxruntime-node",
    "An ONNX model",
    async () => import("onnxruntime-node"),
  );
  // What matters comes back as an error; the library would write its own account to standard error as well.
  runtime.env.logLevel = "fatal";
  return runtime;
}

/** Computes something small on a device. Never rejects. */
export async function probeDevice(runtime: OnnxRuntime, device: OnnxDevice): Promise<DeviceProbe> {
  try {
    const session = await runtime.InferenceSession.create(Buffer.from(doublingGraph, "base64"), {
      executionProviders: [device],
      logSeverityLevel: 4,
    });
    const { y } = await session.run({ x: new runtime.Tensor("float32", Float32Array.of(21), [1]) });
    await session.release();
    if (y?.data[0] === 42) return { device, available: true };
    return { device, available: false, reason: "it computes wrongly", remedy: remedies[device] };
  } catch (error) {
    const lines = error instanceof Error ? error.message.trim().split("\n") : [String(error)];
    // The runtime puts its own source position before what it has to say.
    const reason = lines[0]!.replace(/^\S+\.cc:\d+ .*?(?=Failed|$)/, "") || lines[0]!;
    return { device, available: false, reason, remedy: remedies[device] };
  }
}

/** The device to compute on and why, as one sentence. */
export interface ChosenDevice {
  readonly device: OnnxDevice;
  readonly why: string;
}

/**
 * The device asked for, or for `auto` the first that computes.
 * @throws MISSING_PACKAGE When the device asked for is not there: never another one in its place.
 */
export async function chooseDevice(runtime: OnnxRuntime, asked: OnnxDevice | "auto"): Promise<ChosenDevice> {
  const reasons: string[] = [];
  for (const device of asked === "auto" ? onnxDevices : [asked]) {
    const probe = await probeDevice(runtime, device);
    if (probe.available) {
      const why = asked === "auto" ? ["auto", ...reasons].join("; ") : "asked for";
      return { device, why };
    }
    reasons.push(`${device} is not usable (${probe.reason})`);
  }
  throw new StrataError(
    "MISSING_PACKAGE",
    `Expected to compute on device "${asked}", but ${reasons.join("; ")}. ${asked === "auto" ? remedies.cpu : remedies[asked]} ${otherWays}`,
    { details: { device: asked } },
  );
}
