import { existsSync } from "node:fs";
import { join } from "node:path";
import type { EmbeddingModel } from "../contract/embedding-model.ts";
import type { OnnxDevice } from "../embedding/models/onnx-device.ts";
import { apiKeyOf } from "./model-key.ts";
import type { Session } from "./session.ts";

/** Flags that say how a model named on the command line is opened. */
export interface OpenFlags {
  /** Where models are stored. */
  readonly folder?: string;
  readonly device?: OnnxDevice | "auto";
  readonly keyVariable?: string;
}

/** Opens a model by a stored one's id or by the name that `openModel` takes. */
export async function openNamedModel(
  name: string,
  flags: OpenFlags,
  session: Session,
): Promise<EmbeddingModel> {
  const { openModel } = await import("../embedding/models/open-model.ts");
  const folder = await storedFolder(name, flags);
  const apiKey = apiKeyOf(name, flags.keyVariable, session.io.environment);
  return openModel(folder === undefined ? name : `onnx:${folder}`, { device: flags.device, apiKey });
}

/** Folder of a stored model when that is what the name says; its graph is the one in its list of files. */
export async function storedFolder(
  name: string,
  { folder }: Pick<OpenFlags, "folder">,
): Promise<string | undefined> {
  const { modelsFolder, storedModelFile } = await import("../embedding/models/model-store.ts");
  const path = join(folder ?? modelsFolder(), name);
  return name !== "builtin" && !name.includes(":") && existsSync(join(path, storedModelFile))
    ? path
    : undefined;
}
