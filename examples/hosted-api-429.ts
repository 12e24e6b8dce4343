// A hosted service that refuses calls with status 429: the batcher waits as long as the service asks, holds its other
// calls back meanwhile, and every caller gets a vector. The service here is a server of this program's own.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { BatchEmbedder } from "strata-memory";

let requests = 0;
const service = createServer(async (request, response) => {
  const texts = (await json(request)) as string[];
  // Every third request finds the service too busy.
  if (++requests % 3 === 0) response.writeHead(429, { "retry-after": "0.2" }).end();
  else response.end(JSON.stringify(texts.map((text) => [text.length, 1])));
});
service.listen(0, "127.0.0.1");
await once(service, "listening");
const url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`;

const embedder = new BatchEmbedder(
  async (texts, { signal }) => {
    const response = await fetch(url, {
      method: "POST",
      body: JSON.stringify(texts),
      signal: signal ?? null,
    });
    // An error that carries `status` and `headers` tells the batcher all it needs.
    if (!response.ok) throw Object.assign(new Error("The service refused."), factsOf(response));
    return (await response.json()) as number[][];
  },
  { batchSize: 8, timeoutMs: 10_000, price: { perMillionTokens: 0.02 }, budget: 1 },
);

function factsOf({ status, headers }: Response): { status: number; headers: Headers } {
  return { status, headers };
}

const texts = Array.from({ length: 100 }, (_, i) => `sentence number ${i}`);
const vectors = await embedder.embedBatch(texts, { namespace: "ada" });

const { calls, cost } = embedder.getStats();
console.log(`${vectors.length} vectors; ${requests} requests, of which ${calls.rateLimited} were refused`);
console.log(`${cost.tokens} tokens cost ${cost.price.toFixed(6)}`);

await embedder.close();
service.close();
