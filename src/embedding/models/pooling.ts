import type { Pooling } from "./onnx-folder.ts";

/** Vectors of the tokens of a batch of texts. */
export interface TokenVectors {
  /** `[texts × length × dimensions]`. */
  readonly values: ArrayLike<number>;
  /** Tokens of each text, padding left out; padding stands behind. */
  readonly counts: readonly number[];
  /** Tokens of each text, padding included. */
  readonly length: number;
  readonly dimensions: number;
}

/**
 * One vector a text, `[texts × dimensions]`: the mean of its tokens' vectors, or the vector of its first token (Reimers
 * and Gurevych, "Sentence-BERT", EMNLP 2019, section 3).
 */
export function poolTokens(tokens: TokenVectors, pooling: Pooling): Float32Array {
  const { values, counts, length, dimensions } = tokens;
  const pooled = new Float32Array(counts.length * dimensions);
  counts.forEach((count, text) => {
    const used = pooling === "cls" ? 1 : count;
    for (let token = 0; token < used; token++) {
      const from = (text * length + token) * dimensions;
      for (let d = 0; d < dimensions; d++) pooled[text * dimensions + d]! += values[from + d]! / used;
    }
  });
  return pooled;
}

/** Brings every row of `[rows × dimensions]` to unit length, in place; rows of zeros stay. */
export function normalizeRows(rows: Float32Array, dimensions: number): void {
  for (let start = 0; start < rows.length; start += dimensions) {
    let sum = 0;
    for (let d = start; d < start + dimensions; d++) sum += rows[d]! * rows[d]!;
    if (!(sum > 0)) continue;
    const scale = 1 / Math.sqrt(sum);
    for (let d = start; d < start + dimensions; d++) rows[d]! *= scale;
  }
}
