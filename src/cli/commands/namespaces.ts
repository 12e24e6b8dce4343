import type { Command } from "commander";
import { addExamples } from "../flag-values.ts";
import type { Session } from "../session.ts";
import { oneLine } from "../terminal-text.ts";

export function declare(command: Command, session: Session): void {
  command.description("List the namespaces that hold anything.").action(() => namespaces(session));
  addExamples(command, [["strata namespaces", ""]]);
}

async function namespaces(session: Session): Promise<void> {
  const { output } = session;
  await using memory = await session.openExisting();
  const names = await memory.namespaces();
  output.result({ namespaces: names }, () => names.map(oneLine).join("\n"));
  if (names.length === 0) output.note("Nothing is stored yet. Begin with: strata ingest FOLDER");
}
