import type { Command } from "commander";
import { withDocumentUri } from "../document-names.ts";
import { addFilterFlags, type FilterFlags, filterOf } from "../filter-flags.ts";
import { addExamples, numberFlag } from "../flag-values.ts";
import { explainAnswer } from "../format-explanation.ts";
import { formatHits } from "../format-hits.ts";
import { researchJson } from "../json-shapes.ts";
import { noteSkipped } from "../note-skipped.ts";
import { noteNothingFound } from "../nothing-found.ts";
import type { Session } from "../session.ts";
import { oneLine } from "../terminal-text.ts";

interface Flags extends FilterFlags {
  readonly limit?: number;
  readonly context?: number;
  readonly maxTokens?: number;
  readonly explain?: boolean;
  readonly full?: boolean;
}

export function declare(command: Command, session: Session): void {
  command
    .description("Ask several questions at once: one list, the best answer to each before all second ones.")
    .argument("<questions...>", "the questions, each in quotes: at most 32")
    .option("--limit <count>", "most hits: 1 to 1,000 (default: 10)", numberFlag)
    .option("--explain", "tell how the answer to each question came about")
    .option("--full", "print whole texts, not their beginnings")
    .option("--context <chunks>", "join each chunk with so many before and after it: 0 to 10", numberFlag)
    .option("--max-tokens <count>", "print a text for a prompt, of at most so many tokens", numberFlag);
  addFilterFlags(command).action((questions: string[], flags: Flags) => research(questions, flags, session));
  addExamples(command, [
    ['strata research "who leads the project?" "when is it due?"', ""],
    ['strata research "risks" "open questions" --max-tokens 2000', "for a prompt"],
  ]);
}

async function research(questions: readonly string[], flags: Flags, session: Session): Promise<void> {
  const { io, output, signal } = session;
  await using memory = await session.openExisting({ preload: true });
  const { limit, context, maxTokens, explain, full } = flags;
  const answer = await memory.research(questions, {
    ...(await withDocumentUri(filterOf(flags), memory, io.cwd)),
    limit,
    context,
    maxTokens,
    explain,
    signal,
  });
  const { hits, packed, explanations } = answer;
  const layout = { width: output.width, full: full === true, style: output.style, cwd: io.cwd };
  output.result(researchJson(answer), () => {
    if (packed) return packed.text;
    const told = (explanations ?? []).map((explanation, at) =>
      [`${at + 1}. ${oneLine(questions[at]!)}`, ...explainAnswer(explanation)].join("\n"),
    );
    return [formatHits({ hits }, layout), ...told].filter((block) => block !== "").join("\n\n");
  });
  if (hits.length === 0) await noteNothingFound(memory, output);
  noteSkipped(answer, output);
}
