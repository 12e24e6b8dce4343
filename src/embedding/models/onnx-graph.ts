import { join } from "node:path";
import { StrataError } from "../../contract/errors.ts";
import type { OnnxDevice } from "./onnx-device.ts";
import type { OnnxRuntime } from "./onnx-devices.ts";
import type { OnnxFolder } from "./onnx-folder.ts";
import { normalizeRows, poolTokens } from "./pooling.ts";

type Session = import("onnxruntime-node").InferenceSession;
type SessionOptions = import("onnxruntime-node").InferenceSession.SessionOptions;
type Tensor = import("onnxruntime-node").Tensor;

const knownInputs = ["input_ids", "attention_mask", "token_type_ids", "position_ids"];
/** Names that exporters give to an output of one vector a text; `pooler_output` is another thing. */
const pooledNames = ["sentence_embedding", "embedding", "embeddings"];
const tokenNames = ["last_hidden_state", "token_embeddings"];

/** A graph ready to run: token ids in, unit vectors out. */
export class OnnxGraph {
  /** Where pooling happens, and how. */
  readonly pooling: string;
  readonly #runtime: OnnxRuntime;
  readonly #session: Session;
  readonly #output: string;
  readonly #pool: OnnxFolder["pooling"];

  private constructor(runtime: OnnxRuntime, session: Session, folder: OnnxFolder) {
    this.#runtime = runtime;
    this.#session = session;
    const strange = session.inputNames.filter((name) => !knownInputs.includes(name));
    if (strange.length > 0)
      throw unusable(folder, `inputs named ${knownInputs.join(", ")}`, strange.join(", "));
    const find = (names: readonly string[]) => names.find((name) => session.outputNames.includes(name));
    const pooled = find(pooledNames);
    const output = pooled ?? find(tokenNames);
    if (output === undefined)
      throw unusable(
        folder,
        `an output ${[...pooledNames, ...tokenNames].join(" or ")}`,
        session.outputNames.join(", "),
      );
    if (pooled === undefined && folder.pooling === undefined)
      throw new StrataError(
        "MODEL_NOT_FOUND",
        'Expected 1_Pooling/config.json in the model\'s folder, found none, and the graph gives a vector for each token. Say pooling: "mean" or "cls", whichever the model was trained with.',
        { details: { file: "1_Pooling/config.json" } },
      );
    this.#output = output;
    this.#pool = pooled === undefined ? folder.pooling : undefined;
    this.pooling = this.#pool ?? "in the graph";
  }

  /** @throws FILE_UNREADABLE, MODEL_NOT_FOUND */
  static async open(
    runtime: OnnxRuntime,
    folder: OnnxFolder,
    device: OnnxDevice,
    threads: number | undefined,
  ): Promise<OnnxGraph> {
    const options: SessionOptions = {
      executionProviders: [device],
      logSeverityLevel: 4,
      ...(threads !== undefined && { intraOpNumThreads: threads }),
    };
    let session: Session;
    try {
      session = await runtime.InferenceSession.create(join(folder.folder, folder.graph), options);
    } catch (cause) {
      throw new StrataError(
        "FILE_UNREADABLE",
        `Expected an ONNX graph that runs on ${device} in ${folder.graph}: ${cause instanceof Error ? cause.message : cause}`,
        { cause, details: { file: folder.graph } },
      );
    }
    return new OnnxGraph(runtime, session, folder);
  }

  /** Unit vectors of texts given as token ids, `[texts × dimensions]`, in order. */
  async run(texts: readonly (readonly number[])[]): Promise<Float32Array> {
    const length = Math.max(...texts.map((ids) => ids.length));
    const outputs = await this.#session.run(this.#feeds(texts, length), [this.#output]);
    const tensor = outputs[this.#output]!;
    const dimensions = tensor.dims.at(-1)!;
    const values = floatsOf(tensor);
    // A graph without pooling: the runtime's memory is read once; with pooling it is copied out.
    const rows = this.#pool
      ? poolTokens({ values, counts: texts.map((ids) => ids.length), length, dimensions }, this.#pool)
      : Float32Array.from(values);
    normalizeRows(rows, dimensions);
    return rows;
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  #feeds(texts: readonly (readonly number[])[], length: number): Record<string, Tensor> {
    const shape = [texts.length, length];
    const fill = (value: (id: number, at: number) => number) => {
      const data = new BigInt64Array(texts.length * length);
      texts.forEach((ids, row) => {
        ids.forEach((id, at) => {
          data[row * length + at] = BigInt(value(id, at));
        });
      });
      return new this.#runtime.Tensor("int64", data, shape);
    };
    const makers: Readonly<Record<string, () => Tensor>> = {
      input_ids: () => fill((id) => id),
      attention_mask: () => fill(() => 1),
      token_type_ids: () => fill(() => 0),
      position_ids: () => fill((_, at) => at),
    };
    return Object.fromEntries(this.#session.inputNames.map((name) => [name, makers[name]!()]));
  }
}

function floatsOf(tensor: Tensor): ArrayLike<number> {
  const { data } = tensor;
  if (data instanceof Float32Array || data instanceof Float16Array) return data;
  if (tensor.type === "float16" && data instanceof Uint16Array)
    return new Float16Array(data.buffer, data.byteOffset, data.length);
  throw new StrataError(
    "EMBEDDING_INVALID",
    `Expected float32 or float16 from the model's graph, got ${tensor.type}.`,
  );
}

function unusable(folder: OnnxFolder, expected: string, came: string): StrataError {
  return new StrataError(
    "FILE_UNREADABLE",
    `Expected ${expected} in the graph ${folder.graph}, got ${came}. Is this the export of an embedding model?`,
    { details: { file: folder.graph } },
  );
}
