import type { Command } from "commander";
import { addExamples } from "../flag-values.ts";
import { memoryJson } from "../json-shapes.ts";
import type { Session } from "../session.ts";

export function declare(command: Command, session: Session): void {
  command
    .description("Pin a memory: it is never evicted, demoted or merged. A chunk's pin is its document's.")
    .argument("<id>")
    .option("--off", "unpin it")
    .action((id: string, { off }: { readonly off?: boolean }) => pin(id, off !== true, session));
  addExamples(command, [
    ["strata pin ID", ""],
    ["strata pin ID --off", ""],
  ]);
}

async function pin(id: string, pinned: boolean, session: Session): Promise<void> {
  const { output, signal } = session;
  await using memory = await session.openExisting();
  const changed = await memory.pin(id, pinned, { signal });
  output.result({ memory: memoryJson(changed) }, () => (changed.pinned ? "pinned" : "unpinned"));
}
