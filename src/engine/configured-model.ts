import type { EmbeddingConfig } from "../config/config.ts";
import type { EmbeddingModel } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";

/**
 * The model that the configuration names.
 * @param builtin Opens the one in the package.
 * @throws INVALID_CONFIGURATION When its vectors have another dimension than configured, and whatever opening it throws
 */
export async function openConfiguredModel(
  config: EmbeddingConfig,
  builtin: () => Promise<EmbeddingModel>,
): Promise<EmbeddingModel> {
  const model = await (config.model === "builtin" ? builtin() : open(config));
  const { dimension } = config;
  if (dimension === undefined || dimension === model.dimensions) return model;
  await model.close?.();
  throw new StrataError(
    "INVALID_CONFIGURATION",
    `embedding.dimension is ${dimension}, but the model ${model.id} gives vectors of ${model.dimensions}; leave it out, or name another model.`,
    { details: { key: "embedding.dimension", dimension: model.dimensions } },
  );
}

async function open({ model, apiKey, dimension }: EmbeddingConfig): Promise<EmbeddingModel> {
  const { openModel } = await import("../embedding/models/open-model.ts");
  return openModel(model, { apiKey, dimensions: dimension });
}
