import type { Command } from "commander";
import { confirm } from "../confirm.ts";
import { addExamples } from "../flag-values.ts";
import type { Session } from "../session.ts";
import { plural } from "../units.ts";

export function declare(command: Command, session: Session): void {
  command
    .description("Remove everything in a namespace for good: memories, documents and journal.")
    .argument("<namespace>", "its name, also when it is the one in use")
    .option("-y, --yes", "do not ask")
    .action((namespace: string, { yes }: { readonly yes?: boolean }) =>
      clear(namespace, yes === true, session),
    );
  addExamples(command, [
    ["strata clear scratch", "asks for the name again"],
    ["strata clear scratch --yes", "for scripts"],
  ]);
}

async function clear(namespace: string, yes: boolean, session: Session): Promise<void> {
  const { output, signal } = session;
  await using memory = await session.openExisting();
  if (!yes) {
    const { memories } = await memory.stats({ namespace });
    const what = `${plural(memories, "memory", "memories")} of the namespace "${namespace}"`;
    await confirm(session, `Remove ${what} for good?`, namespace);
  }
  const cleared = await memory.clear(namespace, { signal });
  output.result({ namespace, cleared }, () => `${plural(cleared, "memory", "memories")} removed`);
}
