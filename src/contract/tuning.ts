/** One decision of self-tuning: a parameter, before and after. */
export interface TuningDecision {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Such as "query-cache-bytes", "candidates". */
  readonly parameter: string;
  readonly before: number;
  readonly after: number;
  /** Tried, kept or taken back, with the figures it was decided by; never a text. */
  readonly reason: string;
}

/** How wide a recall searches. */
export interface SearchBreadth {
  /** Best memories of each signal that are weighed against each other. */
  readonly candidates: number;
  /** Of the vectors that are usually compared where not all are, so many times as many. */
  readonly vectorBreadth: number;
}
