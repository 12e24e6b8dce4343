import { existsSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { EmbedCall, EmbeddingModel, EmbeddingReply } from "../../contract/embedding-model.ts";
import { StrataError } from "../../contract/errors.ts";
import { modelFolder } from "./model-store.ts";
import type { DeviceProbe, OnnxDevice } from "./onnx-device.ts";
import type { OnnxFolderOptions } from "./onnx-folder.ts";
import {
  type EmbedAnswer,
  type OpenedModel,
  receivedError,
  type WorkerPurpose,
  type WorkerReply,
  type WorkerRequest,
} from "./onnx-messages.ts";

export interface OnnxModelOptions extends OnnxFolderOptions {
  /**
   * Where to compute. Default "cpu". "auto" takes the first of cuda, webgpu, cpu that computes and tells why in
   * {@link OnnxModel.deviceReason}; any other choice is that device or an error.
   */
  readonly device?: OnnxDevice | "auto" | undefined;
  /** Threads of one run on the CPU, at least 1. Default: the runtime's, one a physical core. */
  readonly threads?: number | undefined;
  /**
   * Most texts computed together, at least 1. Default: on the CPU 8 short texts or one passage, elsewhere 32; always 1
   * for graphs quantized dynamically, where a text's vector would depend on its neighbours.
   */
  readonly textsPerRun?: number | undefined;
}

/** A batch beyond this only delays its first answer. */
const maxBatchSize = 64;
/** Calls the worker holds: one that it computes, and the next so that it never waits for this thread. */
const maxConcurrency = 2;
/** A run in the worker ends by itself well within this; then the thread is ended from outside. */
const closeTimeoutMs = 5_000;

/**
 * Opens a sentence-transformers export: a folder with tokenizer.json, config.json, 1_Pooling/config.json and an ONNX
 * graph, with or without the pooling inside. The graph runs in a worker thread: no call blocks the event loop.
 * @param folderOrId A folder, or the id of a model that `strata model pull` brought.
 * @example
 * ```ts fragment
 * const model = await openOnnxModel("models/all-MiniLM-L6-v2", { graph: "onnx/model_quantized.onnx" });
 * await using memory = await openMemory({ model });
 * ```
 * @throws MODEL_NOT_FOUND, FILE_UNREADABLE
 * @throws MISSING_PACKAGE Without onnxruntime-node and @huggingface/tokenizers, or without the device asked for.
 */
export async function openOnnxModel(folderOrId: string, options: OnnxModelOptions = {}): Promise<OnnxModel> {
  checkCount("threads", options.threads);
  checkCount("textsPerRun", options.textsPerRun);
  checkCount("maxTokens", options.maxTokens);
  const { device = "cpu", threads, textsPerRun, graph, pooling, maxTokens, prompts } = options;
  const folder = existsSync(folderOrId) ? folderOrId : modelFolder(folderOrId);
  const purpose: WorkerPurpose = {
    kind: "model",
    folder,
    options: { graph, pooling, maxTokens, prompts },
    device,
    threads,
    textsPerRun,
  };
  const worker = startWorker(purpose);
  return new OnnxModel(worker, await opened(worker), purpose);
}

/** Tries to compute on every device there is a way to. @throws MISSING_PACKAGE */
export async function probeOnnxDevices(): Promise<readonly DeviceProbe[]> {
  const worker = startWorker({ kind: "probe" });
  const reply = await firstReply(worker);
  await worker.terminate();
  if (reply.kind === "probed") return reply.devices;
  throw new StrataError("INTERNAL", "The worker answered something else than what it was asked.");
}

/** A call that waits for the worker. */
interface Waiter {
  readonly texts: number;
  resolve(reply: EmbeddingReply): void;
  reject(error: unknown): void;
}

/** A model in a worker thread. A worker that dies takes its calls with it; the next call starts another. */
export class OnnxModel implements EmbeddingModel {
  /** Ends in the hash of graph, tokenizer and settings: whatever changes a vector changes it. */
  readonly id: string;
  readonly dimensions: number;
  readonly maxBatchSize: number = maxBatchSize;
  readonly maxConcurrency: number = maxConcurrency;
  readonly maxTokens: number;
  readonly symmetric: boolean;
  /** What computes. */
  readonly device: OnnxDevice;
  /** Why that device: "asked for", or what `auto` found. */
  readonly deviceReason: string;
  /** The graph's file in the folder. */
  readonly graph: string;
  readonly pooling: string;
  readonly textsPerRun: number;
  readonly #purpose: WorkerPurpose;
  readonly #waiters: Map<number, Waiter> = new Map();
  #worker: Promise<Worker> | undefined;
  #nextJob = 0;
  #closed = false;

  constructor(worker: Worker, model: OpenedModel, purpose: WorkerPurpose) {
    this.id = model.id;
    this.dimensions = model.dimensions;
    this.maxTokens = model.maxTokens;
    this.symmetric = model.symmetric;
    this.device = model.device;
    this.deviceReason = model.deviceReason;
    this.graph = model.graph;
    this.pooling = model.pooling;
    this.textsPerRun = model.textsPerRun;
    this.#purpose = purpose;
    this.#worker = Promise.resolve(this.#adopt(worker));
  }

  async doEmbed(texts: readonly string[], call: EmbedCall): Promise<EmbeddingReply> {
    call.signal?.throwIfAborted();
    const worker = await this.#liveWorker();
    // Both may have changed while a worker was started.
    if (this.#closed) throw closedError();
    call.signal?.throwIfAborted();
    const job = this.#nextJob++;
    const { promise, resolve, reject } = Promise.withResolvers<EmbeddingReply>();
    const leave = (): void => {
      post(worker, { kind: "cancel", job });
      reject(call.signal!.reason);
    };
    this.#waiters.set(job, { texts: texts.length, resolve, reject });
    // Only a worker somebody waits for keeps the process alive.
    worker.ref();
    call.signal?.addEventListener("abort", leave, { once: true });
    post(worker, { kind: "embed", job, task: call.task, texts });
    try {
      return await promise;
    } finally {
      call.signal?.removeEventListener("abort", leave);
      this.#waiters.delete(job);
      if (this.#waiters.size === 0) worker.unref();
    }
  }

  /** Ends the worker; calls in work are rejected with CLOSED. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#rejectAll(closedError());
    const worker = await this.#worker?.catch(() => undefined);
    this.#worker = undefined;
    if (!worker) return;
    const ended = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
    worker.ref();
    post(worker, { kind: "close" });
    const timer = setTimeout(() => void worker.terminate(), closeTimeoutMs);
    await ended;
    clearTimeout(timer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #liveWorker(): Promise<Worker> {
    if (this.#closed) throw closedError();
    this.#worker ??= this.#restart().catch((error: unknown) => {
      this.#worker = undefined;
      throw error;
    });
    return this.#worker;
  }

  async #restart(): Promise<Worker> {
    const worker = startWorker(this.#purpose);
    const { id } = await opened(worker);
    if (id === this.id) return this.#adopt(worker);
    await worker.terminate();
    throw new StrataError(
      "MODEL_MISMATCH",
      `Expected the model ${this.id} in its folder, got ${id}: its files were changed while it was in use. Open it again.`,
    );
  }

  #adopt(worker: Worker): Worker {
    worker.on("message", (reply: WorkerReply) => this.#take(reply));
    let cause: unknown;
    worker.on("error", (error) => {
      cause = error;
    });
    worker.once("exit", (exitCode) => {
      if (this.#closed) return;
      this.#worker = undefined;
      this.#rejectAll(
        new StrataError(
          "EMBEDDING_FAILED",
          `The thread of the model ${this.id} ended with ${exitCode} in the middle of its work; the next call starts another. If this goes on, the machine may be out of memory.`,
          { cause, details: { exitCode } },
        ),
      );
    });
    worker.unref();
    return worker;
  }

  #take(reply: WorkerReply): void {
    if (reply.kind === "done") this.#waiters.get(reply.job)?.resolve(replyOf(reply, this.dimensions));
    else if (reply.kind === "failed") this.#waiters.get(reply.job)?.reject(receivedError(reply.error));
  }

  #rejectAll(error: StrataError): void {
    for (const waiter of this.#waiters.values()) waiter.reject(error);
  }
}

function replyOf({ slab, unknownShares, tokens }: EmbedAnswer, dimensions: number): EmbeddingReply {
  const vectors = Array.from(unknownShares, (share, text) =>
    share === 1 ? null : slab.subarray(text * dimensions, (text + 1) * dimensions),
  );
  return { vectors, unknownShares: [...unknownShares], tokens };
}

function startWorker(purpose: WorkerPurpose): Worker {
  return new Worker(new URL("./onnx.worker.ts", import.meta.url), { workerData: purpose });
}

function post(worker: Worker, request: WorkerRequest): void {
  worker.postMessage(request);
}

async function opened(worker: Worker): Promise<OpenedModel> {
  const reply = await firstReply(worker);
  if (reply.kind === "opened") return reply.model;
  throw new StrataError("INTERNAL", "The worker answered something else than what it was asked.");
}

/** What a new worker says first. @throws What it refused with. */
async function firstReply(worker: Worker): Promise<WorkerReply> {
  const { promise, resolve, reject } = Promise.withResolvers<WorkerReply>();
  const dead = (cause: unknown): void =>
    reject(
      new StrataError("EMBEDDING_FAILED", "The thread of the model ended before it was open.", { cause }),
    );
  worker.once("message", resolve).once("error", dead).once("exit", dead);
  try {
    const reply = await promise;
    if (reply.kind === "refused") throw receivedError(reply.error);
    return reply;
  } catch (error) {
    await worker.terminate();
    throw error;
  } finally {
    worker.off("message", resolve).off("error", dead).off("exit", dead);
  }
}

function checkCount(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isSafeInteger(value) && value >= 1)) return;
  throw new StrataError(
    "INVALID_ARGUMENT",
    `Expected ${name} to be a whole number from 1, got ${value} (${typeof value}).`,
    { details: { argument: name } },
  );
}

function closedError(): StrataError {
  return new StrataError("CLOSED", "The model was closed; open it again.");
}
