import type { Command } from "commander";
import type { EmbeddingModel } from "../../contract/embedding-model.ts";
import { errorTable } from "../../contract/errors.ts";
import type { ReembedProgress, ReembedReport } from "../../engine/reembed-options.ts";
import type { Strata } from "../../engine/strata.ts";
import { addExamples, numberFlag } from "../flag-values.ts";
import { type OpenFlags, openNamedModel } from "../open-named-model.ts";
import { ProgressLine } from "../progress-line.ts";
import type { Session } from "../session.ts";
import { formatCount, formatDuration, plural } from "../units.ts";

interface Flags extends OpenFlags {
  readonly model?: string;
  readonly all?: boolean;
  readonly batch?: number;
  readonly dryRun?: boolean;
  readonly keep?: boolean;
}

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Give every memory a vector of the embedding model in use, then drop those of others. Until all have one, the former model answers as before. Interrupted, it goes on where it stood.",
    )
    .option(
      "--model <model>",
      "another model than the configured one: a stored model's id, or as for model info",
    )
    .option("--dry-run", "tell how many texts and tokens there are to embed, and change nothing")
    .option("--all", "in all namespaces")
    .option("--batch <memories>", "memories embedded and written at a time (default: 256)", numberFlag)
    .option("--keep", "leave the vectors of other models, for processes that still use one")
    .option("--folder <folder>", "where models are stored (default: models in your data folder)")
    .option("--device <device>", "for onnx: cpu (default), cuda, webgpu or auto")
    .option("--key-variable <name>", "for http: the environment variable that holds the key")
    .action((flags: Flags) => reembed(flags, session));
  addExamples(command, [
    ["strata reembed --dry-run", "after a change of [embedding] in the configuration"],
    ["strata reembed --all", ""],
    ["strata reembed --model sentence-transformers/all-MiniLM-L6-v2 --keep", "before that change"],
  ]);
}

async function reembed(flags: Flags, session: Session): Promise<void> {
  const { output } = session;
  await using memory = await session.openExisting();
  const model = flags.model === undefined ? undefined : await openNamedModel(flags.model, flags, session);
  const started = performance.now();
  const report = await run(memory, model, flags, session);
  const elapsedMs = performance.now() - started;
  output.result({ ...report, elapsedMs: Math.round(elapsedMs) }, () => formatReembed(report));
  if (report.failed > 0) {
    output.warn(
      `The model failed on ${plural(report.failed, "text")}, which keep the vectors they have; repeat the command to try again.`,
    );
    session.surroundings.setExitCode(errorTable.EMBEDDING_FAILED.exitCode);
  }
  if (report.dryRun) return;
  if (report.embedded > 0) {
    output.note(
      `Took ${formatDuration(elapsedMs)}, ${formatCount(report.embedded / (elapsedMs / 1_000))} texts/s.`,
    );
  }
  if (model) output.note("Name the model under [embedding] in the configuration, so that it is in use.");
}

async function run(
  memory: Strata,
  model: EmbeddingModel | undefined,
  { all, batch, dryRun, keep }: Flags,
  { output, signal }: Session,
): Promise<ReembedReport> {
  const line = new ProgressLine(output.progress);
  const progress = new ReembedLine();
  let began = false;
  try {
    return await memory.reembed({
      model,
      all,
      batchSize: batch,
      dryRun,
      keep,
      signal,
      onProgress: (each) => {
        began = true;
        line.show(() => progress.text(each, performance.now()));
      },
    });
  } catch (error) {
    line.clear();
    if (began && dryRun !== true) output.note("What was embedded is kept. Go on with the same command.");
    throw error;
  } finally {
    line.clear();
    if (dryRun === true) await model?.close?.();
  }
}

/** What the line of progress says, with a rate since the step began. */
class ReembedLine {
  #step: ReembedProgress["step"] | undefined;
  #startedAt = 0;
  #startedWith = 0;

  text({ step, namespace, done, total }: ReembedProgress, now: number): string {
    if (step !== this.#step) {
      this.#step = step;
      this.#startedAt = now;
      this.#startedWith = done;
    }
    if (step === "waiting") return `waiting for another process that is at it · ${namespace}`;
    if (step === "dropping") return `dropping vectors · ${formatCount(done)} of ${formatCount(total)}`;
    if (step === "counting") return `counting · ${formatCount(done)} of ${formatCount(total)}`;
    const seconds = (now - this.#startedAt) / 1_000;
    const rate = (done - this.#startedWith) / Math.max(seconds, 0.001);
    const left = rate > 0 ? ` · ${formatDuration(((total - done) / rate) * 1_000)} left` : "";
    return `${formatCount(done)} of ${plural(total, "memory", "memories")} · ${formatCount(rate)}/s${left}`;
  }
}

/** One or two sentences. */
export function formatReembed(report: ReembedReport): string {
  const { model, dryRun, embedded, unknown, dropped, tokens, price, complete } = report;
  if (embedded === 0 && dropped === 0 && complete) return `Every memory has a vector of ${model} already.`;
  const nothing = unknown > 0 ? `, which knows nothing in ${formatCount(unknown)}` : "";
  const cost = price === undefined ? "" : `, for about ${price.toPrecision(2)} in the currency of its price`;
  const others = dropped > 0 ? `; ${plural(dropped, "vector")} of other models dropped` : "";
  if (dryRun) {
    const drop = dropped > 0 ? `; would drop ${plural(dropped, "vector")} of other models` : "";
    return `Would embed ${plural(embedded, "text")}, ${plural(tokens, "token")}, by ${model}${cost}${drop}.`;
  }
  return `Embedded ${plural(embedded, "text")} by ${model}${nothing}${others}.`;
}
