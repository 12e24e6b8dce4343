// Any function that turns texts into vectors becomes a batcher: callers ask for single texts, the function gets few and
// full calls, and no text is computed twice.
import { BatchEmbedder } from "strata-memory";

let calls = 0;

/** Stands for your model or service: one vector for each text, in order. */
async function embedTexts(texts: readonly string[]): Promise<number[][]> {
  calls++;
  return texts.map((text) => [text.length, text.split(" ").length, 1]);
}

await using embedder = new BatchEmbedder(embedTexts);

// A hundred callers who know nothing of each other; every second one asks what another one asks.
const questions = Array.from({ length: 100 }, (_, i) => `what does visitor ${Math.floor(i / 2)} drink?`);
const vectors = await Promise.all(questions.map((question) => embedder.embedText(question)));

const { texts, joins, averageBatchSize } = embedder.getStats();
console.log(`${vectors.length} vectors from ${calls} calls`);
console.log(
  `${texts} texts asked for, ${joins} joined the same text on its way, ${averageBatchSize} a batch`,
);

// One caller's change of mind is nobody else's.
const leaving = new AbortController();
const left = embedder.embedText("never mind", { signal: leaving.signal });
const stayed = embedder.embedText("never mind");
leaving.abort();
await left.catch(() => console.log("one caller left"));
console.log(`the other one has ${(await stayed)?.length} numbers`);
