import type { Command } from "commander";
import type { StoreStats } from "../../contract/memory-store.ts";
import { tiers } from "../../contract/tier.ts";
import { addExamples } from "../flag-values.ts";
import type { Style } from "../output.ts";
import type { Session } from "../session.ts";
import { formatTable } from "../table.ts";
import { formatBytes, formatCount, formatLifetime, plural } from "../units.ts";

const columns = [
  { head: "tier" },
  { head: "entries", right: true },
  { head: "capacity", right: true },
  { head: "memories", right: true },
  { head: "documents", right: true },
  { head: "pinned", right: true },
  { head: "text", right: true },
  { head: "lives", right: true },
];

export function declare(command: Command, session: Session): void {
  command
    .description("Show figures by tier. An entry is a memory of its own or a document with its chunks.")
    .option("--all", "of all namespaces together")
    .action(({ all }: { readonly all?: boolean }) => stats(all === true, session));
  addExamples(command, [
    ["strata stats", ""],
    ["strata stats --all --json", ""],
  ]);
}

async function stats(all: boolean, session: Session): Promise<void> {
  const { output, signal } = session;
  await using memory = await session.openExisting();
  const figures = await memory.stats({ all, signal });
  const head = all ? plural(figures.namespaces, "namespace") : `namespace ${memory.namespace}`;
  output.result({ ...(!all && { namespace: memory.namespace }), path: memory.path, ...figures }, () =>
    [head, "", formatStats(figures, output.style)].join("\n"),
  );
  if (figures.memories === 0) output.note("It is empty. Fill it with: strata ingest FOLDER");
}

/** The table of tiers and the sentences under it. */
export function formatStats(figures: StoreStats, style: Style): string {
  const rows = tiers.map((tier) => {
    const { entries, capacity, memories, documents, pinned, bytes, ttlSeconds } = figures.tiers[tier];
    return [
      tier,
      formatCount(entries),
      capacity === 0 ? "any" : formatCount(capacity),
      ...[memories, documents, pinned].map(formatCount),
      formatBytes(bytes),
      formatLifetime(ttlSeconds),
    ];
  });
  const { memories, documents, withoutVector, models, expired, evicted, bytesOnDisk } = figures;
  const lines = [
    `${plural(memories, "memory", "memories")}, ${plural(documents, "document")}, ${formatBytes(bytesOnDisk)} on disk`,
    ...Object.entries(models).map(([model, count]) => `${formatCount(count)} embedded by ${model}`),
    ...(withoutVector > 0 ? [`${formatCount(withoutVector)} without a vector, found by words only`] : []),
    ...(expired > 0 ? [`${formatCount(expired)} expired; remove with: strata cleanup`] : []),
    ...(evicted > 0 ? [`${formatCount(evicted)} evicted so far; see: strata journal`] : []),
  ];
  return [formatTable(columns, rows, style.dim), "", ...lines].join("\n");
}
