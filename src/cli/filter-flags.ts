import type { Command } from "commander";
import type { Metadata } from "../contract/memory.ts";
import type { Tier } from "../contract/tier.ts";
import type { FilterOptions } from "../engine/filter-options.ts";
import { listFlag, metadataFlag, numberFlag } from "./flag-values.ts";

/** What the filter flags of a command line parse to. */
export interface FilterFlags {
  readonly tier?: readonly string[];
  readonly tags?: readonly string[];
  readonly after?: string;
  readonly before?: string;
  readonly minImportance?: number;
  readonly thread?: string;
  readonly speaker?: string;
  readonly document?: string;
  readonly metadata?: Metadata;
  readonly pinned?: boolean;
}

/** Declares the flags that say which memories a command is about. */
export function addFilterFlags(command: Command): Command {
  return command
    .option(
      "--tier <tiers>",
      "only these tiers: working, short_term, episodic, long_term, semantic",
      listFlag,
    )
    .option("--tags <tags>", "only what carries all of these", listFlag)
    .option("--after <time>", "only what happened at or after: 2026-01-31, 2026-01-31T08:00")
    .option("--before <time>", "only what happened before")
    .option("--min-importance <share>", "only at least this important: 0 to 1", numberFlag)
    .option("--thread <name>", "only turns of this conversation")
    .option("--speaker <name>", "only what this speaker said")
    .option("--document <name>", "only chunks of this document, as listed by: strata documents")
    .option("--metadata <key=value>", "only with this value; repeatable", metadataFlag)
    .option("--pinned", "only pinned memories");
}

/** The filter that flags ask for; the engine checks the values. */
export function filterOf(flags: FilterFlags): FilterOptions {
  const { tier, tags, after, before, minImportance, thread, speaker, document, metadata, pinned } = flags;
  return {
    ...(tier && { tier: tier as readonly Tier[] }),
    ...(tags && { tags }),
    ...(after !== undefined && { after }),
    ...(before !== undefined && { before }),
    ...(minImportance !== undefined && { minImportance }),
    ...(thread !== undefined && { thread }),
    ...(speaker !== undefined && { speaker }),
    ...(document !== undefined && { document }),
    ...(metadata && { metadata }),
    ...(pinned !== undefined && { pinned }),
  };
}
