import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";
import { parentPort, workerData } from "node:worker_threads";

/** An embedding service on loopback that takes a fixed time for a call and some for each text; runs as a worker. */
const { callMs, textMs } = workerData as { readonly callMs: number; readonly textMs: number };
let requests = 0;

const server = createServer(async (request, response) => {
  requests++;
  const texts = (await json(request)) as string[];
  setTimeout(
    () => response.end(JSON.stringify(texts.map((text) => [text.length, 1, 0, 0]))),
    callMs + textMs * texts.length,
  );
});

parentPort?.on("message", () => {
  parentPort?.postMessage(requests);
  requests = 0;
});
server.listen(0, "127.0.0.1", () => parentPort?.postMessage((server.address() as AddressInfo).port));
