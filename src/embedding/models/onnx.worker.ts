import { createHash } from "node:crypto";
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
import { TextEncoder } from "./text-encoder.ts";

/**
 * Texts and tokens that a run computes together. On a CPU a few short texts share what a run costs besides arithmetic
 * (two cores, turns of 36 tokens: 8 together 164 texts/s, 1 alone 147, 32 together 126); a passage keeps every core at
 * work by itself. Padding, as a share of the longest, costs as much as text.
 */
const runOnCpu = { texts: 8, tokens: 320, padding: 0.15 };
const runElsewhere = { texts: 32, tokens: 16_384, padding: 1 };
/**
 * Operators that choose a scale by what is in the batch: a text's vector would depend on its neighbours (cosine .993 to
 * the same text alone), so each text runs alone.
 */
const batchScaled = ["DynamicQuantize", "QAttention"];
const hashSliceBytes = 1 << 22;

interface PlacedText {
  /** Of the text in its call. */
  readonly place: number;
  readonly ids: readonly number[];
}

/** One call in work. */
interface Job {
  readonly job: number;
  readonly task: EmbeddingTask;
  readonly texts: readonly string[];
  /** What is still to compute, longest last; undefined before the job's first turn. */
  left: PlacedText[] | undefined;
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
    const slab = new Float32Array(texts.length * this.model.dimensions);
    const unknownShares = new Float32Array(texts.length);
    return { job, task, texts, left: undefined, slab, unknownShares, tokens: 0 };
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
        if (job.left?.length === 0 && this.#jobs.delete(job.job)) this.#answer(job);
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
    job.left ??= this.#encodeAll(job);
    const run = this.#takeRun(job.left);
    if (run.length === 0) return;
    const rows = await this.#graph.run(run.map(({ ids }) => ids));
    const { dimensions } = this.model;
    run.forEach(({ place, ids }, row) => {
      job.slab.set(rows.subarray(row * dimensions, (row + 1) * dimensions), place * dimensions);
      job.tokens += ids.length;
    });
  }

  #encodeAll({ task, texts, unknownShares }: Job): PlacedText[] {
    const left: PlacedText[] = [];
    texts.forEach((text, place) => {
      const { ids, unknownShare } = this.#encoder.encode(this.#folder.prompts[task] + text);
      unknownShares[place] = unknownShare;
      if (unknownShare < 1) left.push({ place, ids });
    });
    return left.sort((a, b) => a.ids.length - b.ids.length);
  }

  /** The longest text that is left, and as many of nearly its length as one run has room for. */
  #takeRun(left: PlacedText[]): PlacedText[] {
    const longest = left.at(-1)?.ids.length ?? 0;
    const { textsPerRun, tokensPerRun, mostPadding } = this.model;
    const room = Math.max(1, Math.min(textsPerRun, Math.floor(tokensPerRun / longest)));
    const run: PlacedText[] = [];
    while (run.length < room && (left.at(-1)?.ids.length ?? 0) > longest * (1 - mostPadding))
      run.push(left.pop()!);
    return run;
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
  const { hash, scalesByBatch } = readFiles(folder, graph.pooling);
  const run = device === "cpu" ? runOnCpu : runElsewhere;
  const model: OpenedModel = {
    id: `onnx/${folder.name}@${hash}`,
    dimensions: vector.length,
    maxTokens: folder.maxTokens,
    symmetric: folder.prompts.query === folder.prompts.document,
    device,
    deviceReason: why,
    graph: folder.graph,
    pooling: graph.pooling,
    textsPerRun: purpose.textsPerRun ?? (scalesByBatch ? 1 : run.texts),
    tokensPerRun: purpose.textsPerRun === undefined ? run.tokens : Number.POSITIVE_INFINITY,
    mostPadding: purpose.textsPerRun === undefined ? run.padding : 1,
  };
  return new OnnxWorker(model, graph, encoder, folder);
}

/** Twelve digits of the SHA-256 over all that decides a vector, and whether a batch decides with it. */
function readFiles(
  folder: OnnxFolder,
  pooling: string,
): { readonly hash: string; readonly scalesByBatch: boolean } {
  const hash = createHash("sha256");
  let scalesByBatch = false;
  for (const file of [folder.graph, `${folder.graph}_data`, `${folder.graph}.data`, "tokenizer.json"]) {
    for (const slice of slicesOf(join(folder.folder, file))) {
      hash.update(slice);
      // An operator that a cut between slices hides stands in many other places.
      scalesByBatch ||= file === folder.graph && batchScaled.some((operator) => slice.includes(operator));
    }
  }
  hash.update(JSON.stringify([pooling, folder.maxTokens, folder.prompts.query, folder.prompts.document]));
  return { hash: hash.digest("hex").slice(0, 12), scalesByBatch };
}

/** A file piece by piece; a missing one has none. */
function* slicesOf(path: string): Generator<Buffer> {
  if (!existsSync(path)) return;
  const file = openSync(path, "r");
  const slice = Buffer.alloc(hashSliceBytes);
  try {
    for (let read = readSync(file, slice, {}); read > 0; read = readSync(file, slice, {}))
      yield slice.subarray(0, read);
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
