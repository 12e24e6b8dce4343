/**
 * Shows what the batcher does with the texts of many callers, drawn for a terminal: `npm run demo:batching`. The model
 * is a pretended service that takes 30 ms for a call and .2 ms for each text.
 */
import { setTimeout as sleep } from "node:timers/promises";
import picocolors from "picocolors";
import { BatchEmbedder } from "../src/embedding/batch-embedder.ts";

const callMs = 30;
const textMs = 0.2;
const msPerColumn = 6;
const poison = "\u2620";

/** One call of the pretended service. */
interface Call {
  readonly texts: number;
  readonly startMs: number;
  endMs: number;
  failed: boolean;
}

class PretendedService {
  readonly calls: Call[] = [];
  readonly #startedAt = performance.now();

  readonly embed = async (texts: readonly string[]): Promise<number[][]> => {
    const call = { texts: texts.length, startMs: this.#now(), endMs: 0, failed: texts.includes(poison) };
    this.calls.push(call);
    await sleep(callMs + textMs * texts.length);
    call.endMs = this.#now();
    if (call.failed)
      throw Object.assign(new Error("The service cannot read one of the texts."), { status: 400 });
    return texts.map((text) => [text.length, 1]);
  };

  #now(): number {
    return performance.now() - this.#startedAt;
  }
}

function say(text = ""): void {
  console.log(text);
}

function heading(text: string): void {
  say();
  say(picocolors.bold(text));
}

/** Calls as bars on a time line, each in the first lane that is free. */
function drawLanes(calls: readonly Call[]): void {
  const origin = Math.min(...calls.map((call) => call.startMs));
  const column = (ms: number): number => Math.round((ms - origin) / msPerColumn);
  const lanes: string[] = [];
  for (const call of calls) {
    const start = column(call.startMs);
    const width = Math.max(3, column(call.endMs) - start);
    let lane = lanes.findIndex((line) => line.length <= start);
    if (lane < 0) lane = lanes.push("") - 1;
    const label = `${call.texts}`.slice(0, width - 2);
    const left = (width - label.length) >> 1;
    lanes[lane] =
      lanes[lane]!.padEnd(start) + "█".repeat(left) + label + "▓".repeat(width - left - label.length);
  }
  for (const [i, line] of lanes.entries()) say(`  slot ${i + 1} ${picocolors.cyan(line)}`);
  const columns = Math.max(...lanes.map((line) => line.length));
  say(picocolors.dim(`         0 ms${`${columns * msPerColumn} ms`.padStart(Math.max(6, columns - 4))}`));
}

async function showOneTurn(): Promise<void> {
  heading(
    "1. Sixty callers in one turn of the event loop, each with one text; every third asks what another asks",
  );
  const service = new PretendedService();
  await using embedder = new BatchEmbedder(service.embed);
  const asked = Array.from({ length: 60 }, (_, i) => `question ${i % 3 === 0 ? 0 : i}`);
  await Promise.all(asked.map((text) => embedder.embedText(text)));
  drawLanes(service.calls);
  const { joins } = embedder.getStats();
  say(`  60 texts became ${service.calls.length} calls; ${joins} joined the same text on its way.`);
}

async function showTrickle(): Promise<void> {
  heading(
    "2. Callers who come one by one, one each millisecond: the first leaves at once, the others share calls",
  );
  const service = new PretendedService();
  await using embedder = new BatchEmbedder(service.embed);
  const startedAt = performance.now();
  const waits: number[] = [];
  const calls: Promise<unknown>[] = [];
  for (let i = 0; i < 400; i++) {
    while (performance.now() < startedAt + i) await sleep(1);
    const askedAt = performance.now();
    calls.push(embedder.embedText(`text ${i}`).then(() => waits.push(performance.now() - askedAt)));
  }
  await Promise.all(calls);
  drawLanes(service.calls);
  const middle = waits.sort((a, b) => a - b)[200]!;
  say(
    `  400 texts became ${service.calls.length} calls. Half of the callers waited less than ${middle.toFixed(0)} ms,`,
  );
  say(`  ${callMs} ms of which is the service's own.`);
}

async function showPoison(): Promise<void> {
  heading("3. One text of sixteen that the service cannot read: its batch is halved until it stands alone");
  const service = new PretendedService();
  await using embedder = new BatchEmbedder(service.embed);
  const asked = Array.from({ length: 16 }, (_, i) => (i === 5 ? poison : `text ${i}`));
  const outcomes = await Promise.allSettled(asked.map((text) => embedder.embedText(text)));
  for (const call of service.calls)
    say(
      `  ${call.failed ? picocolors.red("fails   ") : picocolors.green("answered")} ${"■".repeat(call.texts)}`,
    );
  const failed = outcomes.filter((outcome) => outcome.status === "rejected").length;
  say(`  ${16 - failed} callers have their vector, ${failed} has an error.`);
}

async function showCache(): Promise<void> {
  heading("4. The same text again");
  const service = new PretendedService();
  await using embedder = new BatchEmbedder(service.embed);
  for (const name of ["first time", "second time", "third time"]) {
    const startedAt = performance.now();
    await embedder.embedText("what does Ada drink?");
    say(`  ${name.padEnd(12)} ${(performance.now() - startedAt).toFixed(3).padStart(8)} ms`);
  }
}

await showOneTurn();
await showTrickle();
await showPoison();
await showCache();
