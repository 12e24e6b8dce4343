import { createHash, type Hash } from "node:crypto";
import { closeSync, existsSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import type { EmbeddingTask } from "../../contract/embedding-model.ts";
import { chooseDevice, loadOnnxRuntime, onnxDevices, probeDevice } from "./onnx-devices.ts";
import { type OnnxFolder, readOnnxFolder } from "./onnx-folder.ts";
import { OnnxGraph } from "./onnx-graph.ts";
import {
  type OpenedModel,
  sendableError,
  type WorkerPurpose,
  type WorkerReply,
  type WorkerRequest,
} from "./onnx-messages.ts";
import { type EncodedText, TextEncoder } from "./text-encoder.ts";

/**
 * Texts a run computes together. On a CPU one: a batch keeps no core busier than a single text does, and pays for its
 * padding; with dynamic int8 a text's vector would also depend on its neighbours.
 */
const textsPerRunOnCpu = 1;
const textsPerRunElsewhere = 32;
const hashSliceBytes = 1 << 22;

/** One call in work. */
interface Job {
  readonly job: number;
  readonly task: EmbeddingTask;
  readonly texts: readonly string[];
  /** Places of the texts that are still to compute, longest last. */
  readonly left: number[];
  readonly slab: Float32Array<ArrayBuffer>;
  readonly unknownShares: Float32Array<ArrayBuffer>;
  tokens: number;
}

function send(reply: WorkerReply, transfer: readonly ArrayBuffer[] = []): void {
  parentPort!.postMessage(reply, [...transfer]);
}

/** Computes jobs a few texts at a time, so that a question waits for a run and not for a batch of documents. */
class OnnxWorker {
  readonly model: OpenedModel;
  readonly #graph: OnnxGraph;
  readonly #encoder: TextEncoder;
  readonly #folder: OnnxFolder;
  readonly #jobs: Map<number, Job> = new Map();
  #busy = false;
  #closing = false;

  constructor(model: OpenedModel, graph: OnnxGraph, encoder: TextEncoder, folder: OnnxFolder) {
    this.model = model;
    this.#graph = graph;
    this.#encoder = encoder;
    this.#folder = folder;
  }

  take(request: WorkerRequest): void {
    if (request.kind === "embed") this.#jobs.set(request.job, this.#startJob(request));
    else if (request.kind === "cancel") this.#jobs.delete(request.job);
    else {
      this.#closing = true;
      this.#jobs.clear();
    }
    void this.#work();
  }

  #startJob({ job, task, texts }: Extract<WorkerRequest, { kind: "embed" }>): Job {
    // Texts of one length stand together, so that little padding is computed.
    const left = texts.map((_, at) => at).sort((a, b) => texts[a]!.length - texts[b]!.length);
    const slab = new Float32Array(texts.length * this.model.dimensions);
    return { job, task, texts, left, slab, unknownShares: new Float32Array(texts.length), tokens: 0 };
  }

  async #work(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    for (;;) {
      const jobs = [...this.#jobs.values()];
      const job = jobs.find(({ task }) => task === "query") ?? jobs[0];
      if (!job) break;
      try {
        await this.#step(job);
        if (job.left.length === 0 && this.#jobs.delete(job.job)) this.#answer(job);
      } catch (error) {
        this.#jobs.delete(job.job);
        const sent = sendableError(error, "EMBEDDING_FAILED", `The model ${this.model.id} failed`);
        send({ kind: "failed", job: job.job, error: sent });
      }
    }
    this.#busy = false;
    if (!this.#closing) return;
    await this.#graph.release();
    parentPort!.close();
  }

  async #step(job: Job): Promise<void> {
    const prompt = this.#folder.prompts[job.task];
    const places: number[] = [];
    const encoded: EncodedText[] = [];
    while (job.left.length > 0 && places.length < this.model.textsPerRun) {
      const place = job.left.pop()!;
      const text = this.#encoder.encode(prompt + job.texts[place]!);
      job.unknownShares[place] = text.unknownShare;
      if (text.unknownShare === 1) continue;
      places.push(place);
      encoded.push(text);
    }
    if (places.length === 0) return;
    const rows = await this.#graph.run(encoded.map(({ ids }) => ids));
    const { dimensions } = this.model;
    places.forEach((place, row) => {
      job.slab.set(rows.subarray(row * dimensions, (row + 1) * dimensions), place * dimensions);
      job.tokens += encoded[row]!.ids.length;
    });
  }

  #answer({ job, slab, unknownShares, tokens }: Job): void {
    send({ kind: "done", job, slab, unknownShares, tokens }, [slab.buffer, unknownShares.buffer]);
  }
}

async function openWorker(purpose: Extract<WorkerPurpose, { kind: "model" }>): Promise<OnnxWorker> {
  const folder = readOnnxFolder(purpose.folder, purpose.options);
  const encoder = await TextEncoder.open(folder.folder, folder.maxTokens);
  const runtime = await loadOnnxRuntime();
  const { device, why } = await chooseDevice(runtime, purpose.device);
  const graph = await OnnxGraph.open(runtime, folder, device, purpose.threads);
  // The first run is slower than all others, and tells the dimension.
  const vector = await graph.run([encoder.encode("a").ids]);
  const model: OpenedModel = {
    id: `onnx/${folder.name}@${hashOf(folder, graph.pooling)}`,
    dimensions: vector.length,
    maxTokens: folder.maxTokens,
    symmetric: folder.prompts.query === folder.prompts.document,
    device,
    deviceReason: why,
    graph: folder.graph,
    pooling: graph.pooling,
    textsPerRun: purpose.textsPerRun ?? (device === "cpu" ? textsPerRunOnCpu : textsPerRunElsewhere),
  };
  return new OnnxWorker(model, graph, encoder, folder);
}

/** Twelve digits of the SHA-256 over all that decides a vector. */
function hashOf(folder: OnnxFolder, pooling: string): string {
  const hash = createHash("sha256");
  for (const file of [folder.graph, `${folder.graph}_data`, `${folder.graph}.data`, "tokenizer.json"])
    addFile(hash, join(folder.folder, file));
  hash.update(JSON.stringify([pooling, folder.maxTokens, folder.prompts.query, folder.prompts.document]));
  return hash.digest("hex").slice(0, 12);
}

function addFile(hash: Hash, path: string): void {
  if (!existsSync(path)) return;
  const file = openSync(path, "r");
  const slice = new Uint8Array(hashSliceBytes);
  try {
    for (let read = readSync(file, slice, {}); read > 0; read = readSync(file, slice, {}))
      hash.update(slice.subarray(0, read));
  } finally {
    closeSync(file);
  }
}

async function main(purpose: WorkerPurpose): Promise<void> {
  if (purpose.kind === "probe") {
    const runtime = await loadOnnxRuntime();
    const devices = [];
    for (const device of onnxDevices) devices.push(await probeDevice(runtime, device));
    send({ kind: "probed", devices });
    return;
  }
  const worker = await openWorker(purpose);
  send({ kind: "opened", model: worker.model });
  parentPort!.on("message", (request: WorkerRequest) => worker.take(request));
}

try {
  await main(workerData);
} catch (error) {
  send({ kind: "refused", error: sendableError(error, "FILE_UNREADABLE", "The model cannot be opened") });
}
