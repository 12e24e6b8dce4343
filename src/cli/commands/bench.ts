import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { StrataError } from "../../contract/errors.ts";
import { addExamples, numberFlag } from "../flag-values.ts";
import { type BenchResult, benchMemory, formatBench } from "../memory-bench.ts";
import { ProgressLine } from "../progress-line.ts";
import type { Session } from "../session.ts";

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Measure storing and recalling on this machine: in a memory of its own, which is removed afterwards, with texts of your memory where there are some, else with made ones.",
    )
    .option("--entries <n>", "memories to store, 100 to 50,000 (default 2000)", numberFlag)
    .action((flags: { readonly entries?: number }) => bench(flags.entries ?? 2_000, session));
  addExamples(command, [
    ["strata bench", ""],
    ["strata bench --entries 20000 --json", ""],
  ]);
}

async function bench(entries: number, session: Session): Promise<void> {
  if (!(Number.isInteger(entries) && entries >= 100 && entries <= 50_000))
    throw new StrataError("INVALID_ARGUMENT", "Expected --entries as a whole number from 100 to 50000.", {
      details: { argument: "entries" },
    });
  const { output, signal } = session;
  const own = await ownTexts(session, entries);
  const folder = await mkdtemp(join(tmpdir(), "strata-bench-"));
  const progress = new ProgressLine(output.progress);
  let result: BenchResult;
  try {
    const { configFile } = session.overrides;
    const onStep = (step: () => string): void => progress.show(step);
    result = await benchMemory({ folder, entries, own, configFile, signal, onStep });
  } finally {
    progress.clear();
    await rm(folder, { recursive: true, force: true });
  }
  output.result(result, () => formatBench(result, output.style));
}

/** Texts of the memory in use, newest first; none where there is no memory. Nothing is counted as a use. */
async function ownTexts(session: Session, limit: number): Promise<string[]> {
  try {
    await using memory = await session.openExisting();
    const texts: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await memory.list({ limit: Math.min(1_000, limit - texts.length), cursor });
      texts.push(...page.memories.map(({ content }) => content));
      cursor = page.cursor;
    } while (cursor !== undefined && texts.length < limit);
    return texts;
  } catch (error) {
    if (StrataError.isInstance(error) && error.code === "DATABASE_NOT_FOUND") return [];
    throw error;
  }
}
