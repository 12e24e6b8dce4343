import { LRUCache } from "lru-cache";
import type { MemoryConsolidator } from "../consolidation/memory-consolidator.ts";
import type { TokenCounter } from "../contract/chunk.ts";
import type { Clock } from "../contract/clock.ts";
import type { Embedder, EmbeddingModel } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import { vectorText } from "../contract/index-text.ts";
import type { StoredVector } from "../contract/memory.ts";
import type { MemoryStore, ModelVector } from "../contract/memory-store.ts";
import type { MemoryFilter, Scope } from "../contract/scope.ts";
import type { CacheFigures } from "../monitoring/prometheus.ts";
import type { Retriever, RetrieverStats } from "../retrieval/retriever.ts";
import { ModelParts, type OwnEmbedder } from "./model-parts.ts";
import { UseBuffer } from "./use-buffer.ts";
import type { WorkloadRecorder } from "./workload-recorder.ts";

/** How the parts that cost time to load are made, each when it is first needed. */
export interface PartMakers {
  /** Of the model in use. */
  embedder(): Promise<OwnEmbedder>;
  /** Of models that may have made the vectors that are there, for as long as they are more than those of the model in use. */
  readonly formerEmbedders: readonly (() => Promise<OwnEmbedder>)[];
  /** Of a model that comes into use later. */
  embedderOf(model: EmbeddingModel): Promise<OwnEmbedder>;
  retriever(embedder: Embedder): Promise<Retriever>;
  consolidator(): Promise<MemoryConsolidator>;
  /** For a model that does not count its tokens. */
  counter(): Promise<TokenCounter>;
}

/** Vectors of a text to be stored, as a memory or a chunk takes them. */
export interface TextVectors {
  readonly vector: StoredVector | null;
  readonly sideVectors?: readonly ModelVector[];
}

/** A namespace whose model changes, as this process has it. */
interface Changing {
  /** The former one, which answered last. */
  readonly model: ModelParts;
  /** Makes the index of the model in use, once that one is to answer. */
  preparing?: Promise<void>;
  ready: boolean;
}

/** Namespaces of which is known that a former model answered; one more is only answered late once. */
const maxChanging = 10_000;

/** The rooms as one memory uses them. */
export class Parts {
  readonly store: MemoryStore;
  readonly clock: Clock;
  readonly uses: UseBuffer;
  /** Aborted when the memory begins to close: ends what may take hours. */
  readonly closing: AbortController = new AbortController();
  /** Whatever publishes operations of this memory, and of these what is not the memory itself. */
  readonly sources: object[] = [this];
  readonly rooms: object[] = [this];
  /** Absent unless the workload is recorded. */
  recorder: WorkloadRecorder | undefined;
  readonly #makers: PartMakers;
  readonly #closers: (() => Promise<void> | void)[] = [];
  #model: ModelParts;
  #formerModels: readonly ModelParts[];
  #consolidator: Promise<MemoryConsolidator> | undefined;
  /** Namespaces last answered by a former model. */
  readonly #changing = new LRUCache<string, Changing>({ max: maxChanging });

  constructor(store: MemoryStore, clock: Clock, makers: PartMakers) {
    this.store = store;
    this.clock = clock;
    this.uses = new UseBuffer(store, clock);
    this.#makers = makers;
    this.#model = this.#newModel(() => makers.embedder());
    this.#formerModels = makers.formerEmbedders.map((make) => this.#newModel(make));
  }

  /** Of the model in use. */
  embedder(): Promise<OwnEmbedder> {
    return this.#model.embedder();
  }

  /** Of the model in use, once it was made. */
  get loaded(): OwnEmbedder | undefined {
    return this.#model.loaded;
  }

  /** Of the model in use, if one was asked for. */
  madeRetriever(): Promise<Retriever | undefined> {
    return this.#model.madeRetriever();
  }

  /** Of the model in use. */
  retriever(): Promise<Retriever> {
    return this.#model.retriever();
  }

