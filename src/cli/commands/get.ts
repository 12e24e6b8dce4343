import type { Command } from "commander";
import { StrataError } from "../../contract/errors.ts";
import { addExamples } from "../flag-values.ts";
import { formatMemory } from "../format-memory.ts";
import { memoryJson } from "../json-shapes.ts";
import type { Session } from "../session.ts";

export function declare(command: Command, session: Session): void {
  command
    .description("Show one memory with all its fields.")
    .argument("<id>", "as recall, list and store print it")
    .action((id: string) => get(id, session));
  addExamples(command, [
    ["strata get ID", ""],
    ["strata get ID --json | jq -r .memory.content", "its text, character by character"],
  ]);
}

async function get(id: string, session: Session): Promise<void> {
  const { output, signal } = session;
  await using memory = await session.openExisting();
  const found = await memory.get(id, { signal });
  if (!found) {
    throw new StrataError(
      "NOT_FOUND",
      `No memory of the namespace "${memory.namespace}" has the id "${id}"; "strata list" shows those there are.`,
      { details: { id } },
    );
  }
  output.result({ memory: memoryJson(found) }, () => formatMemory(found, output.style));
}
