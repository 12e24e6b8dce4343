import { existsSync } from "node:fs";
import { join } from "node:path";
import { UsageError } from "../scripts/measurement.ts";
import { root } from "../scripts/repository.ts";
import type { EmbeddingModel, EmbeddingReply, RecallMode } from "../src/index.ts";
import { openModel } from "../src/index.ts";

/** What of a recall is evaluated. */
export interface Evaluated {
  /** Absent: the built-in one. */
  readonly model?: EmbeddingModel | undefined;
  readonly modes: readonly RecallMode[];
}

/** Options of `parseArgs` that say what is evaluated. */
export const evaluatedOptions = {
  data: { type: "string" },
  model: { type: "string", default: "builtin" },
  mode: { type: "string" },
} as const;

export const allModes: readonly RecallMode[] = ["hybrid", "keyword", "vector"];
const miniLm = join(root, ".cache/minilm/model");

/**
 * The model of a name: "builtin", "minilm" (all-MiniLM-L6-v2 in 8 bits, as scripts/test-weights/make.ts brings it), or
 * whatever `strata --model` takes. Its answers are kept, since modes and questions ask for the same texts.
 */
export async function evaluatedModel(name: string): Promise<EmbeddingModel | undefined> {
  if (name === "builtin") return undefined;
  if (name !== "minilm") return remembering(await openModel(name));
  if (!existsSync(miniLm))
    throw new UsageError("Expected the weights of MiniLM; make them with: node scripts/test-weights/make.ts");
  return remembering(await openModel(`onnx:${miniLm}#onnx/model_quantized.onnx`));
}

/** One mode, or all of them. */
export function evaluatedModes(mode: string | undefined): readonly RecallMode[] {
  const modes = mode === undefined ? allModes : allModes.filter((each) => each === mode);
  if (modes.length > 0) return modes;
  throw new UsageError(`Expected --mode as ${allModes.join(", ")}; got "${mode}".`);
}

/** The same model, asked once for each text; it stays open when a memory closes it. */
function remembering(model: EmbeddingModel): EmbeddingModel {
  const known = new Map<string, Float32Array | null>();
  const { id, dimensions, maxBatchSize, maxTokens, maxConcurrency } = model;
  return {
    id,
    dimensions,
    maxBatchSize,
    ...(maxTokens !== undefined && { maxTokens }),
    ...(maxConcurrency !== undefined && { maxConcurrency }),
    ...(model.countTokens && { countTokens: (text: string) => model.countTokens!(text) }),
    async doEmbed(texts, call): Promise<EmbeddingReply> {
      const keys = texts.map((text) => `${call.task} ${text}`);
      const missing = keys.flatMap((key, at) => (known.has(key) ? [] : [at]));
      if (missing.length > 0) {
        const { vectors } = await model.doEmbed(
          missing.map((at) => texts[at]!),
          call,
        );
        missing.forEach((at, i) => {
          known.set(keys[at]!, vectors[i]!);
        });
      }
      return { vectors: keys.map((key) => known.get(key)?.slice() ?? null) };
    },
  };
}
