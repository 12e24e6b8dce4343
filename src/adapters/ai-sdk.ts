import type { Embedder, EmbeddingModel, EmbeddingTask } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";

/** What is used of an embedding model of the AI SDK, whichever version of its specification it keeps. */
export interface AiSdkEmbeddingModel {
  readonly specificationVersion: string;
  readonly provider: string;
  readonly modelId: string;
  readonly maxEmbeddingsPerCall: PromiseLike<number | undefined> | number | undefined;
  readonly supportsParallelCalls: PromiseLike<boolean> | boolean;
  doEmbed(options: {
    values: string[];
    abortSignal?: AbortSignal;
    providerOptions?: never;
  }): PromiseLike<AiSdkEmbeddings>;
}

/** What such a model answers. */
export interface AiSdkEmbeddings {
  readonly embeddings: readonly (readonly number[])[];
  readonly usage?: { readonly tokens: number };
}

/** An embedder as the AI SDK takes a model (`EmbeddingModelV4`). */
export interface AiSdkModel {
  readonly specificationVersion: "v4";
  readonly provider: "strata";
  readonly modelId: string;
  readonly maxEmbeddingsPerCall: number;
  readonly supportsParallelCalls: true;
  doEmbed(options: {
    values: string[];
    abortSignal?: AbortSignal;
    /** `{ strata: { task: "query" } }` for questions; other providers' are passed over. */
    providerOptions?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  }): Promise<{ embeddings: number[][]; usage?: { tokens: number }; warnings: [] }>;
}

export interface FromAiSdkOptions {
  /** Names weights and version. Default: provider and model id. */
  readonly id?: string | undefined;
  /** Of the vectors. Default: those of the first that comes. */
  readonly dimensions?: number | undefined;
  readonly maxTokens?: number | undefined;
}

/** Texts a call may carry when the model does not say. */
const defaultBatchSize = 256;

/**
 * An embedding model of the AI SDK as a model of Strata: batched, cached and retried like any other.
 * @example
 * ```ts fragment
 * import { openai } from "@ai-sdk/openai";
 * const model = await fromAiSdk(openai.embedding("text-embedding-3-small"));
 * await using memory = await openMemory({ model });
 * ```
 * @throws INVALID_ARGUMENT
 */
export async function fromAiSdk(
  source: AiSdkEmbeddingModel,
  options: FromAiSdkOptions = {},
): Promise<EmbeddingModel> {
  if (typeof source?.doEmbed !== "function")
    throw new StrataError(
      "INVALID_ARGUMENT",
      `Expected an embedding model object of the AI SDK, such as openai.embedding("…"), got ${source === null ? "null" : typeof source}.`,
      { details: { argument: "source" } },
    );
  const most = (await source.maxEmbeddingsPerCall) ?? defaultBatchSize;
  return {
    id: options.id ?? `${source.provider}/${source.modelId}`,
    dimensions: options.dimensions ?? 0,
    maxBatchSize: Number.isFinite(most) ? most : defaultBatchSize,
    ...(!(await source.supportsParallelCalls) && { maxConcurrency: 1 }),
    ...(options.maxTokens !== undefined && { maxTokens: options.maxTokens }),
    // The specification knows no task: a text has one vector.
    symmetric: true,
    async doEmbed(texts, { signal }) {
      signal?.throwIfAborted();
      const values = [...texts];
      try {
        const { embeddings, usage } = await source.doEmbed(
          signal === undefined ? { values } : { values, abortSignal: signal },
        );
        const tokens = usage?.tokens;
        return {
          vectors: embeddings.map((numbers) => Float32Array.from(numbers)),
          // A provider that does not count says NaN.
          ...(tokens !== undefined && tokens >= 0 && { tokens }),
        };
      } catch (error) {
        signal?.throwIfAborted();
        throw withoutTexts(error);
      }
    },
  };
}

/**
 * An embedder of Strata, such as a `BatchEmbedder`, as a model for the AI SDK's `embed` and `embedMany`. A text in
 * which the model knows nothing gets a vector of zeros.
 * @param task What the vectors are for, unless a call says otherwise. Default "document".
 * @example
 * ```ts fragment
 * import { embedMany } from "ai";
 * const { embeddings } = await embedMany({ model: toAiSdk(embedder), values: ["Ada prefers tea"] });
 * ```
 */
export function toAiSdk(embedder: Embedder, task: EmbeddingTask = "document"): AiSdkModel {
  return {
    specificationVersion: "v4",
    provider: "strata",
    modelId: embedder.model.id,
    // The embedder cuts its own batches, over the borders of calls.
    maxEmbeddingsPerCall: 2_048,
    supportsParallelCalls: true,
    async doEmbed({ values, abortSignal, providerOptions }) {
      const { vectors, tokens } = await embedder.embed(values, {
        task: taskOf(providerOptions?.["strata"]?.["task"]) ?? task,
        signal: abortSignal,
      });
      const dimensions = vectors.find((vector) => vector !== null)?.length ?? embedder.model.dimensions;
      return {
        embeddings: vectors.map((vector) => [...(vector ?? new Float32Array(dimensions))]),
        ...(tokens !== undefined && { usage: { tokens } }),
        warnings: [],
      };
    },
  };
}

/** @throws INVALID_ARGUMENT */
function taskOf(value: unknown): EmbeddingTask | undefined {
  if (value === undefined || value === "query" || value === "document") return value;
  throw new StrataError(
    "INVALID_ARGUMENT",
    'Expected providerOptions.strata.task to be "query" or "document".',
    { details: { argument: "task" } },
  );
}

/** What decides about a retry; the SDK's own error carries the request with its texts, and the reply. */
function withoutTexts(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const status: unknown = Reflect.get(error, "statusCode");
  const code: unknown = error.cause instanceof Error ? Reflect.get(error.cause, "code") : undefined;
  const carriesTexts = Reflect.has(error, "requestBodyValues") || Reflect.has(error, "responseBody");
  if (!carriesTexts) return error;
  const said = typeof status === "number" ? `HTTP status ${status}` : String(code ?? "no answer");
  return Object.assign(new Error(`The AI SDK's model failed: ${said}`), {
    ...(typeof status === "number" && { status }),
    ...(typeof code === "string" && { code }),
    headers: Reflect.get(error, "responseHeaders"),
  });
}
