import type { Memory } from "../contract/memory.ts";
import type { Evicted } from "../contract/memory-store.ts";
import { shownDocument } from "./document-names.ts";
import type { Style } from "./output.ts";
import { oneLine, printable, truncate } from "./terminal-text.ts";
import { formatTime, plural } from "./units.ts";

/** Where a memory comes from: its document and headings, its speaker and thread; empty for a note of its own. */
export function originOf(memory: Memory, cwd: string): string {
  const { source, speaker, thread } = memory;
  if (source) {
    const headings = source.headings.map(oneLine).join(" › ");
    return `${shownDocument(source.uri, cwd)}${headings === "" ? "" : ` › ${headings}`}`;
  }
  return [speaker, thread && `in ${thread}`]
    .filter((part) => part)
    .map((part) => oneLine(part!))
    .join(" ");
}

/** Tier, time, importance, tags and id on one line. */
export function factsLine(memory: Memory): string {
  const facts = [
    memory.tier,
    formatTime(memory.at ?? memory.createdAt),
    ...(memory.importance === 0.5 ? [] : [`importance ${Number(memory.importance.toFixed(2))}`]),
    ...(memory.pinned ? ["pinned"] : []),
    ...memory.tags.map((tag) => `#${oneLine(tag)}`),
    oneLine(memory.id),
  ];
  return facts.join(" · ");
}

/** One line of a list: id, time, tier, beginning of the text. */
export function memoryLine(memory: Memory, width: number, style: Style): string {
  const head = `${oneLine(memory.id)}  ${formatTime(memory.at ?? memory.createdAt)}  ${memory.tier.padEnd(10)}  `;
  return style.dim(head) + truncate(oneLine(memory.content), Math.max(width - head.length, 24));
}

/** A memory with all its fields, its text last. */
export function formatMemory(memory: Memory, style: Style): string {
  const { source, at, expiresAt, model } = memory;
  const rows: (readonly [string, string | undefined])[] = [
    ["id", memory.id],
    ["namespace", memory.namespace],
    ["tier", memory.tier + (memory.pinned ? ", pinned" : "")],
    ["importance", String(memory.importance)],
    ["tags", memory.tags.join(", ") || undefined],
    ["thread", memory.thread],
    ["speaker", memory.speaker],
    ["at", at === undefined ? undefined : formatTime(at)],
    [
      "document",
      source && `${source.uri}, chunk ${source.chunk}, characters ${source.start} to ${source.end}`,
    ],
    ["headings", source?.headings.join(" › ") || undefined],
    ["stored", formatTime(memory.createdAt)],
    [
      "changed",
      memory.version === 1 ? undefined : `${formatTime(memory.updatedAt)}, version ${memory.version}`,
    ],
    ["used", `${plural(memory.accessCount, "time")}, last ${formatTime(memory.lastUsedAt)}`],
    ["expires", expiresAt === undefined ? "never" : formatTime(expiresAt)],
    ["metadata", Object.keys(memory.metadata).length === 0 ? undefined : JSON.stringify(memory.metadata)],
    ["model", model ?? "none: found by words only"],
  ];
  const lines = rows
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${style.dim(name.padEnd(11))}${oneLine(value!)}`);
  return [...lines, "", printable(memory.content)].join("\n");
}

/** Tells what a write pushed out of full tiers; undefined when it pushed nothing. */
export function evictionWarning(evicted: readonly Evicted[]): string | undefined {
  if (evicted.length === 0) return undefined;
  const tiers = [...new Set(evicted.map(({ tier }) => tier))].join(", ");
  return `${plural(evicted.length, "entry", "entries")} left the full tier ${tiers}; "strata journal" names them, and STRATA_MEMORY_<TIER>_CAPACITY raises the limit.`;
}