  /** Loaded when it is first needed; after a failure it is tried again. */
  consolidator(): Promise<MemoryConsolidator> {
    this.#consolidator ??= this.#makers.consolidator().then(
      (made) => {
        this.rooms.push(made);
        this.onClose(() => made.close());
        return made;
      },
      (error: unknown) => {
        this.#consolidator = undefined;
        throw error;
      },
    );
    return this.#consolidator;
  }

  /** Ids of the memories of a namespace that are most like one of them, by the vectors of the model in use. */
  async neighbours(
    scope: Scope,
    id: string,
    limit: number,
    signal: AbortSignal | undefined,
  ): Promise<readonly string[]> {
    const [vector] = await this.store.vectors(scope, [id]);
    if (!vector || vector.model !== (await this.embedder()).model.id) return [];
    const rows = await (await this.retriever()).neighbours(scope, vector.values, limit, signal);
    return (await this.store.read(scope, rows)).flatMap((memory) => (memory ? [memory.id] : []));
  }

  /** Takes another model into use; the one so far answers as long as its vectors are more. The memory closes both. */
  async use(model: EmbeddingModel): Promise<void> {
    const { model: present } = await this.#model.embedder();
    if (present.id === model.id) {
      if (present !== model) this.onClose(() => model.close?.());
      return;
    }
    this.#formerModels = [this.#model, ...this.#formerModels];
    this.#model = this.#newModel(() => this.#makers.embedderOf(model));
  }

  /**
   * The model that answers questions in a namespace: the one of which most memories have a vector, the one in use when
   * none has more. So recalls go on as they were while a model changes, and turn to the new one at once when all is done.
   */
  async #answering(scope: Scope): Promise<ModelParts> {
    if (this.#formerModels.length === 0) return this.#model;
    const { models } = await this.store.coverage(scope);
    const { id } = (await this.#model.embedder()).model;
    const reach = (name: string): number => (models[name]?.vectors ?? 0) + (models[name]?.unknown ?? 0);
    let [best, most] = [this.#model, reach(id)];
    if (Object.keys(models).some((name) => reach(name) > most)) {
      for (const former of this.#formerModels) {
        // One that cannot be opened answers nothing.
        const name = (await former.embedder().catch(() => undefined))?.model.id;
        if (name !== undefined && reach(name) > most) [best, most] = [former, reach(name)];
      }
    }
    const { namespace } = scope;
    const changing = this.#changing.get(namespace);
    if (best !== this.#model) this.#changing.set(namespace, { model: best, ready: false });
    else if (changing) return (await this.#isReady(scope, changing)) ? best : changing.model;
    return best;
  }

  /** True once nobody has to wait for the index of the model in use; until then the one in memory answers. */
  async #isReady(scope: Scope, changing: Changing): Promise<boolean> {
    const former = await changing.model.madeRetriever();
    if (!changing.ready && former?.holds(scope)) {
      changing.preparing ??= this.retriever()
        .then((retriever) => retriever.prepare(scope))
        .catch(() => {})
        .then(() => {
          changing.ready = true;
        });
      return false;
    }
    this.#changing.delete(scope.namespace);
    await former?.release(scope);
    return true;
  }

  /** Asks the retriever of the model that answers in the namespace; when that model fails, the one in use. */
  async ask<T extends object>(scope: Scope, call: (retriever: Retriever) => Promise<T>): Promise<T> {
    const answering = await this.#answering(scope);
    if (answering === this.#model) return call(await answering.retriever());
    try {
      const answer = await call(await answering.retriever());
      // Its vectors may have been dropped since it was chosen.
      if (!("skipped" in answer) || (await this.#answering(scope)) === answering) return answer;
    } catch (error) {
      if (!isOfModel(error)) throw error;
    }
    return call(await this.#model.retriever());
  }

  /** Id of the model that answers in a namespace when it is not the one in use. */
  async formerAnswering(scope: Scope): Promise<string | undefined> {
    const answering = await this.#answering(scope);
    return answering === this.#model ? undefined : answering.loaded?.model.id;
  }

  /** Figures of the cache of vectors, once there is one; a model cheaper than a look-up has none. */
  embeddingCache(): CacheFigures | undefined {
    const { loaded } = this.#model;
    if (loaded === undefined || loaded.model.cheap === true) return undefined;
    const { cacheHits, cacheMisses, l1 } = loaded.getStats();
    return {
      hits: cacheHits,
      misses: cacheMisses,
      entries: l1.entries,
      bytes: l1.bytes,
      maxBytes: l1.maxBytes,
    };
  }

  /** Figures of the indexes that answer, once something was asked. */
  indexFigures(): RetrieverStats | undefined {
    return this.#model.indexFigures;
  }

  /** Has `step` run when the parts are closed, before any of them is; later ones first. */
  onClose(step: () => Promise<void> | void): void {
    this.#closers.unshift(step);
  }

  #newModel(embedder: () => Promise<OwnEmbedder>): ModelParts {
    return new ModelParts({
      embedder,
      retriever: (made) => this.#makers.retriever(made),
      onMade: (part) => {
        this.sources.push(part);
        this.rooms.push(part);
      },
    });
  }

  /** Counts tokens as the model does, or else as the built-in one would. */
  async counter(): Promise<TokenCounter> {
    return this.counterOf((await this.embedder()).model);
  }

  async counterOf(model: Embedder["model"]): Promise<TokenCounter> {
    if (!model.countTokens) return this.#makers.counter();
    return { id: model.id, count: (text) => model.countTokens!(text) };
  }

  /**
   * Vectors for texts that are stored: of the model in use, and while another one answers of that one too, so that
   * whichever answers misses nothing. Null where a model knows nothing.
   * @param known For each text the vector that is there already; one of these models is not made again.
   */
  async embed(
    scope: Scope,
    texts: readonly string[],
    signal: AbortSignal | undefined,
    known: readonly (StoredVector | null | undefined)[] = [],
  ): Promise<TextVectors[]> {
    this.recorder?.embed(texts);
    const answering = await this.#answering(scope);
    const own = vectorsBy(await this.#model.embedder(), scope, texts, signal, known);
    if (answering === this.#model) return (await own).map((vector) => kept(vector));
    const [vectors, former] = await Promise.all([
      own,
      vectorsBy(await answering.embedder(), scope, texts, signal, known).catch((error: unknown) => {
        if (!isOfModel(error)) throw error;
        return undefined;
      }),
    ]);
    return vectors.map((vector, index) => kept(vector, former?.[index]));
  }

  /** Erases what matches, and whatever snapshots of indexes and caches of vectors keep of it. */
  async erasing<T>(scope: Scope, filter: MemoryFilter, erase: () => Promise<T>): Promise<T> {
    await Promise.all([this.#model.retriever(), this.#answering(scope)]);
    const retrievers = await Promise.all(this.#models.map((model) => model.madeRetriever()));
    const forgetSnapshots = async (): Promise<void> => {
      for (const retriever of retrievers) await retriever?.forgetSnapshots(scope);
    };
    await this.#forgetVectors(scope, filter);
    await forgetSnapshots();
    try {
      return await erase();
    } finally {
      // Another process may have written one meanwhile.
      await forgetSnapshots();
    }
  }

  get #models(): readonly ModelParts[] {
    return [this.#model, ...this.#formerModels];
  }

  async #forgetVectors(scope: Scope, filter: MemoryFilter): Promise<void> {
    const keeping = this.#models.flatMap(({ loaded }) =>
      loaded && loaded.model.cheap !== true ? loaded : [],
    );
    if (keeping.length === 0) return;
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = await this.store.list(scope, filter, { limit: 500, cursor });
      for (const embedder of keeping) await embedder.forget(page.memories.map(vectorText));
      cursor = page.cursor;
    }
  }

  /** Writes what waits and closes everything that was made; every part is closed even when one fails. */
  async close(): Promise<void> {
    const steps = [
      ...this.#closers.map((step) => async () => step()),
      () => this.uses.flush(),
      // That of the model in use last: what it writes for the next process stays.
      ...this.#models.toReversed().map((model) => () => model.closeRetriever()),
      ...this.#models.map((model) => () => model.closeEmbedder()),
      () => this.store.close(),
    ];
    const failures: unknown[] = [];
    for (const step of steps) await step().catch((error: unknown) => failures.push(error));
    if (failures.length > 0) throw failures[0];
  }
}

async function vectorsBy(
  embedder: Embedder,
  scope: Scope,
  texts: readonly string[],
  signal: AbortSignal | undefined,
  known: readonly (StoredVector | null | undefined)[],
): Promise<ModelVector[]> {
  const { id } = embedder.model;
  const missing = texts.filter((_, index) => known[index]?.model !== id);
  const { namespace } = scope;
  const made =
    missing.length === 0
      ? []
      : [...(await embedder.embed(missing, { task: "document", signal, namespace })).vectors];
  return texts.map((_, index) => {
    const there = known[index];
    return { model: id, values: there?.model === id ? there.values : made.shift()! };
  });
}

/** @param former What the model that answers makes of it, which becomes the memory's own. */
function kept(vector: ModelVector, former?: ModelVector): TextVectors {
  const all = former ? [former, vector] : [vector];
  const own = all.find(({ values }) => values !== null);
  const side = all.filter((each) => each !== own);
  return {
    vector: own ? { model: own.model, values: own.values! } : null,
    ...(side.length > 0 && { sideVectors: side }),
  };
}

/** A failure of a model, as against one of the store or the caller's own abort. */
function isOfModel(error: unknown): boolean {
  return StrataError.isInstance(error) && error.exitCode === 7;
}
