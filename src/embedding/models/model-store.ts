import { createHash } from "node:crypto";
import { createReadStream, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import envPaths from "env-paths";
import { StrataError } from "../../contract/errors.ts";

/** A file of a stored model. */
export interface StoredFile {
  /** Relative to the model's folder, with forward slashes. */
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A model in the user's data folder, as `strata-model.json` beside its files tells it. */
export interface StoredModel {
  /** Such as `sentence-transformers/all-MiniLM-L6-v2`. */
  readonly id: string;
  /** Where it came from: a URL or a folder. */
  readonly source: string;
  /** Of the hub's repository; absent for a folder. */
  readonly revision?: string;
  readonly files: readonly StoredFile[];
}

/** Beside the files of every stored model. */
export const storedModelFile = "strata-model.json";

const idPattern = /^[\w-][\w.-]*(\/[\w-][\w.-]*)?$/;

/** Where models are stored unless told otherwise: `models` in the user's data folder. */
export function modelsFolder(): string {
  return join(envPaths("strata", { suffix: "" }).data, "models");
}

/** @throws INVALID_ARGUMENT When it could not name a folder of its own. */
export function checkModelId(id: string): string {
  if (idPattern.test(id)) return id;
  throw new StrataError(
    "INVALID_ARGUMENT",
    'Expected a model\'s id of letters, digits, ".", "_" and "-", with at most one "/".',
    { details: { argument: "id" } },
  );
}

/** Folder of a stored model. @throws MODEL_NOT_FOUND */
export function modelFolder(id: string, folder: string = modelsFolder()): string {
  const path = join(folder, id);
  if (idPattern.test(id) && existsSync(join(path, storedModelFile))) return path;
  const known = listModels(folder).map((model) => model.id);
  throw new StrataError(
    "MODEL_NOT_FOUND",
    `Expected a folder or the id of a stored model, found neither. Stored: ${known.join(", ") || "none"}. Bring one with: strata model pull`,
    { details: { folder } },
  );
}

/** Models stored in a folder, by id; what is no model is passed over. */
export function listModels(folder: string = modelsFolder()): StoredModel[] {
  return [...folders(folder), ...folders(folder).flatMap((owner) => folders(folder, owner))]
    .filter((name) => existsSync(join(folder, name, storedModelFile)))
    .toSorted()
    .map((name) => readStoredModel(join(folder, name)));
}

/** @throws MODEL_NOT_FOUND, FILE_UNREADABLE */
export function readStoredModel(folder: string): StoredModel {
  const path = join(folder, storedModelFile);
  if (!existsSync(path))
    throw new StrataError("MODEL_NOT_FOUND", `Expected ${storedModelFile} in the folder, found none.`, {
      details: { folder },
    });
  try {
    const model = JSON.parse(readFileSync(path, "utf8"));
    if (typeof model.id === "string" && Array.isArray(model.files)) return model;
  } catch {
    // Told below, like JSON of another shape.
  }
  throw new StrataError(
    "FILE_UNREADABLE",
    `Expected id and files in ${storedModelFile}. Pull the model again.`,
    { details: { folder } },
  );
}

/**
 * Reads every file of a stored model and compares it with what was stored.
 * @throws CHECKSUM_MISMATCH, MODEL_NOT_FOUND, FILE_UNREADABLE
 */
export async function verifyStoredModel(folder: string): Promise<StoredModel> {
  const model = readStoredModel(folder);
  for (const file of model.files) {
    const path = join(folder, file.path);
    if (!existsSync(path))
      throw new StrataError("MODEL_NOT_FOUND", `Expected ${file.path} in the model's folder, found none.`, {
        details: { file: file.path },
      });
    const found = await hashFile(path);
    if (found.sha256 !== file.sha256) throw hashMismatch(file.path, file.sha256, found.sha256);
  }
  return model;
}

/** Size and SHA-256 of a file. */
export async function hashFile(path: string): Promise<{ readonly bytes: number; readonly sha256: string }> {
  const hash = createHash("sha256");
  for await (const slice of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(slice);
  return { bytes: statSync(path).size, sha256: hash.digest("hex") };
}

export function hashMismatch(file: string, expected: string, found: string): StrataError {
  return new StrataError(
    "CHECKSUM_MISMATCH",
    `Expected ${file} with hash ${expected}, got ${found}. Nothing of it is used; fetch the file again.`,
    { details: { file, expected, found } },
  );
}

function folders(...path: readonly string[]): string[] {
  const folder = join(...path);
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map((entry) => (path.length > 1 ? `${path.slice(1).join("/")}/${entry.name}` : entry.name));
}
