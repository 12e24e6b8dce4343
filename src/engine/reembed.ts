import { StrataError } from "../contract/errors.ts";
import { vectorText } from "../contract/index-text.ts";
import type { MemoryRowPage } from "../contract/memory-store.ts";
import type { Scope } from "../contract/scope.ts";
import { DutyLease } from "./duty-lease.ts";
import type { OwnEmbedder } from "./model-parts.ts";
import type { Parts } from "./parts.ts";
import type { CheckedReembed, ReembedProgress, ReembedReport } from "./reembed-options.ts";

/** Memories whose vectors are dropped in one transaction: a few milliseconds. */
const dropSlice = 128;
/** Texts on which the model may fail, in all and in one batch, before all is given up: more is no fault of the texts. */
const maxFailed = 100;
const maxFailedInBatch = 8;

/**
 * Gives every memory a vector of the model in use beside those that are there, then drops the others. What is to be done
 * is read from the memories themselves, so that whatever ends it, the next call goes on where it stood.
 * @param scopes Namespaces, one after the other.
 * @throws DATABASE_BUSY Another process is at it. What the embedder and the store throw; what was embedded stays.
 */
export async function reembed(
  parts: Parts,
  scopes: readonly Scope[],
  options: CheckedReembed,
): Promise<ReembedReport> {
  if (options.model && !options.dryRun) await parts.use(options.model);
  const work = new Reembedding(parts, options);
  const total = await work.expect(scopes);
  for (const scope of scopes) await (options.dryRun ? work.count(scope, total) : work.embed(scope, total));
  return work.report(scopes.length);
}

/** A page of memories that lack a vector, with what is embedded of each. */
interface Batch {
  readonly memories: MemoryRowPage["memories"];
  readonly texts: readonly string[];
}

class Reembedding {
  readonly #parts: Parts;
  readonly #options: CheckedReembed;
  readonly #failed = new Set<number>();
  #embedded = 0;
  #unknown = 0;
  #dropped = 0;
  #tokens = 0;
  #price: number | undefined;
  #complete = true;

  constructor(parts: Parts, options: CheckedReembed) {
    this.#parts = parts;
    this.#options = options;
  }

  /** Memories that lack a vector, by the figures of the store. */
  async expect(scopes: readonly Scope[]): Promise<number> {
    const { id } = await this.#model();
    let total = 0;
    for (const scope of scopes) {
      const { memories, models } = await this.#parts.store.coverage(scope);
      total += memories - (models[id]?.vectors ?? 0) - (models[id]?.unknown ?? 0);
    }
    return total;
  }

