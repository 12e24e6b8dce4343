import type { Clock } from "../../contract/clock.ts";
import { systemClock } from "../../contract/clock.ts";
import type {
  EmbedCall,
  EmbeddingModel,
  EmbeddingPrice,
  EmbeddingReply,
  EmbeddingTask,
} from "../../contract/embedding-model.ts";
import { StrataError } from "../../contract/errors.ts";
import { brokenOff, refusalError } from "./http-failure.ts";
import { parseEmbeddings } from "./http-reply.ts";

export interface HttpModelOptions {
  /** Where `/embeddings` is found: `https://api.openai.com/v1`, `http://localhost:11434/v1` (Ollama), TEI, vLLM. */
  readonly url: string;
  /** The model's name, as the service knows it. */
  readonly model: string;
  /** Sent as a bearer token; a function is asked before every call. Never in an error. Default: none is sent. */
  readonly apiKey?: string | (() => string | undefined | Promise<string | undefined>) | undefined;
  /** Names weights and version. Default: host and model; say it when the same weights are served elsewhere. */
  readonly id?: string | undefined;
  /** Of the vectors. Default: found out by one call when the model is opened. */
  readonly dimensions?: number | undefined;
  /** Ask the service to shorten its vectors to `dimensions`. Default false. */
  readonly shorten?: boolean | undefined;
  /** Most texts a call may carry. Default 32, which every service takes; OpenAI takes 2,048. */
  readonly maxBatchSize?: number | undefined;
  /** Most calls at once. Default 8. */
  readonly maxConcurrency?: number | undefined;
  readonly maxTokens?: number | undefined;
  /** What the service charges, for accounts and for what `reembed` would cost. Default: nothing. */
  readonly price?: EmbeddingPrice | undefined;
  /** Put before every text of a task, for models trained so. */
  readonly prompts?: Partial<Record<EmbeddingTask, string>> | undefined;
  /** Sent with every call, beside those of the protocol. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Milliseconds for a whole call, at least 1. Default 60,000. */
  readonly timeoutMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

const defaultBatchSize = 32;
const defaultConcurrency = 8;
const defaultTimeoutMs = 60_000;
/** Room for 16,384 numbers a text, as decimals. */
const replyBytesPerText = 400_000;
const replyBytesAtLeast = 1_000_000;

/**
 * Opens a model behind an OpenAI-compatible endpoint. Without `dimensions` one short text is embedded to learn them,
 * which also proves address, model and key.
 * @example
 * ```ts fragment
 * const model = await openHttpModel({ url: "http://localhost:11434/v1", model: "nomic-embed-text" });
 * await using memory = await openMemory({ model });
 * ```
 * @throws INVALID_ARGUMENT, EMBEDDING_FAILED, EMBEDDING_UNAVAILABLE, EMBEDDING_TIMEOUT, EMBEDDING_RATE_LIMITED,
 *   EMBEDDING_INVALID, MODEL_NOT_FOUND
 */
export async function openHttpModel(options: HttpModelOptions): Promise<HttpModel> {
  if (options.dimensions !== undefined) return new HttpModel(options, options.dimensions);
  const { vectors } = await new HttpModel(options, 0).doEmbed(["dimensions"], { task: "document" });
  return new HttpModel(options, vectors[0]?.length ?? 0);
}

/** A model behind an OpenAI-compatible endpoint. */
export class HttpModel implements EmbeddingModel {
  readonly id: string;
  readonly dimensions: number;
  readonly maxBatchSize: number;
  readonly maxConcurrency: number;
  readonly maxTokens?: number;
  readonly symmetric: boolean;
  readonly price: EmbeddingPrice | undefined;
  readonly #endpoint: URL;
  readonly #model: string;
  readonly #apiKey: HttpModelOptions["apiKey"];
  readonly #shorten: boolean;
  readonly #prompts: Partial<Record<EmbeddingTask, string>>;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #closing: AbortController = new AbortController();

