import { resolve } from "node:path";
import type { Command } from "commander";
import { addExamples } from "../flag-values.ts";
import type { Session } from "../session.ts";
import { formatBytes, plural } from "../units.ts";

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Put a copy of a backup where the memory is, once it is verified. A memory that is there stays unless --force, and is then kept beside it under another name. No process may have it open.",
    )
    .argument("<file>", "what backup wrote")
    .option("--force", "take the place of the memory that is there")
    .action((file: string, { force }: { readonly force?: boolean }) =>
      restore(file, force === true, session),
    );
  addExamples(command, [
    ["strata restore memory-monday.db", "where there is no memory yet"],
    ["strata restore memory-monday.db --force", "the present one is kept beside it"],
    ["strata restore memory-monday.db --db copy.db", "to another place"],
  ]);
}

async function restore(file: string, force: boolean, session: Session): Promise<void> {
  const { io, output, overrides, signal } = session;
  const { restoreMemory } = await import("../../engine/restore-memory.ts");
  const { damages: _none, ...told } = await restoreMemory(resolve(io.cwd, file), {
    ...overrides,
    force,
    signal,
  });
  output.result(told, () => `${told.path}\nsha256 ${told.sha256}`);
  const holds = `${plural(told.memories, "memory", "memories")}, ${plural(told.documents, "document")}, ${plural(told.namespaces, "namespace")}, ${formatBytes(told.bytes)}`;
  output.note(`${holds}: verified and in place.`);
  if (told.kept !== undefined) output.note(`The former memory is kept: ${told.kept}`);
}
