import type { EmbeddingModel } from "../../contract/embedding-model.ts";
import { StrataError } from "../../contract/errors.ts";
import type { OnnxDevice } from "./onnx-device.ts";

/** How a model named in one word is opened. */
export interface OpenModelOptions {
  /** For onnx. Default "cpu". */
  readonly device?: OnnxDevice | "auto" | undefined;
  /** For http: the key to send, or a function that is asked for it. */
  readonly apiKey?: string | (() => string | undefined) | undefined;
  /** For http. Default: found out by one call. */
  readonly dimensions?: number | undefined;
}

/** The forms a name takes, for help texts. */
export const modelNameForms = "builtin, onnx:FOLDER, onnx:FOLDER#GRAPH, onnx:ID, http:URL#MODEL" as const;

/**
 * Opens the model of a name, as `--model` takes it:
 *
 * - `builtin`
 * - `onnx:FOLDER` or `onnx:ID` of a stored model, with `#onnx/model_quantized.onnx` for another graph than the first
 * - `http:URL#MODEL`, such as `http://localhost:11434/v1#nomic-embed-text`; the `http:` before the URL may be left out
 *
 * @throws INVALID_ARGUMENT, and whatever the model's own way of opening throws
 */
export async function openModel(name: string, options: OpenModelOptions = {}): Promise<EmbeddingModel> {
  const [, kind = "", rest = ""] = /^([a-z]+)(?::(.*))?$/s.exec(name) ?? [];
  const [place, part] = cutAtHash(rest);
  switch (kind) {
    case "builtin": {
      const { openBuiltinModel } = await import("./builtin-model.ts");
      if (rest === "") return openBuiltinModel();
      break;
    }
    case "onnx": {
      if (place === "") break;
      const { openOnnxModel } = await import("./onnx-model.ts");
      return openOnnxModel(place, { graph: part, device: options.device });
    }
    case "http":
    case "https": {
      if (part === undefined) break;
      const { openHttpModel } = await import("./http-model.ts");
      const url = place.startsWith("//") ? `${kind}:${place}` : place;
      return openHttpModel({ url, model: part, apiKey: options.apiKey, dimensions: options.dimensions });
    }
  }
  // The name itself is not told: a URL may hold a key.
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Expected a model's name in one of the forms ${modelNameForms}.`,
    {
      details: { argument: "model" },
    },
  );
}

function cutAtHash(text: string): [before: string, after: string | undefined] {
  const at = text.lastIndexOf("#");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
