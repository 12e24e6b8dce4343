import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { addExamples } from "../flag-values.ts";
import type { Session } from "../session.ts";

export function declare(command: Command, session: Session): void {
  command
    .description("Make a .strata folder here: commands run in this folder and below use the memory inside.")
    .action(() => init(session));
  addExamples(command, [["cd my-project && strata init && strata ingest docs/", ""]]);
}

function init({ io, output }: Session): void {
  const folder = join(io.cwd, ".strata");
  const created = !existsSync(folder);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // What agents remember is not for the repository's readers.
  if (created) writeFileSync(join(folder, ".gitignore"), "*\n");
  output.result({ folder, created }, () => folder);
  output.note(created ? "Made. Fill the memory with: strata ingest FOLDER" : "It is there already.");
}
