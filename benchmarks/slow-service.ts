import { once } from "node:events";
import { Agent, request } from "node:http";
import { text as readText } from "node:stream/consumers";
import { Worker } from "node:worker_threads";
import type { EmbeddingFunction } from "../src/embedding/model-source.ts";

/** An embedding service in a thread of its own, reached over HTTP on loopback. */
export class SlowService implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true });

  private constructor(worker: Worker, port: number) {
    this.#worker = worker;
    this.#port = port;
  }

  /** @param callMs What each call takes. @param textMs What each of its texts takes on top. */
  static async start(callMs: number, textMs: number): Promise<SlowService> {
    const worker = new Worker(new URL("./loopback-provider.ts", import.meta.url), {
      workerData: { callMs, textMs },
    });
    const [port] = (await once(worker, "message")) as [number];
    return new SlowService(worker, port);
  }

  /** Embeds some texts with one request. */
  readonly embed: EmbeddingFunction = (texts: readonly string[]) =>
    new Promise<number[][]>((resolve, reject) => {
      const options = { port: this.#port, method: "POST", agent: this.#agent };
      const call = request(options, (response) => {
        readText(response).then((body) => resolve(JSON.parse(body) as number[][]), reject);
      });
      call.on("error", reject).end(JSON.stringify(texts));
    });

  /** Requests since this was last asked. */
  async requests(): Promise<number> {
    const answered = once(this.#worker, "message");
    this.#worker.postMessage(null);
    const [count] = (await answered) as [number];
    return count;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy();
    await this.#worker.terminate();
  }
}
