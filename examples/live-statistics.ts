// What the batcher does while it works: its queue, its batches and its caches, told twenty times a second.
import { setTimeout as sleep } from "node:timers/promises";
import { BatchEmbedder } from "strata-memory";

/** A service that takes 30 ms for a call and .2 ms for each text. */
async function embedTexts(texts: readonly string[]): Promise<number[][]> {
  await sleep(30 + 0.2 * texts.length);
  return texts.map((text) => [text.length, 1]);
}

await using embedder = new BatchEmbedder(embedTexts);

const ticker = setInterval(() => {
  const { queueLength, inFlight, hitRate, batching, averageBatchSize } = embedder.getStats();
  console.log(
    [
      `${queueLength} waiting`,
      `${inFlight} of ${batching.concurrency} batches out`,
      `batches of up to ${batching.batchSize}, ${averageBatchSize.toFixed(1)} on average`,
      `${Math.round(100 * hitRate)} % without computation`,
    ].join(" · "),
  );
}, 50);

// Visitors who ask again and again about the same things.
const visitors = Array.from({ length: 200 }, async (_, visitor) => {
  for (let i = 0; i < 10; i++) {
    await embedder.embedText(`question ${(visitor * i) % 150}`);
    await sleep(10);
  }
});
await Promise.all(visitors);
clearInterval(ticker);

const { texts, totalEmbeddings, averageTimePerEmbeddingMs, l1 } = embedder.getStats();
console.log(
  `${texts} texts asked for, ${totalEmbeddings} computed at ${averageTimePerEmbeddingMs.toFixed(2)} ms each`,
);
console.log(`${l1.hits} hits, ${l1.entries} entries, ${l1.bytes} of ${l1.maxBytes} bytes`);
