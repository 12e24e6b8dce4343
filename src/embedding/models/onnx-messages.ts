import type { EmbeddingTask } from "../../contract/embedding-model.ts";
import type { ErrorCode, ErrorDetails } from "../../contract/errors.ts";
import { StrataError } from "../../contract/errors.ts";
import type { DeviceProbe, OnnxDevice } from "./onnx-device.ts";
import type { OnnxFolderOptions } from "./onnx-folder.ts";

/** What a worker is started for. */
export type WorkerPurpose =
  | { readonly kind: "probe" }
  | {
      readonly kind: "model";
      readonly folder: string;
      readonly options: OnnxFolderOptions;
      readonly device: OnnxDevice | "auto";
      readonly threads: number | undefined;
      readonly textsPerRun: number | undefined;
    };

/** To the worker. */
export type WorkerRequest =
  | {
      readonly kind: "embed";
      readonly job: number;
      readonly task: EmbeddingTask;
      readonly texts: readonly string[];
    }
  | { readonly kind: "cancel"; readonly job: number }
  | { readonly kind: "close" };

/** What a worker found in a model it opened. */
export interface OpenedModel {
  readonly id: string;
  readonly dimensions: number;
  readonly maxTokens: number;
  readonly symmetric: boolean;
  readonly device: OnnxDevice;
  readonly deviceReason: string;
  readonly graph: string;
  readonly pooling: string;
  readonly textsPerRun: number;
  readonly tokensPerRun: number;
  /** Share 0..1 by which a text may be shorter than the longest of its run. */
  readonly mostPadding: number;
}

/** Answer of the worker to one `embed`. */
export interface EmbedAnswer {
  readonly kind: "done";
  readonly job: number;
  /** `[texts × dimensions]`, row by row; rows of unknown texts are zeros. */
  readonly slab: Float32Array<ArrayBuffer>;
  /** For each text, the share 0..1 of its pieces the vocabulary lacks; 1: the row is no vector. */
  readonly unknownShares: Float32Array<ArrayBuffer>;
  readonly tokens: number;
}

/** From the worker. */
export type WorkerReply =
  | { readonly kind: "probed"; readonly devices: readonly DeviceProbe[] }
  | { readonly kind: "opened"; readonly model: OpenedModel }
  | { readonly kind: "refused"; readonly error: SentError }
  | EmbedAnswer
  | { readonly kind: "failed"; readonly job: number; readonly error: SentError };

/** An error as it crosses threads, where classes are lost. */
export interface SentError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

/** @param meaning Told for an error that is not Strata's; its own message follows. */
export function sendableError(error: unknown, code: ErrorCode, meaning: string): SentError {
  if (StrataError.isInstance(error))
    return { code: error.code, message: error.message, details: error.details };
  const said = error instanceof Error ? error.message : String(error);
  return { code, message: `${meaning}: ${said}`, details: {} };
}

export function receivedError(sent: SentError): StrataError {
  return new StrataError(sent.code, sent.message, { details: sent.details });
}
