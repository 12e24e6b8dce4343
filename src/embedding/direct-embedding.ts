import type { Clock } from "../contract/clock.ts";
import type { EmbedCall, EmbeddingModel, EmbeddingReply } from "../contract/embedding-model.ts";
import { readFailure } from "./call-failure.ts";
import type { CostMeter } from "./cost-meter.ts";
import type { ReplyChecker } from "./reply-check.ts";

/** A model that computes on the event loop gives the turn back after this long. */
const sliceMs = 5;

/**
 * The way of texts to a model that declares itself cheap: no queue, no cache and no copy, which would all cost more
 * than they save. Replies are checked as everywhere.
 */
export class DirectEmbedding {
  readonly #model: EmbeddingModel;
  readonly #checker: ReplyChecker;
  readonly #cost: CostMeter;
  readonly #clock: Clock;
  #calls = 0;
  #texts = 0;
  #busyMs = 0;

  constructor(model: EmbeddingModel, checker: ReplyChecker, cost: CostMeter, clock: Clock) {
    this.#model = model;
    this.#checker = checker;
    this.#cost = cost;
    this.#clock = clock;
  }

  /** Calls of the model, their texts, and the time they took, summed. */
  get totals(): { batches: number; texts: number; busyMs: number } {
    return { batches: this.#calls, texts: this.#texts, busyMs: this.#busyMs };
  }

  async embed(texts: readonly string[], call: EmbedCall): Promise<EmbeddingReply> {
    const { maxBatchSize } = this.#model;
    if (texts.length <= maxBatchSize) return this.#callOnce(texts, call);
    const vectors: (Float32Array | null)[] = [];
    const unknownShares: number[] = [];
    let tokens = 0;
    let sliceEnd = this.#clock.monotonic() + sliceMs;
    for (let start = 0; start < texts.length; start += maxBatchSize) {
      if (this.#clock.monotonic() >= sliceEnd) {
        await new Promise((resolve) => setImmediate(resolve));
        call.signal?.throwIfAborted();
        sliceEnd = this.#clock.monotonic() + sliceMs;
      }
      const reply = await this.#callOnce(texts.slice(start, start + maxBatchSize), call);
      vectors.push(...reply.vectors);
      unknownShares.push(...(reply.unknownShares ?? []));
      tokens += reply.tokens ?? 0;
    }
    return unknownShares.length === texts.length ? { vectors, unknownShares, tokens } : { vectors, tokens };
  }

  async #callOnce(texts: readonly string[], call: EmbedCall): Promise<EmbeddingReply> {
    const startedAt = this.#clock.monotonic();
    this.#calls++;
    try {
      const answer = this.#model.doEmbed(texts, call);
      const reply = answer instanceof Promise ? await answer : answer;
      this.#checker.checkLength(reply, texts.length);
      const vectors = reply.vectors.map((vector) => this.#checker.checkVector(vector));
      this.#texts += texts.length;
      this.#busyMs += this.#clock.monotonic() - startedAt;
      this.#cost.chargeCall(call.namespace, texts.length, reply.tokens ?? 0);
      return { ...reply, vectors };
    } catch (error) {
      call.signal?.throwIfAborted();
      throw readFailure(error, this.#model.id, this.#clock.now()).error;
    }
  }
}
