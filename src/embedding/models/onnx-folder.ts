import { existsSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { EmbeddingTask } from "../../contract/embedding-model.ts";
import { StrataError } from "../../contract/errors.ts";

/** How the vectors of a text's tokens become the vector of the text. */
export type Pooling = "mean" | "cls";

/** What the caller may set where a folder leaves it open, or against what it says. */
export interface OnnxFolderOptions {
  /** The graph, relative to the folder, such as `onnx/model_quantized.onnx`. Default: the first of the usual names. */
  readonly graph?: string | undefined;
  /** Default: what `1_Pooling/config.json` says; needed where there is no such file and the graph does not pool. */
  readonly pooling?: Pooling | undefined;
  /** Tokens read of a text, special ones included. Default: as the folder says. */
  readonly maxTokens?: number | undefined;
  /** Put before every text of a task. Default: the prompts of the folder. */
  readonly prompts?: Partial<Record<EmbeddingTask, string>> | undefined;
}

/** A sentence-transformers export as its files describe it. */
export interface OnnxFolder {
  /** Absolute or relative to the working folder, as given. */
  readonly folder: string;
  /** Of what the weights were made from; the same wherever the folder lies. */
  readonly name: string;
  /** Relative to `folder`. */
  readonly graph: string;
  /** Undefined: only a graph that pools can be used. */
  readonly pooling: Pooling | undefined;
  readonly maxTokens: number;
  readonly prompts: Readonly<Record<EmbeddingTask, string>>;
}

type Json = Readonly<Record<string, unknown>>;

const usualGraphs = ["onnx/model.onnx", "model.onnx", "onnx/model_quantized.onnx", "model_quantized.onnx"];
const appliedModules = ["Transformer", "Pooling", "Normalize"];
const poolingFields: Readonly<Record<Pooling, string>> = {
  mean: "pooling_mode_mean_tokens",
  cls: "pooling_mode_cls_token",
};
const defaultMaxTokens = 512;
/** Longer than any model of sentences reads; tokenizers write 1e30 for "no limit". */
const mostTokens = 131_072;

/**
 * Reads the files that tell how a sentence-transformers export is used.
 * @throws MODEL_NOT_FOUND Where the folder, its tokenizer or its graph is missing.
 * @throws FILE_UNREADABLE Where a file is no JSON, or asks for a step that is not known here.
 */
export function readOnnxFolder(folder: string, options: OnnxFolderOptions = {}): OnnxFolder {
  if (!existsSync(join(folder, "tokenizer.json"))) throw missing(folder, "tokenizer.json");
  const graph = options.graph ?? usualGraphs.find((file) => existsSync(join(folder, file)));
  if (graph === undefined || !existsSync(join(folder, graph)))
    throw missing(folder, graph ?? usualGraphs.join(" or "));
  checkModules(folder);
  const config = readJson(folder, "config.json");
  return {
    folder,
    name: nameOf(config, folder),
    graph,
    pooling: options.pooling ?? readPooling(folder),
    maxTokens: options.maxTokens ?? readMaxTokens(folder, config),
    prompts: { ...readPrompts(folder), ...definedOf(options.prompts) },
  };
}

/** A JSON object of the folder; undefined when there is no such file. */
export function readJson(folder: string, file: string): Json | undefined {
  const path = join(folder, file);
  if (!existsSync(path)) return undefined;
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (typeof value === "object" && value !== null) return value as Json;
  } catch (cause) {
    throw unreadable(`Expected JSON in the model's ${file}.`, file, cause);
  }
  throw unreadable(`Expected a JSON object in the model's ${file}.`, file);
}

function checkModules(folder: string): void {
  const modules = readJson(folder, "modules.json") ?? [];
  for (const { type } of Object.values(modules) as { readonly type?: unknown }[]) {
    const name = String(type).split(".").at(-1)!;
    if (!appliedModules.includes(name))
      throw unreadable(
        `Expected only the modules ${appliedModules.join(", ")} in the model's modules.json, got ${name}. Serve this model over HTTP instead.`,
        "modules.json",
      );
  }
}

function readPooling(folder: string): Pooling | undefined {
  const file = "1_Pooling/config.json";
  const config = readJson(folder, file);
  if (!config) return undefined;
  const chosen = Object.entries(config)
    .filter(([field, value]) => field.startsWith("pooling_mode_") && value === true)
    .map(([field]) => field);
  const pooling = (Object.keys(poolingFields) as Pooling[]).find(
    (name) => chosen.length === 1 && chosen[0] === poolingFields[name],
  );
  if (pooling) return pooling;
  throw unreadable(
    `Expected pooling by mean or by the first token in the model's ${file}, got ${chosen.join(" and ") || "none"}.`,
    file,
  );
}

function readMaxTokens(folder: string, config: Json | undefined): number {
  const named = readJson(folder, "sentence_bert_config.json")?.["max_seq_length"];
  const tokenizer = readJson(folder, "tokenizer_config.json")?.["model_max_length"];
  const positions = config?.["max_position_embeddings"];
  const limits = named === undefined || named === null ? [tokenizer, positions] : [named];
  const numbers = limits.filter((limit): limit is number => typeof limit === "number" && limit >= 1);
  const least = Math.min(mostTokens, ...numbers);
  return numbers.length > 0 && least < mostTokens ? least : defaultMaxTokens;
}

function readPrompts(folder: string): Record<EmbeddingTask, string> {
  const prompts = readJson(folder, "config_sentence_transformers.json")?.["prompts"];
  const text = (...names: string[]): string => {
    const values = names.map((name) =>
      typeof prompts === "object" && prompts ? Reflect.get(prompts, name) : undefined,
    );
    return values.find((value): value is string => typeof value === "string") ?? "";
  };
  return { query: text("query"), document: text("document", "passage") };
}

function nameOf(config: Json | undefined, folder: string): string {
  const written = config?.["_name_or_path"];
  const name = typeof written === "string" && written !== "" ? written : basename(folder);
  return (
    name
      .split(/[\\/]/)
      .at(-1)!
      .replace(/[^\w.-]+/g, "-") || "model"
  );
}

function definedOf(
  prompts: Partial<Record<EmbeddingTask, string>> | undefined,
): Partial<Record<EmbeddingTask, string>> {
  return Object.fromEntries(Object.entries(prompts ?? {}).filter(([, prompt]) => prompt !== undefined));
}

function missing(folder: string, file: string): StrataError {
  return new StrataError(
    "MODEL_NOT_FOUND",
    `Expected ${file} in the model's folder, found none. A folder holds tokenizer.json, config.json, 1_Pooling/config.json and onnx/model.onnx, as a sentence-transformers export does; strata model pull brings one.`,
    { details: { file, folder } },
  );
}

function unreadable(message: string, file: string, cause?: unknown): StrataError {
  return new StrataError("FILE_UNREADABLE", message, { cause, details: { file } });
}
