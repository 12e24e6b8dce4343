import type { EmbeddingReply } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import type { CachedVector } from "../contract/vector-cache.ts";

/** Squared length further than this from 1 is not rounding of float32: the vector is normalised and counted. */
const unitTolerance = 1e-3;

/**
 * Stands between a model and everybody else: what passes has one answer a text, of one dimension, finite, of unit
 * length.
 */
export class ReplyChecker {
  readonly #modelId: string;
  #dimensions: number;
  #normalized = 0;
  #unknown = 0;

  /** @param dimensions 0: unknown, taken from the first vector that comes. */
  constructor(modelId: string, dimensions: number) {
    this.#modelId = modelId;
    this.#dimensions = dimensions;
  }

  /** 0 until known. */
  get dimensions(): number {
    return this.#dimensions;
  }

  /** Vectors that came with another length than 1. */
  get normalized(): number {
    return this.#normalized;
  }

  /** Texts for which the model gave null or only zeros. */
  get unknown(): number {
    return this.#unknown;
  }

  /** @throws EMBEDDING_INVALID When there is not exactly one answer for each text. */
  checkLength(reply: EmbeddingReply, texts: number): void {
    const came: unknown = Array.isArray(reply?.vectors) ? reply.vectors.length : typeof reply?.vectors;
    if (came !== texts) throw this.#invalid(`${texts} vectors for ${texts} texts`, `${came}`);
    const shares = reply.unknownShares;
    if (shares !== undefined && shares.length !== texts)
      throw this.#invalid(`${texts} unknown shares for ${texts} texts`, `${shares.length}`);
  }

  /**
   * A vector as it may leave: normalised in place where needed; null where the model knows nothing.
   * @throws EMBEDDING_INVALID
   */
  checkVector(vector: Float32Array | null): Float32Array | null {
    if (vector === null) {
      this.#unknown++;
      return null;
    }
    if (!(vector instanceof Float32Array))
      throw this.#invalid("a Float32Array or null for each text", typeof vector);
    if (vector.length !== this.#dimensions) this.#takeDimensions(vector.length);
    let sum = 0;
    for (let i = 0; i < vector.length; i++) sum += vector[i]! * vector[i]!;
    if (Math.abs(sum - 1) <= unitTolerance) return vector;
    return this.#normalize(vector, sum);
  }

  /** One outcome for each text of a reply of the right length, in order. */
  checkEach(reply: EmbeddingReply): (CachedVector | StrataError)[] {
    return reply.vectors.map((vector, i) => {
      try {
        return { vector: this.checkVector(vector), unknownShare: reply.unknownShares?.[i] };
      } catch (error) {
        if (StrataError.isInstance(error)) return error;
        throw error;
      }
    });
  }

  #takeDimensions(length: number): void {
    if (this.#dimensions !== 0 || length === 0)
      throw this.#invalid(`${this.#dimensions || "some"} dimensions`, `${length}`);
    this.#dimensions = length;
  }

  #normalize(vector: Float32Array, sum: number): Float32Array | null {
    // Squares of finite float32 numbers cannot overflow a double: a sum that is not finite has a cause in the vector.
    if (!Number.isFinite(sum)) throw this.#invalid("finite numbers", "NaN or infinity");
    if (sum === 0) {
      this.#unknown++;
      return null;
    }
    const scale = 1 / Math.sqrt(sum);
    for (let i = 0; i < vector.length; i++) vector[i] = vector[i]! * scale;
    this.#normalized++;
    return vector;
  }

  #invalid(expected: string, came: string): StrataError {
    return new StrataError(
      "EMBEDDING_INVALID",
      `Expected ${expected} from the embedding model ${this.#modelId}, got ${came}. ` +
        "Nothing of it was kept; check which model the provider serves.",
    );
  }
}
