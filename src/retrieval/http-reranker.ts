import { StrataError } from "../contract/errors.ts";
import type { RerankCall, Reranker } from "../contract/reranker.ts";

export interface HttpRerankerOptions {
  /** The endpoint itself: `http://localhost:8080/rerank` (TEI), `https://api.cohere.com/v2/rerank`. */
  readonly url: string;
  /** What the endpoint expects: "tei" `{ query, texts }`, or "cohere" `{ model, query, documents }`, as Jina, Voyage and vLLM take it too. Default "tei" without a model, "cohere" with one. */
  readonly protocol?: "tei" | "cohere" | undefined;
  /** The model's name, as the service knows it. */
  readonly model?: string | undefined;
  /** Sent as a bearer token; a function is asked before every call. Never in an error. Default: none is sent. */
  readonly apiKey?: string | (() => string | undefined | Promise<string | undefined>) | undefined;
  /** Names the weights in explanations. Default: host and model. */
  readonly id?: string | undefined;
  /** Sent with every call, beside those of the protocol. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Most texts a call may carry; more go in several calls, one after the other. Default 32, which TEI takes. */
  readonly maxBatchSize?: number | undefined;
  /** Milliseconds for a whole call, at least 1. Default 10,000. */
  readonly timeoutMs?: number | undefined;
}

const maxReplyBytes = 4_000_000;

/**
 * A reranker behind an HTTP endpoint: Text Embeddings Inference, or any service that speaks as Cohere's does.
 * @example
 * ```ts fragment
 * const reranker = createHttpReranker({ url: "http://localhost:8080/rerank" });
 * await using memory = await openMemory({ reranker });
 * ```
 * @throws INVALID_ARGUMENT
 */
export function createHttpReranker(options: HttpRerankerOptions): Reranker {
  const { model, maxBatchSize = 32, timeoutMs = 10_000 } = options;
  if (!URL.canParse(options.url) || !/^https?:$/.test(new URL(options.url).protocol)) {
    throw invalid("url", "Expected url as an HTTP or HTTPS address.");
  }
  const url = new URL(options.url);
  if (!(Number.isInteger(maxBatchSize) && maxBatchSize >= 1))
    throw invalid("maxBatchSize", "Expected maxBatchSize as a whole number from 1.");
  if (!(timeoutMs >= 1)) throw invalid("timeoutMs", "Expected timeoutMs as a number from 1.");
  const protocol = options.protocol ?? (model === undefined ? "tei" : "cohere");
  const place = url.origin + url.pathname;

  async function ask(question: string, texts: readonly string[], { signal }: RerankCall): Promise<number[]> {
    const { apiKey } = options;
    const key = typeof apiKey === "function" ? await apiKey() : apiKey;
    const body =
      protocol === "tei"
        ? { query: question, texts, truncate: true, ...(model !== undefined && { model }) }
        : { query: question, documents: texts, top_n: texts.length, ...(model !== undefined && { model }) };
    const deadline = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          ...(key !== undefined && { authorization: `Bearer ${key}` }),
          ...options.headers,
        },
        body: JSON.stringify(body),
        // A key must not follow to another host.
        redirect: "error",
        signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
      });
      const reply = await readBounded(response);
      if (!response.ok) throw failed(place, `HTTP status ${response.status}`, { status: response.status });
      return scoresOf(reply, texts.length, place);
    } catch (error) {
      signal?.throwIfAborted();
      if (StrataError.isInstance(error)) throw error;
      if (deadline.aborted) throw failed(place, `none within ${timeoutMs} ms`, {}, error);
      throw failed(place, "no whole answer: is the service running, and is the URL right?", {}, error);
    }
  }

  return {
    id: options.id ?? [url.host, model].filter((part) => part !== undefined).join("/"),
    async rerank(question, texts, call) {
      const scores: number[] = [];
      for (let at = 0; at < texts.length; at += maxBatchSize) {
        call.signal?.throwIfAborted();
        scores.push(...(await ask(question, texts.slice(at, at + maxBatchSize), call)));
      }
      return scores;
    },
  };
}

function invalid(argument: string, message: string): StrataError {
  return new StrataError("INVALID_ARGUMENT", message, { details: { argument } });
}

function failed(place: string, came: string, details: Record<string, number>, cause?: unknown): StrataError {
  return new StrataError("RERANKING_FAILED", `Expected scores from ${place}, got ${came}.`, {
    details,
    cause,
  });
}

async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const piece of response.body ?? []) {
    text += decoder.decode(piece, { stream: true });
    if (text.length > maxReplyBytes) throw new RangeError("The answer is too long.");
  }
  return text;
}

interface Item {
  readonly index?: unknown;
  readonly score?: unknown;
  readonly relevance_score?: unknown;
}

/** A score for each text, in their order, whatever the order of the reply: `[…]`, `{ results: […] }` or `{ data: […] }`. */
function scoresOf(body: string, texts: number, place: string): number[] {
  let reply: { readonly results?: unknown; readonly data?: unknown } | null;
  try {
    reply = JSON.parse(body);
  } catch {
    // The parser's message would quote the body.
    throw failed(place, `${body.length} characters that are no JSON`, {});
  }
  const items = Array.isArray(reply) ? reply : (reply?.results ?? reply?.data);
  if (!Array.isArray(items)) throw failed(place, "JSON without a list of results", {});
  const scores = new Array<number | undefined>(texts).fill(undefined);
  for (const item of items as (Item | null)[]) {
    const index = item?.index as number;
    const score = item?.relevance_score ?? item?.score;
    if (!(Number.isInteger(index) && index >= 0 && index < texts) || scores[index] !== undefined)
      throw failed(place, "an index that belongs to no text, or twice to one", {});
    if (typeof score !== "number" || !Number.isFinite(score))
      throw failed(place, "a score that is no number", {});
    scores[index] = score;
  }
  const missing = scores.filter((score) => score === undefined).length;
  if (missing > 0) throw failed(place, `no score for ${missing} of ${texts} texts`, {});
  return scores as number[];
}
