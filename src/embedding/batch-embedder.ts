import type { Clock } from "../contract/clock.ts";
import { systemClock } from "../contract/clock.ts";
import type { EmbedCall, Embedder, EmbeddingModel, EmbeddingReply } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import { type EmbeddingFunction, type FunctionModelOptions, modelOf } from "./model-source.ts";
import { ReplyChecker } from "./reply-check.ts";

export interface BatchEmbedderOptions extends FunctionModelOptions {
  readonly clock?: Clock | undefined;
}

/** Embeds every text once, in full batches, and keeps nobody waiting. */
export class BatchEmbedder implements Embedder {
  readonly model: EmbeddingModel;
  readonly #checker: ReplyChecker;
  readonly #clock: Clock;
  #closed = false;

  constructor(source: EmbeddingModel | EmbeddingFunction, options: BatchEmbedderOptions = {}) {
    this.model = modelOf(source, options);
    this.#clock = options.clock ?? systemClock;
    this.#checker = new ReplyChecker(this.model.id, this.model.dimensions);
  }

  async embed(texts: readonly string[], call: EmbedCall): Promise<EmbeddingReply> {
    if (this.#closed) throw new StrataError("CLOSED", "The embedder was closed; open another one.");
    call.signal?.throwIfAborted();
    const vectors: (Float32Array | null)[] = [];
    const unknownShares: number[] = [];
    let tokens = 0;
    let sliceStart = this.#clock.monotonic();
    for (let start = 0; start < texts.length; start += this.model.maxBatchSize) {
      if (this.#clock.monotonic() - sliceStart > 5) {
        await new Promise((resolve) => setImmediate(resolve));
        call.signal?.throwIfAborted();
        sliceStart = this.#clock.monotonic();
      }
      const part = texts.slice(start, start + this.model.maxBatchSize);
      const reply = await this.model.doEmbed(part, call);
      this.#checker.checkLength(reply, part.length);
      for (const vector of reply.vectors) vectors.push(this.#checker.checkVector(vector));
      if (reply.unknownShares !== undefined) unknownShares.push(...reply.unknownShares);
      tokens += reply.tokens ?? 0;
    }
    return unknownShares.length === texts.length ? { vectors, unknownShares, tokens } : { vectors, tokens };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.model.close?.();
  }
}
