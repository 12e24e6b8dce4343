import type { EmbeddingModel } from "../contract/embedding-model.ts";
import { StrataError } from "../contract/errors.ts";
import type { DeviceProbe } from "../embedding/models/onnx-device.ts";
import type { Style } from "./output.ts";
import { formatTable } from "./table.ts";
import { formatCount, formatDuration } from "./units.ts";

/** Figures of one model on this machine. */
export interface ModelBench {
  readonly model: string;
  readonly dimensions: number;
  readonly device: string;
  readonly openMs: number;
  /** Median for one short text alone. */
  readonly oneTextMs: number;
  readonly shortTextsPerSecond: number;
  readonly passagesPerSecond: number;
}

const defaultTexts = 200;
/** A passage takes about ten times as long as a turn of talk. */
const passageShare = 0.2;
const aloneTexts = 15;

const subjects = ["The gateway", "Our archive", "A second reader", "Her last letter", "The night train"];
const actions = ["rotates its keys", "arrives before noon", "forgets what was said", "asks for the tickets"];
const times = ["every spring", "on the seventh of May", "after the meeting", "whenever it rains"];

/** Different short texts, always the same ones. */
function shortText(number: number): string {
  const pick = (list: readonly string[], step: number): string =>
    list[Math.floor(number / step) % list.length]!;
  return `${pick(subjects, 1)} ${pick(actions, 5)} ${pick(times, 20)}, and number ${number} is written down beside it.`;
}

function passage(number: number): string {
  return Array.from({ length: 12 }, (_, at) => shortText(number * 12 + at)).join(" ");
}

/**
 * Opens a model, measures it and closes it.
 * @throws INVALID_ARGUMENT, and what opening and embedding throw
 */
export async function benchModel(
  name: string,
  open: () => Promise<EmbeddingModel>,
  texts: number = defaultTexts,
  signal?: AbortSignal,
): Promise<ModelBench> {
  if (!(Number.isSafeInteger(texts) && texts >= 10))
    throw new StrataError("INVALID_ARGUMENT", "Expected --texts to be a whole number from 10.");
  const started = performance.now();
  const model = await open();
  try {
    await embedAll(model, [shortText(0)], signal);
    const openMs = performance.now() - started;
    const alone: number[] = [];
    for (let at = 1; at <= aloneTexts; at++) alone.push(await timeOf(model, [shortText(at)], signal));
    const short = Array.from({ length: texts }, (_, at) => shortText(100 + at));
    const passages = Array.from({ length: Math.ceil(texts * passageShare) }, (_, at) => passage(at));
    const device: unknown = Reflect.get(model, "device");
    return {
      model: name,
      dimensions: model.dimensions,
      device: typeof device === "string" ? device : "",
      openMs,
      oneTextMs: alone.toSorted((a, b) => a - b)[aloneTexts >> 1]!,
      shortTextsPerSecond: (short.length / (await timeOf(model, short, signal))) * 1_000,
      passagesPerSecond: (passages.length / (await timeOf(model, passages, signal))) * 1_000,
    };
  } finally {
    await model.close?.();
  }
}

async function timeOf(
  model: EmbeddingModel,
  texts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<number> {
  const started = performance.now();
  await embedAll(model, texts, signal);
  return performance.now() - started;
}

/** The model itself, without caches in front of it. */
async function embedAll(
  model: EmbeddingModel,
  texts: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let start = 0; start < texts.length; start += model.maxBatchSize)
    await model.doEmbed(texts.slice(start, start + model.maxBatchSize), { task: "document", signal });
}

const columns = [
  { head: "model" },
  { head: "dimensions", right: true },
  { head: "device" },
  { head: "opens in", right: true },
  { head: "one text", right: true },
  { head: "short texts/s", right: true },
  { head: "passages/s", right: true },
];

/** A table of models, and below it a line a device. @param devices Why none could be probed, as a sentence. */
export function formatBench(
  models: readonly ModelBench[],
  devices: readonly DeviceProbe[] | string,
  style: Style,
): string {
  const rows = models.map((bench) => [
    bench.model,
    formatCount(bench.dimensions),
    bench.device,
    formatDuration(bench.openMs),
    formatDuration(bench.oneTextMs),
    formatCount(bench.shortTextsPerSecond),
    formatCount(bench.passagesPerSecond),
  ]);
  const lines =
    typeof devices === "string"
      ? [devices]
      : devices.map(({ device, available, reason, remedy }) =>
          available ? `${device}: available` : `${device}: not available (${reason}). ${remedy}`,
        );
  return [formatTable(columns, rows, style.dim), "", ...lines].join("\n");
}
