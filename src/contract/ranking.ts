/** What orders the answers. The same for every namespace, whatever it holds. */
export interface RankingOptions {
  /** Share of the vector signal in the fused score, before it falls with what the model does not know. */
  readonly vectorWeight: number;
  readonly keywordWeight: number;
  /** Share of late interaction, before it falls with what the table of word pieces does not know. 0: left out. */
  readonly lateWeight: number;
  /** Best memories of each signal that are weighed against each other; does not depend on a call's limit. */
  readonly candidates: number;
  /** Where not all vectors are compared, so many times as many as usual: .25 to 16. */
  readonly vectorBreadth: number;
  /** Best candidates by the other signals that late interaction looks at. */
  readonly lateDepth: number;
  /** Leading dimensions of a word piece that late interaction compares. */
  readonly lateDimensions: number;
  /** BM25's saturation of repeated words (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009). */
  readonly k1: number;
  /** BM25's weight of a text's length, 0..1. */
  readonly b: number;
  /** Terms of a question that are looked up; of more, the rarest. */
  readonly maxTerms: number;
  /** Most that is added to a fused score for an importance of 1. */
  readonly importanceBonus: number;
  /** Most that is added for a use today; it falls to 0 over ten days. */
  readonly recencyBonus: number;
  /** Most that is added for ten uses or more. */
  readonly accessBonus: number;
  /** Added to what the one speaker said whom a question names. */
  readonly speakerBonus: number;
  /** Added to what happened in the time a question names. */
  readonly timeBonus: number;
  /** Best hits a reranker puts in order, where there is one. */
  readonly rerankDepth: number;
}
