import type { Embedder, EmbeddingModel } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";

/** Embeddings as LangChain knows them (`EmbeddingsInterface`). */
export interface LangChainEmbeddings {
  embedDocuments(documents: string[]): Promise<number[][]>;
  embedQuery(document: string): Promise<number[]>;
}

export interface FromLangChainOptions {
  /** Names weights and version: LangChain's classes do not tell it in one way. */
  readonly id: string;
  /** Of the vectors. Default: those of the first that comes. */
  readonly dimensions?: number | undefined;
  /** Most texts a call may carry. Default 256. */
  readonly maxBatchSize?: number | undefined;
  readonly maxTokens?: number | undefined;
  /** A text has the same vector as query and as document. Default false. */
  readonly symmetric?: boolean | undefined;
}

const defaultBatchSize = 256;

/**
 * Embeddings of LangChain as a model of Strata: batched, cached and retried like any other. Set their `maxRetries` to
 * 0, or two layers retry.
 * @example
 * ```ts fragment
 * import { OpenAIEmbeddings } from "@langchain/openai";
 * const embeddings = new OpenAIEmbeddings({ model: "text-embedding-3-small", maxRetries: 0 });
 * const model = fromLangChain(embeddings, { id: "openai/text-embedding-3-small" });
 * ```
 * @throws INVALID_ARGUMENT
 */
export function fromLangChain(source: LangChainEmbeddings, options: FromLangChainOptions): EmbeddingModel {
  if (typeof source?.embedDocuments !== "function" || typeof source.embedQuery !== "function")
    throw invalid("source", "an object with embedDocuments and embedQuery");
  if (typeof options?.id !== "string" || options.id === "")
    throw invalid("id", "the name of weights and version, such as openai/text-embedding-3-small");
  const { id, dimensions, maxBatchSize, maxTokens, symmetric } = options;
  return {
    id,
    dimensions: dimensions ?? 0,
    maxBatchSize: maxBatchSize ?? defaultBatchSize,
    symmetric: symmetric ?? false,
    ...(maxTokens !== undefined && { maxTokens }),
    async doEmbed(texts, { task, signal }) {
      signal?.throwIfAborted();
      // LangChain embeds questions one a call, and cannot be aborted.
      const asQuery = task === "query" && symmetric !== true;
      const vectors = asQuery
        ? await Promise.all(texts.map((text) => source.embedQuery(text)))
        : await source.embedDocuments([...texts]);
      signal?.throwIfAborted();
      return { vectors: vectors.map((numbers) => Float32Array.from(numbers)) };
    },
  };
}

/**
 * An embedder of Strata, such as a `BatchEmbedder`, as embeddings for LangChain's stores and retrievers. A text in
 * which the model knows nothing gets a vector of zeros.
 * @example
 * ```ts fragment
 * const store = new MemoryVectorStore(toLangChain(embedder));
 * ```
 */
export function toLangChain(embedder: Embedder): LangChainEmbeddings {
  const embed = async (texts: readonly string[], task: "query" | "document"): Promise<number[][]> => {
    const { vectors } = await embedder.embed(texts, { task });
    const dimensions = vectors.find((vector) => vector !== null)?.length ?? embedder.model.dimensions;
    return vectors.map((vector) => [...(vector ?? new Float32Array(dimensions))]);
  };
  return {
    embedDocuments: (documents) => embed(documents, "document"),
    async embedQuery(document) {
      const [vector] = await embed([document], "query");
      return vector!;
    },
  };
}

function invalid(argument: string, expected: string): StrataError {
  return new StrataError("INVALID_ARGUMENT", `Expected ${argument} to be ${expected}.`, {
    details: { argument },
  });
}
