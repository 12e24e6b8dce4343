import { endianness } from "node:os";
import type { EmbeddingReply } from "../../contract/embedding-model.ts";
import { StrataError } from "../../contract/errors.ts";

interface Item {
  readonly index?: unknown;
  readonly embedding?: unknown;
}

/**
 * Vectors of a reply of the embeddings endpoint, in the order of the texts whatever the order of the reply.
 * @throws EMBEDDING_INVALID
 */
export function parseEmbeddings(body: string, texts: number, modelId: string): EmbeddingReply {
  const invalid = (came: string): StrataError =>
    new StrataError(
      "EMBEDDING_INVALID",
      `Expected ${texts} vectors from the embedding model ${modelId}, got ${came}. Is this an OpenAI-compatible embeddings endpoint?`,
    );
  let reply: { readonly data?: unknown; readonly usage?: { readonly prompt_tokens?: unknown } };
  try {
    reply = JSON.parse(body);
  } catch {
    // The parser's message would quote the body.
    throw invalid(`${body.length} characters that are no JSON`);
  }
  const items: unknown = reply?.data;
  if (!Array.isArray(items)) throw invalid("JSON without a list called data");
  if (items.length !== texts) throw invalid(`${items.length}`);
  const vectors = new Array<Float32Array | undefined>(texts);
  (items as (Item | null)[]).forEach((item, place) => {
    const index = (item?.index ?? place) as number;
    if (!Number.isInteger(index) || index < 0 || index >= texts)
      throw invalid("an index that belongs to no text");
    if (vectors[index]) throw invalid("two for one text");
    const vector = vectorOf(item?.embedding);
    if (!vector) throw invalid("something that is neither numbers nor Base64 of float32");
    vectors[index] = vector;
  });
  const tokens = reply.usage?.prompt_tokens;
  return {
    vectors: vectors as Float32Array[],
    ...(typeof tokens === "number" && tokens >= 0 && { tokens }),
  };
}

function vectorOf(value: unknown): Float32Array | undefined {
  if (Array.isArray(value))
    return value.every((number) => typeof number === "number") ? Float32Array.from(value) : undefined;
  if (typeof value !== "string") return undefined;
  const bytes = Buffer.from(value, "base64");
  if (bytes.length === 0 || bytes.length % 4 !== 0) return undefined;
  if (endianness() === "BE") bytes.swap32();
  return new Float32Array(Uint8Array.from(bytes).buffer);
}
