/**
 * The floor of a vector search: one loop over vectors in one piece of memory that keeps the best k. It has no words,
 * no filters, no ranking, and reads no memory.
 */
export class PlainCosine {
  readonly #vectors: Float32Array;
  readonly #dimensions: number;
  #count = 0;

  constructor(capacity: number, dimensions: number) {
    this.#vectors = new Float32Array(capacity * dimensions);
    this.#dimensions = dimensions;
  }

  /** Adds a unit vector. */
  add(vector: Float32Array): void {
    this.#vectors.set(vector, this.#count * this.#dimensions);
    this.#count += 1;
  }

  get count(): number {
    return this.#count;
  }

  /** The vector added as number `index`, from 0. */
  at(index: number): Float32Array {
    return this.#vectors.subarray(index * this.#dimensions, (index + 1) * this.#dimensions);
  }

  /** The cosine of a unit vector to that of number `index`. */
  cosine(query: Float32Array, index: number): number {
    return this.#product(query, index * this.#dimensions);
  }

  /**
   * Numbers of the `k` nearest, nearest first.
   * @param passes By number, 1 for those of interest; absent: all.
   */
  search(query: Float32Array, k: number, passes?: Uint8Array): number[] {
    const best: { readonly index: number; readonly score: number }[] = [];
    for (let index = 0; index < this.#count; index += 1) {
      if (passes && passes[index] !== 1) continue;
      const score = this.#product(query, index * this.#dimensions);
      if (best.length === k && score <= best[k - 1]!.score) continue;
      const place = best.findIndex((other) => other.score < score);
      best.splice(place < 0 ? best.length : place, 0, { index, score });
      if (best.length > k) best.pop();
    }
    return best.map(({ index }) => index);
  }

  #product(query: Float32Array, offset: number): number {
    const vectors = this.#vectors;
    let [a, b, c, d] = [0, 0, 0, 0];
    for (let i = 0; i < query.length; i += 4) {
      a += query[i]! * vectors[offset + i]!;
      b += query[i + 1]! * vectors[offset + i + 1]!;
      c += query[i + 2]! * vectors[offset + i + 2]!;
      d += query[i + 3]! * vectors[offset + i + 3]!;
    }
    return a + b + c + d;
  }
}
