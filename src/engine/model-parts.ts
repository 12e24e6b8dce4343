import type { Embedder, EmbeddingModel } from "../contract/embedding-model.ts";
import type { BatchEmbedder } from "../embedding/batch-embedder.ts";
import type { Retriever, RetrieverStats } from "../retrieval/retriever.ts";

/** An embedder as the engine owns it. */
export type OwnEmbedder = Embedder &
  Pick<BatchEmbedder, "close" | "forget" | "getStats" | "resizeCache" | "watchDepths" | "takeDepths"> & {
    readonly model: EmbeddingModel;
  };

/** How what belongs to one model is made. */
export interface ModelMakers {
  embedder(): Promise<OwnEmbedder>;
  retriever(embedder: Embedder): Promise<Retriever>;
  /** Told of each part once it is made. */
  onMade(part: object): void;
}

/** A model, and what searches its vectors; each made when it is first needed, and tried again after a failure. */
export class ModelParts {
  readonly #makers: ModelMakers;
  #embedder: Promise<OwnEmbedder> | undefined;
  #loaded: OwnEmbedder | undefined;
  #retriever: Promise<Retriever> | undefined;
  #made: Retriever | undefined;

  constructor(makers: ModelMakers) {
    this.#makers = makers;
  }

  /** The embedder, once it was made. */
  get loaded(): OwnEmbedder | undefined {
    return this.#loaded;
  }

  embedder(): Promise<OwnEmbedder> {
    this.#embedder ??= this.#makers
      .embedder()
      .then((embedder) => {
        this.#loaded = embedder;
        this.#makers.onMade(embedder);
        return embedder;
      })
      .catch((error: unknown) => {
        this.#embedder = undefined;
        throw error;
      });
    return this.#embedder;
  }

  retriever(): Promise<Retriever> {
    this.#retriever ??= this.embedder()
      .then((embedder) => this.#makers.retriever(embedder))
      .then((retriever) => {
        this.#made = retriever;
        this.#makers.onMade(retriever);
        return retriever;
      })
      .catch((error: unknown) => {
        this.#retriever = undefined;
        throw error;
      });
    return this.#retriever;
  }

  /** Figures of the retriever's indexes, once there is one. */
  get indexFigures(): RetrieverStats | undefined {
    return this.#made?.stats();
  }

  /** The retriever, if one was asked for. */
  async madeRetriever(): Promise<Retriever | undefined> {
    return this.#retriever;
  }

  async closeRetriever(): Promise<void> {
    await (await this.#retriever)?.close();
  }

  async closeEmbedder(): Promise<void> {
    await (await this.#embedder)?.close();
  }
}
