import { createHash } from "node:crypto";
import type { EmbeddingModel } from "../../src/contract/embedding-model.ts";

/** A model for processes of tests: the same vector for the same text everywhere, and another by each id. */
export function hashingModel(id: string, delayMs = 0): EmbeddingModel {
  return {
    id,
    dimensions: 16,
    maxBatchSize: 64,
    cheap: true,
    async doEmbed(texts) {
      if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
      return { vectors: texts.map((text) => hashingVector(id, text)) };
    },
  };
}

/** Of unit length; null where the text says that nothing is known in it. */
export function hashingVector(id: string, text: string): Float32Array | null {
  if (text.includes("unknown to all")) return null;
  const bytes = createHash("sha256").update(`${id}\n${text}`).digest();
  const values = Float32Array.from({ length: 16 }, (_, index) => bytes.readInt16LE(index * 2));
  const length = Math.hypot(...values);
  return values.map((value) => value / length);
}