  async report(namespaces: number): Promise<ReembedReport> {
    const { id, price } = await this.#model();
    return {
      model: id,
      dryRun: this.#options.dryRun,
      complete: this.#complete && this.#failed.size === 0,
      namespaces,
      embedded: this.#embedded,
      unknown: this.#unknown,
      failed: this.#failed.size,
      dropped: this.#dropped,
      tokens: Math.round(this.#tokens),
      ...(price && { price: this.#price ?? 0 }),
    };
  }

  /** Counts texts and tokens, and the vectors that would be dropped. */
  async count(scope: Scope, total: number): Promise<void> {
    const model = await this.#model();
    const counter = await this.#parts.counterOf(model);
    for await (const { texts } of this.#batches(scope, model.id)) {
      for (const text of texts) this.#tokens += counter.count(text);
      this.#embedded += texts.length;
      if (texts.length > 0) this.#complete = false;
      this.#tell("counting", scope, this.#embedded, total);
    }
    const { perMillionTokens = 0, perThousandTexts = 0, perCall = 0 } = model.price ?? {};
    const calls = Math.ceil(this.#embedded / model.maxBatchSize);
    this.#price =
      (perMillionTokens * this.#tokens) / 1e6 + (perThousandTexts * this.#embedded) / 1e3 + perCall * calls;
    const { models } = await this.#parts.store.coverage(scope);
    for (const [name, { vectors }] of Object.entries(models)) if (name !== model.id) this.#dropped += vectors;
  }

  async embed(scope: Scope, total: number): Promise<void> {
    const { store, clock } = this.#parts;
    const { signal, keep } = this.#options;
    const lease = new DutyLease(store, clock, `reembed/${scope.namespace}`);
    await lease.take(signal, () => this.#tell("waiting", scope, this.#embedded, total));
    try {
      const embedder = await this.#parts.embedder();
      const before = embedder.getStats().cost;
      // What is written meanwhile may stand before the place that was reached: until a whole pass finds nothing to do.
      while (await this.#pass(scope, embedder, lease, total));
      const { cost } = embedder.getStats();
      this.#tokens += cost.tokens - before.tokens;
      this.#price = (this.#price ?? 0) + cost.price - before.price;
      if (this.#failed.size > 0) return;
      const { models } = await store.coverage(scope);
      if (Object.keys(models).every((name) => name === embedder.model.id)) return;
      if (!keep) await this.#drop(scope, embedder.model.id, lease);
    } finally {
      await lease.release();
    }
  }

  /** Embeds what lacks a vector, once through the namespace. @returns Whether there was anything. */
  async #pass(scope: Scope, embedder: OwnEmbedder, lease: DutyLease, total: number): Promise<boolean> {
    let found = false;
    for await (const batch of this.#batches(scope, embedder.model.id)) {
      lease.assertHeld();
      if (batch.memories.length === 0) continue;
      found = true;
      await this.#put(scope, embedder, batch);
      this.#tell("embedding", scope, this.#embedded, Math.max(total, this.#embedded));
    }
    return found;
  }

  async #put(scope: Scope, embedder: OwnEmbedder, { memories, texts }: Batch): Promise<void> {
    const { signal } = this.#options;
    const values = await this.#vectors(scope, embedder, { memories, texts });
    const vectors = memories.flatMap(({ row, memory }, index) => {
      const each = values[index];
      return each === undefined ? [] : [{ row, version: memory.version, values: each }];
    });
    const put = await this.#parts.store.addVectors(scope, embedder.model.id, vectors, { signal });
    this.#embedded += put.filter(Boolean).length;
    this.#unknown += put.filter((done, index) => done && vectors[index]!.values === null).length;
    // The store has them now; and what was erased meanwhile must not stay in a cache.
    await embedder.forget(texts);
  }

  /** One for each text; undefined where the model fails on that text alone. */
  async #vectors(
    scope: Scope,
    embedder: OwnEmbedder,
    { memories, texts }: Batch,
  ): Promise<(Float32Array | null | undefined)[]> {
    const { signal } = this.#options;
    const call = { task: "document", signal, namespace: scope.namespace } as const;
    const places = texts.map((_, index) => index);
    const answers: (Float32Array | null | undefined)[] = texts.map(() => undefined);
    for (;;) {
      try {
        const { vectors } = await embedder.embed(
          places.map((index) => texts[index]!),
          call,
        );
        places.forEach((index, at) => {
          answers[index] = vectors[at];
        });
        return answers;
      } catch (error) {
        const at = placeOfFailure(error);
        const failedHere = texts.length - places.length;
        if (at === undefined || failedHere === maxFailedInBatch || this.#failed.size === maxFailed)
          throw error;
        this.#failed.add(memories[places[at]!]!.row);
        places.splice(at, 1);
      }
    }
  }

  async *#batches(scope: Scope, model: string): AsyncGenerator<Batch> {
    const { store } = this.#parts;
    const { batchSize, signal } = this.#options;
    let cursor: string | undefined;
    do {
      signal?.throwIfAborted();
      const page = await store.lacking(scope, model, { limit: batchSize, cursor });
      const memories = page.memories.filter(({ row }) => !this.#failed.has(row));
      yield { memories, texts: memories.map(({ memory }) => vectorText(memory)) };
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  async #drop(scope: Scope, model: string, lease: DutyLease): Promise<void> {
    const { signal } = this.#options;
    const { models } = await this.#parts.store.coverage(scope);
    let total = this.#dropped;
    for (const [name, { vectors }] of Object.entries(models)) if (name !== model) total += vectors;
    let cursor: string | undefined;
    do {
      lease.assertHeld();
      const slice = await this.#parts.store.dropOtherVectors(
        scope,
        model,
        { limit: dropSlice, cursor },
        { signal },
      );
      this.#dropped += slice.dropped;
      cursor = slice.cursor;
      this.#tell("dropping", scope, this.#dropped, Math.max(total, this.#dropped));
    } while (cursor !== undefined);
  }

  async #model(): Promise<OwnEmbedder["model"]> {
    return (this.#options.dryRun && this.#options.model) || (await this.#parts.embedder()).model;
  }

  #tell(step: ReembedProgress["step"], { namespace }: Scope, done: number, total: number): void {
    this.#options.onProgress?.({ step, namespace, done, total });
  }
}

/** Place of the one text that a model failed on; undefined for every other failure. */
function placeOfFailure(error: unknown): number | undefined {
  if (!StrataError.isInstance(error)) return undefined;
  const { index } = error.details;
  const ofText = error.code === "EMBEDDING_FAILED" || error.code === "EMBEDDING_INVALID";
  return ofText && typeof index === "number" ? index : undefined;
}
