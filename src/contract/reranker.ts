/** How one call to a reranker is made. */
export interface RerankCall {
  readonly signal?: AbortSignal | undefined;
}

/** Port of a model that reads a question and a text together, such as a cross-encoder. */
export interface Reranker {
  /** Names weights and version; an explanation tells it. */
  readonly id: string;
  /**
   * One score for each text, in their order; the greater, the better it answers. Scores of different questions are not
   * compared.
   */
  rerank(question: string, texts: readonly string[], call: RerankCall): Promise<readonly number[]>;
}
