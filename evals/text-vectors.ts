import type { Strata } from "../src/index.ts";

/** A line of an export, as far as it is read here. */
interface ExportLine {
  readonly content?: string;
  /** Little-endian float16 in Base64. */
  readonly vector?: string;
}

/** Contents and stored vectors of the memories of a namespace, as its export gives them: unit length, or null. */
export async function* storedVectors(
  memory: Strata,
): AsyncGenerator<{ readonly content: string; readonly vector: Float32Array | null }> {
  for await (const text of memory.export({ vectors: true })) {
    const { content, vector }: ExportLine = JSON.parse(text);
    if (content !== undefined) yield { content, vector: vector === undefined ? null : decode(vector) };
  }
}

/** The vectors a memory gives to texts, by text; null where the model knows nothing. */
export async function textVectors(
  memory: Strata,
  texts: readonly string[],
): Promise<Map<string, Float32Array | null>> {
  const distinct = new Set(texts.filter((text) => text.trim() !== ""));
  await memory.storeMany([...distinct].map((content) => ({ content, tier: "semantic" })));
  const vectors = new Map<string, Float32Array | null>();
  for await (const { content, vector } of storedVectors(memory)) vectors.set(content, vector);
  return vectors;
}

/** The cosine of two unit vectors; 0 when one of them is missing. */
export function cosine(a: Float32Array | null | undefined, b: Float32Array | null | undefined): number {
  if (!a || !b) return 0;
  let sum = 0;
  for (let index = 0; index < a.length; index += 1) sum += a[index]! * b[index]!;
  return sum;
}

function decode(text: string): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return Float32Array.from(new Float16Array(bytes.buffer));
}
