import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Tokenizer } from "@huggingface/tokenizers";
import * as onnx from "onnxruntime-node";

const maxTokens = 256;

/** What a program would write around onnxruntime itself: on its own thread, with the runtime's defaults. */
export class MiniLmByHand {
  readonly #session: onnx.InferenceSession;
  readonly #tokenizer: Tokenizer;

  private constructor(session: onnx.InferenceSession, tokenizer: Tokenizer) {
    this.#session = session;
    this.#tokenizer = tokenizer;
  }

  static async open(folder: string, graph: string): Promise<MiniLmByHand> {
    const json = (file: string): object => JSON.parse(readFileSync(join(folder, file), "utf8"));
    const tokenizer = new Tokenizer(json("tokenizer.json"), json("tokenizer_config.json"));
    return new MiniLmByHand(await onnx.InferenceSession.create(join(folder, graph)), tokenizer);
  }

  /** Texts sorted by length and cut into batches; what comes out is pooled where the graph does not, and dropped. */
  async embed(texts: readonly string[], batchSize: number): Promise<void> {
    const encoded: number[][] = texts.map((text) => this.#tokenizer.encode(text).ids.slice(0, maxTokens));
    encoded.sort((a, b) => a.length - b.length);
    for (let start = 0; start < encoded.length; start += batchSize)
      await this.#run(encoded.slice(start, start + batchSize));
  }

  release(): Promise<void> {
    return this.#session.release();
  }

  async #run(batch: readonly (readonly number[])[]): Promise<void> {
    const length = Math.max(...batch.map((ids) => ids.length));
    const ids = new BigInt64Array(batch.length * length);
    const mask = new BigInt64Array(batch.length * length);
    batch.forEach((row, at) => {
      row.forEach((id, place) => {
        ids[at * length + place] = BigInt(id);
        mask[at * length + place] = 1n;
      });
    });
    const shape = [batch.length, length];
    const outputs = await this.#session.run({
      input_ids: new onnx.Tensor("int64", ids, shape),
      attention_mask: new onnx.Tensor("int64", mask, shape),
    });
    const states = outputs["last_hidden_state"];
    if (states) meanOfTokens(states.data as Float32Array, batch, length);
  }
}

function meanOfTokens(
  states: Float32Array,
  batch: readonly (readonly number[])[],
  length: number,
): Float32Array[] {
  const dimensions = states.length / (batch.length * length);
  return batch.map((row, at) => {
    const sum = new Float32Array(dimensions);
    for (let token = 0; token < row.length; token++)
      for (let d = 0; d < dimensions; d++) sum[d]! += states[(at * length + token) * dimensions + d]!;
    const norm = Math.hypot(...sum);
    return sum.map((value) => value / norm);
  });
}
