/** What a vector is made for; some models embed a question differently from the text that answers it. */
export type EmbeddingTask = "query" | "document";

/** How one call to a model is made. */
export interface EmbedCall {
  readonly task: EmbeddingTask;
  readonly signal?: AbortSignal | undefined;
  /** Whose texts they are, for the account of cost only. */
  readonly namespace?: string | undefined;
}

/** A model's answer to one call. */
export interface EmbeddingReply {
  /**
   * One for each text, in order: `Float32Array[dimensions]`, or null for a text in which the model knows nothing.
   * The caller owns them.
   */
  readonly vectors: readonly (Float32Array | null)[];
  /** For each text, the share 0..1 of its pieces the model does not know; absent: the model knows all text alike. */
  readonly unknownShares?: readonly number[];
  /** Tokens computed, as the model counts them. */
  readonly tokens?: number;
}

/** What a provider charges, in any one currency. */
export interface EmbeddingPrice {
  readonly perMillionTokens?: number | undefined;
  readonly perThousandTexts?: number | undefined;
  readonly perCall?: number | undefined;
}

/** Port of an embedding model. Only providers implement it; callers go through an {@link Embedder}. */
export interface EmbeddingModel {
  /** Names weights and version: vectors of equal ids are comparable, others never are. */
  readonly id: string;
  readonly dimensions: number;
  /** Most texts a call may carry. */
  readonly maxBatchSize: number;
  /** Most calls it works on at once; absent: as many as come. */
  readonly maxConcurrency?: number;
  /** Pieces of one text the model reads; the rest would be cut. Absent: no limit. */
  readonly maxTokens?: number;
  /** An embedding costs less than reading it from a cache on disk would. Default false. */
  readonly cheap?: boolean;
  /** A text has the same vector as query and as document, so that one cached vector serves both. Default false. */
  readonly symmetric?: boolean;
  /** What it costs, for accounts and estimates. Absent: nothing. */
  readonly price?: EmbeddingPrice | undefined;
  /** Tokens of a text as the model counts them, special tokens left out. Absent: unknown. */
  countTokens?(text: string): number;
  doEmbed(texts: readonly string[], call: EmbedCall): Promise<EmbeddingReply> | EmbeddingReply;
  close?(): Promise<void> | void;
}

/** What the rooms ask for vectors: each checked, finite, of unit length. */
export interface Embedder {
  readonly model: Pick<EmbeddingModel, "id" | "dimensions" | "maxTokens" | "countTokens">;
  /**
   * Vectors of the texts, in order; null where the model knows nothing.
   * @throws EMBEDDING_FAILED, EMBEDDING_INVALID, EMBEDDING_TIMEOUT, EMBEDDING_RATE_LIMITED, EMBEDDING_UNAVAILABLE,
   *   QUEUE_FULL, BUDGET_EXCEEDED, CLOSED
   */
  embed(texts: readonly string[], call: EmbedCall): Promise<EmbeddingReply>;
}
