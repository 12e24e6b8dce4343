import type { EmbedCall, EmbeddingModel } from "../contract/embedding-model.ts";

/** What a plain embedding function may give for a text; null: it knows nothing in it. */
export type EmbeddedValues = ArrayLike<number> | null;

/** A plain embedding function: one vector for each text, in order. */
export type EmbeddingFunction = (
  texts: readonly string[],
  call: EmbedCall,
) => Promise<readonly EmbeddedValues[]> | readonly EmbeddedValues[];

/** How a plain function is named as a model. */
export interface FunctionModelOptions {
  /** Names weights and version; needed where vectors outlive the process. Default "function". */
  readonly id?: string | undefined;
  /** Default: those of the first vector that comes. */
  readonly dimensions?: number | undefined;
  /** Most texts a call may carry. Default 256. */
  readonly maxBatchSize?: number | undefined;
  /**
   * A text has the same vector as query and as document. Default: true for a function that takes the texts alone and so
   * cannot tell.
   */
  readonly symmetric?: boolean | undefined;
}

const defaultMaxBatchSize = 256;

/** The model behind what the caller gave. */
export function modelOf(
  source: EmbeddingModel | EmbeddingFunction,
  options: FunctionModelOptions,
): EmbeddingModel {
  if (typeof source !== "function") return source;
  return {
    id: options.id ?? "function",
    dimensions: options.dimensions ?? 0,
    maxBatchSize: options.maxBatchSize ?? defaultMaxBatchSize,
    symmetric: options.symmetric ?? source.length === 1,
    async doEmbed(texts, call) {
      const values = await source(texts, call);
      return { vectors: Array.isArray(values) ? values.map(toVector) : (values as never) };
    },
  };
}

function toVector(values: EmbeddedValues): Float32Array | null {
  // What has no length is no vector; it goes on as it is and fails the check of replies with its type.
  if (typeof values !== "object" || values === null || !("length" in values)) return values as null;
  // A copy even of a Float32Array: the function may keep its own, and a normalised vector is changed in place.
  return Float32Array.from(values);
}
