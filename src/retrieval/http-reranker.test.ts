import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, suite, test } from "node:test";
import { inspect } from "node:util";
import { StrataError } from "../contract/errors.ts";
import { createHttpReranker, type HttpRerankerOptions } from "./http-reranker.ts";

interface Asked {
  readonly headers: IncomingMessage["headers"];
  readonly body: {
    readonly query: string;
    readonly texts?: string[];
    readonly documents?: string[];
    readonly model?: string;
  };
}

const servers: Server[] = [];
after(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

/** A service on loopback that answers as it is told. */
async function serve(
  answer: (response: ServerResponse, asked: Asked) => void,
): Promise<{ readonly url: string; readonly asked: Asked[] }> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const call = { headers: request.headers, body: JSON.parse(Buffer.concat(parts).toString()) };
      asked.push(call);
      answer(response, call);
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/rerank`, asked };
}

/** Scores by length, best first, as TEI gives them. */
function byLength(texts: readonly string[]): { index: number; score: number }[] {
  return texts.map((text, index) => ({ index, score: text.length })).sort((a, b) => b.score - a.score);
}

async function rejection(options: HttpRerankerOptions): Promise<StrataError> {
  const error = await createHttpReranker(options)
    .rerank("my secret question", ["a", "bb"], {})
    .catch((reason: unknown) => reason);
  assert.ok(StrataError.isInstance(error));
  assert.equal(error.code, "RERANKING_FAILED");
  assert.doesNotMatch(inspect(error, { depth: 6 }), /my secret|sk-key/);
  return error;
}

suite("the reranker over HTTP", () => {
  test("scores come in the order of the texts, from a TEI endpoint", async () => {
    const { url, asked } = await serve((response, { body }) =>
      response.end(JSON.stringify(byLength(body.texts!))),
    );
    const reranker = createHttpReranker({ url, apiKey: () => "sk-key" });
    assert.deepEqual(await reranker.rerank("why?", ["a", "ccc", "bb"], {}), [1, 3, 2]);
    assert.equal(asked[0]!.body.query, "why?");
    assert.equal(asked[0]!.headers.authorization, "Bearer sk-key");
    assert.equal(reranker.id, new URL(url).host);
  });

  test("an endpoint as Cohere's gets the model and documents", async () => {
    const { url, asked } = await serve((response, { body }) => {
      const results = byLength(body.documents!).map(({ index, score }) => ({
        index,
        relevance_score: score,
      }));
      response.end(JSON.stringify({ results }));
    });
    const reranker = createHttpReranker({ url, model: "rerank-3" });
    assert.deepEqual(await reranker.rerank("why?", ["a", "ccc", "bb"], {}), [1, 3, 2]);
    assert.equal(asked[0]!.body.model, "rerank-3");
    assert.match(reranker.id, /\/rerank-3$/);
  });

  test("more texts than a call carries go in several", async () => {
    const { url, asked } = await serve((response, { body }) =>
      response.end(JSON.stringify(byLength(body.texts!))),
    );
    const texts = Array.from({ length: 7 }, (_, at) => "x".repeat(at + 1));
    assert.deepEqual(
      await createHttpReranker({ url, maxBatchSize: 3 }).rerank("q", texts, {}),
      [1, 2, 3, 4, 5, 6, 7],
    );
    assert.deepEqual(
      asked.map(({ body }) => body.texts!.length),
      [3, 3, 1],
    );
  });

  const answers: Readonly<Record<string, [status: number, body: string]>> = {
    "an error of the service": [500, "my secret question failed"],
    "no JSON": [200, "<html>"],
    "no list": [200, "{}"],
    "a missing score": [200, '[{"index":0,"score":1}]'],
    "two scores for one text": [200, '[{"index":0,"score":1},{"index":0,"score":2}]'],
    "an index beyond the texts": [200, '[{"index":0,"score":1},{"index":2,"score":2}]'],
    "a score that is no number": [200, '[{"index":0,"score":1},{"index":1,"score":"2"}]'],
  };
  for (const [name, [status, body]] of Object.entries(answers)) {
    test(`${name} is an error that tells neither texts nor key`, async () => {
      const { url } = await serve((response) => response.writeHead(status).end(body));
      await rejection({ url, apiKey: "sk-key" });
    });
  }

  test("a service that is not there, or silent, is an error", async () => {
    await rejection({ url: "http://127.0.0.1:1/rerank" });
    const { url } = await serve(() => {});
    assert.match((await rejection({ url, timeoutMs: 30 })).message, /within 30 ms/);
  });

  test("an abort rejects with the caller's reason", async () => {
    const { url } = await serve(() => {});
    const controller = new AbortController();
    const asked = createHttpReranker({ url }).rerank("q", ["a"], { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(asked, /enough/);
  });

  test("wrong options are refused", () => {
    for (const wrong of [
      { url: "file:///x" },
      { url: "x" },
      { url: "http://h", maxBatchSize: 0 },
      { url: "http://h", timeoutMs: Number.NaN },
    ])
      assert.throws(() => createHttpReranker(wrong), { code: "INVALID_ARGUMENT" });
  });
});