  /** @param dimensions 0: unknown until the first reply. */
  constructor(options: HttpModelOptions, dimensions: number) {
    const { model, maxBatchSize, maxConcurrency, maxTokens, timeoutMs } = options;
    this.#endpoint = endpointOf(options.url);
    if (typeof model !== "string" || model === "") throw invalid("model", "the model's name");
    this.id = options.id ?? `http/${this.#endpoint.host}/${model}`;
    this.dimensions = checkCount("dimensions", dimensions, 0);
    this.maxBatchSize = checkCount("maxBatchSize", maxBatchSize ?? defaultBatchSize, 1);
    this.maxConcurrency = checkCount("maxConcurrency", maxConcurrency ?? defaultConcurrency, 1);
    if (maxTokens !== undefined) this.maxTokens = checkCount("maxTokens", maxTokens, 1);
    this.#timeoutMs = checkCount("timeoutMs", timeoutMs ?? defaultTimeoutMs, 1);
    this.#model = model;
    this.price = options.price;
    this.#apiKey = options.apiKey;
    this.#shorten = options.shorten ?? false;
    if (this.#shorten && dimensions === 0) throw invalid("dimensions", "the length to shorten vectors to");
    this.#prompts = options.prompts ?? {};
    this.#headers = options.headers ?? {};
    this.#clock = options.clock ?? systemClock;
    this.symmetric = (this.#prompts.query ?? "") === (this.#prompts.document ?? "");
  }

  async doEmbed(texts: readonly string[], call: EmbedCall): Promise<EmbeddingReply> {
    call.signal?.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    const deadline = new AbortController();
    const cancel = this.#clock.schedule(() => deadline.abort(this.#timeout(texts.length)), this.#timeoutMs);
    const own = [deadline.signal, this.#closing.signal];
    const signal = AbortSignal.any(call.signal ? [call.signal, ...own] : own);
    try {
      const body = await this.#post(texts, call.task, signal);
      return parseEmbeddings(body, texts.length, this.id);
    } catch (error) {
      signal.throwIfAborted();
      throw StrataError.isInstance(error) ? error : brokenOff(this.#place, error);
    } finally {
      cancel();
    }
  }

  /** Calls in work are rejected with CLOSED. */
  close(): void {
    this.#closing.abort(new StrataError("CLOSED", "The model was closed; open it again."));
  }

  async #post(texts: readonly string[], task: EmbeddingTask, signal: AbortSignal): Promise<string> {
    const prompt = this.#prompts[task] ?? "";
    const response = await fetch(this.#endpoint, {
      method: "POST",
      // A key is for the host it was given for.
      redirect: "manual",
      signal,
      headers: { ...this.#headers, ...(await this.#authorization()), "content-type": "application/json" },
      body: JSON.stringify({
        model: this.#model,
        input: prompt === "" ? texts : texts.map((text) => prompt + text),
        // A quarter of the bytes; a service that does not know it answers with numbers.
        encoding_format: "base64",
        ...(this.#shorten && { dimensions: this.dimensions }),
      }),
    });
    const body = await readBounded(response, replyBytesAtLeast + replyBytesPerText * texts.length);
    if (response.status === 200 && body !== undefined) return body;
    if (response.status === 200)
      throw new StrataError(
        "EMBEDDING_INVALID",
        `Expected vectors of ${texts.length} texts from ${this.#place}, got more bytes than those could take.`,
      );
    throw refusalError(response, body ?? "", this.#place, this.#clock.now());
  }

  async #authorization(): Promise<{ readonly authorization?: string }> {
    const key = typeof this.#apiKey === "function" ? await this.#apiKey() : this.#apiKey;
    if (key === undefined) return {};
    // fetch would tell a key it cannot send in its error.
    if (/^[\x21-\x7e]+$/.test(key)) return { authorization: `Bearer ${key}` };
    throw invalid("apiKey", "a key of visible ASCII characters, without white space or a line's end");
  }

  /** For messages: without the query, which may hold a key. */
  get #place(): string {
    return this.#endpoint.origin + this.#endpoint.pathname;
  }

  #timeout(texts: number): StrataError {
    return new StrataError(
      "EMBEDDING_TIMEOUT",
      `Expected ${texts} vectors from ${this.#place} within ${this.#timeoutMs} ms, got none. Raise timeoutMs or send fewer texts a call.`,
    );
  }
}

/** The whole body as text; undefined when it is longer than it may be. */
async function readBounded(response: Response, maxBytes: number): Promise<string | undefined> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > maxBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function endpointOf(text: string): URL {
  const url = URL.parse(text);
  if (!url || !/^https?:$/.test(url.protocol))
    throw invalid("url", "an http or https URL such as http://localhost:11434/v1");
  if (url.username !== "" || url.password !== "")
    throw invalid("url", "a URL without user and password; give the key as apiKey");
  url.hash = "";
  const path = url.pathname.replace(/\/+$/, "");
  url.pathname = path.endsWith("/embeddings") ? path : `${path}/embeddings`;
  return url;
}

function checkCount(argument: string, value: number, least: number): number {
  if (Number.isSafeInteger(value) && value >= least) return value;
  throw invalid(argument, `a whole number from ${least}`);
}

function invalid(argument: string, expected: string): StrataError {
  return new StrataError("INVALID_ARGUMENT", `Expected ${argument} to be ${expected}.`, {
    details: { argument },
  });
}
