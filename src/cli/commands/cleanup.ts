import type { Command } from "commander";
import { addExamples } from "../flag-values.ts";
import type { Session } from "../session.ts";
import { plural } from "../units.ts";

interface Flags {
  readonly dryRun?: boolean;
  readonly all?: boolean;
}

export function declare(command: Command, session: Session): void {
  command
    .description(
      "Remove what has expired and what interrupted ingests left. Nobody sees either in the meantime.",
    )
    .option("--dry-run", "tell what would be removed, and remove nothing")
    .option("--all", "in all namespaces")
    .action((flags: Flags) => cleanup(flags, session));
  addExamples(command, [
    ["strata cleanup --dry-run", ""],
    ["strata cleanup --all", ""],
  ]);
}

async function cleanup(flags: Flags, session: Session): Promise<void> {
  const { output, signal } = session;
  const dryRun = flags.dryRun === true;
  await using memory = await session.openExisting();
  const done = await memory.cleanup({ dryRun, all: flags.all === true, signal });
  const { expired, expiredByTier, stagedChunks, journalRows } = done;
  output.result({ dryRun, expired, expiredByTier, stagedChunks, journalRows }, () => {
    const tiers = Object.entries(expiredByTier).filter(([, count]) => count > 0);
    const byTier = tiers.map(([tier, count]) => `${tier} ${count}`).join(", ");
    return [
      `${dryRun ? "Would remove" : "Removed"} ${plural(expired, "expired memory", "expired memories")}${byTier && ` (${byTier})`}`,
      `${plural(stagedChunks, "chunk")} of unfinished or replaced documents`,
      `${plural(journalRows, "journal row")} past their time`,
    ].join(", ");
  });
}
