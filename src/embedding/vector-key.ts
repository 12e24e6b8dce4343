import { hash } from "node:crypto";
import type { EmbeddingTask } from "../contract/embedding-model.ts";

/** Names the vectors of one model in a cache that many models share. */
export interface VectorSpace {
  readonly modelId: string;
  readonly dimensions: number;
  readonly symmetric: boolean;
}

/** SHA-256, hexadecimal, over model, dimensions, task and text; JSON keeps the parts from running into each other. */
export function vectorKey(space: VectorSpace, task: EmbeddingTask, text: string): string {
  const purpose = space.symmetric ? "any" : task;
  // Lone surrogates would all hash as U+FFFD; JSON escapes them, so different texts keep different keys.
  return hash("sha256", JSON.stringify([space.modelId, space.dimensions, purpose, text]));
}
