import type { Command } from "commander";
import type { EmbeddingModel } from "../../contract/embedding-model.ts";
import { StrataError } from "../../contract/errors.ts";
import type { StoredModel } from "../../embedding/models/model-store.ts";
import { addExamples, numberFlag } from "../flag-values.ts";
import { benchModel, formatBench } from "../model-bench.ts";
import { type OpenFlags, openNamedModel, storedFolder } from "../open-named-model.ts";
import { ProgressLine } from "../progress-line.ts";
import type { Session } from "../session.ts";
import { formatTable } from "../table.ts";
import { formatBytes, plural } from "../units.ts";

interface StoreFlags {
  /** Where models are stored. */
  readonly folder?: string;
}

interface PullFlags extends StoreFlags {
  readonly id?: string;
  readonly graph?: string;
  readonly revision?: string;
  readonly hub?: string;
}

interface BenchFlags extends OpenFlags {
  readonly texts?: number;
}

export function declare(command: Command, session: Session): void {
  command
    .description("Bring, look at and measure embedding models.")
    .helpCommand(false)
    .action(() => {
      throw new StrataError(
        "INVALID_ARGUMENT",
        "Expected one of list, pull, info, bench after: strata model",
      );
    });
  const withFolder = (sub: Command): Command =>
    sub.option("--folder <folder>", "where models are stored (default: models in your data folder)");
  const withOpening = (sub: Command): Command =>
    withFolder(sub)
      .option("--device <device>", "for onnx: cpu (default), cuda, webgpu or auto")
      .option("--key-variable <name>", "for http: the environment variable that holds the key");
  withFolder(command.command("list").description("List the models that are here.")).action(
    (flags: StoreFlags) => list(flags, session),
  );
  withFolder(
    command
      .command("pull")
      .description("Bring an ONNX model from a hub or a folder, every file checked by its hash.")
      .argument("<source>", "owner/name on the hub, the URL of its page, or a folder")
      .option("--id <id>", "name to store it under (default: the hub's, or the folder's)")
      .option("--graph <file>", "the graph to bring (default: onnx/model.onnx)")
      .option("--revision <name>", "branch, tag or commit (default: main)")
      .option("--hub <url>", "another hub of Hugging Face's protocol"),
  ).action((source: string, flags: PullFlags) => pull(source, flags, session));
  withOpening(
    command
      .command("info")
      .description("Open a model and tell what it is; files of a stored one are checked by their hashes.")
      .argument("<model>", "builtin, a stored model's id, onnx:FOLDER#GRAPH or http:URL#NAME"),
  ).action((name: string, flags: OpenFlags) => info(name, flags, session));
  withOpening(
    command
      .command("bench")
      .description("Measure models on this machine, and which devices an ONNX model could use.")
      .argument("[models...]", "as for info (default: builtin)")
      .option("--texts <count>", "texts a measurement embeds (default: 200)", numberFlag),
  ).action((names: string[], flags: BenchFlags) => bench(names, flags, session));
  addExamples(command, [
    ["strata model pull sentence-transformers/all-MiniLM-L6-v2", ""],
    ["strata model pull ./all-MiniLM-L6-v2", "where no hub is reachable"],
    ["strata model info sentence-transformers/all-MiniLM-L6-v2", ""],
    ["strata model bench builtin http:http://localhost:11434/v1#nomic-embed-text", ""],
  ]);
}

const columns = [{ head: "model" }, { head: "size", right: true }, { head: "from" }];

async function list({ folder }: StoreFlags, { output }: Session): Promise<void> {
  const { listModels, modelsFolder } = await import("../../embedding/models/model-store.ts");
  const place = folder ?? modelsFolder();
  const stored = listModels(place);
  output.result({ folder: place, models: ["builtin", ...stored.map(({ id }) => id)], stored }, () => {
    const rows = stored.map((model) => [model.id, formatBytes(sizeOf(model)), model.source]);
    return formatTable(columns, [["builtin", "", "this package"], ...rows], output.style.dim);
  });
  if (stored.length === 0) output.note("Bring one with: strata model pull OWNER/NAME");
}

async function pull(source: string, flags: PullFlags, { output, signal }: Session): Promise<void> {
  const { pullModel } = await import("../../embedding/models/pull-model.ts");
  const line = new ProgressLine(output.progress);
  try {
    const model = await pullModel(source, {
      ...flags,
      signal,
      onProgress: (file, bytes, total) =>
        line.show(() => `${file} · ${formatBytes(bytes)} of ${formatBytes(total)}`),
    });
    line.clear();
    output.result(model, () => `${model.id}  ${formatBytes(sizeOf(model))}  ${model.folder}`);
    output.note(`Look at it with: strata model info ${model.id}`);
  } finally {
    line.clear();
  }
}

async function info(name: string, flags: OpenFlags, session: Session): Promise<void> {
  const { output } = session;
  const stored = await storedFolder(name, flags);
  const { verifyStoredModel } = await import("../../embedding/models/model-store.ts");
  const files = stored === undefined ? undefined : await verifyStoredModel(stored);
  const model = await openNamedModel(name, flags, session);
  try {
    const facts = factsOf(model);
    output.result({ ...facts, ...(files && { stored: files }) }, () => {
      const rows = Object.entries(facts).map(
        ([fact, value]) => `${output.style.dim(fact.padEnd(16))}${value}`,
      );
      const checked = files
        ? [
            `${output.style.dim("files".padEnd(16))}${plural(files.files.length, "file")}, all as they were stored`,
          ]
        : [];
      return [...rows, ...checked].join("\n");
    });
  } finally {
    await model.close?.();
  }
}

async function bench(names: readonly string[], flags: BenchFlags, session: Session): Promise<void> {
  const { output, signal } = session;
  const models: Awaited<ReturnType<typeof benchModel>>[] = [];
  for (const name of names.length > 0 ? names : ["builtin"])
    models.push(await benchModel(name, () => openNamedModel(name, flags, session), flags.texts, signal));
  const devices = await probe();
  output.result({ models, devices }, () => formatBench(models, devices, output.style));
}

/** What could be computed on; without the optional package a reason instead. */
async function probe(): Promise<Parameters<typeof formatBench>[1]> {
  const { probeOnnxDevices } = await import("../../embedding/models/onnx-model.ts");
  return probeOnnxDevices().catch((error: unknown) => {
    if (StrataError.isInstance(error) && error.code === "MISSING_PACKAGE") return error.message;
    throw error;
  });
}

function factsOf(model: EmbeddingModel): Record<string, string | number | boolean> {
  const shown = ["id", "dimensions", "maxTokens", "maxBatchSize", "symmetric", "graph", "pooling", "device"];
  const facts = shown.map((name) => [name, Reflect.get(model, name)] as const);
  return Object.fromEntries(facts.filter(([, value]) => value !== undefined));
}

function sizeOf({ files }: StoredModel): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
