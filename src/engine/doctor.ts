import { readdirSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Config, type ConfigOverrides, type EmbeddingConfig, loadConfig } from "../config/config.ts";
import type { DatabasePath } from "../config/database-path.ts";
import type { EmbeddingModel } from "../contract/embedding-model.ts";
import { type ErrorCode, StrataError } from "../contract/errors.ts";
import type { MeasuredRecall } from "../retrieval/measure-recall.ts";
import type { DatabaseInspection } from "../storage/sqlite/inspect-database.ts";
import { openConfiguredModel } from "./configured-model.ts";
import { openMemory } from "./open-memory.ts";

/** A file of the memory as it lies on the disk. */
export interface FileState {
  readonly bytes: number;
  /** Permission bits, such as 0o600. */
  readonly mode: number;
}

/** The database file, and what lies beside it. */
export interface DatabaseState extends DatabasePath {
  /** Absent: there is none yet. */
  readonly file?: FileState;
  /** Bytes of the write-ahead log. */
  readonly logBytes: number;
  /** Files of derived indexes; they are made again when they are missing. */
  readonly snapshots: { readonly files: number; readonly bytes: number };
  readonly inspection?: DatabaseInspection;
}

/** What the memory holds. */
export interface Contents {
  readonly namespace: string;
  readonly namespaces: number;
  readonly memories: number;
  readonly documents: number;
  readonly withoutVector: number;
  /** Memories by model of their vector, in all namespaces. */
  readonly models: Readonly<Record<string, number>>;
  /** Memories in which a model knows nothing, by model, in all namespaces. */
  readonly unknown: Readonly<Record<string, number>>;
  /** How the vectors of the namespace in use are searched, and how much of the nearest is found. */
  readonly search: MeasuredRecall;
}

/** The configured model, opened and tried on a sentence. */
export interface ModelState {
  readonly id: string;
  readonly dimensions: number;
  readonly loadMs: number;
}

/** Something that stops the memory from working, or a part of it from being found. */
export interface Problem {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Everything a diagnosis found. A part is absent when a problem kept it from being looked at. */
export interface Diagnosis {
  /** Version of the running Node.js. */
  readonly node: string;
  readonly database?: DatabaseState;
  readonly contents?: Contents;
  readonly model?: ModelState;
  /** What stops the memory from working, or a part of it from being found. Empty: all is well. */
  readonly problems: readonly Problem[];
  /** What works and should be changed all the same. */
  readonly warnings: readonly string[];
}

/**
 * Looks at the configuration, the database file, the index and the model. Makes no database and changes no file that is
 * whole; what is derived, as an index snapshot, may be made anew.
 */
export async function diagnose(overrides: ConfigOverrides = {}): Promise<Diagnosis> {
  const problems: Problem[] = [];
  const config = await attempt(problems, () => loadConfig(overrides));
  const database = config && (await attempt(problems, () => inspect(config, problems)));
  const sound = database?.inspection?.damages.length === 0;
  const contents = sound ? await attempt(problems, () => readContents(overrides)) : undefined;
  const model = await attempt(problems, () => tryModel(config?.embedding));
  if (model && contents) problems.push(...foreignVectors(model, contents));
  return {
    node: process.versions.node,
    ...(database && { database }),
    ...(contents && { contents }),
    ...(model && { model }),
    problems,
    warnings: database?.file ? modeWarnings(database.file) : [],
  };
}

function foreignVectors(model: ModelState, { memories, models, unknown }: Contents): Problem[] {
  const others = Object.keys(models).filter((id) => id !== model.id);
  const lacking = memories - (models[model.id] ?? 0) - (unknown[model.id] ?? 0);
  if (others.length === 0 || lacking <= 0) return [];
  return [
    {
      code: "MODEL_MISMATCH",
      message: `${lacking} memories have no vector of the model in use, ${model.id}, but of ${others.join(", ")}. Embed them with: strata reembed --all`,
    },
  ];
}

function modeWarnings({ mode }: FileState): string[] {
  // Windows has no such bits.
  if (process.platform === "win32" || (mode & 0o077) === 0) return [];
  return [
    `Other users of this machine have rights to the file (mode 0${mode.toString(8)}): chmod 600 takes them.`,
  ];
}

async function attempt<T>(problems: Problem[], step: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await step();
  } catch (error) {
    if (!StrataError.isInstance(error)) throw error;
    problems.push({ code: error.code, message: error.message });
    return undefined;
  }
}

async function inspect({ database }: Config, problems: Problem[]): Promise<DatabaseState> {
  const found = statSync(database.path, { throwIfNoEntry: false });
  const log = statSync(`${database.path}-wal`, { throwIfNoEntry: false });
  const state = { ...database, logBytes: log?.size ?? 0, snapshots: snapshotsOf(database.path) };
  if (!found) return state;
  if (found.isDirectory()) {
    problems.push({
      code: "DATABASE_IS_DIRECTORY",
      message: "Expected the path of a database file; got a folder. Name a file in it.",
    });
    return state;
  }
  const file = { bytes: found.size, mode: found.mode & 0o777 };
  const { inspectDatabase } = await import("../storage/sqlite/inspect-database.ts");
  const inspection = await attempt(problems, () => inspectDatabase(database.path));
  for (const damage of inspection?.damages ?? [])
    problems.push({ code: "DATABASE_CORRUPT", message: `The file is damaged: ${damage}.` });
  return { ...state, file, ...(inspection && { inspection }) };
}

/** What lies beside the database under its name: index snapshots, not the log. */
function snapshotsOf(path: string): DatabaseState["snapshots"] {
  const folder = `${basename(path)}-index`;
  const parent = dirname(path);
  if (!statSync(join(parent, folder), { throwIfNoEntry: false })?.isDirectory())
    return { files: 0, bytes: 0 };
  const files = readdirSync(join(parent, folder), { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  const sizes = files.map(
    (entry) => statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0,
  );
  return { files: files.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

async function readContents(overrides: ConfigOverrides): Promise<Contents> {
  await using memory = await openMemory({ ...overrides, mustExist: true });
  const { namespaces, memories, documents, withoutVector, models, unknown } = await memory.stats({
    all: true,
  });
  const search = await memory.measureRecall();
  return {
    namespace: memory.namespace,
    namespaces,
    memories,
    documents,
    withoutVector,
    models,
    unknown,
    search,
  };
}

/** @param embedding Absent when the configuration cannot be read: the built-in model is tried. */
async function tryModel(embedding: EmbeddingConfig | undefined): Promise<ModelState> {
  const builtin = async (): Promise<EmbeddingModel> => {
    const { openBuiltinModel } = await import("../embedding/models/builtin-model.ts");
    return openBuiltinModel();
  };
  const started = performance.now();
  const model = await (embedding ? openConfiguredModel(embedding, builtin) : builtin());
  try {
    const { id, dimensions } = model;
    const { vectors } = await model.doEmbed(["The memory remembers."], { task: "document" });
    const loadMs = performance.now() - started;
    if (vectors[0]?.length !== dimensions)
      throw new StrataError(
        "EMBEDDING_INVALID",
        `Expected ${dimensions} numbers of the model ${id}, got ${vectors[0]?.length ?? "none"}. Get the model, or this package, again.`,
      );
    return { id, dimensions, loadMs };
  } finally {
    await model.close?.();
  }
}
